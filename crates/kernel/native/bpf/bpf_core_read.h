/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Nothing of a kernel is read here; see bpf_helpers.h. */
#pragma once
#include "bpf_helpers.h"
