/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Taking a step up to `count` times, until it returns other than 0.
 *
 * Since Linux 5.17 that is bpf_loop(). Before, the verifier walks through every round of a loop as if it ran, and gives
 * up after a million instructions. There is one thing that it walks through only once, and then not where it is called:
 * a global function. So for these kernels each step is made one, and rounds of calls, and rounds of such rounds, cost
 * the verifier little.
 *
 * Their global functions take numbers alone, so the context waits in a map while its step is not running. Pointers that
 * the verifier watches over cannot: they stand first in a context, and `find` sets them again. From the member `first`
 * on, the context is kept. A table may be swapped for another between two steps; who repeats a step looks whether it
 * was. */
#pragma once
#include "maps.h"

#ifndef WITHOUT_BPF_LOOP

#define REPEATABLE(step, type, first, find)
#define repeat(count, step, context) bpf_loop(count, step, context, 0)
#define forget(number) (number)

#else

#define MAX_STEPS 16
#define CONTEXT_BYTES 128
/* Rounds of one loop. A thousand times a thousand are more than any count here, and each end of a loop is a branch that
 * the verifier puts aside: it takes no more than 8,192 of them. */
#define ROUNDS 1024

struct context {
	u64 words[CONTEXT_BYTES / 8];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_STEPS);
	__type(key, u32);
	__type(value, struct context);
} contexts SEC(".maps");

static __always_inline void *kept_context(u32 slot)
{
	return bpf_map_lookup_elem(&contexts, &slot);
}

#define REPEATABLE(step, type, first, find)                                                                     \
	enum { step##_slot = __COUNTER__, step##_bytes = sizeof(type) - __builtin_offsetof(type, first) };      \
	_Static_assert(step##_slot < MAX_STEPS && sizeof(type) <= CONTEXT_BYTES, "a context has its place");    \
                                                                                                                \
	__noinline int step##_once(u32 index)                                                                   \
	{                                                                                                       \
		type *kept = kept_context(step##_slot);                                                         \
		type context;                                                                                   \
		long ended;                                                                                     \
                                                                                                                \
		if (!kept || !find(&context))                                                                   \
			return 1;                                                                               \
		__builtin_memcpy(&context.first, &kept->first, step##_bytes);                                   \
		ended = step(index, &context);                                                                  \
		__builtin_memcpy(&kept->first, &context.first, step##_bytes);                                   \
		return ended;                                                                                   \
	}                                                                                                       \
                                                                                                                \
	__noinline int step##_rounds(u32 from, u32 count)                                                       \
	{                                                                                                       \
		for (u32 i = 0; i < ROUNDS; i++)                                                                \
			if (from + i >= count || step##_once(from + i))                                         \
				return 1;                                                                       \
		return 0;                                                                                       \
	}                                                                                                       \
                                                                                                                \
	static __always_inline void step##_repeat(u32 count, type *context)                                     \
	{                                                                                                       \
		type *kept = kept_context(step##_slot);                                                         \
                                                                                                                \
		if (!kept)                                                                                      \
			return;                                                                                 \
		__builtin_memcpy(&kept->first, &context->first, step##_bytes);                                  \
		for (u32 from = 0; from < count; from += ROUNDS)                                                \
			if (step##_rounds(from, count))                                                         \
				break;                                                                          \
		__builtin_memcpy(&context->first, &kept->first, step##_bytes);                                  \
	}
#define repeat(count, step, context) step##_repeat(count, context)

/* The same number, of which the verifier no longer knows which it is: paths that differ in nothing else become one. */
__noinline u32 forget(u32 number)
{
	asm volatile("" : "+r"(number));
	return number;
}

#endif
