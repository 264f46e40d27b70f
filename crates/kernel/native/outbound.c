// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The programs of the guard `outbound`, as the kernel runs them. */
#include "outbound.bpf.c"
#include "run.h"

/* Where a packet goes and where it comes from. src/offline/native.rs has the same. */
struct native_headers {
	u8 source[16];
	u8 target[16];
	u32 protocol;
	u32 has_port;
	u32 source_port;
	u32 target_port;
	u32 transport;
	u32 flags; /* of TCP, and 256 where they can be read */
};

#define FLAGS_ARE_KNOWN 256

int hayward_read_headers(const struct view *view, struct native_headers *out)
{
	struct __sk_buff packet = { .len = view->length, .protocol = bpf_htons(view->protocol) };
	struct headers headers = {};
	u8 flags = 0;

	if (!read_packet(&packet, &headers))
		return 0;
	__builtin_memcpy(out->source, headers.source, sizeof(out->source));
	__builtin_memcpy(out->target, headers.target.address, sizeof(out->target));
	out->protocol = headers.target.protocol;
	out->has_port = headers.target.has_port;
	out->source_port = bpf_ntohs(headers.ports.source);
	out->target_port = headers.target.port;
	out->transport = headers.transport;
	if (out->protocol == IPPROTO_TCP && out->has_port &&
	    !bpf_skb_load_bytes(&packet, headers.transport + 13, &flags, sizeof(flags)))
		out->flags = FLAGS_ARE_KNOWN | flags;
	return 1;
}

int hayward_departure(const struct view *view)
{
	return run(on_departure, view);
}

int hayward_outcome(const struct view *view)
{
	return run(on_outcome, view);
}

/* What is known of a contact with whoever sent a packet: nothing, or its state and one. */
int hayward_contact_state(const struct view *view)
{
	struct __sk_buff packet = { .len = view->length, .protocol = bpf_htons(view->protocol) };
	struct origin origin = { .workload = hayward_workload() };
	struct headers headers = {};
	struct outbound_contact *contact;
	struct outbound_target key;

	if (!read_packet(&packet, &headers))
		return 0;
	key = key_of(&origin, headers.source, bpf_ntohs(headers.ports.source), headers.target.protocol);
	contact = bpf_map_lookup_elem(&outbound_contacts, &key);
	return contact ? contact->state + 1 : 0;
}

/* Nothing more is sent nor answered: what still waits is silence. */
void hayward_settle(void)
{
	settle(hayward_workload(), bpf_ktime_get_boot_ns() + OUTBOUND_EPOCHS * OUTBOUND_EPOCH_NS);
}

/* What the agent writes, and reads. */

void hayward_set_cell(u32 which, u64 value)
{
	bpf_map_update_elem(&cells, &which, &value, BPF_ANY);
}

long hayward_set_policy(u64 workload, u32 policy)
{
	return bpf_map_update_elem(&scopes, &workload, &policy, BPF_ANY);
}

long hayward_set_weight(const u8 *address, u32 prefix, u32 weight)
{
	struct outbound_prefix key = { .prefix = prefix };

	__builtin_memcpy(key.address, address, sizeof(key.address));
	return bpf_map_update_elem(&outbound_weights, &key, &weight, BPF_ANY);
}

u64 hayward_contacts_made(void)
{
	u32 which = COUNT_OUTBOUND_CONTACTS;
	u64 *value = bpf_map_lookup_elem(&counters, &which);

	return value ? *value : 0;
}

/* By what the table is known that holds the contacts. */
const void *hayward_contacts(void)
{
	return &outbound_contacts;
}
