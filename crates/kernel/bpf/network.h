/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whose socket or packet it is, for every guard that looks at them. */
#pragma once
#include "kernel_types.h"
#include "socket.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "maps.h"

/* Cgroups are looked for up to this level where one has no entry of its own. */
#define CGROUP_LEVELS 32

/* What is known of a socket. */
struct socket_owner {
	u64 cgroup; /* of whoever made it, or connected first where that was not seen */
	u64 start_boot_ns;
	u32 policy; /* that of the cgroup then: where the cgroup has gone, it still holds */
	u32 pid;
	u32 parent_pid;
	u32 uid;
	u16 outbound; /* it has connected; else it was connected to */
	u16 in_host_network;
	u64 allowed_at; /* CELL_EGRESS_CHANGES, and 1 ns, when it was found that it may reach its peer */
	u64 connected_at; /* the same of its connect, to the peer that follows; 0 is never */
	u32 peer[4];
	u32 peer_port;
	u32 unused;
	u64 named; /* the pattern of names by which it may reach the address that follows; 0 is none */
	u64 named_address[2];
	char comm[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct socket_owner);
} socket_owners SEC(".maps");

/* What programs on sockets and packets answer. */
#define ALLOW 1
#define REFUSE 0

static __always_inline bool is_off(u32 guard)
{
	return !is_active() || is_before(CELL_OFF_ALL) || is_before(guard);
}

/* Whether it depends on the user: one may be in scope wherever it is, where its cgroup is not. These programs are only where
 * anything may be. */
static __always_inline bool depends_on_user(u32 policy)
{
	return !(policy & ~POLICY_NAMED) && cell(CELL_UID_MIN);
}

static __always_inline u32 or_users(u32 policy, u32 user)
{
	return user >= cell(CELL_UID_MIN) ? (u32)cell(CELL_USERS_POLICY) : policy;
}

/* Global functions: the verifier walks through each once, and not wherever it is called. Weak, since programs that are compiled for
 * the host itself are linked together. */
__weak __noinline u32 policy_of_current(void)
{
	u64 cgroup = bpf_get_current_cgroup_id();
	u32 *policy = bpf_map_lookup_elem(&scopes, &cgroup), found;

	for (int level = CGROUP_LEVELS; !policy && level >= 0; level--) {
		u64 above = bpf_get_current_ancestor_cgroup_id(level);

		policy = above ? bpf_map_lookup_elem(&scopes, &above) : NULL;
	}
	found = policy ? *policy : 0;
	return depends_on_user(found) ? or_users(found, (u32)bpf_get_current_uid_gid()) : found;
}

__weak __noinline u32 policy_of_packet(struct __sk_buff *packet)
{
	u64 cgroup = bpf_skb_cgroup_id(packet);
	u32 *policy = bpf_map_lookup_elem(&scopes, &cgroup), found;

	for (int level = CGROUP_LEVELS; !policy && level >= 0; level--) {
		u64 above = bpf_skb_ancestor_cgroup_id(packet, level);

		policy = above ? bpf_map_lookup_elem(&scopes, &above) : NULL;
	}
	found = policy ? *policy : 0;
	return depends_on_user(found) ? or_users(found, bpf_get_socket_uid(packet)) : found;
}

/* The policy of the current task's cgroup; `cgroup` is where it stands. */
static __always_inline u32 current_policy(u64 *cgroup)
{
	*cgroup = bpf_get_current_cgroup_id();
	return policy_of_current();
}

/* The same of a packet's socket. */
static __always_inline u32 packet_policy(struct __sk_buff *packet, u64 *cgroup)
{
	*cgroup = bpf_skb_cgroup_id(packet);
	return policy_of_packet(packet);
}

/* The whole workload that a cgroup is within, or itself. */
static __always_inline u64 whole_of(u64 cgroup)
{
	u64 *whole = bpf_map_lookup_elem(&wholes, &cgroup);

	return whole ? *whole : cgroup;
}

/* Names a process as something else has it: a socket's owner, or what an event tells. */
#define NAME_PROCESS(to, from)                                                                                              \
	do {                                                                                                                \
		(to)->start_boot_ns = (from)->start_boot_ns;                                                                \
		(to)->pid = (from)->pid;                                                                                    \
		(to)->parent_pid = (from)->parent_pid;                                                                      \
		(to)->uid = (from)->uid;                                                                                    \
		__builtin_memcpy((to)->comm, (from)->comm, sizeof((to)->comm));                                             \
	} while (0)

static __always_inline void set_process(struct socket_owner *owner)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	owner->start_boot_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	owner->pid = bpf_get_current_pid_tgid() >> 32;
	owner->parent_pid = BPF_CORE_READ(task, real_parent, tgid);
	owner->uid = (u32)bpf_get_current_uid_gid();
	bpf_get_current_comm(owner->comm, sizeof(owner->comm));
}

static __always_inline void set_owner(struct socket_owner *owner, u64 cgroup, u32 policy)
{
	owner->cgroup = cgroup;
	owner->policy = policy;
	set_process(owner);
}

/* Notes who makes a socket, where no other guard has. */
static __always_inline struct socket_owner *make_owner(struct bpf_sock *socket, u64 cgroup, u32 policy)
{
	struct socket_owner *owner = bpf_sk_storage_get(&socket_owners, socket, NULL, BPF_SK_STORAGE_GET_F_CREATE);

	if (owner && !owner->cgroup)
		set_owner(owner, cgroup, policy);
	return owner;
}
