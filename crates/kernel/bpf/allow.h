/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether an allow pattern matches a whole command line. Runs only after a banned string was seen. */
#pragma once
#include "scratch.h"

#define ALLOW_STEPS 8

struct allow_context {
	struct scratch *scratch;
	const u32 *table;
	u32 dfa;
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
		state = dfa_step(context->table, context->dfa, state, scratch->bytes[at & (CHUNK - 1)]);
		at++;
	}
	scratch->at = at;
	scratch->state = state;
	return state == 0;
}

/* The DFA's columns already fold case and read a NUL as a space. */
static __noinline bool is_allowed(struct scratch *scratch, const u32 *table, u32 dfa)
{
	struct allow_context context = { .scratch = scratch, .table = table, .dfa = dfa };

	rewind_line(scratch, scratch->address, scratch->length);
	scratch->state = word(table, dfa + DFA_START);
	bpf_loop(LINE_BOUND / ALLOW_STEPS + LINE_BOUND / CHUNK + 2, allow_step, &context, 0);
	if (scratch->failed)
		return false;
	return dfa_accepts(table, dfa, scratch->state) != 0;
}
