/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where a packet goes and where it comes from, by its headers. */
#pragma once
#include "target.h"

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd

static __always_inline bool has_ports(u32 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE ||
	       protocol == IPPROTO_SCTP;
}

struct ports {
	u16 source;
	u16 destination;
};

/* What a packet's headers say. */
struct headers {
	u32 start; /* where they begin; set before they are read */
	struct egress_target target;
	u8 source[16];
	struct ports ports;
	u32 transport; /* where the transport protocol's header begins */
};

#define FRAGMENT_OFFSET 0x1fff
#define MOST_EXTENSIONS 8

static __always_inline void read_ports(struct __sk_buff *packet, u32 at, struct headers *headers)
{
	headers->transport = at;
	if (!has_ports(headers->target.protocol) || bpf_skb_load_bytes(packet, at, &headers->ports, sizeof(headers->ports)))
		return;
	headers->target.has_port = 1;
	headers->target.port = bpf_ntohs(headers->ports.destination);
}

static __always_inline bool read_ipv4(struct __sk_buff *packet, struct headers *headers)
{
	u8 header[20] = {};
	u32 from, to;

	if (bpf_skb_load_bytes(packet, headers->start, header, sizeof(header)))
		return false;
	__builtin_memcpy(&from, &header[12], 4);
	__builtin_memcpy(&to, &header[16], 4);
	set_ipv4(&headers->target, from);
	__builtin_memcpy(headers->source, headers->target.address, 16);
	set_ipv4(&headers->target, to);
	headers->target.protocol = header[9];
	/* A later fragment has none. */
	if (!((header[6] << 8 | header[7]) & FRAGMENT_OFFSET))
		read_ports(packet, headers->start + (header[0] & 0xf) * 4, headers);
	return true;
}

static __always_inline bool read_ipv6(struct __sk_buff *packet, struct headers *headers)
{
	u8 header[40] = {};
	u32 at = headers->start + sizeof(header);
	u32 next;

	if (bpf_skb_load_bytes(packet, headers->start, header, sizeof(header)))
		return false;
	__builtin_memcpy(headers->source, &header[8], 16);
	__builtin_memcpy(headers->target.address, &header[24], 16);
	next = header[6];
	for (int count = 0; count < MOST_EXTENSIONS; count++) {
		u8 extension[8] = {};

		if (next != 0 && next != 43 && next != 44 && next != 51 && next != 60)
			break;
		if (bpf_skb_load_bytes(packet, at, extension, sizeof(extension)))
			return false;
		if (next == 44) {
			headers->target.protocol = extension[0];
			/* A later fragment. */
			if ((extension[2] << 8 | extension[3]) & 0xfff8)
				return true;
			at += 8;
		} else if (next == 51) {
			at += (extension[1] + 2) * 4;
		} else {
			at += (extension[1] + 1) * 8;
		}
		next = extension[0];
	}
	headers->target.protocol = next;
	read_ports(packet, at, headers);
	return true;
}

/* Returns 0 where it is no IP packet that is whole. */
static __noinline int read_packet(struct __sk_buff *packet, struct headers *headers)
{
	if (packet->protocol == bpf_htons(ETH_P_IP))
		return read_ipv4(packet, headers);
	if (packet->protocol == bpf_htons(ETH_P_IPV6))
		return read_ipv6(packet, headers);
	return 0;
}
