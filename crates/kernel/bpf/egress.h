/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a workload may reach: its list, and what was granted to it or taken from it for a time. */
#pragma once
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include "maps.h"
#include "target.h"

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 131072);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct egress_key);
	__type(value, struct egress_allowed);
} egress_lists SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, MAX_BANS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct egress_ban_key);
	__type(value, u32);
} egress_bans SEC(".maps");

/* What each list refused. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_BAN_LISTS);
	__type(key, u32);
	__type(value, u64);
} egress_ban_counts SEC(".maps");

static __always_inline bool in_range(const struct egress_range *range, const struct egress_target *target)
{
	if (range->protocol && range->protocol != target->protocol)
		return false;
	/* What has lost its port goes with a first fragment that has one, or to nobody. */
	return !target->has_port || (target->port >= range->first && target->port <= range->last);
}

/* Whether something is allowed, where anything is. */
static __always_inline bool ranges_allow(const struct egress_allowed *allowed, const struct egress_target *target)
{
	if (allowed->allowed != EGRESS_SOMETHING)
		return false;
	if (!allowed->ranges)
		return true;
	for (u32 at = 0; at < EGRESS_RANGES; at++) {
		if (at >= allowed->ranges)
			return false;
		if (in_range(&allowed->range[at], target))
			return true;
	}
	return false;
}

/* Somebody to reach, and a list, as numbers: what global functions are called with. The verifier walks through these once, and
 * not wherever they are called. */
struct numbers {
	u64 high; /* the address */
	u64 low;
	u64 what; /* list or lists, whether there is a port, protocol and port */
};

static __always_inline struct numbers numbers_of(u32 list, const struct egress_target *target)
{
	struct numbers numbers = { .what = (u64)list << 32 | (u64)!!target->has_port << 24 | (target->protocol & 0xff) << 16 |
					   (target->port & 0xffff) };

	__builtin_memcpy(&numbers.high, target->address, sizeof(numbers.high));
	__builtin_memcpy(&numbers.low, target->address + sizeof(numbers.high), sizeof(numbers.low));
	return numbers;
}

static __always_inline struct egress_target target_of(u64 high, u64 low, u64 what)
{
	struct egress_target target = { .protocol = (what >> 16) & 0xff, .port = what & 0xffff, .has_port = (what >> 24) & 1 };

	__builtin_memcpy(target.address, &high, sizeof(high));
	__builtin_memcpy(target.address + sizeof(high), &low, sizeof(low));
	return target;
}

__noinline u32 entry_says(u64 high, u64 low, u64 what)
{
	struct egress_target target = target_of(high, low, what);
	struct egress_key key = { .prefix = EGRESS_LIST_BITS + 128, .list = bpf_htonl(what >> 32) };
	struct egress_allowed *allowed;

	__builtin_memcpy(key.address, target.address, sizeof(key.address));
	allowed = bpf_map_lookup_elem(&egress_lists, &key);
	if (!allowed)
		return EGRESS_NOTHING;
	if (allowed->allowed == EGRESS_NEVER)
		return EGRESS_NEVER;
	return ranges_allow(allowed, &target) ? EGRESS_SOMETHING : EGRESS_NOTHING;
}

/* What a list says of it. A list that there is not allows nothing. */
static __always_inline u32 list_says(u32 list, const struct egress_target *target)
{
	struct numbers numbers = numbers_of(list, target);

	return entry_says(numbers.high, numbers.low, numbers.what);
}

static __always_inline bool list_allows(u32 list, const struct egress_target *target)
{
	return list_says(list, target) == EGRESS_SOMETHING;
}

/* What was granted or taken, and has not run out; of no kind where neither was. */
static __always_inline struct egress_grant grant_of(u64 cgroup)
{
	struct egress_grant *found = bpf_map_lookup_elem(&egress_grants, &cgroup);
	struct egress_grant grant = {};

	if (found && bpf_ktime_get_boot_ns() < found->until) {
		grant.kind = found->kind;
		grant.list = found->list;
	}
	return grant;
}

/* The list that bans it, as maps have it. */
static __always_inline u32 ban_of(const struct egress_target *target)
{
	struct egress_ban_key key = { .prefix = 128 };
	u32 *ban;

	__builtin_memcpy(key.address, target->address, sizeof(key.address));
	ban = bpf_map_lookup_elem(&egress_bans, &key);
	return ban ? *ban : 0;
}

static __always_inline void count_ban(u32 ban)
{
	u32 list = ban - 1;
	u64 *counted = bpf_map_lookup_elem(&egress_ban_counts, &list);

	if (counted)
		*counted += 1;
}

static __always_inline u32 list_of(u32 policy)
{
	return (policy >> POLICY_EGRESS_LIST_SHIFT) & (EGRESS_LISTS - 1);
}

/* What holds for a workload at an address, whatever its names; where that is nothing because of a ban, `ban` is set. */
static __always_inline u32 address_says(struct egress_grant grant, u32 policy, const struct egress_target *target, u32 *ban)
{
	u32 list = list_of(policy);
	u32 says, banned;

	/* Whoever grants something by hand knows of it. */
	if (grant.kind == EGRESS_GRANTED_LIST && list_allows(grant.list, target))
		return EGRESS_SOMETHING;
	if (grant.kind == EGRESS_GRANTED || grant.kind == EGRESS_QUARANTINED)
		return grant.kind == EGRESS_GRANTED ? EGRESS_SOMETHING : EGRESS_NEVER;
	says = list_says(list, target);
	banned = ban_of(target);
	if (banned && !list_allows(list | EGRESS_ALWAYS, target)) {
		*ban = banned;
		return says == EGRESS_NEVER ? EGRESS_NEVER : EGRESS_NOTHING;
	}
	return says;
}
