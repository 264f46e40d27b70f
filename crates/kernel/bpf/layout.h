/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel side and the agent share: tables, cells, events. Rust's view of it is generated from this
 * object's BTF, or checked against it where the agent writes words. */
#pragma once

/* ---- The command table: one map value of 32-bit words, swapped whole. Offsets are counted in words. ---- */

#define TABLE_MAGIC 0x31444357 /* "WCD1" */
#define MAX_GROUPS 64

enum table_header {
	TABLE_MAGIC_WORD,
	TABLE_GENERATION,
	TABLE_CELLS,	      /* two words a cell: base and flags, then check */
	TABLE_FILTER,	      /* filter of the first four bytes of banned strings that have so many */
	TABLE_FILTER_SHIFT,   /* 64 less the logarithm of its size in bits; so for the others */
	TABLE_LONG_FILTER,    /* of the first eight bytes of those that have so many */
	TABLE_LONG_FILTER_SHIFT,
	TABLE_SHORT_FILTER,   /* of the first four bytes of those that have four to seven */
	TABLE_SHORT_FILTER_SHIFT,
	TABLE_GROUPS,	      /* MAX_GROUPS records of GROUP_WORDS words */
	TABLE_EXECUTABLES,    /* DFA over the executable's path, components reversed; 0 = none */
	TABLE_BANNED_LO,      /* groups that need a banned string */
	TABLE_BANNED_HI,
	TABLE_EXECUTABLE_LO,  /* groups that need an executable */
	TABLE_EXECUTABLE_HI,
	TABLE_LIVE_LO,	      /* groups in use */
	TABLE_LIVE_HI,
	TABLE_HEADER_WORDS,
};

/* After the header: the set of bytes that are no word characters, the set of bytes with which some banned string of
 * fewer than four bytes begins, and each byte's symbol in the automaton, four a word. */
#define SET_WORDS 8
#define TABLE_BORDERS TABLE_HEADER_WORDS
#define TABLE_SHORT_STARTS (TABLE_BORDERS + SET_WORDS)
#define TABLE_SYMBOLS (TABLE_SHORT_STARTS + SET_WORDS)

/* Symbols of the automaton that no byte has. */
#define SYMBOL_OUTPUT 0
#define SYMBOL_FAIL 1

/* States: in a word that starts no banned string; at a place where one may start. */
#define STATE_WORD 0
#define STATE_BOUNDARY 1

#define BASE_OUTPUT (1u << 31) /* some banned string ends here: base ^ SYMBOL_OUTPUT holds the list's offset */
#define BASE_FAIL (1u << 30)   /* base ^ SYMBOL_FAIL holds the state to go on from without consuming a byte */
#define BASE_OFFSET (BASE_FAIL - 1)

/* An output list: its length, then one word a hit: group in the upper eight bits, rule in the lower 24. */
#define OUTPUT_GROUP_SHIFT 24
#define OUTPUT_RULE 0xffffff

enum group_record {
	GROUP_ALLOW,  /* DFA over the command line that spares it; 0 = none */
	GROUP_FLAGS,  /* GROUP_ENFORCE, GROUP_MILDER */
	GROUP_EXPIRES_LO, /* CLOCK_BOOTTIME in ns; 0 = never */
	GROUP_EXPIRES_HI,
	GROUP_WORDS,
};
#define GROUP_ENFORCE 1u
#define GROUP_MILDER 2u /* its rules' own response is milder than a kill: the agent answers the workload */

enum dfa_record {
	DFA_CLASSES, /* 256 words: column of a byte */
	DFA_TRANSITIONS, /* rows of columns; a state is the offset of its row, 0 is dead */
	DFA_ACCEPT, /* one word a state, at state / stride; 0 = no */
	DFA_STRIDE_SHIFT,
	DFA_START,
	DFA_WORDS,
};

/* ---- The scope table: how many entries, then the entries. The first whose DFA accepts a cgroup's path counts. ---- */
#define MAX_SCOPE_ENTRIES 4096
enum scope_entry {
	SCOPE_POLICY, /* POLICY_* */
	SCOPE_DFA,    /* over the whole path */
	SCOPE_ENTRY_WORDS,
};
#define SCOPE_COUNT 0
#define SCOPE_ENTRIES 1

/* Longer paths fall under their parent's policy. */
#define SCOPE_PATH 1022

/* A filter is a bitmap over hashes: the top of the product with a number whose bits look random (2^64 divided by the
 * golden ratio). Setting a bit of each byte first makes upper and lower case one, and NUL and space. */
#define FILTER_FACTOR 0x9e3779b97f4a7c15ull
#define FILTER_FOLD 0x2020202020202020ull

/* ---- Cells: an array of 64-bit values, written by operators and the agent, obeyed by every program. ---- */
enum cell {
	CELL_ACTIVE_INSTANCE, /* the set of programs that decides; others return at once */
	CELL_OFF_ALL,	      /* CLOCK_BOOTTIME ns until which everything is off */
	CELL_OFF_COMMAND,     /* the same for one guard */
	CELL_HEARTBEAT,	      /* CLOCK_BOOTTIME ns of the agent's last sign of life */
	CELL_LEASE,	      /* ns after which a silent agent's programs only observe */
	CELL_ROOT_CGROUP,     /* nothing outside this cgroup is ever acted on */
	CELL_AGENT_DEVICE,    /* device and inode of Hayward's own binary */
	CELL_AGENT_INODE,
	CELL_UID_MIN,	      /* real users from this id on are in scope; 0 = users are not */
	CELL_USERS_POLICY,    /* policy of users' processes in cgroups neither in scope nor excluded */
	CELL_FILELESS_KILL,   /* programs started from memory are killed */
	CELL_UNSCANNED_KILL,  /* programs that could not be judged are killed */
	CELL_LAYOUT,	      /* version of this layout */
	CELL_HOST_MOUNTS,     /* number of the host's mount namespace */
	CELL_OFF_RANDOMX,     /* as CELL_OFF_COMMAND */
	CELL_NAMES,	      /* not 0: the agent decides some cgroups by name, and is told of new ones */
	CELL_OFF_EGRESS,      /* as CELL_OFF_COMMAND */
	CELL_OFF_OUTBOUND,    /* the same */
	CELL_EGRESS_CHANGES,  /* CLOCK_BOOTTIME ns of when it last changed what may be reached: what was decided before is decided again */
	CELL_OUTBOUND_IN_FLIGHT, /* first contacts of a workload that may wait for an answer at a time */
	CELL_OUTBOUND_FAILED, /* of its first contacts, how many may fail within CELL_OUTBOUND_PER */
	CELL_OUTBOUND_PER,    /* ns */
	CELL_OUTBOUND_RATE,   /* first contacts a minute */
	CELL_OUTBOUND_BLOCK,  /* ns for which whoever scans makes no first contact */
	CELL_OFF_POOL,	      /* as CELL_OFF_COMMAND */
	CELL_PACKET_SOCKETS,  /* what becomes of packet and raw sockets: PACKET_SOCKETS_* */
	CELL_OUTBOUND_LOG,    /* not 0: first contacts are handed to the agent, for its log */
	CELL_EGRESS_NAMES,    /* not 0: lists allow or ban names, so that questions and answers of DNS are looked at */
	CELL_HOST_NETWORK,    /* the cookie of the network that is the host's; 0 is the first one's */
	CELL_OUTBOUND_UNIQUE, /* to how many different public addresses and ports a process may connect; 0: to any number */
	CELL_OUTBOUND_LOOKBACK, /* ns within which it may not connect to more */
	CELL_OFF_INBOUND,     /* as CELL_OFF_COMMAND */
	CELL_INBOUND_FLAGS,   /* what the guard does: INBOUND_* */
	CELL_INBOUND_FAILURES, /* distinct contacts of a source that may fail, whatever was answered */
	CELL_INBOUND_PORTS,   /* to so many distinct ports a source may send SYN within CELL_INBOUND_WITHIN; 0: to any number */
	CELL_INBOUND_WITHIN,  /* ns */
	CELL_INBOUND_MEMORY,  /* ns for which a source is remembered of which nothing more is heard */
	CELL_INBOUND_BAN,     /* ns for which a source is banned that is known to exist, the first time */
	CELL_INBOUND_SOFT_BAN, /* ns for which another makes no first contact */
	CELL_INBOUND_PREFIX,  /* bits of an IPv6 address that tell sources apart */
	CELL_INBOUND_BAN_RATE, /* bans that the kernel makes by itself in a minute */
	CELL_INBOUND_MOST_BANS, /* bans that there may be */
	CELL_INBOUND_BANS,    /* as many as there are, as the agent has counted last */
	CELL_INBOUND_LEASED,  /* CLOCK_MONOTONIC ns until which bans are obeyed without a further sign of life */
	CELL_INBOUND_SEED,    /* a secret number, by which sources are spread over the table */
	CELL_COUNT,
};
#define LAYOUT_VERSION 11
#define MAX_CELLS 64 /* room for later versions, which then share this one's pins */
#define MAX_COUNTERS 64

/* ---- Policies: what the guards may do in a cgroup, said by itself; 0 is "out of scope". ---- */
#define POLICY_COMMAND_ON 1u
#define POLICY_COMMAND_ENFORCE 2u
#define POLICY_RANDOMX_ON 4u
#define POLICY_RANDOMX_ENFORCE 8u /* carried out by the agent */
#define POLICY_COMMAND_MILDER (1u << 16) /* enforcing ends no process: the agent answers the workload */
#define POLICY_EGRESS_ON (1u << 4)
#define POLICY_EGRESS_ENFORCE (1u << 5)
#define POLICY_OUTBOUND_ON (1u << 6)
#define POLICY_OUTBOUND_ENFORCE (1u << 7)
#define POLICY_POOL_ON (1u << 8)
#define POLICY_POOL_ENFORCE (1u << 9)
#define POLICY_INBOUND_ON (1u << 10) /* of the host, and of no cgroup */
#define POLICY_INBOUND_ENFORCE (1u << 11)
#define POLICY_EGRESS_APART (1u << 17) /* what belongs to other workloads of this host is not reached */
#define POLICY_EGRESS_LIST_SHIFT 18 /* which list says where packets may go */
#define EGRESS_LISTS (1u << 12)
#define POLICY_NAMED (1u << 30) /* decided by a name: what is made below comes with it */
#define POLICY_EXCLUDED (1u << 31) /* out of scope for users' processes too */

#include "egress_layout.h"
#include "outbound_layout.h"
#include "inbound_layout.h"

/* ---- Counters, per processor. ---- */
enum counter {
	COUNT_CHECKED,	      /* program starts in scope that were judged */
	COUNT_OUT_OF_SCOPE,
	COUNT_OFF,	      /* in scope while the guard was off */
	COUNT_KILLED,
	COUNT_KILL_FAILED,
	COUNT_OBSERVED,
	COUNT_SPARED,
	COUNT_UNSCANNED_LONG,
	COUNT_UNSCANNED_READ,
	COUNT_LEASE_EXPIRED,  /* verdicts that were only observed because the lease had run out */
	COUNT_EVENTS,	      /* events generated: sent + lost */
	COUNT_LOST_RING_FULL,
	COUNT_SCOPES_FULL,    /* cgroups that found no room in the scope map */
	COUNT_NO_TABLE,	      /* no table was in place */
	COUNT_TIMED,	      /* judgements that were timed, and how long they took together */
	COUNT_TIMED_NS,
	COUNT_ROUNDING_SAMPLES, /* threads in scope that were interrupted in user mode */
	COUNT_ROUNDING_SUSPECT, /* of those, threads that had been seen rounding in another way than to nearest */
	COUNT_ROUNDING_EVENTS,	/* events generated about them: sent + lost */
	COUNT_ROUNDING_LOST,
	COUNT_ROUNDING_NO_ROOM, /* nothing could be kept of a thread */
	COUNT_ROUNDING_CALLS,	/* how often the sensor was called */
	COUNT_EGRESS_CHECKED, /* connects, sends and packets in scope */
	COUNT_EGRESS_DENIED,
	COUNT_EGRESS_OBSERVED, /* denied, but for `observe` */
	COUNT_EGRESS_LEASE_EXPIRED, /* of those, because the lease had run out */
	COUNT_EGRESS_EVENTS,   /* events generated: sent + lost */
	COUNT_EGRESS_LOST,
	COUNT_EGRESS_GRANTS_FULL, /* cgroups that found no room in the map of grants */
	COUNT_OUTBOUND_CONTACTS, /* first contacts in scope */
	COUNT_OUTBOUND_DENIED,	 /* connects, sends and packets of whoever scans */
	COUNT_OUTBOUND_OBSERVED, /* denied, but for `observe` */
	COUNT_OUTBOUND_PACED,	 /* packets dropped since too many wait for an answer, or come at once */
	COUNT_OUTBOUND_LEASE_EXPIRED, /* as COUNT_EGRESS_LEASE_EXPIRED */
	COUNT_OUTBOUND_EVENTS,	 /* events generated: sent + lost */
	COUNT_OUTBOUND_LOST,
	COUNT_OUTBOUND_NO_ROOM,	 /* nothing could be kept of a workload */
	COUNT_CGROUPS_UNTOLD,	/* new cgroups that the agent was to be told of, and was not */
	COUNT_POOL_CHECKED, /* packets that the guard `pool` looked into */
	COUNT_POOL_DENIED,
	COUNT_POOL_OBSERVED, /* connections that mine, but for `observe` */
	COUNT_POOL_LEASE_EXPIRED, /* of those, because the lease had run out */
	COUNT_POOL_EVENTS, /* events generated: sent + lost */
	COUNT_POOL_LOST,
	COUNT_POOL_NO_ROOM, /* nothing could be kept of a connection */
	COUNT_OUTBOUND_LOGGED, /* first contacts that were handed to the agent for its log: sent + lost */
	COUNT_OUTBOUND_LOG_LOST,
	COUNT_EGRESS_LEARNT, /* addresses that became known by an allowed name */
	COUNT_EGRESS_LEARNT_FULL, /* of those, what found no room */
	COUNT_OUTBOUND_ASKED, /* sockets of no type that were asked for, as BPF LSM tells: so the agent sees whether it tells */
	COUNT_INBOUND_CONTACTS, /* first contacts with this host */
	COUNT_INBOUND_DROPPED,	/* packets of banned sources, and probes */
	COUNT_INBOUND_BANS,	/* bans that the kernel made */
	COUNT_INBOUND_NO_ROOM,	/* bans that it did not make: there were too many */
	COUNT_INBOUND_EVICTED,	/* sources that were forgotten, for others to have room */
	COUNT_INBOUND_EVENTS,	/* events generated: sent + lost */
	COUNT_INBOUND_LOST,
	COUNT_INBOUND_LOG_LOST,	/* first contacts for which the log's ring had no room */
	COUNT_MAX,
};

/* ---- Events. ---- */
#define EVENT_EXEC 1
#define EVENT_ROUNDING 2
#define EVENT_CGROUP 3
#define EVENT_EGRESS 4
#define EVENT_OUTBOUND 5
#define EVENT_POOL 6
#define EVENT_CONTACT 7
#define EVENT_INBOUND 8
#define EVENT_INBOUND_CONTACT 9

enum exec_verdict {
	EXEC_KILLED = 1,
	EXEC_OBSERVED,
	EXEC_SPARED,
	EXEC_TOO_LONG,
	EXEC_READ_FAILED,
	EXEC_ANSWERED, /* it is enforced, and what is done is the agent's */
	EXEC_CLEAN, /* never sent */
};

#define EVENT_LINE 4096
#define EVENT_PATH 512
#define EVENT_CGROUP_NAMES 512
#define EVENT_WINDOW 128
#define NO_RULE 0xffffffff

#define EXEC_FILELESS 1u
#define EXEC_PATH_CUT 2u
#define EXEC_CGROUP_CUT 4u

/* The command line's first bytes follow the fixed part. */
struct exec_event {
	u32 type;
	u32 verdict;
	u64 boot_ns;
	u64 start_boot_ns;
	u64 cgroup_id;
	u32 generation;
	u32 pid;
	u32 parent_pid;
	u32 uid;
	u32 rule;
	u32 flags;
	u32 line_bytes;	  /* length of the whole command line */
	u32 match_end;	  /* offset just past the match */
	u32 path_bytes;	  /* bytes at the end of `path` that are in use */
	u32 window_bytes; /* bytes of `window` in use */
	u32 kept_bytes;	  /* bytes of `line` in use */
	u32 unscanned;	  /* EXEC_TOO_LONG or EXEC_READ_FAILED where no judgement was possible, or 0 */
	u32 cgroup_bytes; /* bytes of `cgroup` in use */
	char comm[16];
	u8 path[EVENT_PATH];
	u8 cgroup[EVENT_CGROUP_NAMES]; /* names of the cgroup and of those above it, each ended by NUL */
	u8 window[EVENT_WINDOW];
	u8 line[EVENT_LINE];
};

/* A new cgroup in scope. */
#define EVENT_CGROUP_PATH 1024
struct cgroup_event {
	u32 type;
	u32 path_bytes;
	u64 cgroup_id;
	u8 path[EVENT_CGROUP_PATH];
};

/* A sample: CLOCK_BOOTTIME in ns, whether numbers too small to be normal are zero, and where the thread rounds to. */
#define ROUNDING_TIME_SHIFT 3
#define ROUNDING_FLUSH 4u
#define ROUNDING_SAMPLES 8
/* As many as Linux can have. */
#define MAX_PROCESSORS 8192

struct rounding_event {
	u32 type;
	u32 count; /* samples in use */
	u64 thread_start_boot_ns;
	u64 start_boot_ns; /* of the process */
	u64 cgroup_id;
	u32 thread;
	u32 pid;
	u32 parent_pid;
	u32 uid;
	char comm[16];
	u64 samples[ROUNDING_SAMPLES];
	u64 ran_ns[ROUNDING_SAMPLES]; /* processor time that the thread had used at each */
};

enum egress_verdict {
	EGRESS_DENIED = 1,
	EGRESS_OBSERVED,
	EGRESS_CUT, /* denied by a quarantine */
};

/* Which of the programs saw it. */
enum egress_hook {
	EGRESS_CONNECT = 1,
	EGRESS_SEND,
	EGRESS_PACKET,
};

#define EGRESS_OF_OTHERS 1000

/* Bytes of a question that are told. */
#define EGRESS_QUESTION 128

/* The first that was refused to a destination in a while. */
struct egress_event {
	u32 type;
	u32 verdict;
	u64 boot_ns;
	u64 cgroup_id;
	u64 start_boot_ns; /* of the process; 0 where it is not known */
	u32 pid;	   /* so too */
	u32 parent_pid;
	u32 uid;
	u32 hook;
	u32 protocol;
	u32 port; /* of the destination */
	u8 address[16];
	char comm[16];
	u32 ban; /* the list that bans it: its number and one; 0 is none, EGRESS_OF_OTHERS that it is another workload's */
	u32 name_bytes;
	u8 name[EGRESS_QUESTION]; /* that was asked for, where it is the name that is banned, as DNS writes it */
};

enum pool_verdict {
	POOL_DENIED = 1,
	POOL_OBSERVED,
};

/* What a connection was recognised by. */
enum pool_dialect {
	POOL_STRATUM = 1,   /* mining.* as Bitcoin's pools have it */
	POOL_MONERO,	    /* login and job */
	POOL_ETHEREUM_WORK, /* eth_submitLogin, eth_getWork */
	POOL_ETHEREUM_1,    /* EthereumStratum/1.0.0 */
	POOL_ETHEREUM_2,    /* EthereumStratum/2.0.0 */
	POOL_ZCASH,	    /* mining.set_target */
	POOL_TLS,	    /* the name of a pool, in the first message of TLS */
	POOL_HTTP,	    /* the same in the first request of HTTP */
	POOL_DNS,	    /* the same in a question */
};

/* The hash of a domain, in small letters: from NAME_START on, each byte is put in by exclusive or, and the product with
 * NAME_FACTOR taken (FNV-1a). */
#define NAME_START 0xcbf29ce484222325ull
#define NAME_FACTOR 0x100000001b3ull

enum pool_direction {
	POOL_SENT,
	POOL_RECEIVED,
};

/* A connection on which somebody mines, or a question for the name of a pool: one for each. */
#define POOL_MESSAGE 128
struct pool_event {
	u32 type;
	u32 verdict;
	u64 boot_ns;
	u64 cgroup_id;
	u64 start_boot_ns; /* of the process; 0 where it is not known */
	u32 pid;	   /* so too */
	u32 parent_pid;
	u32 uid;
	u32 dialect;
	u32 direction; /* of the message that told it */
	u32 port;      /* of the other end */
	u8 address[16];
	char comm[16];
	u32 message_bytes; /* bytes of `message` in use */
	u32 protocol;
	u8 message[POOL_MESSAGE]; /* the beginning of that message, or the name; of DNS, as it is in the question */
};
