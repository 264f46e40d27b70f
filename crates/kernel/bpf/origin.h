/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whose socket or packet it is, whether it is stopped, and what is told of that. */
#pragma once
#include "outbound.h"
#include "target.h"

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
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} outbound_events SEC(".maps");

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
	} else if (!state) {
		/* It made no contact: it was to have no socket. */
		event->by_process = 1;
	} else {
		event->contacts = state->contacts;
		event->answered = state->answered;
		event->refused = state->refused;
		event->silent = state->silent;
		event->in_flight = sum(state->unanswered);
	}
	if (origin->owner)
		NAME_PROCESS(event, origin->owner);
	/* What a whole workload did, another of its processes may bring to light. */
	if (!event->by_process && state && state->maker.pid && reason != OUTBOUND_PACKET_SOCKET)
		NAME_PROCESS(event, &state->maker);
	bpf_ringbuf_submit(event, 0);
}

/* What becomes of a packet, connect or send of whoever is blocked. */
static __always_inline int stop(const struct origin *origin, u64 now)
{
	bool enforce = is_enforced(origin, now);

	count(enforce ? COUNT_OUTBOUND_DENIED : COUNT_OUTBOUND_OBSERVED, 1);
	return enforce ? REFUSE : ALLOW;
}
