/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* First contacts: whose they are, with whom, and what is known of each. */
#pragma once
#include "outbound.h"
#include "target.h"

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

struct outbound_process {
	u64 workload;
	u64 start_boot_ns;
	u32 pid;
	u32 unused;
};

/* The walk of a process, which that of its workload may hide. Processors may count over each other here: a step is lost
 * now and then, and the workload's own counts are exact. */
struct outbound_walk {
	u64 blocked_until;
	u32 walk;
	u32 answered;
	u32 refused;
	u32 unused;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct outbound_process);
	__type(value, struct outbound_walk);
} outbound_walks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} outbound_events SEC(".maps");

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

/* Where a socket's packets come from. */
struct origin {
	struct socket_owner *owner; /* may not be known */
	u64 cgroup;
	u64 workload;
	u32 policy;
	u32 by_device; /* see outbound_contact */
};

static __always_inline bool is_judged(const struct origin *origin)
{
	return origin->policy & POLICY_OUTBOUND_ON;
}

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

/* Whether it is enforced: not where an agent only observes, or has been silent for too long. */
static __always_inline bool is_enforced(const struct origin *origin, u64 now)
{
	if (!(origin->policy & POLICY_OUTBOUND_ENFORCE))
		return false;
	if (!lease_has_run_out(now))
		return true;
	count(COUNT_OUTBOUND_LEASE_EXPIRED, 1);
	return false;
}

static __always_inline bool packet_sockets_are_denied(void)
{
	return cell(CELL_PACKET_SOCKETS) == PACKET_SOCKETS_DENIED;
}

static __always_inline void fill_owner(struct outbound_event *event, const struct socket_owner *owner)
{
	event->start_boot_ns = owner->start_boot_ns;
	event->pid = owner->pid;
	event->parent_pid = owner->parent_pid;
	event->uid = owner->uid;
	__builtin_memcpy(event->comm, owner->comm, sizeof(event->comm));
}

/* What a whole workload did, another of its processes may bring to light. */
static __always_inline void fill_maker(struct outbound_event *event, const struct outbound_maker *maker)
{
	event->start_boot_ns = maker->start_boot_ns;
	event->pid = maker->pid;
	event->parent_pid = maker->parent_pid;
	event->uid = maker->uid;
	__builtin_memcpy(event->comm, maker->comm, sizeof(event->comm));
}

/* Tells that a workload, or one of its processes, is blocked from now on. */
static __always_inline void tell(const struct origin *origin, const struct egress_target *target,
				 const struct outbound_state *state, const struct outbound_walk *walk, u32 reason, u64 now)
{
	/* That there is a packet socket may be no offence. */
	bool denied = reason != OUTBOUND_PACKET_SOCKET || packet_sockets_are_denied();
	struct outbound_event *event;

	count(COUNT_OUTBOUND_EVENTS, 1);
	event = bpf_ringbuf_reserve(&outbound_events, sizeof(*event), 0);
	if (!event) {
		count(COUNT_OUTBOUND_LOST, 1);
		return;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->type = EVENT_OUTBOUND;
	event->verdict = denied && is_enforced(origin, now) ? EGRESS_DENIED : EGRESS_OBSERVED;
	event->boot_ns = now;
	event->cgroup_id = origin->cgroup;
	event->workload = origin->workload;
	event->reason = reason;
	event->protocol = target->protocol;
	event->port = target->port;
	__builtin_memcpy(event->address, target->address, sizeof(event->address));
	if (reason == OUTBOUND_DESTINATIONS) {
		event->by_process = 1;
		event->contacts = (u32)cell(CELL_OUTBOUND_UNIQUE) + 1;
	} else if (walk) {
		event->by_process = 1;
		event->contacts = walk->answered + walk->refused;
		event->answered = walk->answered;
		event->refused = walk->refused;
	} else {
		event->contacts = state->contacts;
		event->answered = state->answered;
		event->refused = state->refused;
		event->silent = state->silent;
		event->in_flight = sum(state->unanswered);
	}
	if (origin->owner)
		fill_owner(event, origin->owner);
	if (!event->by_process && state && state->maker.pid && reason != OUTBOUND_PACKET_SOCKET)
		fill_maker(event, &state->maker);
	bpf_ringbuf_submit(event, 0);
}

/* What becomes of a packet, connect or send of whoever is blocked. */
static __always_inline int stop(const struct origin *origin, u64 now)
{
	bool enforce = is_enforced(origin, now);

	count(enforce ? COUNT_OUTBOUND_DENIED : COUNT_OUTBOUND_OBSERVED, 1);
	return enforce ? REFUSE : ALLOW;
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
