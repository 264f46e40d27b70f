/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* To how many different public addresses and ports each process has connected lately, whatever came of it: for settings that go
 * by such a count, as cryptnono's flowkiller does. */
#pragma once
#include "contacts.h"

/* One fewer may be allowed. */
#define DESTINATIONS 64
/* Times are kept in units of 2^24 ns, 17 ms. */
#define DESTINATION_TIME_SHIFT 24

struct outbound_destinations {
	u64 told_ns;
	u64 seen[DESTINATIONS]; /* each a hash, and in the lower half when it was connected to last */
};

/* Processors may count over each other here, as in outbound_walks. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, struct outbound_process);
	__type(value, struct outbound_destinations);
} outbound_destinations SEC(".maps");

/* What a new entry is made of is too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct outbound_destinations);
} outbound_no_destinations SEC(".maps");

/* Neither private, shared, reserved nor of documentation (RFC 6890): as Python's `ipaddress` has it. */
static __always_inline bool is_public(const u8 *address)
{
	const u32 *words = (const u32 *)address;
	u32 ipv4 = bpf_ntohl(words[3]);

	if (words[0] || words[1] || words[2] != bpf_htonl(0xffff))
		return (address[0] & 0xe0) == 0x20 && words[0] != bpf_htonl(0x20010db8);
	return ipv4 >> 24 != 0 && ipv4 >> 24 != 10 && ipv4 >> 24 != 127 && ipv4 >> 28 < 0xe && ipv4 >> 22 != 0x191 &&
	       ipv4 >> 16 != 0xa9fe && ipv4 >> 20 != 0xac1 && ipv4 >> 16 != 0xc0a8 && ipv4 >> 8 != 0xc00000 &&
	       ipv4 >> 8 != 0xc00002 && ipv4 >> 17 != 0x6309 && ipv4 >> 8 != 0xc63364 && ipv4 >> 8 != 0xcb0071;
}

static __always_inline u32 destination_hash(const struct egress_target *target)
{
	const u64 *halves = (const u64 *)target->address;

	return ((halves[0] ^ (u64)target->port << 48) * FILTER_FACTOR + halves[1]) * FILTER_FACTOR >> 32;
}

/* 1 where a is less than b. The verifier follows every branch of every round, and of arithmetic there is one path: */
static __always_inline u64 is_less(u32 a, u32 b)
{
	u64 difference = (u64)a - b;

	/* the compiler would make a branch of it. */
	asm volatile("" : "+r"(difference));
	return difference >> 63;
}

/* Notes a destination. Returns whether it is one too many, and then does not. */
static __always_inline bool is_one_too_many(struct outbound_destinations *process, u32 hash, u64 now, u64 lookback,
					    u32 allowed)
{
	u32 time = now >> DESTINATION_TIME_SHIFT;
	u32 since = now > lookback ? (u32)((now - lookback) >> DESTINATION_TIME_SHIFT) + 1 : 1;
	u64 others = 0, known = 0, place = 0;

	for (u64 i = 0; i < DESTINATIONS; i++) {
		u64 seen = process->seen[i];
		u64 is_old = is_less((u32)seen, since);
		u64 is_it = is_less((u32)(seen >> 32) ^ hash, 1) & (is_old ^ 1);

		known |= is_it;
		others += (is_old | is_it) ^ 1;
		/* Its own, or else one that is free. */
		place ^= (place ^ i) & -(is_it | (is_old & (known ^ 1)));
	}
	if (!known && others >= allowed)
		return true;
	process->seen[place & (DESTINATIONS - 1)] = (u64)hash << 32 | time;
	return false;
}

/* A process connects. Returns whether it may, where settings limit to how many. */
static __always_inline bool may_connect(const struct origin *origin, const struct egress_target *target)
{
	u64 allowed = cell(CELL_OUTBOUND_UNIQUE), lookback = cell(CELL_OUTBOUND_LOOKBACK);
	struct outbound_process key = { .workload = origin->workload };
	struct outbound_destinations *process;
	u32 zero = 0;
	u64 now;

	if (!allowed || !origin->owner || !is_public(target->address))
		return true;
	now = bpf_ktime_get_boot_ns();
	key.pid = origin->owner->pid;
	key.start_boot_ns = origin->owner->start_boot_ns;
	process = bpf_map_lookup_elem(&outbound_destinations, &key);
	if (!process) {
		process = bpf_map_lookup_elem(&outbound_no_destinations, &zero);
		if (!process)
			return true;
		bpf_map_update_elem(&outbound_destinations, &key, process, BPF_NOEXIST);
		process = bpf_map_lookup_elem(&outbound_destinations, &key);
	}
	if (!process || !is_one_too_many(process, destination_hash(target), now, lookback, allowed))
		return true;
	if (!process->told_ns || now - process->told_ns > lookback) {
		process->told_ns = now;
		tell(origin, target, NULL, NULL, OUTBOUND_DESTINATIONS, now);
	}
	return stop(origin, now) == ALLOW;
}
