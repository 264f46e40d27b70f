/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The path of the file that runs: matched from its last component backwards, so that a list of base names is
 * decided after one component, and written down only for a verdict. */
#pragma once
#include "scratch.h"

#define MAX_COMPONENTS 32
#define MAX_NAME 256
#define FIRST_BYTES 4

/* A climb from the executable's name to the root that the process sees, across mounts. */
struct climb {
	struct scratch *scratch;
	u32 dfa;
	struct dentry *dentry;
	struct mount *mount;
	struct dentry *root;
	struct vfsmount *root_mount;
	u32 start;    /* of the written path in event.path */
	u32 finished; /* the root was reached */
};

static __always_inline void start_climb(struct climb *climb, struct task_struct *task, struct file *file)
{
	climb->dentry = BPF_CORE_READ(file, f_path.dentry);
	climb->mount = (void *)BPF_CORE_READ(file, f_path.mnt) - bpf_core_field_offset(struct mount, mnt);
	climb->root = BPF_CORE_READ(task, fs, root.dentry);
	climb->root_mount = BPF_CORE_READ(task, fs, root.mnt);
}

static long cross_mount(u32 index, struct climb *climb)
{
	struct dentry *dentry = climb->dentry;
	struct mount *mount = climb->mount, *parent;

	if (dentry == climb->root &&
	    (void *)mount + bpf_core_field_offset(struct mount, mnt) == (void *)climb->root_mount) {
		climb->finished = 1;
		return 1;
	}
	if (dentry != BPF_CORE_READ(mount, mnt.mnt_root)) {
		climb->finished = dentry == BPF_CORE_READ(dentry, d_parent);
		return 1;
	}
	parent = BPF_CORE_READ(mount, mnt_parent);
	climb->finished = parent == mount;
	if (climb->finished)
		return 1;
	climb->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
	climb->mount = parent;
	return 0;
}
REPEATABLE(cross_mount, struct climb, dfa, find_scratch)

/* Reads the next component's name into scratch->bytes and climbs past it. Returns its length, 0 at the root. */
static __always_inline u32 next_name(struct climb *climb)
{
	struct dentry *dentry;
	long length;

	repeat(MAX_COMPONENTS, cross_mount, climb);
	if (climb->finished)
		return 0;
	dentry = climb->dentry;
	length = bpf_probe_read_kernel_str(climb->scratch->bytes, MAX_NAME, BPF_CORE_READ(dentry, d_name.name));
	climb->dentry = BPF_CORE_READ(dentry, d_parent);
	return length > 1 ? (u32)(length - 1) & (MAX_NAME - 1) : 0;
}

struct name_context {
	struct scratch *scratch;
	const u32 *table;
	struct dfa dfa;
	u32 length;
};

static long name_step(u32 index, struct name_context *context)
{
	struct scratch *scratch = context->scratch;

	if (index >= context->length)
		return 1;
	scratch->state = dfa_step(context->table, &context->dfa, scratch->state, scratch->bytes[index & (CHUNK - 1)]);
	return scratch->state == 0;
}
REPEATABLE(name_step, struct name_context, dfa, find_scratch_and_table)

/* Feeds the DFA one component, which lies in scratch->bytes, and its `/`. Returns false where the DFA is dead. */
__noinline int match_name(u32 dfa, u32 length)
{
	struct scratch *scratch = current_scratch();
	const u32 *table = command_table();
	struct name_context context = { .scratch = scratch, .table = table, .length = length };

	if (!scratch || !table)
		return 0;
	context.dfa = dfa_at(table, dfa);
	repeat(MAX_NAME, name_step, &context);
	scratch->state = dfa_step(table, &context.dfa, scratch->state, '/');
	return scratch->state != 0;
}

static long match_component(u32 index, struct climb *climb)
{
	u32 length = next_name(climb);

	if (!length || !match_name(climb->dfa, length))
		return 1;
	return 0;
}
REPEATABLE(match_component, struct climb, dfa, find_scratch)

/* Most rules name programs, and most programs have another name: its first bytes decide, before anything is climbed.
 * The name of what is mounted by itself is another, that of the place where it is mounted. */
static __always_inline bool is_ruled_out(const u32 *table, u32 executables, struct file *file)
{
	struct dentry *dentry = file->f_path.dentry;
	struct dfa dfa = dfa_at(table, executables);
	u32 state = word(table, executables + DFA_START);
	u8 first[FIRST_BYTES];

	if (dentry == file->f_path.mnt->mnt_root || bpf_probe_read_kernel(first, FIRST_BYTES, dentry->d_name.name))
		return false;
#pragma unroll
	for (int i = 0; i < FIRST_BYTES; i++) {
		if (!first[i])
			return false;
		state = dfa_step(table, &dfa, state, first[i]);
		if (!state)
			return true;
	}
	return false;
}

/* Offset of the output list of the executable rules that match, or 0. */
static __always_inline u32 find_executable(struct scratch *scratch, const u32 *table, u32 dfa,
					   struct task_struct *task, struct file *file)
{
	struct climb climb = { .scratch = scratch, .dfa = dfa };

	start_climb(&climb, task, file);
	scratch->state = word(table, dfa + DFA_START);
	repeat(MAX_COMPONENTS, match_component, &climb);
	return dfa_accepts(table, dfa, scratch->state);
}

static long write_component(u32 index, struct climb *climb)
{
	struct exec_event *event = &climb->scratch->event;
	u32 length = next_name(climb), start = climb->start;

	if (!length || length + 1 > start)
		return 1;
	start -= length + 1;
	climb->start = start;
	/* The masks only tell the verifier what the check above established; the slack is never used. */
	event->path[start & (EVENT_PATH - 1)] = '/';
	bpf_probe_read_kernel(event->path + ((start + 1) & (EVENT_PATH - 1)), length & (MAX_NAME - 1),
			      climb->scratch->bytes);
	return 0;
}
REPEATABLE(write_component, struct climb, dfa, find_scratch)

/* Writes the path to the end of event.path, from its last component backwards; a path too long loses its front. */
static __noinline void write_path(struct scratch *scratch, struct task_struct *task, struct file *file)
{
	struct climb climb = { .scratch = scratch, .start = EVENT_PATH };

	start_climb(&climb, task, file);
	repeat(MAX_COMPONENTS, write_component, &climb);
	scratch->event.path_bytes = EVENT_PATH - climb.start;
	if (!climb.finished)
		scratch->event.flags |= EXEC_PATH_CUT;
}
