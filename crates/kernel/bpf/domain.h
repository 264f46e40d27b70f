/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Names in messages of DNS (RFC 1035, 3.1 and 4.1). */
#pragma once
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include "layout.h"
#include "socket.h"

#define DNS_PORT 53
#define DNS_HEADER 12
#define DNS_ANSWER 0x80
#define MOST_LABEL 63
/* A name with the lengths of its labels (RFC 1035, 2.3.4). */
#define MOST_QUESTION 255
#define MOST_LABELS 127
#define UDP_HEADER 8

static __always_inline u32 small(u32 letter)
{
	return letter >= 'A' && letter <= 'Z' ? letter + ('a' - 'A') : letter;
}

/* The hash of what a question says from a label on; 0 of what is no name. Global functions: the verifier walks through
 * each once. */
__noinline u64 hash_from(struct __sk_buff *packet, u32 at)
{
	u64 hash = NAME_START;
	u32 label = 0;

	for (u32 i = 0; i <= MOST_QUESTION; i++) {
		u8 byte = 0;

		if (bpf_skb_load_bytes(packet, at + i, &byte, sizeof(byte)))
			return 0;
		if (label) {
			label -= 1;
			hash = (hash ^ small(byte)) * NAME_FACTOR;
			continue;
		}
		if (!byte)
			return hash;
		if (byte > MOST_LABEL)
			return 0;
		if (i)
			hash = (hash ^ '.') * NAME_FACTOR;
		label = byte;
	}
	return 0;
}

/* The hash of a name from the label at `at` on, which is then that of the next; 0 behind the last one. */
static __always_inline u64 next_end(struct __sk_buff *packet, u32 *at)
{
	u8 length = 0;
	u64 hash;

	if (bpf_skb_load_bytes(packet, *at, &length, sizeof(length)) || !length || length > MOST_LABEL)
		return 0;
	hash = hash_from(packet, *at);
	*at += length + 1;
	return hash;
}

/* Whether a message, of which `at` is the beginning, asks for something. */
static __always_inline bool is_question(struct __sk_buff *packet, u32 at)
{
	u8 header[DNS_HEADER] = {};

	return !bpf_skb_load_bytes(packet, at, header, sizeof(header)) && !(header[2] & DNS_ANSWER);
}
