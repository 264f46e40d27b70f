/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See fpu.h. */
#pragma once
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

/* MXCSR: bits 13 and 14 say where to round to; bit 15 is "flush to zero", bit 6 "denormals are zero". */
#define MXCSR_MODE_SHIFT 13
#define MXCSR_FLUSH 0x8040

/* The thread's registers are in memory, and have to be loaded before it goes on in user mode. This bit since Linux 5.2,
 * and in all kernels on which has_run() is asked. */
#define TIF_NEED_FPU_LOAD (1 << 14)

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

/* Whoever is switched out has its registers saved before, unless they are in memory already. */
static __always_inline u32 saved_control(struct task_struct *task)
{
	return float_control(&task->thread.fpu);
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
	struct pt_regs *registers;

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs)) {
		registers = (struct pt_regs *)bpf_task_pt_regs(task);
		return (s64)registers->orig_ax >= 0;
	}
	/* Without the helper, where it would find them: at the top of the thread's stack. That is as large as those for
	 * interrupts, whose size the kernel's types tell. */
	registers = task->stack + bpf_core_type_size(struct irq_stack) - bpf_core_type_size(struct pt_regs);
	return (s64)BPF_CORE_READ(registers, orig_ax) >= 0;
}

static __always_inline bool has_run(struct task_struct *task)
{
	return !(task->thread_info.flags & TIF_NEED_FPU_LOAD);
}
