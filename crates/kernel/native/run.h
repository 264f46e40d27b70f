/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Running a program of the kernel on a packet that lies in a capture. */
#pragma once
#include "kernel_types.h"
#include <bpf/bpf_endian.h>
#include "socket.h"

/* What the program is shown of a packet, beside its bytes, and of its socket. src/offline/native.rs has the same. */
struct view {
	u32 protocol; /* ETH_P_* */
	u32 length;   /* of the packet, whatever the capture has kept of it */
	u32 socket_type;
	u32 socket_protocol;
	u32 socket_state;
};

static inline int run(int (*program)(struct __sk_buff *), const struct view *view)
{
	struct bpf_sock socket = {
		.type = view->socket_type,
		.protocol = view->socket_protocol,
		.state = view->socket_state,
	};
	struct __sk_buff packet = {
		.len = view->length,
		.protocol = bpf_htons(view->protocol),
		.sk = &socket,
	};

	return program(&packet);
}
