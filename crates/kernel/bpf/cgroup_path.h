/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where the cgroup lies: written down for a verdict, since a container that ran one program may have gone before
 * anybody can ask. */
#pragma once
#include <bpf/bpf_core_read.h>
#include "scratch.h"

#define MAX_CGROUP_NAMES 32
#define MAX_CGROUP_NAME 256

struct cgroup_names {
	struct scratch *scratch;
	struct cgroup *cgroup;
	u32 bytes;    /* of event.cgroup that are in use */
	u32 finished; /* the topmost cgroup was reached */
};

static long write_cgroup_name(u32 index, struct cgroup_names *names)
{
	struct exec_event *event = &names->scratch->event;
	struct cgroup *cgroup = names->cgroup;
	struct cgroup_subsys_state *parent = BPF_CORE_READ(cgroup, self.parent);
	u32 bytes = names->bytes, at = bytes;
	long length;

	if (!parent)
		names->finished = 1;
	if (!parent || bytes >= EVENT_CGROUP_NAMES)
		return 1;
	/* The mask tells the verifier what was just compared: before Linux 6.0 it forgets that where the number waits on the
	 * stack, and the compiler must not know that it is of no use. What passes the field's end is written over later. */
	asm volatile("" : "+r"(at));
	at &= EVENT_CGROUP_NAMES - 1;
	length = bpf_probe_read_kernel_str(event->cgroup + at, MAX_CGROUP_NAME, BPF_CORE_READ(cgroup, kn, name));
	if (length <= 0 || bytes + length > EVENT_CGROUP_NAMES)
		return 1;
	names->bytes = bytes + (u32)length;
	names->cgroup = BPF_CORE_READ(parent, cgroup);
	return 0;
}
REPEATABLE(write_cgroup_name, struct cgroup_names, cgroup, find_scratch)

/* Writes the names to event.cgroup, the cgroup's own first. */
static __noinline void write_cgroup_path(struct scratch *scratch, struct cgroup *cgroup)
{
	struct cgroup_names names = { .scratch = scratch, .cgroup = cgroup };

	repeat(MAX_CGROUP_NAMES, write_cgroup_name, &names);
	scratch->event.cgroup_bytes = names.bytes;
	if (!names.finished)
		scratch->event.flags |= EXEC_CGROUP_CUT;
}
