/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where a thread rounds to, from the registers that the kernel saved when it switched the thread out. The file for the
 * processor has:
 *
 * saved_control      the control register of a thread that does not run
 * rounding_mode      where it rounds to, in x86's numbers: to nearest, down, up, towards zero
 * flushes            whether numbers too small to be normal are zero
 * is_in_system_call  whether the thread was in a system call; if not, it was interrupted
 * has_run            whether it can have been in user mode since it was switched in last; where that is not known, yes */
#pragma once

#if defined(__TARGET_ARCH_arm64)
#include "fpu_arm64.h"
#else
#include "fpu_x86.h"
#endif
