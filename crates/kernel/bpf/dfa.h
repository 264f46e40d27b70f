/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Running a dense DFA that lies somewhere in a table of words. A state is the offset of its row; 0 is dead. */
#pragma once
#include "maps.h"

static __always_inline u32 word(const u32 *table, u32 offset)
{
	return table[offset & (u32)constants.table_mask];
}

/* Where the parts of a DFA lie, looked up once and not at every byte. */
struct dfa {
	u32 classes, transitions;
};

static __always_inline struct dfa dfa_at(const u32 *table, u32 dfa)
{
	return (struct dfa){
		.classes = word(table, dfa + DFA_CLASSES),
		.transitions = word(table, dfa + DFA_TRANSITIONS),
	};
}

static __always_inline u32 dfa_step(const u32 *table, const struct dfa *dfa, u32 state, u8 byte)
{
	u32 column = word(table, dfa->classes + byte);

	return word(table, dfa->transitions + state + column);
}

static __always_inline u32 dfa_accepts(const u32 *table, u32 dfa, u32 state)
{
	u32 shift = word(table, dfa + DFA_STRIDE_SHIFT) & 31;

	return word(table, word(table, dfa + DFA_ACCEPT) + (state >> shift));
}
