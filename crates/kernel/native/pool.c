// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The programs of the guard `pool`, as the kernel runs them. */
#include "pool.bpf.c"
#include "run.h"

int hayward_pool_packet(const struct view *view)
{
	return run(on_pool_packet, view);
}

int hayward_pool_arrival(const struct view *view)
{
	return run(on_pool_arrival, view);
}

long hayward_set_domain(u64 hash)
{
	u32 is_one = 1;

	return bpf_map_update_elem(&pool_domains, &hash, &is_one, BPF_ANY);
}
