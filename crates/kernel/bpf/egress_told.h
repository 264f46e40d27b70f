/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is told of refusals: each once in a while. */
#pragma once
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include "domain.h"
#include "egress.h"
#include "network.h"

/* How soon the same refusal is told again. */
#define TELL_NS (10 * 1000000000ull)

/* What was told lately. */
struct egress_told {
	u64 cgroup;
	u8 address[16];
	u32 port;
	u32 protocol;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct egress_told);
	__type(value, u64);
} egress_told SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} egress_events SEC(".maps");

/* A name that is asked for, and the list that bans it. */
struct asked_name {
	struct __sk_buff *packet;
	u32 at;
	u32 ban; /* 0 is none */
};

static __always_inline void tell_name(struct egress_event *event, const struct asked_name *name)
{
	u32 bytes = name->packet->len - name->at;

	if (!bytes)
		return;
	if (bytes > EGRESS_QUESTION)
		bytes = EGRESS_QUESTION;
	/* Written so that the verifier of Linux 5.10 sees the bounds. */
	asm volatile("" : "+r"(bytes));
	bytes = ((bytes - 1) & (EGRESS_QUESTION - 1)) + 1;
	if (!bpf_skb_load_bytes(name->packet, name->at, event->name, bytes))
		event->name_bytes = bytes;
}

/* Tells of a refusal, once in a while. */
static __always_inline void tell(u64 cgroup, const struct egress_target *target, const struct socket_owner *owner,
				 u32 verdict, u32 hook, u32 ban, const struct asked_name *name)
{
	struct egress_told key = { .cgroup = cgroup, .port = target->port, .protocol = target->protocol };
	u64 now = bpf_ktime_get_boot_ns();
	struct egress_event *event;
	u64 *last;

	__builtin_memcpy(key.address, target->address, sizeof(key.address));
	if (name && name->ban) {
		u64 hash = hash_from(name->packet, name->at);

		/* Each name, whoever is asked. */
		__builtin_memcpy(key.address, &hash, sizeof(hash));
	}
	last = bpf_map_lookup_elem(&egress_told, &key);
	if (last && now < *last + TELL_NS)
		return;
	bpf_map_update_elem(&egress_told, &key, &now, BPF_ANY);
	count(COUNT_EGRESS_EVENTS, 1);
	event = bpf_ringbuf_reserve(&egress_events, sizeof(*event), 0);
	if (!event) {
		count(COUNT_EGRESS_LOST, 1);
		return;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->type = EVENT_EGRESS;
	event->verdict = verdict;
	event->boot_ns = now;
	event->cgroup_id = cgroup;
	event->hook = hook;
	event->protocol = target->protocol;
	event->port = target->port;
	event->ban = ban;
	__builtin_memcpy(event->address, target->address, sizeof(event->address));
	if (owner)
		NAME_PROCESS(event, owner);
	if (name && name->ban)
		tell_name(event, name);
	bpf_ringbuf_submit(event, 0);
}
