/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Somebody to reach. */
#pragma once
#include "kernel_types.h"
#include "socket.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

/* Where a packet goes, or a socket wants to. */
struct egress_target {
	u8 address[16];
	u32 protocol;
	u32 port;	/* host order */
	u32 has_port;	/* not so for later fragments, nor where the protocol has none */
};

static __always_inline void set_ipv4(struct egress_target *target, u32 address)
{
	__builtin_memset(target->address, 0, 10);
	target->address[10] = 0xff;
	target->address[11] = 0xff;
	__builtin_memcpy(&target->address[12], &address, sizeof(address));
}

static __always_inline void set_ipv6(struct egress_target *target, struct bpf_sock_addr *wanted)
{
	u32 words[4] = { wanted->user_ip6[0], wanted->user_ip6[1], wanted->user_ip6[2], wanted->user_ip6[3] };

	__builtin_memcpy(target->address, words, sizeof(words));
}
