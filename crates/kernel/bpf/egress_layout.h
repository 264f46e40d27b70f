/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The part of layout.h that is about where packets of a cgroup may go. */
#pragma once
#include "kernel_types.h"

/* A list's entry for a prefix. The longest prefix that holds an address decides alone: whoever writes the lists puts
 * into it what shorter ones say. IPv4 addresses are written as IPv6 has them, ::ffff:a.b.c.d, and so is v4-mapped IPv6. */
struct egress_key {
	u32 prefix; /* bits of all that follows */
	u32 list;   /* in network order, as the trie compares bits */
	u8 address[16];
};
#define EGRESS_LIST_BITS 32
/* Added to a list's number: what it allows though it is banned. */
#define EGRESS_ALWAYS EGRESS_LISTS

/* What nobody may reach, by whichever list: its number and one. 0 is an exception within a wider prefix. */
struct egress_ban_key {
	u32 prefix; /* bits of what follows */
	u8 address[16];
};
#define MAX_BANS 262144
#define MAX_BAN_LISTS 64

/* What may be reached at such an address, or by a name. With no ranges, everything. */
#define EGRESS_RANGES 8
struct egress_range {
	u16 first; /* ports, in host order */
	u16 last;
	u32 protocol; /* IPPROTO_*, or 0 for any */
};
enum egress_verb {
	EGRESS_NOTHING,
	EGRESS_SOMETHING,
	EGRESS_NEVER, /* nothing, whatever name it has */
};
struct egress_allowed {
	u32 allowed; /* egress_verb */
	u32 ranges;  /* in use */
	struct egress_range range[EGRESS_RANGES];
};

/* Names that lists allow: `example.org`, or with `*.` before it all that are below. Each is a pattern, whose number is its
 * hash, NAME_START and NAME_FACTOR. Backwards and in small letters, so that what is below begins alike: with a dot at the
 * end where the pattern is of what is below, and else a zero. */
#define EGRESS_NAME 256
struct egress_name_key {
	u32 prefix; /* bits of what follows */
	u8 name[EGRESS_NAME];
};
/* Patterns that a name falls under which falls under this one: itself, and those that are wider. 0 is none. */
#define EGRESS_PATTERNS 4
struct egress_name {
	u64 patterns[EGRESS_PATTERNS];
};
/* What a list allows by a pattern, as `struct egress_allowed`. */
struct egress_named_key {
	u64 pattern;
	u64 list;
};

/* An address that a name was given as, in an answer to a workload. */
struct egress_learnt_key {
	u64 workload; /* cgroup id of the whole workload */
	u8 address[16];
};
#define EGRESS_LEARNT_PATTERNS 6
struct egress_learnt {
	u64 pattern[EGRESS_LEARNT_PATTERNS]; /* 0 is none */
	u64 until[EGRESS_LEARNT_PATTERNS];   /* CLOCK_BOOTTIME ns */
};
#define MAX_EGRESS_LEARNT 65536
/* Answers hold for as long as they say, and within these. */
#define EGRESS_LEAST_TTL 30u
#define EGRESS_MOST_TTL 86400u

/* What holds in a cgroup beside its list, until a time. What is made below comes with it. */
enum egress_grant_kind {
	EGRESS_GRANTED = 1, /* everything may be reached */
	EGRESS_QUARANTINED, /* nothing */
	EGRESS_GRANTED_LIST, /* what a list of its own allows, beside the cgroup's */
};
struct egress_grant {
	u64 until; /* CLOCK_BOOTTIME ns */
	u32 kind;
	u32 list; /* where the kind says so */
};
