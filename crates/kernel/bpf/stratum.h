/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Stratum, which miners and pools speak: messages of JSON-RPC, one after the other, that call a method of mining.
 *
 * Words count only as whole strings, and where they stand: a text about mining holds them in a longer string. */
#pragma once
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include "reader.h"
#include "words.h"

/* What the message that is being read has shown: keys of the message itself. */
#define SEEN_METHOD 1u
#define SEEN_CALL 2u /* beside a method, what makes a call of it: `id`, `params` or `jsonrpc` */
#define SEEN_RESULT 4u
/* Keys further inside. */
#define SEEN_LOGIN 8u
#define SEEN_PASS 16u
#define SEEN_BLOB 32u
#define SEEN_JOB 64u
#define SEEN_TARGET 128u
/* Methods. */
#define CALLS_LOGIN 256u
#define CALLS_MINING 512u
#define CALLS_ZCASH 1024u
#define CALLS_HELLO 2048u
#define CALLS_WORK 4096u
/* Values. */
#define SAYS_ETHEREUM_1 8192u
#define SAYS_MINING 16384u

/* Strings that are told apart. */
enum word {
	WORD_OTHER,
	WORD_METHOD,
	WORD_CALL,
	WORD_RESULT,
	WORD_LOGIN,
	WORD_PASS,
	WORD_BLOB,
	WORD_JOB,
	WORD_TARGET,
	WORD_MINING, /* a method that says no more */
	WORD_TOLD,   /* one that a pool's answer names too */
	WORD_ZCASH,
	WORD_HELLO,
	WORD_WORK,
	WORD_ETHEREUM_1,
};

/* Where in a message the reader is. */
enum place {
	BETWEEN,
	IN_STRING,
	AFTER_BACKSLASH,
	IN_CODE, /* of \uXXXX */
};

#define MOST_DEPTH 31

#define IS(text) is_text(first ^ EIGHT(text, 0), second ^ EIGHT(text, 8), third ^ EIGHT(text, 16))

/* Which string this is, by its first 24 bytes. A global function: the verifier walks through it once. */
__noinline u32 word_of(u64 first, u64 second, u64 third)
{
	/* The eighth byte, which is the highest, is whichever. */
	if (first << 8 == EIGHT("mining.", 0) << 8) {
		if (IS("mining.notify") || IS("mining.set_difficulty"))
			return WORD_TOLD;
		if (IS("mining.set_target"))
			return WORD_ZCASH;
		if (IS("mining.hello"))
			return WORD_HELLO;
		if (IS("mining.subscribe") || IS("mining.authorize") || IS("mining.configure") || IS("mining.submit") ||
		    IS("mining.set_extranonce") || IS("mining.suggest_target") || IS("mining.set_version_mask"))
			return WORD_MINING;
		/* Of these, the first bytes. */
		return IS("mining.extranonce.subscribe") || IS("mining.suggest_difficulty") ? WORD_MINING : WORD_OTHER;
	}
	if (IS("eth_submitLogin") || IS("eth_getWork") || IS("eth_submitWork") || IS("eth_submitHashrate"))
		return WORD_WORK;
	if (IS("EthereumStratum/1.0.0"))
		return WORD_ETHEREUM_1;
	if (second || third)
		return WORD_OTHER;
	if (IS("method"))
		return WORD_METHOD;
	if (IS("id") || IS("params") || IS("jsonrpc"))
		return WORD_CALL;
	if (IS("result"))
		return WORD_RESULT;
	if (IS("login"))
		return WORD_LOGIN;
	if (IS("pass"))
		return WORD_PASS;
	if (IS("blob"))
		return WORD_BLOB;
	if (IS("job_id"))
		return WORD_JOB;
	return IS("target") ? WORD_TARGET : WORD_OTHER;
}

/* The dialect of a message that has shown so much; 0 where it is no stratum yet. */
static __always_inline u32 dialect_of(u32 seen)
{
	bool calls = (seen & SEEN_METHOD) && (seen & SEEN_CALL);

	if (calls && (seen & CALLS_HELLO))
		return POOL_ETHEREUM_2;
	if (calls && (seen & CALLS_WORK))
		return POOL_ETHEREUM_WORK;
	if (calls && (seen & CALLS_ZCASH))
		return POOL_ZCASH;
	if (calls && (seen & CALLS_MINING))
		return seen & SAYS_ETHEREUM_1 ? POOL_ETHEREUM_1 : POOL_STRATUM;
	if (calls && (seen & CALLS_LOGIN) && (seen & SEEN_LOGIN) && (seen & SEEN_PASS))
		return POOL_MONERO;
	if ((seen & SEEN_CALL) && (seen & SEEN_BLOB) && (seen & SEEN_JOB) && (seen & SEEN_TARGET))
		return POOL_MONERO;
	return (seen & SEEN_RESULT) && (seen & SAYS_MINING) ? POOL_STRATUM : 0;
}

static __always_inline u32 key_shows(u32 word, bool is_outermost)
{
	if (is_outermost)
		return word == WORD_METHOD ? SEEN_METHOD :
		       word == WORD_CALL   ? SEEN_CALL :
		       word == WORD_RESULT ? SEEN_RESULT :
					     0;
	return word == WORD_LOGIN  ? SEEN_LOGIN :
	       word == WORD_PASS   ? SEEN_PASS :
	       word == WORD_BLOB   ? SEEN_BLOB :
	       word == WORD_JOB    ? SEEN_JOB :
	       word == WORD_TARGET ? SEEN_TARGET :
				     0;
}

static __always_inline u32 method_shows(u32 word)
{
	return word == WORD_LOGIN				? CALLS_LOGIN :
	       word == WORD_MINING || word == WORD_TOLD ? CALLS_MINING :
	       word == WORD_ZCASH				? CALLS_ZCASH :
	       word == WORD_HELLO				? CALLS_HELLO :
	       word == WORD_WORK				? CALLS_WORK :
								  0;
}

/* A string has ended: what it shows is a matter of where it stands. */
static __always_inline void end_string(struct reader *reader)
{
	u64 *word = (u64 *)reader->word;
	u32 which = word_of(word[0], word[1], word[2]);

	reader->place = BETWEEN;
	if ((reader->objects & 1) && !reader->is_value) {
		reader->seen |= key_shows(which, reader->depth == 1);
		reader->is_method = reader->depth == 1 && which == WORD_METHOD;
		return;
	}
	if (reader->is_method)
		reader->seen |= method_shows(which);
	else if (which == WORD_ETHEREUM_1)
		reader->seen |= SAYS_ETHEREUM_1;
	else if (which == WORD_TOLD)
		reader->seen |= SAYS_MINING;
}

static __always_inline void add(struct reader *reader, u32 byte)
{
	u32 at = reader->length;

	/* The register that is compared is the one that is used. */
	asm volatile("" : "+r"(at));
	if (at >= WORD_BYTES)
		return;
	reader->word[at] = byte;
	reader->length = at + 1;
}

static __always_inline u32 digit(u32 byte)
{
	return byte <= '9' ? byte & 15 : (byte & 15) + 9;
}

static __always_inline u32 open(struct reader *reader, u32 is_object)
{
	/* A message is an object, and none lies so deep. */
	if ((!reader->depth && !is_object) || reader->depth >= MOST_DEPTH)
		return NOTHING;
	reader->depth += 1;
	reader->objects = reader->objects << 1 | is_object;
	reader->is_value = 0;
	reader->is_method = 0;
	return READ_MORE;
}

static __always_inline u32 close(struct reader *reader)
{
	reader->depth -= 1;
	reader->objects >>= 1;
	reader->is_value = 0;
	if (reader->depth)
		return READ_MORE;
	if (dialect_of(reader->seen))
		return FOUND;
	reader->seen = 0;
	reader->kept = 0;
	return READ_MORE;
}

/* A byte outside of all strings. Numbers and the like say nothing. */
static __always_inline u32 take_between(struct reader *reader, u32 byte)
{
	if (byte == '{')
		return open(reader, 1);
	if (!reader->depth)
		return NOTHING;
	if (byte == '"') {
		u64 *word = (u64 *)reader->word;

		word[0] = word[1] = word[2] = 0;
		reader->length = 0;
		reader->place = IN_STRING;
	} else if (byte == '[') {
		return open(reader, 0);
	} else if (byte == '}' || byte == ']') {
		return close(reader);
	} else if (byte == ':') {
		reader->is_value = 1;
	} else if (byte == ',') {
		reader->is_value = 0;
		reader->is_method = 0;
	}
	return READ_MORE;
}

static __always_inline u32 take_json(struct reader *reader, u32 byte)
{
	u32 place = reader->place;

	if (place == BETWEEN && (byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t'))
		return READ_MORE;
	keep(reader, byte);
	if (place == BETWEEN)
		return take_between(reader, byte);
	if (place == IN_STRING) {
		if (byte == '"')
			end_string(reader);
		else if (byte == '\\')
			reader->place = AFTER_BACKSLASH;
		else
			add(reader, byte);
	} else if (place == AFTER_BACKSLASH) {
		reader->place = byte == 'u' ? IN_CODE : IN_STRING;
		reader->digits = 0;
		reader->code = 0;
		if (byte != 'u')
			add(reader, byte);
	} else {
		reader->code = reader->code << 4 | (digit(byte) & 15);
		reader->digits += 1;
		if (reader->digits == 4) {
			add(reader, reader->code < 128 ? reader->code : '?');
			reader->place = IN_STRING;
		}
	}
	return READ_MORE;
}
