/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See fpu.h. */
#pragma once
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>

/* FPCR: bits 22 and 23 say where to round to; bit 24 is "flush to zero". */
#define FPCR_MODE_SHIFT 22
#define FPCR_FLUSH (1 << 24)

/* Lies here whichever registers the thread uses, those of SVE and SME too. Whoever is switched out has it saved. */
static __always_inline u32 saved_control(struct task_struct *task)
{
	return task->thread.uw.fpsimd_state.fpcr;
}

/* Up is 1 here and down is 2. */
static __always_inline u32 rounding_mode(u32 control)
{
	u32 mode = control >> FPCR_MODE_SHIFT;

	return (mode & 1) << 1 | (mode >> 1 & 1);
}

static __always_inline bool flushes(u32 control)
{
	return control & FPCR_FLUSH;
}

/* Interrupts and exceptions leave -1 where a system call leaves its number. */
static __always_inline bool is_in_system_call(struct task_struct *task)
{
	struct pt_regs *registers = (struct pt_regs *)bpf_task_pt_regs(task);

	return registers->syscallno >= 0;
}

/* The flag that tells, TIF_FOREIGN_FPSTATE, has moved from bit to bit between series of Linux. Who is seen twice in one
 * place seems to change its mode more seldom than it does, and so less like a miner. */
static __always_inline bool has_run(struct task_struct *task)
{
	return true;
}
