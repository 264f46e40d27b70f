/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether a source is banned, and what of it is dropped. */
#pragma once
#include "inbound.h"

static __always_inline bool is_in_force(struct inbound_ban *ban)
{
	u64 tick, now;

	if (!ban)
		return false;
	if (ban->strength == INBOUND_PROOF)
		return true;
	/* A flood comes with many packets in a tick. */
	tick = tick_now();
	if (ban->tick == tick)
		return true;
	now = now_ns();
	if (!inbound_is_enforced(now) || now >= ban->until)
		return false;
	ban->tick = tick;
	return true;
}

static __always_inline struct inbound_ban_key_ipv4 key_of_ipv4(const u64 *address, u32 bits)
{
	struct inbound_ban_key_ipv4 key = { .prefix = bits };

	if (bits > 96)
		key.address = ((const u32 *)address)[3] & bpf_htonl(~0u << ((128 - bits) & 31));
	return key;
}

static __always_inline struct inbound_ban_key key_of_ipv6(const u64 *address, u32 bits)
{
	u64 high = ~0ull, low = 0;
	struct inbound_ban_key key = { .prefix = bits };

	if (bits > 64)
		low = bits >= 128 ? ~0ull : ~0ull << ((128 - bits) & 63);
	else
		high = bits ? ~0ull << ((64 - bits) & 63) : 0;
	key.address[0] = address[0] & bpf_cpu_to_be64(high);
	key.address[1] = address[1] & bpf_cpu_to_be64(low);
	return key;
}

/* The ban of just the first bits of an address. */
static __always_inline struct inbound_ban *find_ban(const u64 *address, u32 bits, u32 is_ipv4)
{
	if (is_ipv4) {
		struct inbound_ban_key_ipv4 key = key_of_ipv4(address, bits);

		return bpf_map_lookup_elem(&inbound_bans_ipv4, &key);
	} else {
		struct inbound_ban_key key = key_of_ipv6(address, bits);

		return bpf_map_lookup_elem(&inbound_bans_ipv6, &key);
	}
}

/* Returns whether there was no room. */
static __always_inline bool put_ban(const u64 *address, u32 bits, u32 is_ipv4, const struct inbound_ban *ban)
{
	if (is_ipv4) {
		struct inbound_ban_key_ipv4 key = key_of_ipv4(address, bits);

		return bpf_map_update_elem(&inbound_bans_ipv4, &key, ban, BPF_ANY);
	} else {
		struct inbound_ban_key key = key_of_ipv6(address, bits);

		return bpf_map_update_elem(&inbound_bans_ipv6, &key, ban, BPF_ANY);
	}
}

/* The bits of a banned prefix that an address is in, and one; 0 where it is in none. There are few lengths of those. */
static __noinline u32 find_range(const struct inbound_address *address, u32 is_ipv4)
{
	struct inbound_lengths *lengths;
	u32 zero = 0, count;

	lengths = bpf_map_lookup_elem(&inbound_lengths, &zero);
	if (!lengths)
		return 0;
	count = is_ipv4 ? lengths->ipv4 : lengths->ipv6;
	for (u32 at = 0; at < INBOUND_LENGTHS; at++) {
		u32 bits;

		if (at >= count)
			return 0;
		bits = is_ipv4 ? lengths->of_ipv4[at] : lengths->of_ipv6[at];
		if (is_in_force(find_ban(address->words, bits, is_ipv4)))
			return bits + 1;
	}
	return 0;
}

static __always_inline bool is_never_banned(const u64 *source)
{
	struct inbound_prefix key = { .prefix = 128 };
	u8 *never;

	__builtin_memcpy(key.address, source, sizeof(key.address));
	never = bpf_map_lookup_elem(&inbound_never, &key);
	return never && *never;
}

/* The ban in force that a source is under; the one of just it first. */
static __always_inline struct inbound_ban *ban_of(const struct arrival *arrival)
{
	u32 zero = 0, count, found, bits = bits_of_source(arrival->is_ipv4);
	struct inbound_lengths *lengths;
	struct inbound_address address;
	struct inbound_ban *ban;

	ban = find_ban(arrival->source, bits, arrival->is_ipv4);
	if (is_in_force(ban))
		/* Of a source of many addresses, one may be allowed. */
		return bits < 128 && is_never_banned(arrival->source) ? NULL : ban;
	lengths = bpf_map_lookup_elem(&inbound_lengths, &zero);
	if (!lengths)
		return NULL;
	count = arrival->is_ipv4 ? lengths->ipv4 : lengths->ipv6;
	if (!count)
		return NULL;
	address.words[0] = arrival->source[0];
	address.words[1] = arrival->source[1];
	found = find_range(&address, arrival->is_ipv4);
	/* Of a range that is banned, somebody may be allowed. */
	if (!found || is_never_banned(arrival->source))
		return NULL;
	return find_ban(arrival->source, found - 1, arrival->is_ipv4);
}

/* Whether somebody gets in touch by it that has not been asked. */
static __always_inline bool is_first_contact(const struct arrival *arrival)
{
	return arrival->kind != NO_PROBE && !(arrival->kind == PROBE_UDP && is_opened(arrival));
}

/* Whether the packet of a banned source is let in all the same. */
static __always_inline bool comes_in(const struct arrival *arrival, const struct inbound_ban *ban)
{
	struct inbound_service service;

	if (ban->strength == INBOUND_FULL || ban->strength == INBOUND_PROOF)
		return !(flags_of_settings() & INBOUND_CUT_REPLIES) && arrival->kind != PROBE_SYN && is_opened_here(arrival);
	if (!is_first_contact(arrival))
		return true;
	if (ban->strength != INBOUND_SOFT_PEER)
		return false;
	service = service_of(arrival->target, arrival->port, arrival->protocol);
	return is_served(&service);
}
