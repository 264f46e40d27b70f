/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The part of layout.h that is about whom a workload gets in touch with for the first time, and what comes of it. */
#pragma once
#include "kernel_types.h"

/* Contacts wait for an answer in one of these spans of time, by when they were made. What is left of the oldest when a new
 * one begins was met with silence. */
#define OUTBOUND_EPOCHS 4
#define OUTBOUND_EPOCH_NS (8 * 1000000000ull)

/* With one contact in five refused where nobody scans, and four in five where somebody does, a refusal makes a scan four
 * times as likely, an answer makes it a quarter. Five refusals more than answers: a scan is a thousand times as likely. */
#define OUTBOUND_REFUSALS 5
/* Silence is a sixth of that evidence: hosts that have gone and networks that drop what they do not allow are silent to
 * everybody, a few dozen of them on a page or in a list of peers. Where settings allow for more than so many failures, it is
 * less by as much. */
#define OUTBOUND_SILENT_PER_REFUSAL 6
#define OUTBOUND_USUAL_FAILURES 100
/* What is silent is known long after what was answered. So many are made up for by an answer in the same span that had
 * nothing else to make up for. */
#define OUTBOUND_SILENT_PER_ANSWER 2

/* Which of the limits was passed. */
enum outbound_reason {
	OUTBOUND_UNANSWERED = 1, /* the walk's: far more failed than was answered */
	OUTBOUND_FAILURES,	 /* too many failed, whatever else was answered */
	OUTBOUND_PROOF,		 /* the agent asked for it, to see that packets are stopped */
	OUTBOUND_PACKET_SOCKET,	 /* none: it sends frames by a packet socket, or wants to make one */
	OUTBOUND_DESTINATIONS,	 /* a process connected to more different ones than CELL_OUTBOUND_UNIQUE */
	OUTBOUND_RAW_SOCKET,	 /* none: it wants to make a raw socket */
};

/* CELL_PACKET_SOCKETS. */
#define PACKET_SOCKETS_JUDGED 0 /* as other sockets are */
#define PACKET_SOCKETS_DENIED 1

/* Prefixes whose addresses count for more, as `struct egress_key` has them. */
struct outbound_prefix {
	u32 prefix;
	u8 address[16];
};

/* Who made most of a workload's contacts lately. */
struct outbound_maker {
	u64 start_boot_ns;
	u32 pid; /* 0 is nobody */
	u32 parent_pid;
	u32 uid;
	u32 lead; /* by so many more than all others together */
	char comm[16];
};

/* What is known of a workload. A contact counts twice where nobody can be. */
struct outbound_state {
	struct bpf_spin_lock lock;
	u32 walk;
	u64 blocked_until; /* CLOCK_BOOTTIME ns */
	u64 epoch;	   /* the newest span: its number since boot */
	u64 half;	   /* the same of halves of CELL_OUTBOUND_PER */
	u64 rated_ns;	   /* when `left` was counted */
	u32 unanswered[OUTBOUND_EPOCHS];
	u32 answers[OUTBOUND_EPOCHS];
	u32 spare[OUTBOUND_EPOCHS]; /* of these, those that the walk did not go back for */
	u32 failed[2];	   /* in this half and in the one before */
	u32 left;	   /* of CELL_OUTBOUND_RATE */
	u32 reason;
	/* Since it was blocked last. */
	u32 contacts;
	u32 answered;
	u32 refused;
	u32 silent;
	u64 processes_blocked_until; /* whichever of its processes is blocked for longest */
	struct outbound_maker maker;
	/* Whom it got in touch with last. */
	u8 address[16];
	u32 port;
	u32 protocol;
};

/* Somebody scans. */
struct outbound_event {
	u32 type;
	u32 verdict; /* EGRESS_DENIED or EGRESS_OBSERVED */
	u64 boot_ns;
	u64 cgroup_id; /* of the socket */
	u64 start_boot_ns; /* of the process; 0 where it is not known */
	u32 pid;	   /* so too */
	u32 parent_pid;
	u32 uid;
	u32 reason; /* enum outbound_reason */
	u64 workload;  /* the cgroup that is the whole workload */
	u32 by_process; /* this process alone; else its workload */
	u32 contacts;
	u32 answered;
	u32 refused;
	u32 silent;
	u32 in_flight;
	u32 protocol;
	u32 port; /* of the destination that was one too many */
	u8 address[16];
	char comm[16];
};

/* A first contact, for the log. */
struct contact_event {
	u32 type;
	u32 protocol;
	u64 boot_ns;
	u64 cgroup_id; /* of the socket */
	u64 start_boot_ns; /* of the process; 0 where it is not known */
	u32 pid;	   /* so too */
	u32 parent_pid;
	u32 uid;
	u32 port;
	u8 address[16];
	char comm[16];
	u64 workload; /* the cgroup that is the whole workload */
};
