// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The `randomx` guard's sensor: where threads round to, seen whenever one of them is interrupted.
 *
 * on_fpu_deactivated  a thread is switched out, and what its floating-point unit held has just been saved
 * on_switch           a thread is switched in, and what was saved when it was switched out is still there
 *
 * The agent loads one of them. The first is called less often, but is only there on x86, and needs a helper that Linux
 * 5.10 lacks.
 *
 * It judges nothing and acts on nothing: what it saw of threads that round in more than one way goes to the agent. */
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "maps.h"
#include "scope.h"
#include "fpu.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Samples wait for company, but not longer. */
#define LONGEST_WAIT 500000000ull

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} randomx_events SEC(".maps");

/* Samples of a thread that have not been sent yet. */
struct rounding {
	u64 samples[ROUNDING_SAMPLES];
	u64 ran_ns[ROUNDING_SAMPLES];
	u64 first;
	u32 count;
	u32 sent;
};

/* What is kept of a thread goes with it. Creating an entry takes memory from a place that is safe here, under the run
 * queue's lock, since Linux 6.4 only. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct rounding);
} rounding_tasks SEC(".maps");

struct thread_key {
	u64 start;
	u64 thread;
};

/* Before, a table of its own: made in advance, and the least recently seen thread gives way. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct thread_key);
	__type(value, struct rounding);
} rounding_threads SEC(".maps");

static __always_inline struct rounding *rounding_of(struct task_struct *task, bool create)
{
	struct thread_key key = {};
	struct rounding *rounding;

	if (constants.task_storage)
		return bpf_task_storage_get(&rounding_tasks, task, 0, create ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);
	key.thread = task->pid;
	key.start = task->start_boottime;
	rounding = bpf_map_lookup_elem(&rounding_threads, &key);
	if (!rounding && create) {
		struct rounding empty = {};

		bpf_map_update_elem(&rounding_threads, &key, &empty, BPF_NOEXIST);
		rounding = bpf_map_lookup_elem(&rounding_threads, &key);
	}
	return rounding;
}

static __noinline void send_rounding(struct task_struct *task, struct rounding *rounding, u64 cgroup_id)
{
	struct rounding_event event = {
		.type = EVENT_ROUNDING,
		.count = rounding->count,
		.thread_start_boot_ns = task->start_boottime,
		.start_boot_ns = BPF_CORE_READ(task, group_leader, start_boottime),
		.cgroup_id = cgroup_id,
		.thread = task->pid,
		.pid = task->tgid,
		.parent_pid = BPF_CORE_READ(task, real_parent, tgid),
		.uid = user_of(task),
	};

	bpf_core_read_str(event.comm, sizeof(event.comm), &task->comm);
	__builtin_memcpy(event.samples, rounding->samples, sizeof(event.samples));
	__builtin_memcpy(event.ran_ns, rounding->ran_ns, sizeof(event.ran_ns));
	count(COUNT_ROUNDING_EVENTS, 1);
	if (bpf_ringbuf_output(&randomx_events, &event, sizeof(event), 0))
		count(COUNT_ROUNDING_LOST, 1);
}

/* How many samples are sent together. A thread may not live to be seen eight times, so its first ones do not wait; but
 * one alone says nothing of the next. */
static __always_inline u32 wanted(struct rounding *rounding)
{
	if (!rounding->sent)
		return 2;
	return rounding->sent < ROUNDING_SAMPLES ? 1 : ROUNDING_SAMPLES;
}

/* Takes a sample of a thread that was interrupted in user mode. */
static __always_inline void take_sample(struct task_struct *task, u32 control)
{
	struct rounding *rounding = rounding_of(task, false);
	struct cgroup *cgroup = task->cgroups->dfl_cgrp;
	u32 index;
	u64 now;

	if (!rounding) {
		if (!(policy_of(task, cgroup) & POLICY_RANDOMX_ON))
			return;
		count(COUNT_ROUNDING_SAMPLES, 1);
		if (!rounding_mode(control))
			return;
		if (is_before(CELL_OFF_ALL) || is_before(CELL_OFF_RANDOMX))
			return;
		rounding = rounding_of(task, true);
		if (!rounding) {
			count(COUNT_ROUNDING_NO_ROOM, 1);
			return;
		}
	} else {
		count(COUNT_ROUNDING_SAMPLES, 1);
	}
	count(COUNT_ROUNDING_SUSPECT, 1);
	now = bpf_ktime_get_boot_ns();
	if (!rounding->count)
		rounding->first = now;
	index = rounding->count & (ROUNDING_SAMPLES - 1);
	rounding->ran_ns[index] = task->se.sum_exec_runtime;
	rounding->samples[index] =
		now << ROUNDING_TIME_SHIFT | (flushes(control) ? ROUNDING_FLUSH : 0) | rounding_mode(control);
	rounding->count++;
	if (rounding->count < wanted(rounding) && now - rounding->first < LONGEST_WAIT)
		return;
	send_rounding(task, rounding, cgroup->kn->id);
	rounding->sent += rounding->count;
	rounding->count = 0;
}

/* Whether the sensor is to look: it is the one that decides. */
static __always_inline bool is_called(void)
{
	if (!is_active())
		return false;
	count(COUNT_ROUNDING_CALLS, 1);
	return true;
}

/* A thread in a system call has seen to its registers before: only where it did not choose to stop does it tell. */

#if !defined(__TARGET_ARCH_arm64)
SEC("tp_btf/x86_fpu_regs_deactivated")
int BPF_PROG(on_fpu_deactivated, struct fpu *fpu)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (is_called() && !is_in_system_call(task))
		take_sample(task, float_control(fpu));
	return 0;
}
#endif

/* What the thread that is switched out holds is saved after this. A thread without memory of its own is the kernel's;
 * one that has not run since it was seen last would be seen twice in one place. */
SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempted, struct task_struct *before, struct task_struct *task)
{
	if (is_called() && task->mm && has_run(task) && !is_in_system_call(task))
		take_sample(task, saved_control(task));
	return 0;
}
