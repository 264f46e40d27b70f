/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Finding banned strings in a command line of any length: an Aho-Corasick automaton, laid out as a double array,
 * whose strings can only start at a word's border.
 *
 * Most of a harmless command line is passed over without touching the automaton: a byte inside a word can start no
 * banned string, and where one may start, bitmaps over the next four and eight bytes say whether any string begins so.
 * That is done for a block at a time, eight bytes at once, and so that the processor fetches many words of the bitmap
 * at once. */
#pragma once
#include "scratch.h"

#define LOOKAHEAD 8

struct match_context {
	struct scratch *scratch;
	const u32 *table;
	u32 cells, filter, filter_shift;
};

/* Notes the hits of an output list, whose strings end at `offset`. Global, as find_banned is, so that the verifier
 * walks through it once and not at every call. */
__noinline int report_outputs(u32 list, u32 offset)
{
	struct scratch *scratch = current_scratch();
	const u32 *table = command_table();
	u32 length;

	if (!scratch || !table)
		return 0;
	length = word(table, list);

	for (u32 i = 0; i < MAX_GROUPS; i++) {
		u32 hit, group;

		if (i >= length)
			break;
		hit = word(table, list + 1 + i);
		group = (hit >> OUTPUT_GROUP_SHIFT) & (MAX_GROUPS - 1);
		if (scratch->hits & (1ull << group))
			continue;
		scratch->hits |= 1ull << group;
		scratch->rule[group] = hit & OUTPUT_RULE;
		scratch->match_end[group] = offset;
	}
	return 0;
}

/* The fixed part of the table needs no mask: its bounds are known. */
static __always_inline bool in_set(const u32 *table, u32 set, u8 byte)
{
	return (table[set + (byte >> 5)] >> (byte & 31)) & 1;
}

static __always_inline u32 symbol_of(const u32 *table, u8 byte)
{
	return (table[TABLE_SYMBOLS + (byte >> 2)] >> ((byte & 3) * 8)) & 0xff;
}

#define EACH(byte) (0x0101010101010101ull * (byte))

/* The top bit of each of eight bytes that is no word character: no ASCII letter, digit or underscore. Sums of seven-bit
 * numbers carry into the top bit, and no further, where they reach 128. */
static __always_inline u64 borders_of(u64 bytes)
{
	u64 low = bytes & EACH(0x7f);
	u64 folded = low | EACH(0x20);
	u64 letters = (folded + EACH(0x80 - 'a')) & ~(folded + EACH(0x7f - 'z'));
	u64 digits = (low + EACH(0x80 - '0')) & ~(low + EACH(0x7f - '9'));
	u64 underscores = ~((low ^ EACH('_')) + EACH(0x7f));

	return (~(letters | digits | underscores) | bytes) & EACH(0x80);
}

static __always_inline u32 filter_bit(u64 folded, u32 shift)
{
	return (folded * FILTER_FACTOR) >> (shift & 63);
}

/* Whether a filter may hold these bytes. */
static __always_inline bool may_hold(const u32 *table, u32 filter, u64 folded)
{
	u32 bit = filter_bit(folded, table[filter + 1]);

	return (word(table, table[filter] + (bit >> 5)) >> (bit & 31)) & 1;
}

/* Looks over the block at `at` for places where a banned string may start. First where to look, and then the looking:
 * a short loop of loads that do not wait for each other. */
static __always_inline void look_over_block(struct match_context *context, u32 at, u32 limit, bool follows_border)
{
	struct scratch *scratch = context->scratch;
	const u32 *table = context->table;
	u32 size = at_most(limit - at, BLOCK), mask = constants.table_mask, places = 0;
	u64 borders = 0, starts, candidates = 0;

	/* Not unrolled: it is as fast, and takes fewer lines of the cache. */
#pragma clang loop unroll(disable)
	for (u32 i = 0; i < BLOCK; i += 8) {
		u64 bytes = *(u64 *)(scratch->bytes + ((at + i) & (CHUNK - 1)));

		/* The product moves the eight top bits side by side. */
		borders |= ((borders_of(bytes) >> 7) * 0x0102040810204080ull >> 56) << i;
	}
	starts = borders << 1 | follows_border;
	if (size < BLOCK)
		starts &= (1ull << size) - 1;
	for (; places < BLOCK; places++) {
		u32 index, first;

		if (!starts)
			break;
		index = __builtin_ctzll(starts) & (BLOCK - 1);
		starts &= starts - 1;
		first = *(u32 *)(scratch->bytes + ((at + index) & (CHUNK - 1)));
		candidates |= (u64)in_set(table, TABLE_SHORT_STARTS, first) << index;
		scratch->places[places] = filter_bit(first | (u32)FILTER_FOLD, context->filter_shift) | index << PLACE_BITS;
	}
	places = forget(places);
	for (u32 i = 0; i < BLOCK; i++) {
		u32 place, bit;

		if (i >= places)
			break;
		place = scratch->places[i];
		bit = place & ((1u << PLACE_BITS) - 1);
		candidates |= (u64)((table[(context->filter + (bit >> 5)) & mask] >> (bit & 31)) & 1) << (place >> PLACE_BITS);
	}
	scratch->block = at;
	scratch->block_end = at + size;
	scratch->block_state = (borders >> ((size - 1) & (BLOCK - 1))) & 1 ? STATE_BOUNDARY : STATE_WORD;
	scratch->candidates = candidates;
}

/* Whether a banned string may start here, by more than its first four bytes. */
static __always_inline bool is_likely(struct scratch *scratch, const u32 *table, u32 start)
{
	u64 first = *(u64 *)(scratch->bytes + (start & (CHUNK - 1)));

	return may_hold(table, TABLE_LONG_FILTER, first | FILTER_FOLD) ||
	       may_hold(table, TABLE_SHORT_FILTER, (u32)(first | FILTER_FOLD)) ||
	       in_set(table, TABLE_SHORT_STARTS, first);
}

/* A step outside the automaton: to the next candidate, or to the end of the block. */
static __always_inline void step_outside(struct match_context *context)
{
	struct scratch *scratch = context->scratch;
	const u32 *table = context->table;
	u32 at = scratch->at;
	u64 candidates;

	if (at >= scratch->block_end)
		look_over_block(context, at, scratch->limit, scratch->state == STATE_BOUNDARY);
	candidates = scratch->candidates;
	if (candidates) {
		u32 start = scratch->block + __builtin_ctzll(candidates);

		scratch->candidates = candidates & (candidates - 1);
		/* The automaton may have gone past it. */
		if (start >= at && is_likely(scratch, table, start)) {
			u32 base = word(table, context->cells + 2 * STATE_BOUNDARY) & BASE_OFFSET;
			u32 next = base ^ symbol_of(table, scratch->bytes[start & (CHUNK - 1)]);

			if (word(table, context->cells + 2 * next + 1) == STATE_BOUNDARY) {
				scratch->state = next;
				scratch->at = start + 1;
			}
		}
	} else {
		scratch->at = scratch->block_end;
		scratch->state = scratch->block_state;
	}
}

static long match_step(u32 index, struct match_context *context)
{
	struct scratch *scratch = context->scratch;
	const u32 *table = context->table;
	u32 at, state, base_word, base, next;
	bool is_border;
	u8 byte;

	if (scratch->at >= scratch->limit) {
		if (!refill(scratch, LOOKAHEAD))
			return 1;
		scratch->block_end = 0;
		scratch->candidates = 0;
	}
	state = scratch->state;
	if (state <= STATE_BOUNDARY) {
		step_outside(context);
		return 0;
	}
	if (++scratch->hard > HARD_STEPS) {
		scratch->failed = EXEC_TOO_LONG;
		return 1;
	}
	at = scratch->at;
	byte = scratch->bytes[at & (CHUNK - 1)];
	is_border = in_set(table, TABLE_BORDERS, byte);
	base_word = word(table, context->cells + 2 * state);
	base = base_word & BASE_OFFSET;
	next = base ^ symbol_of(table, byte);
	if ((base_word & BASE_OUTPUT) && is_border && scratch->reported != scratch->base + at + 1) {
		scratch->reported = scratch->base + at + 1;
		report_outputs(word(table, context->cells + 2 * (base ^ SYMBOL_OUTPUT)), scratch->base + at);
	}
	if (word(table, context->cells + 2 * next + 1) == state) {
		scratch->state = next;
		scratch->at = at + 1;
	} else if (base_word & BASE_FAIL) {
		/* What ends in a shorter suffix was reported with the longer one. */
		scratch->state = word(table, context->cells + 2 * (base ^ SYMBOL_FAIL));
	} else {
		scratch->state = is_border ? STATE_BOUNDARY : STATE_WORD;
		scratch->at = at + 1;
	}
	return 0;
}
REPEATABLE(match_step, struct match_context, cells, find_scratch_and_table)

/* Scans the whole command line: each step consumes a byte, a candidate or a block, or shortens the state, so three
 * steps a byte are enough. Returns false where the end was not reached all the same. */
__noinline int find_banned(void)
{
	struct scratch *scratch = current_scratch();
	const u32 *table = command_table();
	struct match_context context = { .scratch = scratch, .table = table };
	u32 base_word;

	if (!scratch || !table)
		return 0;
	context.cells = word(table, TABLE_CELLS);
	context.filter = word(table, TABLE_FILTER);
	context.filter_shift = word(table, TABLE_FILTER_SHIFT);
	scratch->state = STATE_BOUNDARY;
	scratch->reported = 0;
	scratch->block_end = 0;
	scratch->candidates = 0;
	repeat(3 * (LINE_BOUND + 1), match_step, &context);
	if (scratch->base + scratch->at < scratch->length && !scratch->failed)
		return 0;
	base_word = word(table, context.cells + 2 * scratch->state);
	if (scratch->state > STATE_BOUNDARY && (base_word & BASE_OUTPUT))
		report_outputs(word(table, context.cells + 2 * ((base_word & BASE_OFFSET) ^ SYMBOL_OUTPUT)),
			       scratch->length);
	return 1;
}
