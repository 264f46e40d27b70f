/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What becomes of a source that scans, and what is told of it. */
#pragma once
#include "inbound_sources.h"
#include "inbound_bans.h"

/* A probe that several sources send at the same time is one's, and the others are made up. */
#define INBOUND_TWIN_NS 10000000000ull

/* Who was found to scan, and how. */
struct inbound_case {
	u32 device;
	u32 is_ipv4;
	u32 reason;
	u32 decoys;
	u32 sources;
};

/* Whether one more ban may be made: they are limited in a minute, and in all. */
static __always_inline bool has_room(u64 now)
{
	struct inbound_host *host = host_state();
	u64 minute = now / 60000000000ull;

	if (!host)
		return false;
	if (host->minute != minute) {
		host->minute = minute;
		host->bans = 0;
	}
	if (host->bans >= cell(CELL_INBOUND_BAN_RATE) ||
	    host->bans + cell(CELL_INBOUND_BANS) >= cell(CELL_INBOUND_MOST_BANS))
		return false;
	host->bans++;
	return true;
}

struct inbound_sentence {
	u64 banned_ns;
	u32 verdict;
	u32 proven;
};

/* Whoever has not proved that it exists may be made up by somebody who wants it banned: then it makes no first contacts for a
 * short while. Who has connections open keeps them, and the services that it knows. */
static __always_inline struct inbound_sentence sentence(const struct inbound_case *about, const u64 *source, u64 now)
{
	struct inbound_address address = { .words = { source[0], source[1] } };
	struct inbound_peer *peer = bpf_map_lookup_elem(&inbound_peers, &address);
	struct inbound_sentence sentence = { .verdict = INBOUND_OBSERVED };
	struct inbound_ban ban = { .by_kernel = 1 };
	bool live = peer && peer->connections > 0;

	sentence.proven = peer && now < peer->proven_ns + INBOUND_PROOF_NS;
	if (about->reason == INBOUND_DISTRIBUTED || !inbound_is_enforced(now))
		return sentence;
	if (is_never_banned(source)) {
		sentence.verdict = INBOUND_SPARED;
		return sentence;
	}
	if (about->decoys && !sentence.proven) {
		sentence.verdict = INBOUND_DECOYS;
		return sentence;
	}
	ban.strength = sentence.proven ? live ? INBOUND_SOFT_PEER : INBOUND_FULL : INBOUND_SOFT;
	sentence.verdict = ban.strength == INBOUND_FULL ? INBOUND_BANNED : INBOUND_SOFT_BANNED;
	sentence.banned_ns = cell(ban.strength == INBOUND_FULL ? CELL_INBOUND_BAN : CELL_INBOUND_SOFT_BAN);
	ban.until = now + sentence.banned_ns;
	if (!has_room(now) || put_ban(source, bits_of_source(about->is_ipv4), about->is_ipv4, &ban)) {
		count(COUNT_INBOUND_NO_ROOM, 1);
		sentence.verdict = INBOUND_NO_ROOM;
		sentence.banned_ns = 0;
		return sentence;
	}
	count(COUNT_INBOUND_BANS, 1);
	return sentence;
}

static __always_inline void tell_inbound(const struct inbound_case *about, const struct inbound_attempt *attempt,
					 const struct inbound_sentence *sentence, const struct inbound_source *source)
{
	struct inbound_event *event;

	count(COUNT_INBOUND_EVENTS, 1);
	event = bpf_ringbuf_reserve(&inbound_events, sizeof(*event), 0);
	if (!event) {
		count(COUNT_INBOUND_LOST, 1);
		return;
	}
	event->type = EVENT_INBOUND;
	event->verdict = sentence->verdict;
	event->boot_ns = bpf_ktime_get_boot_ns();
	event->lasted_ns = source->last_ns - source->first_ns;
	event->banned_ns = sentence->banned_ns;
	__builtin_memcpy(event->source, attempt->source, sizeof(event->source));
	__builtin_memcpy(event->target, attempt->own, sizeof(event->target));
	event->prefix = bits_of_source(about->is_ipv4);
	event->device = about->device;
	event->reason = about->reason;
	event->kinds = source->kinds;
	event->contacts = source->contacts;
	event->answered = source->answered;
	event->failed = source->failed;
	event->proven = sentence->proven;
	event->decoys = about->decoys;
	event->sources = about->sources;
	__builtin_memcpy(event->known, source->known, sizeof(event->known));
	bpf_ringbuf_submit(event, 0);
}

/* Decides about a source that scans. Returns whether what it sends is dropped from now on. */
static __always_inline bool conclude(const struct inbound_case *about, const struct inbound_attempt *attempt,
				     const struct inbound_source *source, u64 now)
{
	struct inbound_sentence passed = sentence(about, attempt->source, now);

	tell_inbound(about, attempt, &passed, source);
	return passed.verdict == INBOUND_BANNED || passed.verdict == INBOUND_SOFT_BANNED || passed.verdict == INBOUND_DECOYS;
}

/* Whether the probe of a source is dropped that others send too: not of one that is never banned, or has proved that it exists. */
static __always_inline bool drops_decoys(const u64 *source, u64 now)
{
	struct inbound_address address = { .words = { source[0], source[1] } };
	struct inbound_peer *peer = bpf_map_lookup_elem(&inbound_peers, &address);

	return inbound_is_enforced(now) && !(peer && now < peer->proven_ns + INBOUND_PROOF_NS) && !is_never_banned(source);
}

/* Whether a packet is dropped that hides what it is: nobody needs that but who scans. Whoever is never banned is spared. */
static __always_inline bool drops_hidden(const u64 *source)
{
	return inbound_is_enforced(now_ns()) && !is_never_banned(source);
}

/* Whether somebody else has sent the same probe just now. */
static __always_inline bool has_twin(const struct arrival *arrival, const u64 *source, u64 now)
{
	struct inbound_probe key = { .sequence = arrival->sequence, .source_port = arrival->source_port };
	struct inbound_twin *twin = bpf_map_lookup_elem(&inbound_twins, &key);
	struct inbound_twin fresh = { .source = { source[0], source[1] }, .seen_ns = now };

	if (!twin || twin->seen_ns + INBOUND_TWIN_NS < now) {
		bpf_map_update_elem(&inbound_twins, &key, &fresh, BPF_ANY);
		return false;
	}
	twin->seen_ns = now;
	if (twin->source[0] != source[0] || twin->source[1] != source[1])
		twin->shared = 1;
	return twin->shared;
}

/* Counts what failed of sources that have done little so far. Returns how many sources probe together, where they do. */
static __always_inline u32 count_together(u16 port, bool is_first, u64 now)
{
	struct inbound_host *host = host_state();
	u64 window = now / INBOUND_WINDOW_NS + 1;
	u8 mark = window % 255 + 1;

	if (!host)
		return 0;
	if (host->window != window) {
		host->window = window;
		host->ports = 0;
		host->sources = 0;
		host->told = 0;
	}
	if (is_first)
		host->sources++;
	if (host->of_window[port] != mark) {
		host->of_window[port] = mark;
		host->ports++;
	}
	if (host->told || host->ports < INBOUND_TOGETHER_PORTS || host->sources < INBOUND_TOGETHER_SOURCES)
		return 0;
	host->told = 1;
	return host->sources;
}
