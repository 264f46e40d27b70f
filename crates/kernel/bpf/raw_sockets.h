/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sockets whose packets are of a process's own making, raw ones and packet sockets: refused where they are made. */
#pragma once
#include "origin.h"

/* How soon it is told again of the same process. */
#define TELL_SOCKET_NS 1000000000ull

/* When it was told last that a process wanted such a socket. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, struct outbound_process);
	__type(value, u64);
} outbound_sockets_told SEC(".maps");

static __always_inline bool is_to_be_told(const struct origin *origin, u64 now)
{
	struct outbound_process key = {
		.workload = origin->workload,
		.start_boot_ns = origin->owner->start_boot_ns,
		.pid = origin->owner->pid,
	};
	u64 *told_ns = bpf_map_lookup_elem(&outbound_sockets_told, &key);

	if (told_ns && now < *told_ns + TELL_SOCKET_NS)
		return false;
	bpf_map_update_elem(&outbound_sockets_told, &key, &now, BPF_ANY);
	return true;
}

/* What becomes of a socket that the current process wants to make, where settings deny it. */
static __always_inline int make_raw(struct origin *origin, u32 reason, u32 protocol)
{
	struct egress_target nobody = { .protocol = protocol };
	struct socket_owner owner = {};
	u64 now = bpf_ktime_get_boot_ns();

	set_owner(&owner, origin->cgroup, origin->policy);
	origin->owner = &owner;
	origin->workload = whole_of(origin->cgroup);
	if (is_to_be_told(origin, now))
		tell(origin, &nobody, NULL, NULL, reason, now);
	return stop(origin, now);
}
