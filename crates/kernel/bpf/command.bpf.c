// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The `command` guard: a banned command never runs its first instruction.
 *
 * on_exec    every program start, when the new image is in place and nothing of it has run
 * judge_line the same judgement over bytes that a test or a benchmark provides; it acts on nothing */
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "maps.h"
#include "scope.h"
#include "scratch.h"
#include "banned.h"
#include "allow.h"
#include "executable.h"
#include "cgroup_path.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define SIGKILL 9
#define TIMED_EVERY 16

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} command_events SEC(".maps");

/* The breaker: rules of a table that are only observed, until a time (CLOCK_BOOTTIME in ns). */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u64); /* generation, then rule */
	__type(value, u64);
} tripped SEC(".maps");

static __always_inline bool is_tripped(struct scratch *scratch)
{
	u64 key = (u64)scratch->event.generation << 32 | scratch->event.rule;
	u64 *until = bpf_map_lookup_elem(&tripped, &key);

	return until && bpf_ktime_get_boot_ns() < *until;
}

static __always_inline u64 wide(const u32 *table, u32 offset)
{
	return word(table, offset) | (u64)word(table, offset + 1) << 32;
}

struct decision {
	const u32 *table;
	u64 matched;
	u64 now;
	u32 verdict;
	u32 decider;
};

static long decide_group(u32 group, struct decision *decision)
{
	const u32 *table = decision->table;
	u32 record = word(table, TABLE_GROUPS) + group * GROUP_WORDS;
	u64 expires = wide(table, record + GROUP_EXPIRES_LO);
	u32 allow = word(table, record + GROUP_ALLOW);

	if (!(decision->matched & (1ull << (group & (MAX_GROUPS - 1)))))
		return 0;
	if (expires && decision->now >= expires)
		return 0;
	if (allow && is_allowed(allow)) {
		if (decision->verdict == EXEC_CLEAN) {
			decision->verdict = EXEC_SPARED;
			decision->decider = group;
		}
		return 0;
	}
	decision->verdict = EXEC_OBSERVED;
	if (word(table, record + GROUP_FLAGS) & GROUP_ENFORCE)
		decision->verdict = word(table, record + GROUP_FLAGS) & GROUP_MILDER ? EXEC_ANSWERED : EXEC_KILLED;
	decision->decider = group;
	return 1;
}
REPEATABLE(decide_group, struct decision, matched, find_table)

/* Finds the group that decides. Expects the command line's place in `scratch`. Groups that enforce come first. */
static __always_inline u32 decide(struct scratch *scratch, const u32 *table, u64 executable_hits, u32 *decider)
{
	struct decision decision = {
		.table = table,
		.matched = (scratch->hits | ~wide(table, TABLE_BANNED_LO)) &
			   (executable_hits | ~wide(table, TABLE_EXECUTABLE_LO)) & wide(table, TABLE_LIVE_LO),
		.verdict = EXEC_CLEAN,
	};

	if (!decision.matched)
		return EXEC_CLEAN;
	decision.now = bpf_ktime_get_boot_ns();
	repeat(MAX_GROUPS, decide_group, &decision);
	*decider = decision.decider;
	return decision.verdict;
}

/* Judges one command line. Returns an exec_verdict; `decider` is the group that decided. */
static __always_inline u32 judge(struct scratch *scratch, const u32 *table, u64 start, u64 end,
				 struct task_struct *task, struct file *file, u32 *decider)
{
	u32 executables = word(table, TABLE_EXECUTABLES);
	u64 executable_hits = 0;
	u32 verdict;

	scratch->hits = 0;
	scratch->failed = 0;
	scratch->hard = 0;
	scratch->allow_left = ALLOW_BYTES;
	if (executables && file && !is_ruled_out(table, executables, file)) {
		u32 list = find_executable(scratch, table, executables, task, file);

		if (list) {
			report_outputs(list, 0);
			executable_hits = scratch->hits;
			scratch->hits = 0;
		}
	}
	if (end - start > LINE_BOUND)
		return EXEC_TOO_LONG;
	scratch->last_nul_is_counted = 1;
	rewind_line(scratch, start, (u32)(end - start));
	if (!find_banned())
		return EXEC_TOO_LONG;
	if (scratch->failed)
		return scratch->failed;
	verdict = decide(scratch, table, executable_hits, decider);
	return scratch->failed ? scratch->failed : verdict;
}

/* Judges one command line by one table from beginning to end, where need be by the next one. Global functions look for
 * the table by themselves, and may find another that was put in force meanwhile: then what was found means nothing. A
 * table stays where it is for as long as a program runs that has seen it, so its address tells whether it is the same. */
static __always_inline u32 judge_by_one_table(struct scratch *scratch, const u32 **table, u64 start, u64 end,
					      struct task_struct *task, struct file *file, u32 *decider)
{
#pragma clang loop unroll(disable)
	for (int round = 0; round < 2; round++) {
		u32 verdict = judge(scratch, *table, start, end, task, file, decider);
		const u32 *now = command_table();

		if (now == *table)
			return verdict;
		if (!now)
			break;
		*table = now;
	}
	return EXEC_TOO_LONG;
}

static __always_inline bool has_no_name(struct file *file)
{
	return file->f_inode->i_nlink == 0;
}

/* Whether a program that exists in memory alone is somebody's who has a reason to hide it. Container runtimes start
 * their first stage that way, as root and among the host's own mounts, where whoever is so has the host anyway. */
static __always_inline bool is_fileless(struct task_struct *task, struct file *file)
{
	if (!file || !has_no_name(file))
		return false;
	return (u32)bpf_get_current_uid_gid() ||
	       BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum) != cell(CELL_HOST_MOUNTS);
}

/* Completes the event and hands it to the agent. The decision has been made and carried out before. */
static __noinline void send_event(struct scratch *scratch, struct task_struct *task, struct cgroup *cgroup,
				  struct file *file, u32 length)
{
	struct exec_event *event = &scratch->event;
	u32 kept = at_most(length, EVENT_LINE);
	u32 window = 0;

	event->type = EVENT_EXEC;
	event->boot_ns = bpf_ktime_get_boot_ns();
	event->start_boot_ns = BPF_CORE_READ(task, start_boottime);
	event->pid = BPF_CORE_READ(task, tgid);
	event->parent_pid = BPF_CORE_READ(task, real_parent, tgid);
	event->uid = (u32)bpf_get_current_uid_gid();
	event->line_bytes = length;
	event->path_bytes = 0;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	if (file) {
		if (has_no_name(file))
			event->flags |= EXEC_FILELESS;
		write_path(scratch, task, file);
	}
	write_cgroup_path(scratch, cgroup);
	if (bpf_probe_read_user(event->line, kept, (void *)scratch->address))
		kept = 0;
	event->kept_bytes = kept;
	if (event->match_end > EVENT_LINE) {
		u32 from = event->match_end - EVENT_WINDOW / 2;

		window = at_most(length - from, EVENT_WINDOW);
		if (bpf_probe_read_user(event->window, window, (void *)(scratch->address + from)))
			window = 0;
	}
	event->window_bytes = window;
	count(COUNT_EVENTS, 1);
	if (bpf_ringbuf_output(&command_events, event, __builtin_offsetof(struct exec_event, line) + kept, 0))
		count(COUNT_LOST_RING_FULL, 1);
}

/* Hayward's own binary is never acted on, under whatever name or cgroup it runs. */
static __always_inline bool is_agent(struct file *file)
{
	u64 inode = cell(CELL_AGENT_INODE);

	return inode && BPF_CORE_READ(file, f_inode, i_ino) == inode &&
	       BPF_CORE_READ(file, f_inode, i_sb, s_dev) == cell(CELL_AGENT_DEVICE);
}

/* Turns what the rules say into what is done, within mode, lease and root; returns the verdict that stands. */
static __always_inline u32 carry_out(u32 verdict, bool known, u32 policy, struct cgroup *cgroup, struct file *file,
				     int tgid)
{
	bool fatal = verdict == EXEC_KILLED ||
		     ((verdict == EXEC_TOO_LONG || verdict == EXEC_READ_FAILED) && cell(CELL_UNSCANNED_KILL));

	/* Who is to be ended for being fileless or unscanned is so by a setting of its own. */
	if (verdict == EXEC_ANSWERED || (verdict == EXEC_KILLED && known && policy & POLICY_COMMAND_MILDER))
		return policy & POLICY_COMMAND_ENFORCE ? EXEC_ANSWERED : EXEC_OBSERVED;

	if (!fatal)
		return verdict;
	if (!(policy & POLICY_COMMAND_ENFORCE))
		return verdict == EXEC_KILLED ? EXEC_OBSERVED : verdict;
	if (lease_has_run_out(bpf_ktime_get_boot_ns())) {
		count(COUNT_LEASE_EXPIRED, 1);
		return verdict == EXEC_KILLED ? EXEC_OBSERVED : verdict;
	}
	if (tgid == 1 || !below_root(cgroup) || is_agent(file))
		return verdict == EXEC_KILLED ? EXEC_OBSERVED : verdict;
	if (bpf_send_signal(SIGKILL)) {
		count(COUNT_KILL_FAILED, 1);
		return EXEC_OBSERVED;
	}
	return EXEC_KILLED;
}

static __always_inline void count_verdict(u32 verdict)
{
	switch (verdict) {
	case EXEC_KILLED: count(COUNT_KILLED, 1); break;
	case EXEC_ANSWERED:
	case EXEC_OBSERVED: count(COUNT_OBSERVED, 1); break;
	case EXEC_SPARED: count(COUNT_SPARED, 1); break;
	case EXEC_TOO_LONG: count(COUNT_UNSCANNED_LONG, 1); break;
	case EXEC_READ_FAILED: count(COUNT_UNSCANNED_READ, 1); break;
	}
}

/* Reads a word and does nothing with it. */
static __always_inline void fetch(const void *address)
{
	u32 value = *(const volatile u32 *)address;

	asm volatile("" ::"r"(value));
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct cgroup *cgroup = task->cgroups->dfl_cgrp;
	struct mm_struct *mm = task->mm;
	struct scratch *scratch;
	struct file *file;
	const u32 *table;
	u64 began, start, end;
	u32 verdict, policy, decider = 0;

	if (!is_active())
		return 0;
	table = command_table();
	scratch = current_scratch();
	/* Nothing of this is in any cache at most starts. What is asked for now arrives while the policy is looked up. */
	if (scratch && table) {
		fetch(table);
		fetch(table + TABLE_SHORT_STARTS);
		fetch(scratch);
		fetch(scratch->bytes);
		fetch(scratch->bytes + 64);
	}
	policy = policy_of(task, cgroup);
	if (!(policy & POLICY_COMMAND_ON)) {
		count(COUNT_OUT_OF_SCOPE, 1);
		return 0;
	}
	if (is_before(CELL_OFF_ALL) || is_before(CELL_OFF_COMMAND)) {
		count(COUNT_OFF, 1);
		return 0;
	}
	if (!mm || !scratch || !table || word(table, TABLE_MAGIC_WORD) != TABLE_MAGIC) {
		count(COUNT_NO_TABLE, 1);
		return 0;
	}
	start = mm->arg_start;
	end = mm->arg_end;
	file = mm->exe_file;
	/* To look at the clock takes as long as a sixth of a judgement: few are timed. */
	began = count(COUNT_CHECKED, 1) % TIMED_EVERY ? 0 : bpf_ktime_get_boot_ns();
	verdict = judge_by_one_table(scratch, &table, start, end, task, file, &decider);
	if (verdict == EXEC_CLEAN && is_fileless(task, file)) {
		decider = MAX_GROUPS;
		verdict = cell(CELL_FILELESS_KILL) ? EXEC_KILLED : EXEC_OBSERVED;
	}
	if (verdict != EXEC_CLEAN) {
		bool known = decider < MAX_GROUPS && (verdict <= EXEC_SPARED || verdict == EXEC_ANSWERED);

		scratch->event.rule = known ? scratch->rule[decider & (MAX_GROUPS - 1)] : NO_RULE;
		scratch->event.match_end = known ? scratch->match_end[decider & (MAX_GROUPS - 1)] : 0;
		scratch->event.generation = word(table, TABLE_GENERATION);
		scratch->event.cgroup_id = cgroup->kn->id;
		scratch->event.flags = 0;
		scratch->event.unscanned =
			verdict == EXEC_TOO_LONG || verdict == EXEC_READ_FAILED ? verdict : 0;
		if (known && verdict != EXEC_SPARED && is_tripped(scratch))
			verdict = EXEC_OBSERVED;
		verdict = carry_out(verdict, known, policy, cgroup, file, task->tgid);
		count_verdict(verdict);
		scratch->event.verdict = verdict;
		scratch->address = start;
		send_event(scratch, task, cgroup, file, (u32)(end - start > 0xffffffff ? 0xffffffff : end - start));
	}
	if (began) {
		count(COUNT_TIMED, 1);
		count(COUNT_TIMED_NS, bpf_ktime_get_boot_ns() - began);
	}
	return 0;
}

/* For tests and benchmarks: judges `length` bytes at a user address of the caller. Arguments are
 * (address, length); the result is the verdict in the lower eight bits and the rule above. */
SEC("raw_tp")
int judge_line(u64 *context)
{
	u64 address = context[0], length = context[1];
	struct scratch *scratch = current_scratch();
	const u32 *table = command_table();
	u32 verdict, decider = 0;

	if (!scratch || !table)
		return 0;
	verdict = judge_by_one_table(scratch, &table, address, address + length, NULL, NULL, &decider);
	return verdict | (verdict <= EXEC_SPARED || verdict == EXEC_ANSWERED ? scratch->rule[decider & (MAX_GROUPS - 1)] << 8 : 0);
}
