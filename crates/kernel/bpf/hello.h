/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The name of a server in the first message of TLS (RFC 8446, 4.1.2; RFC 6066, 3), which may lie in several records. */
#pragma once
#include "reader.h"

#define RECORD_HEADER 5
#define RECORD_HANDSHAKE 22
#define CLIENT_HELLO 1
#define EXTENSION_SERVER_NAME 0

/* In their order. Each of the lengths is that of the next. */
enum hello_field {
	HELLO_TYPE,
	HELLO_FIXED, /* its length, the version, the random bytes */
	SESSION_LENGTH,
	SESSION,
	SUITES_LENGTH,
	SUITES,
	COMPRESSIONS_LENGTH,
	COMPRESSIONS,
	EXTENSIONS_LENGTH,
	EXTENSION_TYPE,
	EXTENSION_LENGTH,
	EXTENSION,
	NAME_HEAD, /* the list's length, the name's type */
	NAME_LENGTH,
	NAME,
};

static __always_inline void start_hello(struct reader *reader)
{
	reader->header = RECORD_HEADER;
	reader->field = HELLO_TYPE;
	reader->left = 1;
}

/* A record's header. */
static __always_inline u32 take_header(struct reader *reader, u32 byte)
{
	reader->header -= 1;
	if (reader->header == 4 && byte != RECORD_HANDSHAKE)
		return NOTHING;
	if (reader->header == 3 && byte != 3)
		return NOTHING;
	reader->record = (reader->record << 8 | byte) & 0xffff;
	return !reader->header && !reader->record ? NOTHING : READ_MORE;
}

/* Which field comes next, and how long it is. */
static __always_inline u32 next_field(struct reader *reader)
{
	u32 field = reader->field, number = reader->number, length;

	reader->number = 0;
	if (field == NAME)
		return NAME_ENDS;
	if (field == EXTENSION_TYPE)
		reader->extension = number;
	field = field == EXTENSION_LENGTH && reader->extension == EXTENSION_SERVER_NAME ? NAME_HEAD :
		field == EXTENSION							 ? EXTENSION_TYPE :
											   field + 1;
	if (field == SESSION || field == EXTENSION) {
		length = number;
		/* An empty one is passed over. */
		if (!length) {
			field = field == SESSION ? SUITES_LENGTH : EXTENSION_TYPE;
			length = 2;
		}
	} else if (field == SUITES || field == COMPRESSIONS || field == NAME) {
		length = number;
	} else {
		length = field == HELLO_FIXED						 ? 3 + 2 + 32 :
			 field == SESSION_LENGTH || field == COMPRESSIONS_LENGTH ? 1 :
			 field == NAME_HEAD						 ? 3 :
										   2;
	}
	if (field == NAME)
		start_name(&reader->name);
	reader->field = field;
	reader->left = length;
	return length ? READ_MORE : NOTHING;
}

static __always_inline u32 take_hello(struct reader *reader, u32 byte)
{
	if (reader->header)
		return take_header(reader, byte);
	reader->record -= 1;
	if (!reader->record)
		reader->header = RECORD_HEADER;
	if (reader->field == HELLO_TYPE && byte != CLIENT_HELLO)
		return NOTHING;
	reader->number = (reader->number << 8 | byte) & 0xffff;
	if (reader->field == NAME)
		take_name(reader, byte);
	reader->left -= 1;
	return reader->left ? READ_MORE : next_field(reader);
}
