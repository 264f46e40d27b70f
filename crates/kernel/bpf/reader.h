/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How far one direction of a connection has been read, byte by byte, so that it does not matter where a segment ends. */
#pragma once
#include "kernel_types.h"
#include "layout.h"
#include "names.h"

#define WORD_BYTES 24

/* What it began with. */
enum kind {
	UNKNOWN,
	JSON,
	HELLO,	  /* of TLS */
	REQUEST,  /* of HTTP */
	QUESTION, /* of DNS */
};

/* What came of a byte. */
enum progress {
	READ_MORE,
	NOTHING, /* it is nothing that is looked for */
	FOUND,
	NAME_ENDS, /* and it is to be looked up */
};

struct reader {
	u32 taken; /* bytes so far */
	u32 kind;
	u32 kept; /* bytes of `message` */
	union {
		struct { /* stratum.h */
			u32 seen;    /* SEEN_*, CALLS_*, SAYS_* */
			u32 objects; /* which open brackets are objects, the innermost in the lowest bit */
			u8 depth;
			u8 place;
			u8 is_value;  /* a colon was before it */
			u8 is_method; /* and before that the key `method` of the message itself */
			u8 length;    /* of the string so far */
			u8 digits;    /* of a code so far */
			u16 code;
			u8 word[WORD_BYTES] __attribute__((aligned(8))); /* the string's first bytes */
		};
		struct { /* hello.h, request.h, question.h */
			u32 left;   /* bytes of the field */
			u32 number; /* that the field's bytes make so far */
			u32 record; /* bytes of the record */
			u8 field;
			u8 header; /* bytes of the next record's header */
			u16 extension;
			u64 recent; /* the line's last eight bytes */
			u32 line;
			u8 at;
			u8 is_name;
			u8 is_different;
			struct name name;
		};
	};
	u8 message[POOL_MESSAGE]; /* the message's first bytes, or the name */
};

static __always_inline void keep(struct reader *reader, u32 byte)
{
	u32 at = reader->kept;

	/* The register that is compared is the one that is used. */
	asm volatile("" : "+r"(at));
	if (at >= POOL_MESSAGE)
		return;
	reader->message[at] = byte;
	reader->kept = at + 1;
}

/* The next byte of a name. */
static __always_inline void take_name(struct reader *reader, u32 byte)
{
	keep(reader, byte);
	add_to_name(&reader->name, byte);
}
