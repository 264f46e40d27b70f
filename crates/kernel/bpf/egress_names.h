/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Names that lists allow or ban. */
#pragma once
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include "domain.h"
#include "egress.h"

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct egress_name_key);
	__type(value, struct egress_name);
} egress_names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct egress_named_key);
	__type(value, struct egress_allowed);
} egress_named SEC(".maps");

/* Names that are banned with all below them, by their hash, with the list that bans them as egress_bans has it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_BANS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, u32);
} egress_banned_names SEC(".maps");

/* A name, too large for the stack, and the same as egress_names has it. */
struct name_scratch {
	u8 asked[EGRESS_NAME];
	struct egress_name_key key;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct name_scratch);
} egress_name_scratch SEC(".maps");

static __always_inline struct name_scratch *name_scratch(void)
{
	u32 first = 0;

	return bpf_map_lookup_elem(&egress_name_scratch, &first);
}

/* Writes the name at `at` as labels with dots between them. Returns its length; 0 of what no list can have: a label with
 * a dot in it would look like two. Global functions: the verifier walks through each once. */
__noinline int read_name(struct __sk_buff *packet, u32 at)
{
	struct name_scratch *scratch = name_scratch();
	u32 label = 0;

	if (!scratch)
		return 0;
	for (u32 i = 0; i < EGRESS_NAME; i++) {
		u8 byte = 0;

		if (bpf_skb_load_bytes(packet, at + i, &byte, sizeof(byte)))
			return 0;
		if (label) {
			if (byte == '.' || !byte)
				return 0;
			label -= 1;
			scratch->asked[i] = small(byte);
			continue;
		}
		if (!byte)
			return i ? i - 1 : 0;
		if (byte > MOST_LABEL)
			return 0;
		label = byte;
		/* Before the first label it is passed over. */
		scratch->asked[i] = '.';
	}
	return 0;
}

/* Turns around what read_name has written. */
__noinline int turn_name(u32 length)
{
	struct name_scratch *scratch = name_scratch();

	if (!scratch || length > EGRESS_NAME - 3)
		return 0;
	for (u32 i = 0; i < EGRESS_NAME - 2; i++) {
		if (i >= length)
			break;
		scratch->key.name[i] = scratch->asked[(length - i) & (EGRESS_NAME - 1)];
	}
	scratch->key.name[length & (EGRESS_NAME - 1)] = 0;
	scratch->key.prefix = (length + 1) * 8;
	return 1;
}

/* The patterns that what is asked for falls under. */
static __always_inline struct egress_name *patterns_of(struct __sk_buff *packet, u32 at)
{
	int length = read_name(packet, at);
	struct name_scratch *scratch = name_scratch();

	if (length <= 0 || !turn_name(length) || !scratch)
		return NULL;
	return bpf_map_lookup_elem(&egress_names, &scratch->key);
}

/* Two numbers of lists in one. */
#define LIST_BITS 16
#define LIST_MASK 0xffff

static __always_inline struct egress_allowed *named(u64 pattern, u32 list)
{
	struct egress_named_key key = { .pattern = pattern, .list = list };

	return bpf_map_lookup_elem(&egress_named, &key);
}

/* Where names are looked for: in a workload's list, and in that of its grant, which is 0 where there is none. */
static __always_inline u32 lists_of(u32 list, struct egress_grant grant)
{
	return grant.list << LIST_BITS | list;
}

/* Whether one of the lists allows anything by one of these. */
static __always_inline bool lists_name(const struct egress_name *name, u32 lists)
{
	u32 granted = lists >> LIST_BITS;

	for (u32 at = 0; at < EGRESS_PATTERNS; at++) {
		u64 pattern = name->patterns[at];

		if (pattern && (named(pattern, lists & LIST_MASK) || (granted && named(pattern, granted))))
			return true;
	}
	return false;
}

/* Whether one of the lists has what is asked for, of which `at` is the beginning. */
__noinline int lists_have(struct __sk_buff *packet, u32 at, u32 lists)
{
	struct egress_name *name = patterns_of(packet, at);

	return name && lists_name(name, lists);
}

/* The list that bans what is asked for, as egress_banned_names has it: of a name and those above it, the longest decides.
 * `lists` are those whose names may be asked for all the same. */
__noinline u32 ban_of_question(struct __sk_buff *packet, u32 at, u32 lists)
{
	u32 name = at + DNS_HEADER;

	if (!is_question(packet, at))
		return 0;
	at = name;
	for (u32 label = 0; label < MOST_LABELS; label++) {
		u64 hash = next_end(packet, &at);
		u32 *ban;

		if (!hash)
			return 0;
		ban = bpf_map_lookup_elem(&egress_banned_names, &hash);
		if (ban)
			return lists_have(packet, name, lists) ? 0 : *ban;
	}
	return 0;
}
