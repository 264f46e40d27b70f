// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The programs of the guard `inbound`, as the kernel runs them. */
#include "inbound.bpf.c"

/* Whether a frame that arrives is dropped. */
int hayward_inbound_arrival(const u8 *frame, u64 bytes)
{
	struct inbound_scratch *scratch = scratch_of(ARRIVES);
	void *at = (void *)frame;

	return scratch && read_arrival(&scratch->arrival, at, at + bytes) && arrive(scratch, 0);
}

void hayward_inbound_answer(const u8 *frame, u64 bytes)
{
	struct inbound_scratch *scratch = scratch_of(LEAVES);
	void *at = (void *)frame;

	if (scratch && read_arrival(&scratch->arrival, at, at + bytes))
		leave(scratch, 0);
}

void hayward_inbound_cell(u32 which, u64 value)
{
	bpf_map_update_elem(&cells, &which, &value, BPF_ANY);
}

u64 hayward_inbound_contacts(void)
{
	u32 which = COUNT_INBOUND_CONTACTS;
	u64 *value = bpf_map_lookup_elem(&counters, &which);

	return value ? *value : 0;
}
