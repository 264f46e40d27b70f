/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether somebody who is to be reached on this host is another workload in scope. Where workloads share a network, the socket
 * that would be reached is found, and whose it is. */
#pragma once
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include "egress_learnt.h"
#include "network.h"
#include "target.h"

#define OF_THE_CALLER ((u64)-1)

/* As bpf_sock_tuple, of either family. */
struct ends {
	union {
		struct {
			u32 source;
			u32 destination;
			u16 source_port;
			u16 destination_port;
		} ipv4;
		struct {
			u32 source[4];
			u32 destination[4];
			u16 source_port;
			u16 destination_port;
		} ipv6;
	};
};

/* Whoever is in scope by its cgroup is the workload of that; whoever is as a user, in whatever cgroups, is that user. */
static __always_inline bool is_another(const struct socket_owner *owner, u64 cgroup, u32 uid)
{
	u64 other = owner->cgroup;
	u32 *policy;

	if (!other || !(owner->policy & ~(POLICY_NAMED | POLICY_EXCLUDED)) || whole_of(other) == whole_of(cgroup))
		return false;
	policy = bpf_map_lookup_elem(&scopes, &other);
	return (policy && (*policy & ~POLICY_NAMED)) || owner->uid != uid;
}

static __always_inline struct bpf_sock *listener(void *context, const struct egress_target *target)
{
	const u32 *words = (const u32 *)target->address;
	bool is_ipv4 = !words[0] && !words[1] && words[2] == bpf_htonl(0xffff);
	struct ends ends = {};
	u32 size;

	if (is_ipv4) {
		ends.ipv4.destination = words[3];
		ends.ipv4.destination_port = bpf_htons(target->port);
		size = sizeof(ends.ipv4);
	} else {
		__builtin_memcpy(ends.ipv6.destination, words, sizeof(ends.ipv6.destination));
		ends.ipv6.destination_port = bpf_htons(target->port);
		size = sizeof(ends.ipv6);
	}
	return target->protocol == IPPROTO_TCP ?
		       bpf_sk_lookup_tcp(context, (struct bpf_sock_tuple *)&ends, size, OF_THE_CALLER, 0) :
		       bpf_sk_lookup_udp(context, (struct bpf_sock_tuple *)&ends, size, OF_THE_CALLER, 0);
}

static __always_inline bool is_of_others(void *context, const struct egress_target *target, u64 cgroup, u32 uid)
{
	struct socket_owner *owner;
	struct bpf_sock *socket;
	bool is_so = false;

	if (!target->has_port || (target->protocol != IPPROTO_TCP && target->protocol != IPPROTO_UDP))
		return false;
	socket = listener(context, target);
	if (!socket)
		return false;
	owner = bpf_sk_storage_get(&socket_owners, socket, NULL, 0);
	if (owner)
		is_so = is_another(owner, cgroup, uid);
	bpf_sk_release(socket);
	return is_so;
}
