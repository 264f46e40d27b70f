/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The name that DNS is asked for (RFC 1035, 4.1). Over TCP, the message's length stands before it. */
#pragma once
#include "domain.h"
#include "reader.h"
#include "socket.h"

#define DNS_LENGTH 2

static __always_inline void start_question(struct reader *reader)
{
	reader->left = DNS_LENGTH + DNS_HEADER;
	start_name(&reader->name);
}

/* Over TCP. `left` is what is left of the header, `number` of a label. */
static __always_inline u32 take_question(struct reader *reader, u32 byte)
{
	if (reader->left) {
		reader->left -= 1;
		return reader->left == DNS_HEADER - 3 && (byte & DNS_ANSWER) ? NOTHING : READ_MORE;
	}
	keep(reader, byte);
	if (reader->number) {
		reader->number -= 1;
		add_to_name(&reader->name, byte);
		return READ_MORE;
	}
	reader->number = byte;
	reader->name.is_dot = 1;
	return !byte ? NAME_ENDS : byte > MOST_LABEL ? NOTHING : READ_MORE;
}

/* Reads what is asked for in a datagram, of which `at` is the beginning. */
__noinline int read_question(struct __sk_buff *packet, u32 at)
{
	if (!is_question(packet, at))
		return NOTHING;
	at += DNS_HEADER;
	for (u32 label = 0; label < MOST_LABELS; label++) {
		u64 hash = next_end(packet, &at);

		if (!hash)
			return NOTHING;
		if (bpf_map_lookup_elem(&pool_domains, &hash))
			return FOUND;
	}
	return NOTHING;
}
