/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Texts as numbers, which are compared at once. */
#pragma once
#include "kernel_types.h"

/* Eight bytes of a string, as they lie in memory. */
#define BYTE_OF(text, at) ((u64)(u8)(text "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")[at])
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "words are written for the byte order of x86 and arm64"
#endif
#define EIGHT(text, at)                                                                                             \
	(BYTE_OF(text, at) | BYTE_OF(text, at + 1) << 8 | BYTE_OF(text, at + 2) << 16 | BYTE_OF(text, at + 3) << 24 |   \
	 BYTE_OF(text, at + 4) << 32 | BYTE_OF(text, at + 5) << 40 | BYTE_OF(text, at + 6) << 48 |                      \
	 BYTE_OF(text, at + 7) << 56)

/* Whether 24 bytes are those of a text. One question and not three: the verifier walks through what follows each. */
static __always_inline bool is_text(u64 first, u64 second, u64 third)
{
	u64 differs = first | second | third;

	asm volatile("" : "+r"(differs));
	return !differs;
}
