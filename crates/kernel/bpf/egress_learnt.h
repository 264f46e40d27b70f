/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses that became known by a name.
 *
 * A workload asks a name server that settings list for a name that its list or its grant allows. Of the answer, where the workload cannot
 * have made it itself, the addresses are learnt: for this workload, for as long as the answer says. Nobody else is asked. */
#pragma once
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include "domain.h"
#include "egress_names.h"
#include "headers.h"
#include "network.h"

/* How long a question waits for its answer. */
#define ASKED_NS (10 * 1000000000ull)
#define NS_PER_SECOND 1000000000ull

/* Name servers whose answers are believed. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, u8[16]);
	__type(value, u32);
} egress_resolvers SEC(".maps");

/* A question that waits for its answer. */
struct asked_key {
	u8 own[16];
	u8 resolver[16];
	u16 own_port; /* as the headers have it */
	u16 id;	      /* so too */
	u32 unused;
};

struct asked {
	u64 until;
	u64 workload;
	u64 name; /* its hash */
	u64 patterns[EGRESS_PATTERNS];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct asked_key);
	__type(value, struct asked);
} egress_asked SEC(".maps");

/* That whose answer is read. Too large for the stack together with an address of which nothing is known. */
struct answered {
	struct asked asked;
	struct egress_learnt nothing;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct answered);
} egress_answered SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_EGRESS_LEARNT);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct egress_learnt_key);
	__type(value, struct egress_learnt);
} egress_learnt SEC(".maps");

static __always_inline struct answered *answered(void)
{
	u32 first = 0;

	return bpf_map_lookup_elem(&egress_answered, &first);
}

/* Notes a question to a name server, so that its answer is looked at. `start` is where the packet's headers begin. A global
 * function, and so are others here: the verifier walks through each once. */
__noinline int note_question(struct __sk_buff *packet, u32 start, u64 cgroup, u32 lists)
{
	struct headers headers = { .start = start };
	struct asked_key key = {};
	struct asked asked = {};
	struct egress_name *name;
	u32 at;

	if (!read_packet(packet, &headers))
		return 0;
	at = headers.transport + UDP_HEADER;
	key.own_port = headers.ports.source;
	__builtin_memcpy(key.own, headers.source, sizeof(key.own));
	__builtin_memcpy(key.resolver, headers.target.address, sizeof(key.resolver));
	if (!bpf_map_lookup_elem(&egress_resolvers, key.resolver) || !is_question(packet, at) ||
	    bpf_skb_load_bytes(packet, at, &key.id, sizeof(key.id)))
		return 0;
	name = patterns_of(packet, at + DNS_HEADER);
	if (!name || !lists_name(name, lists))
		return 0;
	__builtin_memcpy(asked.patterns, name->patterns, sizeof(asked.patterns));
	asked.name = hash_from(packet, at + DNS_HEADER);
	asked.workload = whole_of(cgroup);
	asked.until = bpf_ktime_get_boot_ns() + ASKED_NS;
	bpf_map_update_elem(&egress_asked, &key, &asked, BPF_ANY);
	return 1;
}

/* Where a name in an answer ends: what is said again is pointed at (RFC 1035, 4.1.4). 0 of what is no name. */
__noinline u32 end_of_name(struct __sk_buff *packet, u32 at)
{
	for (u32 label = 0; label < MOST_LABELS + 1; label++) {
		u8 length = 0;

		if (bpf_skb_load_bytes(packet, at, &length, sizeof(length)))
			return 0;
		if (!length)
			return at + 1;
		if (length >= 0xc0)
			return at + 2;
		if (length > MOST_LABEL)
			return 0;
		at += length + 1;
	}
	return 0;
}

/* Where a pattern is noted among those of an address: where it is already, or in place of the one that runs out first. */
static __always_inline void note_pattern(struct egress_learnt *learnt, u64 pattern, u64 until)
{
	u32 place = 0;
	u64 first = ~0ull;

#pragma unroll
	for (u32 at = 0; at < EGRESS_LEARNT_PATTERNS; at++) {
		u64 ends = learnt->pattern[at] == pattern ? 0 : learnt->until[at] + 1;

		if (ends < first) {
			first = ends;
			place = at;
		}
	}
#pragma unroll
	for (u32 at = 0; at < EGRESS_LEARNT_PATTERNS; at++) {
		if (at != place)
			continue;
		/* Another processor may read in between: what it reads then has run out. */
		if (learnt->pattern[at] != pattern)
			learnt->until[at] = 0;
		learnt->pattern[at] = pattern;
		if (learnt->until[at] < until)
			learnt->until[at] = until;
	}
}

/* Learns an address. */
static __always_inline int learn(const struct answered *answered, const struct egress_learnt_key *key, u32 ttl)
{
	struct egress_learnt *learnt = bpf_map_lookup_elem(&egress_learnt, key);
	u64 until;

	if (!learnt) {
		count(COUNT_EGRESS_LEARNT, 1);
		bpf_map_update_elem(&egress_learnt, key, &answered->nothing, BPF_NOEXIST);
		learnt = bpf_map_lookup_elem(&egress_learnt, key);
		if (!learnt) {
			count(COUNT_EGRESS_LEARNT_FULL, 1);
			return 0;
		}
	}
	ttl = ttl < EGRESS_LEAST_TTL ? EGRESS_LEAST_TTL : ttl > EGRESS_MOST_TTL ? EGRESS_MOST_TTL : ttl;
	until = bpf_ktime_get_boot_ns() + ttl * NS_PER_SECOND;
	for (u32 at = 0; at < EGRESS_PATTERNS; at++) {
		if (answered->asked.patterns[at])
			note_pattern(learnt, answered->asked.patterns[at], until);
	}
	return 1;
}

#define DNS_TYPE_A 1
#define DNS_TYPE_AAAA 28
#define DNS_CLASS_IN 1
/* Of a record behind its name: type, class, time to live, and how long what follows is. */
#define DNS_RECORD 10
/* So many records of an answer are read: aliases and addresses. */
#define MOST_RECORDS 64

/* Reads the record at `at`, and learns what it says. Returns where the next one begins, or 0. */
__noinline u32 read_record(struct __sk_buff *packet, u32 at)
{
	struct answered *answer = answered();
	struct egress_learnt_key key = {};
	u8 record[DNS_RECORD] = {};
	u32 ttl, type, length;

	if (!answer)
		return 0;
	key.workload = answer->asked.workload;
	at = end_of_name(packet, at);
	if (!at || bpf_skb_load_bytes(packet, at, record, sizeof(record)))
		return 0;
	at += DNS_RECORD;
	type = record[0] << 8 | record[1];
	length = record[8] << 8 | record[9];
	ttl = (u32)record[4] << 24 | record[5] << 16 | record[6] << 8 | record[7];
	if (record[2] || record[3] != DNS_CLASS_IN)
		return at + length;
	if (type == DNS_TYPE_A && length == 4) {
		key.address[10] = 0xff;
		key.address[11] = 0xff;
		if (!bpf_skb_load_bytes(packet, at, &key.address[12], 4))
			learn(answer, &key, ttl);
	} else if (type == DNS_TYPE_AAAA && length == 16) {
		if (!bpf_skb_load_bytes(packet, at, key.address, 16))
			learn(answer, &key, ttl);
	}
	return at + length;
}

/* An answer arrives that the workload cannot have made itself. Of a name server that is believed, all addresses are those of what
 * was asked for, by whatever aliases. */
__noinline int take_answer(struct __sk_buff *packet, u32 start)
{
	struct headers headers = { .start = start };
	struct answered *answer = answered();
	struct asked *found;
	struct asked_key key = {};
	u8 header[DNS_HEADER] = {};
	u32 at, records;

	if (!answer || !read_packet(packet, &headers))
		return 0;
	at = headers.transport + UDP_HEADER;
	if (bpf_skb_load_bytes(packet, at, header, sizeof(header)))
		return 0;
	/* An answer without an error, to one question. */
	if (!(header[2] & DNS_ANSWER) || (header[3] & 0xf) || header[4] || header[5] != 1)
		return 0;
	key.own_port = headers.ports.destination;
	__builtin_memcpy(key.own, headers.target.address, sizeof(key.own));
	__builtin_memcpy(key.resolver, headers.source, sizeof(key.resolver));
	__builtin_memcpy(&key.id, header, sizeof(key.id));
	found = bpf_map_lookup_elem(&egress_asked, &key);
	at += DNS_HEADER;
	if (!found || found->until < bpf_ktime_get_boot_ns() || found->name != hash_from(packet, at))
		return 0;
	answer->asked = *found;
	bpf_map_delete_elem(&egress_asked, &key);
	at = end_of_name(packet, at);
	if (!at)
		return 0;
	/* Its type and class. */
	at += 4;
	records = header[6] << 8 | header[7];
	for (u32 record = 0; record < MOST_RECORDS; record++) {
		if (record >= records)
			break;
		at = read_record(packet, at);
		if (!at)
			break;
	}
	return 1;
}

static __always_inline bool comes_from_a_resolver(const struct headers *headers)
{
	return headers->target.protocol == IPPROTO_UDP && headers->target.has_port &&
	       headers->ports.source == bpf_htons(DNS_PORT);
}

static __always_inline bool named_allows(u64 pattern, u32 list, const struct egress_target *target)
{
	struct egress_allowed *allowed = named(pattern, list);

	return allowed && ranges_allow(allowed, target);
}

/* Whether one of the lists allows something by this pattern, whatever the address. */
__noinline int pattern_allows(u64 pattern, u64 what)
{
	struct egress_target target = target_of(0, 0, what);
	u32 lists = what >> 32, granted = lists >> LIST_BITS;

	return named_allows(pattern, lists & LIST_MASK, &target) || (granted && named_allows(pattern, granted, &target));
}

/* The pattern by which one of them does at an address that became known by its name; 0 is none. */
__noinline u64 allowed_by_name(u64 cgroup, u64 high, u64 low, u64 what)
{
	struct egress_learnt_key key = { .workload = whole_of(cgroup) };
	struct egress_learnt *learnt;
	u64 now;

	__builtin_memcpy(key.address, &high, sizeof(high));
	__builtin_memcpy(key.address + sizeof(high), &low, sizeof(low));
	learnt = bpf_map_lookup_elem(&egress_learnt, &key);
	if (!learnt)
		return 0;
	now = bpf_ktime_get_boot_ns();
	for (u32 at = 0; at < EGRESS_LEARNT_PATTERNS; at++) {
		u64 pattern = learnt->pattern[at];

		if (pattern && learnt->until[at] >= now && pattern_allows(pattern, what))
			return pattern;
	}
	return 0;
}

/* Whether a socket that was once allowed to reach an address by its name still may: what became known runs out, what goes on by
 * it does not. */
static __always_inline bool still_allowed(const struct socket_owner *owner, const struct numbers *numbers)
{
	return owner->named && owner->named_address[0] == numbers->high && owner->named_address[1] == numbers->low &&
	       pattern_allows(owner->named, numbers->what);
}

/* Whether a workload may reach it by a name that one of the lists has, where nothing else lets it. */
static __always_inline bool may_reach_by_name(u64 cgroup, u32 lists, const struct egress_target *target,
					      struct socket_owner *owner)
{
	struct numbers numbers = numbers_of(lists, target);
	u64 pattern;

	if (owner && still_allowed(owner, &numbers))
		return true;
	pattern = allowed_by_name(cgroup, numbers.high, numbers.low, numbers.what);
	if (pattern && owner) {
		owner->named = pattern;
		owner->named_address[0] = numbers.high;
		owner->named_address[1] = numbers.low;
	}
	return pattern;
}
