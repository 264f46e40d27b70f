/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where a program start is judged: one per processor, since nothing here sleeps. */
#pragma once
#include "maps.h"
#include "dfa.h"
#include "repeat.h"

/* Longer command lines are left to the agent. */
#define LINE_BOUND (256 * 1024)
/* A processor is held while a command line is judged. What costs little is bounded by the line's length; what costs
 * much is bounded by itself, and lines that need more of it are left to the agent too. */
#define HARD_STEPS (32 * 1024)
#define ALLOW_BYTES LINE_BOUND
#define CHUNK 4096
#define CHUNK_SLACK 16

/* Bytes that are looked over at a time for places where a banned string may start. */
#define BLOCK 64
#define PLACE_BITS 26

/* What is used together lies together: processors fetch lines of 64 bytes. */
struct scratch {
	u64 address;  /* of the command line, in user memory */
	u32 length;   /* of the command line; without its last NUL once that was read */
	u32 base;     /* offset of bytes[0] in the command line */
	u32 at;	      /* next byte to consume, in bytes[] */
	u32 limit;    /* bytes up to here may be consumed */
	u32 filled;   /* bytes[] is filled up to here */
	u32 state;
	u32 reported; /* offset at which the current state's outputs have been reported, plus one */
	u32 failed;   /* why no judgement is possible: an exec_verdict, or 0 */
	u32 hard;     /* steps that went through the automaton */
	u32 last_nul_is_counted; /* in `length` */
	u32 allow_left; /* bytes that allow patterns may still read */
	u32 block;    /* the block that was looked over, in bytes[] */
	u32 block_end;
	u32 block_state; /* STATE_WORD or STATE_BOUNDARY at its end */
	u64 candidates; /* bit i: a banned string may start at block + i */
	u64 hits;     /* groups of which a banned string was seen */
	u32 places[BLOCK]; /* what to look for in the filter: bit, and place in the block above PLACE_BITS */
	u8 bytes[CHUNK + CHUNK_SLACK]; /* part of the command line; zeros after its end */
	u32 rule[MAX_GROUPS];
	u32 match_end[MAX_GROUPS];
	struct exec_event event;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

struct table_class {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(u32));
	__uint(value_size, 262144); /* the agent sets the size class before loading */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, u32);
	__array(values, struct table_class);
} command_tables SEC(".maps");

static __always_inline const u32 *command_table(void)
{
	u32 zero = 0;
	void *inner = bpf_map_lookup_elem(&command_tables, &zero);

	return inner ? bpf_map_lookup_elem(inner, &zero) : NULL;
}

static __always_inline struct scratch *current_scratch(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&scratches, &zero);
}

/* What a context begins with; see repeat.h. */
#define find_scratch(context) ((context)->scratch = current_scratch())
#define find_table(context) ((context)->table = command_table())
#define find_scratch_and_table(context) (find_scratch(context) && find_table(context))

/* The lesser of two. The verifier of Linux 6.1 does not carry a bound over to a copy of the register, so the compiler
 * must not know that this is one: the register that is compared is then the one that is used. */
static __always_inline u32 at_most(u32 value, u32 bound)
{
	asm volatile("" : "+r"(value));
	return value > bound ? bound : value;
}

/* Brings the next part of the command line into bytes[], from the first byte not yet consumed. `lookahead` bytes
 * are held back unless they are the last. Returns false where nothing is left or the read failed. */
static __always_inline bool refill(struct scratch *scratch, u32 lookahead)
{
	u32 base = scratch->base + scratch->at;
	u32 left = scratch->length - base;
	u32 size;

	if (base >= scratch->length)
		return false;
	size = at_most(left, CHUNK);
	if (bpf_probe_read_user(scratch->bytes, size, (void *)(scratch->address + base))) {
		scratch->failed = EXEC_READ_FAILED;
		return false;
	}
	if (left <= CHUNK && scratch->last_nul_is_counted) {
		u32 last = (size - 1) & (CHUNK - 1);

		scratch->last_nul_is_counted = 0;
		if (!scratch->bytes[last]) {
			scratch->length -= 1;
			size = last;
		}
	}
	*(u64 *)(scratch->bytes + (size & ~7u)) &= (1ull << ((size & 7) * 8)) - 1;
	*(u64 *)(scratch->bytes + (size & ~7u) + 8) = 0;
	scratch->base = base;
	scratch->at = 0;
	scratch->filled = size;
	scratch->limit = left > CHUNK ? size - lookahead : size;
	return true;
}

static __always_inline void rewind_line(struct scratch *scratch, u64 address, u32 length)
{
	scratch->address = address;
	scratch->length = length;
	scratch->base = 0;
	scratch->at = 0;
	scratch->limit = 0;
	scratch->filled = 0;
}
