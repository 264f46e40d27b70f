/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What programs on frames answer: others on the same device may still drop what this one lets pass. */
#pragma once

#define FRAME_PASS (-1)
#define FRAME_DROP 2
