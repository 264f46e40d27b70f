/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The log of first contacts, by which an abuse letter leads to a workload and its process. It has a ring of its own, so that
 * no flood of contacts pushes out what is told of those who scan. */
#pragma once
#include "contacts.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} outbound_log SEC(".maps");

/* Hands a first contact to the agent, where settings want it. */
static __always_inline void log_contact(const struct origin *origin, const struct egress_target *target, u64 now)
{
	struct contact_event *event;

	if (!cell(CELL_OUTBOUND_LOG))
		return;
	count(COUNT_OUTBOUND_LOGGED, 1);
	event = bpf_ringbuf_reserve(&outbound_log, sizeof(*event), 0);
	if (!event) {
		count(COUNT_OUTBOUND_LOG_LOST, 1);
		return;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->type = EVENT_CONTACT;
	event->protocol = target->protocol;
	event->boot_ns = now;
	event->cgroup_id = origin->cgroup;
	event->workload = origin->workload;
	event->port = target->port;
	__builtin_memcpy(event->address, target->address, sizeof(event->address));
	if (origin->owner)
		NAME_PROCESS(event, origin->owner);
	/* Nobody is woken for one contact: the agent comes by, and takes many at once. */
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}
