/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where a thread rounds to, from the registers that the kernel saved when it switched the thread out. */
#pragma once
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

/* MXCSR: bits 13 and 14 say where to round to; bit 15 is "flush to zero", bit 6 "denormals are zero". */
#define MXCSR_MODE_SHIFT 13
#define MXCSR_FLUSH 0x8040

/* Until Linux 5.15 the registers lay in the structure itself. */
struct fpu___in_place {
	union fpregs_state state;
} __attribute__((preserve_access_index));

static __always_inline u32 float_control(struct fpu *fpu)
{
	if (bpf_core_field_exists(fpu->fpstate))
		return fpu->fpstate->regs.fxsave.mxcsr;
	return ((struct fpu___in_place *)fpu)->state.fxsave.mxcsr;
}

static __always_inline u32 rounding_mode(u32 control)
{
	return (control >> MXCSR_MODE_SHIFT) & 3;
}

static __always_inline bool flushes(u32 control)
{
	return (control & MXCSR_FLUSH) == MXCSR_FLUSH;
}

/* Interrupts and exceptions leave a negative number where a system call leaves its own. */
static __always_inline bool is_in_system_call(struct task_struct *task)
{
	struct pt_regs *registers = (struct pt_regs *)bpf_task_pt_regs(task);

	return (s64)registers->orig_ax >= 0;
}
