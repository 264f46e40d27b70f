/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The part of layout.h that is about who gets in touch with this host, and who is banned for it. */
#pragma once

/* CELL_INBOUND_FLAGS. */
#define INBOUND_ENFORCE 1u
#define INBOUND_CUT_REPLIES 2u /* a ban cuts what this host opened too */
#define INBOUND_LOG 4u /* first contacts are handed to the agent */

/* How somebody gets in touch. */
enum inbound_kind {
	PROBE_SYN,
	PROBE_FIN,
	PROBE_NULL,
	PROBE_XMAS,
	PROBE_ACK,
	PROBE_UDP,
	PROBE_PING,
	PROBE_FRAGMENT,
	PROBE_SCTP,
	NO_PROBE,
	PROBE_HIDDEN, /* by headers of IPv6: it is not known of what kind. No record has it */
};

/* What is banned: a source or a prefix. Bits of IPv4 are counted as those of ::ffff:a.b.c.d. Its key is short, since most of what
 * arrives is looked for by it. */
struct inbound_ban_key_ipv4 {
	u32 address;
	u32 prefix; /* bits */
};

struct inbound_ban_key {
	u64 address[2];
	u32 prefix;
	u32 unused;
};

enum inbound_strength {
	INBOUND_SOFT = 1, /* no first contacts */
	INBOUND_FULL,	  /* nothing, but for answers to what this host opened */
	INBOUND_SOFT_PEER, /* no first contacts but at ports that are served: it has a connection to one */
	INBOUND_PROOF,	   /* nothing, even where the agent only observes: nobody has such an address */
};

struct inbound_ban {
	u64 until; /* CLOCK_MONOTONIC ns; as all times here, since that clock is read fastest */
	u64 dropped; /* packets */
	u32 strength;
	u32 by_kernel; /* the kernel made it */
	u64 tick;      /* of the timer, in which it was found to be in force; 0 is none */
};

/* Bits of banned prefixes, beside those of one source. */
#define INBOUND_LENGTHS 32
struct inbound_lengths {
	u32 ipv4; /* how many */
	u32 ipv6;
	u8 of_ipv4[INBOUND_LENGTHS];
	u8 of_ipv6[INBOUND_LENGTHS];
};

/* Contacts of a source that are remembered. */
#define INBOUND_CONTACTS 16

enum inbound_contact_state {
	INBOUND_WAITING,
	INBOUND_ANSWERED,
	INBOUND_REFUSED,
};

struct inbound_contact {
	u16 port;
	u16 host;     /* hash of the local address */
	u8 transport; /* IPPROTO_*; 0 is none */
	u8 state;
	u16 when;     /* seconds */
};

/* What came of the first contacts of a source. */
struct inbound_source {
	u8 address[16];
	u64 first_ns;
	u64 last_ns;
	u64 told_until; /* it is not told again before */
	s32 walk;
	u16 contacts;
	u16 answered;
	u16 failed;
	u16 kinds; /* a bit for each enum inbound_kind */
	u32 next;  /* how many were remembered, and so where the next one is */
	u64 unused;
	struct inbound_contact known[INBOUND_CONTACTS];
};

/* Where a source may be found. */
#define INBOUND_WAYS 8
#define INBOUND_BUCKETS 8192 /* unless settings say another power of two */
struct inbound_bucket {
	/* What is looked through, in one line of the processor's cache. */
	struct bpf_spin_lock lock;
	u32 found; /* working memory, as the next */
	u32 least;
	u32 unused;
	u16 tags[INBOUND_WAYS];	 /* of the addresses; 0 is nobody */
	u32 worths[INBOUND_WAYS]; /* what would be lost */
	struct inbound_source sources[INBOUND_WAYS];
};

/* The random walk over what comes of first contacts: what failed counts a step up, what was answered a step down. With the odds of
 * Jung, Paxson, Berger and Balakrishnan (2004), four straight failures decide; it takes one more here. What was not answered of
 * UDP is a third of a failure, since many services are silent. */
#define INBOUND_STEP 3
#define INBOUND_SILENT 1
#define INBOUND_SCANS (5 * INBOUND_STEP)
#define INBOUND_TRUST (4 * INBOUND_STEP)
/* After it was decided, so much is left: two further failures decide again. */
#define INBOUND_LEFT (INBOUND_SCANS - 2 * INBOUND_STEP)

/* For how long a completed handshake proves that an address is its own. */
#define INBOUND_PROOF_NS (3600 * 1000000000ull)

/* Many sources that probe together, within this time. */
#define INBOUND_WINDOW_NS (600 * 1000000000ull)
#define INBOUND_TOGETHER_PORTS 100
#define INBOUND_TOGETHER_SOURCES 20

enum inbound_verdict {
	INBOUND_BANNED = 1,
	INBOUND_SOFT_BANNED,
	INBOUND_OBSERVED,
	INBOUND_SPARED,
	INBOUND_NO_ROOM,
	INBOUND_DECOYS,
};

enum inbound_reason {
	INBOUND_UNANSWERED = 1,
	INBOUND_FAILURES,
	INBOUND_PORTS,
	INBOUND_DISTRIBUTED,
};

/* Somebody probes. */
struct inbound_event {
	u32 type;
	u32 verdict;
	u64 boot_ns;
	u64 lasted_ns; /* from the first contact to the last */
	u64 banned_ns;
	u8 source[16];
	u8 target[16];
	u32 prefix; /* bits of `source` */
	u32 device;
	u32 reason;
	u32 kinds;
	u32 contacts;
	u32 answered;
	u32 failed;
	u32 proven;
	u32 decoys;
	u32 sources; /* how many, where it was many together */
	struct inbound_contact known[INBOUND_CONTACTS];
};

/* A first contact, for the log. */
struct inbound_contact_event {
	u32 type;
	u32 kind;
	u64 boot_ns;
	u8 source[16];
	u8 target[16];
	u32 source_port;
	u32 port;
	u32 device;
	u32 unused;
};
