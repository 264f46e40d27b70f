/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The name of a server in the first request of HTTP/1: what CONNECT asks for, or what `Host` says. */
#pragma once
#include "reader.h"
#include "words.h"

/* Eight bytes as they come, the last in the lowest. */
#define VERSION_1 0x485454502f312e00ull /* "HTTP/1.", and a digit */

static __always_inline void start_request(struct reader *reader)
{
	start_name(&reader->name);
}

/* The word with which a name is announced: eight letters, small ones, and spaces and the like as they are. */
static __always_inline u32 announces(const struct reader *reader)
{
	u64 word = reader->line ? EIGHT("host:", 0) : EIGHT("connect ", 0);

	return word >> ((reader->at & 7) * 8) & 0xff;
}

static __always_inline u32 end_line(struct reader *reader)
{
	/* What begins with a line that asks for nothing is no request; what is empty ends one. */
	if (!reader->line && (reader->recent & ~0xffull) != VERSION_1)
		return NOTHING;
	if (reader->line && !reader->recent)
		return NOTHING;
	reader->line = 1;
	reader->recent = 0;
	reader->at = 0;
	reader->is_different = 0;
	return READ_MORE;
}

static __always_inline u32 take_request(struct reader *reader, u32 byte)
{
	if (reader->is_name) {
		bool is_end = byte == ':' || byte == '\r' || byte == '\n' || byte == '/' || byte == ' ';

		/* Space may stand before it. */
		if (!reader->name.length && (byte == ' ' || byte == '\t'))
			return READ_MORE;
		if (is_end)
			return NAME_ENDS;
		take_name(reader, byte);
		return READ_MORE;
	}
	if (byte == '\n')
		return end_line(reader);
	if (byte == '\r')
		return READ_MORE;
	reader->recent = reader->recent << 8 | byte;
	if (reader->is_different)
		return READ_MORE;
	if ((byte | 0x20) != announces(reader)) {
		reader->is_different = 1;
		return READ_MORE;
	}
	reader->at += 1;
	reader->is_name = reader->at == (reader->line ? sizeof("host:") : sizeof("connect ")) - 1;
	return READ_MORE;
}
