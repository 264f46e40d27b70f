/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Finding banned strings in a command line of any length: an Aho-Corasick automaton, laid out as a double array,
 * whose strings can only start at a word's border.
 *
 * Most of a harmless command line is passed over without touching the automaton: a byte inside a word can start no
 * banned string, and where one may start, a bitmap over the next four bytes says whether any string begins so. */
#pragma once
#include "scratch.h"

#define LOOKAHEAD 4
#define SKIP_STEPS 8

struct match_context {
	struct scratch *scratch;
	const u32 *table;
	u32 classes, cells, filter, filter_shift;
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

static long match_step(u32 index, struct match_context *context)
{
	struct scratch *scratch = context->scratch;
	const u32 *table = context->table;
	u32 at = scratch->at;
	u32 state = scratch->state;
	u32 limit = scratch->limit;

	if (at >= limit) {
		if (!refill(scratch, LOOKAHEAD))
			return 1;
		at = 0;
		limit = scratch->limit;
	}

	if (state == STATE_WORD) {
#pragma unroll
		for (int i = 0; i < SKIP_STEPS; i++) {
			u32 class = word(table, context->classes + scratch->bytes[at & (CHUNK - 1)]);

			at++;
			if (class & CLASS_BOUNDARY) {
				state = STATE_BOUNDARY;
				break;
			}
			if (at >= limit)
				break;
		}
	} else if (state == STATE_BOUNDARY) {
		u32 at_masked = at & (CHUNK - 1);
		u32 first = *(u32 *)(scratch->bytes + at_masked);
		u32 class = word(table, context->classes + (first & 0xff));
		u32 hash = ((first | FILTER_FOLD) * FILTER_FACTOR) >> (context->filter_shift & 31);
		bool possible = (word(table, context->filter + (hash >> 5)) >> (hash & 31)) & 1;

		at++;
		state = class & CLASS_BOUNDARY ? STATE_BOUNDARY : STATE_WORD;
		if (possible || (class & CLASS_SHORT_START)) {
			u32 base = word(table, context->cells + 2 * STATE_BOUNDARY) & BASE_OFFSET;
			u32 next = base ^ (class & CLASS_SYMBOL);

			if (word(table, context->cells + 2 * next + 1) == STATE_BOUNDARY)
				state = next;
		}
	} else {
		u32 class = word(table, context->classes + scratch->bytes[at & (CHUNK - 1)]);
		u32 base_word = word(table, context->cells + 2 * state);
		u32 base = base_word & BASE_OFFSET;
		u32 next = base ^ (class & CLASS_SYMBOL);

		if (++scratch->hard > HARD_STEPS) {
			scratch->failed = EXEC_TOO_LONG;
			return 1;
		}
		if ((base_word & BASE_OUTPUT) && (class & CLASS_BOUNDARY) &&
		    scratch->reported != scratch->base + at + 1) {
			scratch->reported = scratch->base + at + 1;
			report_outputs(word(table, context->cells + 2 * (base ^ SYMBOL_OUTPUT)), scratch->base + at);
		}
		if (word(table, context->cells + 2 * next + 1) == state) {
			state = next;
			at++;
		} else if (base_word & BASE_FAIL) {
			/* What ends in a shorter suffix was reported with the longer one. */
			state = word(table, context->cells + 2 * (base ^ SYMBOL_FAIL));
		} else {
			state = class & CLASS_BOUNDARY ? STATE_BOUNDARY : STATE_WORD;
			at++;
		}
	}
	scratch->at = at;
	scratch->state = state;
	return 0;
}

/* Scans the whole command line: each step consumes at least one byte or shortens the state, so two steps a byte are
 * enough. Returns false where the end was not reached all the same. */
__noinline int find_banned(void)
{
	struct scratch *scratch = current_scratch();
	const u32 *table = command_table();
	struct match_context context = { .scratch = scratch, .table = table };
	u32 base_word;

	if (!scratch || !table)
		return 0;
	context.classes = word(table, TABLE_CLASSES);
	context.cells = word(table, TABLE_CELLS);
	context.filter = word(table, TABLE_FILTER);
	context.filter_shift = word(table, TABLE_FILTER_SHIFT);
	scratch->state = STATE_BOUNDARY;
	scratch->reported = 0;
	bpf_loop(2 * (LINE_BOUND + 1), match_step, &context, 0);
	if (scratch->base + scratch->at < scratch->length && !scratch->failed)
		return 0;
	base_word = word(table, context.cells + 2 * scratch->state);
	if (scratch->state > STATE_BOUNDARY && (base_word & BASE_OUTPUT))
		report_outputs(word(table, context.cells + 2 * ((base_word & BASE_OFFSET) ^ SYMBOL_OUTPUT)),
			       scratch->length);
	return 1;
}
