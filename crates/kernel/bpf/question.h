/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The name that DNS is asked for (RFC 1035, 4.1). Over TCP, the message's length stands before it. */
#pragma once
#include "reader.h"
#include "socket.h"

#define DNS_PORT 53
#define DNS_HEADER 12
#define DNS_LENGTH 2
#define DNS_ANSWER 0x80
#define MOST_LABEL 63
/* A name with the lengths of its labels (RFC 1035, 2.3.4). */
#define MOST_QUESTION 255
#define MOST_LABELS 127
#define UDP_HEADER 8

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

/* Reads what is asked for in a datagram, of which `at` is the beginning. */
__noinline int read_question(struct __sk_buff *packet, u32 at)
{
	u8 header[DNS_HEADER] = {};

	if (bpf_skb_load_bytes(packet, at, header, sizeof(header)) || (header[2] & DNS_ANSWER))
		return NOTHING;
	at += DNS_HEADER;
	for (u32 label = 0; label < MOST_LABELS; label++) {
		u8 length = 0;
		u64 hash;

		if (bpf_skb_load_bytes(packet, at, &length, sizeof(length)) || !length || length > MOST_LABEL)
			return NOTHING;
		hash = hash_from(packet, at);
		if (bpf_map_lookup_elem(&pool_domains, &hash))
			return FOUND;
		at += length + 1;
	}
	return NOTHING;
}
