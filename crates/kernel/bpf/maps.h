/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps that every guard shares. All are pinned, so that enforcement outlives the agent. */
#pragma once
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include "layout.h"

/* Set before loading. In a section of its own: the compiler puts tables of its own into the common one. */
const volatile struct {
	u64 instance;	/* which set of programs this is: two exist side by side during an upgrade */
	u64 table_mask; /* the table's size in words, less one: a power of two less one, so that it masks offsets */
	u64 task_storage; /* this kernel can keep what belongs to a thread with the thread */
	u64 bucket_mask; /* how many buckets of sources there are, less one: a power of two less one */
} constants SEC(".rodata.constants") = { .bucket_mask = INBOUND_BUCKETS - 1 };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_CELLS);
	__type(key, u32);
	__type(value, u64);
} cells SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, u64);  /* cgroup id */
	__type(value, u32); /* POLICY_* */
} scopes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64); /* cgroup id */
	__type(value, struct egress_grant);
} egress_grants SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);   /* cgroup id */
	__type(value, u64); /* that of the whole workload, for a cgroup within one */
} wholes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64); /* cgroup id of a whole workload */
	__type(value, struct outbound_state);
} outbound_states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_COUNTERS);
	__type(key, u32);
	__type(value, u64);
} counters SEC(".maps");

static __always_inline u64 cell(u32 which)
{
	u64 *value = bpf_map_lookup_elem(&cells, &which);

	return value ? *value : 0;
}

/* Returns what this processor had counted before. */
static __always_inline u64 count(u32 which, u64 amount)
{
	u64 *value = bpf_map_lookup_elem(&counters, &which);
	u64 before;

	if (!value)
		return 0;
	before = *value;
	*value = before + amount;
	return before;
}

/* Whether the time that a cell names has yet to come; most name none. */
static __always_inline bool is_before(u32 which)
{
	u64 until = cell(which);

	return until && bpf_ktime_get_boot_ns() < until;
}

/* Whether the agent has been silent for too long. Sums, not differences: its sign of life may be later than `now`. */
static __always_inline bool lease_has_run_out(u64 now)
{
	u64 lease = cell(CELL_LEASE);

	return lease && now > cell(CELL_HEARTBEAT) + lease;
}

/* Whether this set of programs is the one that decides. */
static __always_inline bool is_active(void)
{
	return cell(CELL_ACTIVE_INSTANCE) == constants.instance;
}
