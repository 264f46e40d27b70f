/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether an allow pattern matches a whole command line. Runs only after a banned string was seen. */
#pragma once
#include "scratch.h"

#define ALLOW_STEPS 8

struct allow_context {
	struct scratch *scratch;
	const u32 *table;
	struct dfa dfa;
};

static long allow_step(u32 index, struct allow_context *context)
{
	struct scratch *scratch = context->scratch;
	u32 at = scratch->at;
	u32 state = scratch->state;

	if (at >= scratch->limit) {
		if (!refill(scratch, 0))
			return 1;
		at = 0;
	}
#pragma unroll
	for (int i = 0; i < ALLOW_STEPS; i++) {
		if (at >= scratch->limit)
			break;
		state = dfa_step(context->table, &context->dfa, state, scratch->bytes[at & (CHUNK - 1)]);
		at++;
	}
	scratch->at = at;
	scratch->state = state;
	return state == 0;
}
REPEATABLE(allow_step, struct allow_context, dfa, find_scratch_and_table)

/* The DFA's columns already fold case and read a NUL as a space. A global function, so that it is verified once and
 * not once for every group; it finds scratch and table by itself. */
__noinline int is_allowed(u32 dfa)
{
	struct scratch *scratch = current_scratch();
	const u32 *table = command_table();
	struct allow_context context = { .scratch = scratch, .table = table };

	if (!scratch || !table)
		return 0;
	if (scratch->length > scratch->allow_left) {
		scratch->failed = EXEC_TOO_LONG;
		return 0;
	}
	scratch->allow_left -= scratch->length;
	context.dfa = dfa_at(table, dfa);
	rewind_line(scratch, scratch->address, scratch->length);
	scratch->state = word(table, dfa + DFA_START);
	repeat(LINE_BOUND / ALLOW_STEPS + LINE_BOUND / CHUNK + 2, allow_step, &context);
	if (scratch->failed || (scratch->state && scratch->base + scratch->at < scratch->length))
		return 0;
	return dfa_accepts(table, dfa, scratch->state) != 0;
}
