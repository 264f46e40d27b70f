/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Tables of the guard `inbound`, and what it goes by. All are of a fixed size: whoever makes up sources gets no more. */
#pragma once
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "maps.h"
#include "arrival.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct inbound_ban_key_ipv4);
	__type(value, struct inbound_ban);
} inbound_bans_ipv4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct inbound_ban_key);
	__type(value, struct inbound_ban);
} inbound_bans_ipv6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct inbound_lengths);
} inbound_lengths SEC(".maps");

struct inbound_prefix {
	u32 prefix;
	u8 address[16];
};

/* Who is never banned, and 0 for a part of a prefix that is not meant. It is looked at where somebody would be. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct inbound_prefix);
	__type(value, u8);
} inbound_never SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, INBOUND_BUCKETS); /* replaced when it is loaded */
	__type(key, u32);
	__type(value, struct inbound_bucket);
} inbound_sources SEC(".maps");

/* Who has completed a handshake: nobody else can make these up. */
struct inbound_peer {
	u64 proven_ns;
	s32 connections; /* open ones */
	u32 unused;
};

struct inbound_address {
	u64 words[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct inbound_address);
	__type(value, struct inbound_peer);
} inbound_peers SEC(".maps");

/* A port of this host, or of a container of it, that answers. */
struct inbound_service {
	u64 address[2];
	u16 port;
	u16 transport;
	u32 unused;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct inbound_service);
	__type(value, u64); /* when it answered last; 0 where it does not any more */
} inbound_served SEC(".maps");

struct inbound_flow {
	u64 address[2]; /* of the other end */
	u16 other_port;
	u16 own_port;
	u32 transport;
};

/* What this host has sent something on: since when, with INBOUND_ANSWERS where it has not begun it. */
#define INBOUND_ANSWERS 1ull

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct inbound_flow);
	__type(value, u64); /* when */
} inbound_opened SEC(".maps");

/* Answers to what it has not: somebody else uses its address. It refuses those, and that is nobody's scan. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct inbound_flow);
	__type(value, u64);
} inbound_unasked SEC(".maps");

/* A probe as it is sent: by one source, or at the same time by several that somebody has made up. */
struct inbound_probe {
	u32 sequence;
	u32 source_port;
};

struct inbound_twin {
	u64 source[2];
	u64 seen_ns;
	u64 shared; /* by several sources */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct inbound_probe);
	__type(value, struct inbound_twin);
} inbound_twins SEC(".maps");

/* What was seen of all sources together. Processors may count over each other here: it is about a hundred, not about one. */
struct inbound_host {
	u64 window; /* INBOUND_WINDOW_NS that have passed */
	u64 minute;
	u32 ports;   /* that failed, of sources that probe little */
	u32 sources; /* of those */
	u32 told;    /* in this window */
	u32 bans;    /* made in this minute */
	u8 of_window[65536]; /* of each port, in which window it was counted last */
	u8 answered[65536];  /* 1 where something has answered from a port: at others no service needs to be looked for */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct inbound_host);
} inbound_host SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} inbound_events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} inbound_log SEC(".maps");

/* The clock that costs least: it moves with the timer's interrupt, and stands still while the machine sleeps. */
static __always_inline u64 now_ns(void)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_ktime_get_coarse_ns))
		return bpf_ktime_get_coarse_ns();
	return bpf_ktime_get_ns();
}

/* The timer's ticks, which that clock moves with: what was found in one holds until the next. Reading them costs nearly nothing. */
static __always_inline u64 tick_now(void)
{
	return bpf_jiffies64();
}

static __always_inline bool inbound_is_off(void)
{
	return !is_active() || is_before(CELL_OFF_ALL) || is_before(CELL_OFF_INBOUND);
}

static __always_inline u64 flags_of_settings(void)
{
	return cell(CELL_INBOUND_FLAGS);
}

/* Whether bans are made and obeyed: not where the agent only observes, or has been silent for too long. */
static __always_inline bool inbound_is_enforced(u64 now)
{
	return flags_of_settings() & INBOUND_ENFORCE && now < cell(CELL_INBOUND_LEASED);
}

/* Whether it leads to this host itself. */
static __always_inline bool is_of_this_host(const u64 *address)
{
	const u8 *bytes = (const u8 *)address;

	if (address[0])
		return false;
	return bytes[10] == 0xff ? bytes[12] == 127 : !address[1] || address[1] == bpf_cpu_to_be64(1);
}

/* What tells sources of IPv6 apart: the first bits of an address. */
static __always_inline void take_prefix(u64 *address, u32 is_ipv4)
{
	u64 bits = is_ipv4 ? 128 : cell(CELL_INBOUND_PREFIX);

	if (bits >= 128)
		return;
	address[1] = 0;
	if (bits < 64)
		address[0] &= bpf_cpu_to_be64(~0ull << ((64 - bits) & 63));
}

static __always_inline u32 bits_of_source(u32 is_ipv4)
{
	return is_ipv4 ? 128 : (u32)cell(CELL_INBOUND_PREFIX);
}

static __always_inline struct inbound_flow flow_of(const u64 *other, u16 other_port, u16 own_port, u8 transport)
{
	struct inbound_flow flow = {
		.address = { other[0], other[1] },
		.other_port = other_port,
		.own_port = own_port,
		.transport = transport,
	};

	return flow;
}

static __always_inline u64 *opened(const struct arrival *arrival)
{
	struct inbound_flow flow = flow_of(arrival->source, arrival->source_port, arrival->port, arrival->protocol);

	return bpf_map_lookup_elem(&inbound_opened, &flow);
}

/* Whether this host talks with who sends it. */
static __always_inline bool is_opened(const struct arrival *arrival)
{
	return opened(arrival);
}

/* Whether this host has begun that. */
static __always_inline bool is_opened_here(const struct arrival *arrival)
{
	u64 *since = opened(arrival);

	return since && !(*since & INBOUND_ANSWERS);
}

static __always_inline struct inbound_host *host_state(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&inbound_host, &zero);
}

static __always_inline bool is_served(const struct inbound_service *service)
{
	struct inbound_host *host = host_state();
	u64 *when;

	if (!host || !host->answered[service->port])
		return false;
	when = bpf_map_lookup_elem(&inbound_served, service);
	return when && *when;
}

static __always_inline struct inbound_service service_of(const u64 *own, u16 port, u8 transport)
{
	struct inbound_service service = { .address = { own[0], own[1] }, .port = port, .transport = transport };

	return service;
}
