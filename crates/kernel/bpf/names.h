/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether a name is that of a pool, or lies below one. A name comes byte by byte, so each of its ends that begins with a
 * label has a hash that grows with it; of these, the last ones are looked up. */
#pragma once
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include "domain.h"
#include "layout.h"

/* Ends that are kept: no pool's domain has more labels. */
#define ENDS 8
#define MOST_NAME 253

struct name {
	u64 ends[ENDS];
	u8 labels;
	u8 is_dot; /* one has come, and what follows it has not */
	u8 length;
};

/* Domains of pools, by their hash. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, u32);
} pool_domains SEC(".maps");

static __always_inline void hash_byte(struct name *name, u32 byte)
{
#pragma unroll
	for (u32 end = 0; end < ENDS; end++)
		name->ends[end] = (name->ends[end] ^ byte) * NAME_FACTOR;
}

static __always_inline void start_name(struct name *name)
{
	__builtin_memset(name, 0, sizeof(*name));
}

static __always_inline void add_to_name(struct name *name, u32 byte)
{
	if (byte == '.') {
		name->is_dot = 1;
		return;
	}
	if (name->length >= MOST_NAME)
		return;
	name->length += 1;
	if (name->is_dot || !name->labels) {
		if (name->labels)
			hash_byte(name, '.');
		name->ends[name->labels & (ENDS - 1)] = NAME_START;
		name->labels += 1;
		name->is_dot = 0;
	}
	hash_byte(name, small(byte));
}

static __always_inline bool is_pool(const struct name *name)
{
	for (u32 end = 0; end < ENDS; end++) {
		u64 hash = name->ends[end];

		if (end < name->labels && bpf_map_lookup_elem(&pool_domains, &hash))
			return true;
	}
	return false;
}
