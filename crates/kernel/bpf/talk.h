/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is said on a connection: segments of both directions, put in order and read. */
#pragma once
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include "headers.h"
#include "hello.h"
#include "network.h"
#include "question.h"
#include "request.h"
#include "stratum.h"

/* Of each direction, so many bytes are looked into. */
#define MOST_BYTES 4096
#define MOST_JSON 2048
/* So many at a time. */
#define CHUNK 16

#define TCP_SYN 2
#define TCP_RST 4

/* What is known of a connection. */
struct pool_flow {
	struct socket_owner owner;
	u32 next[2];   /* number of the byte that comes next, in each direction */
	u8 is_known[2]; /* which that is */
	u8 passed[2];  /* nothing more is looked into */
	u8 early;      /* what has arrived before its turn */
	u8 mining;     /* the dialect that was recognised */
	u8 unused[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	/* Whoever accepts a connection listened before. */
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct pool_flow);
} pool_flows SEC(".maps");

/* Of connections on which there is something to read, both directions. */
struct pool_talk {
	struct reader readers[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct pool_talk);
} pool_talks SEC(".maps");

/* A segment of TCP. */
struct segment {
	u32 sequence; /* of its first byte */
	u32 at;	      /* where its bytes begin */
	u32 length;
	u32 flags;
};

/* A length of one byte to so many, which are a power of two. Written so that the verifier of Linux 5.10 sees it: it does
 * not carry a bound over to a copy of the register. */
static __always_inline u32 at_most(u32 length, u32 most)
{
	if (length > most)
		length = most;
	asm volatile("" : "+r"(length));
	return ((length - 1) & (most - 1)) + 1;
}

static __always_inline bool read_segment(struct __sk_buff *packet, const struct headers *headers, struct segment *segment)
{
	u8 header[14] = {};
	u32 sequence;

	if (headers->target.protocol != IPPROTO_TCP || !headers->transport ||
	    bpf_skb_load_bytes(packet, headers->transport, header, sizeof(header)))
		return false;
	__builtin_memcpy(&sequence, &header[4], sizeof(sequence));
	segment->flags = header[13];
	/* The first byte is the one after that which stands for the connection's beginning. */
	segment->sequence = bpf_ntohl(sequence) + !!(segment->flags & TCP_SYN);
	segment->at = headers->transport + (header[12] >> 4) * 4;
	segment->length = packet->len > segment->at ? packet->len - segment->at : 0;
	return true;
}

/* Which bytes of a segment are the next of their direction. Returns false where there are none; `is_early` says that
 * some are missing before them. */
static __always_inline bool next_bytes(struct pool_flow *flow, struct segment *segment, u32 direction, bool *is_early)
{
	u32 known;

	if ((segment->flags & TCP_SYN) || !flow->is_known[direction]) {
		if (!(segment->flags & TCP_SYN) && !segment->length)
			return false;
		flow->next[direction] = segment->sequence;
		flow->is_known[direction] = 1;
	}
	if (!segment->length)
		return false;
	known = flow->next[direction] - segment->sequence;
	if ((s32)known < 0) {
		*is_early = true;
		return false;
	}
	if (known >= segment->length)
		return false;
	flow->next[direction] = segment->sequence + segment->length;
	segment->at += known;
	segment->length -= known;
	return true;
}

/* Takes the next byte. */
static __always_inline u32 take(struct reader *reader, u32 byte)
{
	if (reader->kind == JSON)
		return take_json(reader, byte);
	if (reader->kind == HELLO)
		return take_hello(reader, byte);
	if (reader->kind == REQUEST)
		return take_request(reader, byte);
	return take_question(reader, byte);
}

/* Has the reader of a direction take up to CHUNK bytes of a packet. A global function: the verifier walks through it
 * once, and not once for each chunk. */
__noinline int read_chunk(struct __sk_buff *packet, u32 at, u32 count, u32 direction)
{
	struct bpf_sock *socket = packet->sk;
	struct pool_talk *talk;
	struct reader *reader;
	u8 bytes[CHUNK] = {};
	int progress = READ_MORE;

	if (!socket || !(socket = bpf_sk_fullsock(socket)))
		return NOTHING;
	talk = bpf_sk_storage_get(&pool_talks, socket, NULL, 0);
	if (!talk)
		return NOTHING;
	reader = direction == POOL_SENT ? &talk->readers[POOL_SENT] : &talk->readers[POOL_RECEIVED];
	count = at_most(count, CHUNK);
	if (bpf_skb_load_bytes(packet, at, bytes, count))
		return NOTHING;
	for (u32 i = 0; i < CHUNK; i++) {
		if (i >= count)
			break;
		progress = take(reader, bytes[i]);
		if (progress != READ_MORE)
			break;
	}
	if (progress == NAME_ENDS)
		progress = is_pool(&reader->name) ? FOUND : NOTHING;
	reader->taken += count;
	return progress == READ_MORE && reader->taken >= (reader->kind == JSON ? MOST_JSON : MOST_BYTES) ? NOTHING : progress;
}

/* The same of all that are looked into. */
__noinline int read_bytes(struct __sk_buff *packet, u32 at, u32 length, u32 direction)
{
	int progress = READ_MORE;

	for (u32 chunk = 0; chunk < MOST_BYTES / CHUNK; chunk++) {
		if (progress != READ_MORE || !length)
			break;
		progress = read_chunk(packet, at, length, direction);
		at += CHUNK;
		length -= length < CHUNK ? length : CHUNK;
	}
	return progress;
}

static __always_inline struct reader *reader_of(struct bpf_sock *socket, u32 direction)
{
	struct pool_talk *talk = bpf_sk_storage_get(&pool_talks, socket, NULL, 0);

	return talk ? &talk->readers[direction] : NULL;
}

/* Nothing more of a direction is looked into. The other may still tell: pools bear with nonsense before what they know. */
static __always_inline void pass(struct bpf_sock *socket, struct pool_flow *flow, u32 direction)
{
	flow->passed[direction] = 1;
	if (flow->passed[!direction])
		bpf_sk_storage_delete(&pool_talks, socket);
}

static __always_inline void pass_both(struct bpf_sock *socket, struct pool_flow *flow)
{
	flow->passed[POOL_SENT] = 1;
	pass(socket, flow, POOL_RECEIVED);
}

/* A socket is about to be connected, not for the first time where it was disconnected: nothing is known of what is said
 * now. */
static __always_inline void forget_talk(struct bpf_sock *socket, struct pool_flow *flow)
{
	struct pool_talk *talk = bpf_sk_storage_get(&pool_talks, socket, NULL, 0);

	for (u32 direction = POOL_SENT; direction <= POOL_RECEIVED; direction++) {
		flow->is_known[direction] = 0;
		flow->passed[direction] = 0;
	}
	flow->early = 0;
	flow->mining = 0;
	if (talk)
		__builtin_memset(talk, 0, sizeof(*talk));
}

/* What a direction begins with, by its first byte. Names are looked for in what is sent. */
static __always_inline u32 kind_of(struct __sk_buff *packet, u32 at, u32 port, u32 direction)
{
	u8 byte = 0;

	if (bpf_skb_load_bytes(packet, at, &byte, sizeof(byte)))
		return UNKNOWN;
	if (byte == '{' || byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t')
		return JSON;
	if (direction != POOL_SENT)
		return UNKNOWN;
	if (port == DNS_PORT)
		return QUESTION;
	if (byte == RECORD_HANDSHAKE)
		return HELLO;
	return byte >= 'A' && byte <= 'Z' ? REQUEST : UNKNOWN;
}

static __always_inline struct reader *start_reader(struct bpf_sock *socket, u32 kind, u32 direction)
{
	struct pool_talk *talk = bpf_sk_storage_get(&pool_talks, socket, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	struct reader *reader;

	if (!talk) {
		count(COUNT_POOL_NO_ROOM, 1);
		return NULL;
	}
	reader = &talk->readers[direction];
	reader->kind = kind;
	if (kind == HELLO)
		start_hello(reader);
	else if (kind == REQUEST)
		start_request(reader);
	else if (kind == QUESTION)
		start_question(reader);
	return reader;
}

/* What has been found by now, or 0. */
static __always_inline u32 found(const struct reader *reader, int progress)
{
	if (reader->kind == JSON)
		return dialect_of(reader->seen);
	if (progress != FOUND)
		return 0;
	return reader->kind == HELLO ? POOL_TLS : reader->kind == REQUEST ? POOL_HTTP : POOL_DNS;
}

/* Reads what is new in a segment. Returns by what somebody mines, or 0. */
static __always_inline u32 read(struct __sk_buff *packet, struct bpf_sock *socket, struct pool_flow *flow,
				const struct segment *segment, u32 port, u32 direction)
{
	struct reader *reader = reader_of(socket, direction);
	u32 at = segment->at, length = segment->length, dialect;
	int progress;

	if (!reader || !reader->kind) {
		u32 kind = kind_of(packet, at, port, direction);

		if (!kind || !start_reader(socket, kind, direction)) {
			pass(socket, flow, direction);
			return 0;
		}
	}
	count(COUNT_POOL_CHECKED, 1);
	progress = read_bytes(packet, at, length, direction);
	reader = reader_of(socket, direction);
	if (!reader)
		return 0;
	dialect = found(reader, progress);
	if (!dialect && progress != READ_MORE)
		pass(socket, flow, direction);
	return dialect;
}
