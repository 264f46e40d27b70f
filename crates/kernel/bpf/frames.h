/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Frames of packet sockets (AF_PACKET, AF_XDP). No program of a cgroup sees them. Where a workload has a network of its own,
 * they come out of the host's end of a pair of veth devices, and still belong to the socket that sent them. */
#pragma once
#include "kernel_types.h"
#include "frame_verdict.h"
#include "headers.h"
#include "socket.h"

/* The header of Ethernet. A tag of a VLAN is no part of it any more, but a second one is, and no IP packet follows. */
#define ETH_HEADER 14
#define ETH_P_ARP 0x0806

#define AF_INET 2
#define AF_INET6 10

/* What every other socket sends was judged by the programs of its cgroup; so were a raw one's packets, but what comes back is
 * for no socket. */
static __always_inline bool is_of_raw_socket(const struct __sk_buff *frame)
{
	struct bpf_sock *socket = frame->sk;

	if (!socket)
		return false;
	socket = bpf_sk_fullsock(socket);
	return socket && socket->type == SOCK_RAW;
}

static __always_inline bool is_of_packet_socket(const struct __sk_buff *frame)
{
	const struct bpf_sock *socket = frame->sk;

	return socket && socket->family != AF_INET && socket->family != AF_INET6;
}
