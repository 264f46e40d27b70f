/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* First contacts: with whom, and what is known of each. */
#pragma once
#include "origin.h"

/* Whom a workload has got in touch with. */
struct outbound_target {
	u64 workload;
	u8 address[16];
	u32 port;
	u32 protocol;
};

enum outbound_contact_state {
	CONTACT_OPEN, /* it waits for an answer */
	CONTACT_ANSWERED,
	CONTACT_REFUSED,
};

struct outbound_contact {
	u64 epoch; /* when it was made */
	u32 state;
	u16 weight;
	u16 by_device; /* what comes of it is seen at the host's end of a pair of veth devices, and by no socket */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct outbound_target);
	__type(value, struct outbound_contact);
} outbound_contacts SEC(".maps");

/* Where nobody is to be expected: contacts there count twice. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct outbound_prefix);
	__type(value, u32);
} outbound_weights SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct outbound_process);
	__type(value, struct outbound_walk);
} outbound_walks SEC(".maps");

/* Whose packet or raw sockets' frames came out of the host's end of a pair of veth devices, by its number, and when it was told
 * that there is a packet socket. */
struct frame_sender {
	u64 cgroup;
	u64 told_ns;
	u32 policy;
	u32 unused;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, struct frame_sender);
} outbound_frames SEC(".maps");

/* Its own host, and those that are all at once. */
static __always_inline bool is_nobody(const u8 *address)
{
	const u32 *words = (const u32 *)address;

	if (!words[0] && !words[1] && words[2] == bpf_htonl(0xffff))
		return address[12] == 127 || address[12] >= 224 || !words[3];
	if (!words[0] && !words[1] && !words[2])
		return words[3] == bpf_htonl(1) || !words[3];
	return address[0] == 0xff;
}

static __always_inline u32 weight_of(const u8 *address)
{
	struct outbound_prefix key = { .prefix = 128 };
	u32 *weight;

	__builtin_memcpy(key.address, address, sizeof(key.address));
	weight = bpf_map_lookup_elem(&outbound_weights, &key);
	return weight && *weight == 2 ? 2 : 1;
}

static __always_inline struct outbound_walk *walk_of(const struct origin *origin, bool make)
{
	struct outbound_process key = { .workload = origin->workload };
	struct outbound_walk none = {};

	if (!origin->owner)
		return NULL;
	key.pid = origin->owner->pid;
	key.start_boot_ns = origin->owner->start_boot_ns;
	if (make)
		bpf_map_update_elem(&outbound_walks, &key, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&outbound_walks, &key);
}

/* Whether its workload makes no first contact, or its process alone. */
static __always_inline bool is_blocked(const struct origin *origin, const struct outbound_state *state)
{
	struct outbound_walk *walk;
	u64 now;

	/* As nearly all are. */
	if (!state || !(state->blocked_until | state->processes_blocked_until))
		return false;
	now = bpf_ktime_get_boot_ns();
	if (now < state->blocked_until)
		return true;
	if (now >= state->processes_blocked_until)
		return false;
	walk = walk_of(origin, false);
	return walk && now < walk->blocked_until;
}

static __always_inline struct outbound_target key_of(const struct origin *origin, const u8 *address, u32 port, u32 protocol)
{
	struct outbound_target key = { .workload = origin->workload, .port = port, .protocol = protocol };

	__builtin_memcpy(key.address, address, sizeof(key.address));
	return key;
}

/* What is known of a workload; made where it is not. */
static __always_inline struct outbound_state *state_of(u64 workload)
{
	struct outbound_state *state = bpf_map_lookup_elem(&outbound_states, &workload);
	struct outbound_state none = {};

	if (state)
		return state;
	bpf_map_update_elem(&outbound_states, &workload, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&outbound_states, &workload);
}
