/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What came of the first contacts of each source, in a table of a fixed size. A source has one bucket, with room for some. Whoever
 * comes anew takes the place of who has failed least, and of those, of who was heard of longest ago: a flood of made-up sources
 * pushes out its own kind. */
#pragma once
#include "inbound.h"

/* What the guard goes by, read anew with each tick. */
struct inbound_limits {
	u64 tick;
	u64 now;
	u64 seed;
	u64 memory_ns;
	u64 within_ns;
	u64 quiet_ns; /* for how long what was told is not told again */
	u32 failures;
	u32 ports;
};

/* A first contact, or what comes of one. */
struct inbound_attempt {
	u64 source[2]; /* the first bits of its address */
	u64 own[2];
	u16 port;
	u16 host; /* by which the local address is told from others */
	u8 kind;  /* enum inbound_kind */
	u8 transport;
	u8 is_served;
	u8 is_refused;
};

/* What it came to. */
struct inbound_result {
	u32 reason; /* enum inbound_reason, or 0 */
	u32 walk;
	u32 is_new;
	u32 is_first; /* of the source */
	u32 evicted;  /* another source was forgotten for it */
	u32 is_known; /* of what comes of a contact: there was one */
	u32 unused;
	struct inbound_source source; /* what is known of it, where there is a reason */
};

static __always_inline void read_inbound_limits(struct inbound_limits *limits)
{
	u64 tick = tick_now();

	if (limits->tick == tick)
		return;
	limits->tick = tick;
	limits->now = now_ns();
	limits->seed = cell(CELL_INBOUND_SEED);
	limits->memory_ns = cell(CELL_INBOUND_MEMORY);
	limits->within_ns = cell(CELL_INBOUND_WITHIN);
	limits->quiet_ns = cell(CELL_INBOUND_SOFT_BAN);
	limits->failures = (u32)cell(CELL_INBOUND_FAILURES);
	limits->ports = (u32)cell(CELL_INBOUND_PORTS);
}

static __always_inline u32 mix(u64 high, u64 low)
{
	u64 hash = high * FILTER_FACTOR ^ low;

	/* Each bit of what goes in reaches all of what comes out: a product alone carries none downwards. */
	hash ^= hash >> 32;
	hash *= FILTER_FACTOR;
	hash ^= hash >> 29;
	hash *= FILTER_FACTOR;
	return hash >> 32;
}

/* Where a source is looked for. It does not follow from what whoever sends can know. */
struct inbound_slot {
	struct inbound_bucket *bucket;
	u16 tag;
};

static __always_inline struct inbound_slot slot_of(const u64 *source, u64 secret)
{
	u32 hash = mix(source[0] ^ secret, source[1] + secret), at = hash & (u32)constants.bucket_mask;
	struct inbound_slot slot = { .bucket = bpf_map_lookup_elem(&inbound_sources, &at), .tag = hash >> 16 | 1 };

	return slot;
}

/* The clock of `worths`: a quarter of a second and a little more, for weeks. */
#define WORTH_TIME_SHIFT 28
#define WORTH_TIME ((1u << 24) - 1)

/* How much would be lost with it: what has failed, and when it was heard of last. */
static __always_inline u32 worth_of(const struct inbound_source *source)
{
	u32 failed = source->failed < 0xff ? source->failed : 0xff;

	return failed << 24 | (u32)(source->last_ns >> WORTH_TIME_SHIFT & WORTH_TIME);
}

/* The lock is held. Where it is found is read back from the table, so that the verifier, which takes it for any number then, goes
 * one way on and not as many as there are places. */
static __always_inline struct inbound_source *find_place(struct inbound_bucket *bucket, u16 tag, const u64 *address)
{
	bucket->found = INBOUND_WAYS;
	for (u32 way = 0; way < INBOUND_WAYS; way++) {
		const u64 *other = (const u64 *)bucket->sources[way].address;

		if (bucket->tags[way] == tag && other[0] == address[0] && other[1] == address[1]) {
			bucket->found = way;
			break;
		}
	}
	if (bucket->found >= INBOUND_WAYS)
		return NULL;
	return &bucket->sources[bucket->found & (INBOUND_WAYS - 1)];
}

/* The lock is held. Makes room for a source. */
static __always_inline struct inbound_source *make_place(struct inbound_bucket *bucket, u16 tag,
							 const struct inbound_limits *limits, u32 *evicted)
{
	u32 now = limits->now >> WORTH_TIME_SHIFT, memory = limits->memory_ns >> WORTH_TIME_SHIFT;

	bucket->found = 0;
	bucket->least = ~0u;
	for (u32 way = 0; way < INBOUND_WAYS; way++) {
		/* Nobody is there, or who was is forgotten. */
		if (!bucket->tags[way] || ((now - bucket->worths[way]) & WORTH_TIME) > memory) {
			bucket->least = 0;
			bucket->found = way;
			break;
		}
		if (bucket->worths[way] < bucket->least) {
			bucket->least = bucket->worths[way];
			bucket->found = way;
		}
	}
	*evicted = bucket->least != 0;
	bucket->tags[bucket->found & (INBOUND_WAYS - 1)] = tag;
	return &bucket->sources[bucket->found & (INBOUND_WAYS - 1)];
}

/* The lock is held. Nothing is known of it any more. What is left of its contacts is beyond `next`, and not read. */
static __always_inline void clear(struct inbound_source *source, const u64 *address, u64 now)
{
	__builtin_memset(source, 0, sizeof(*source) - sizeof(source->known));
	__builtin_memcpy(source->address, address, sizeof(source->address));
	source->first_ns = now;
}

/* The lock is held. What is remembered of a contact, or NULL. */
static __always_inline struct inbound_contact *find_contact(struct inbound_bucket *bucket, struct inbound_source *source,
							    const struct inbound_attempt *attempt)
{
	u16 port = attempt->port, host = attempt->host;
	u8 transport = attempt->transport;

	bucket->found = INBOUND_CONTACTS;
	for (u32 at = 0; at < INBOUND_CONTACTS; at++) {
		const struct inbound_contact *contact = &source->known[at];

		if (at >= source->next)
			break;
		if (contact->port == port && contact->host == host && contact->transport == transport) {
			bucket->found = at;
			break;
		}
	}
	if (bucket->found >= INBOUND_CONTACTS)
		return NULL;
	return &source->known[bucket->found & (INBOUND_CONTACTS - 1)];
}

/* The lock is held. To how many ports it has sent SYN of late. It is calculated without a branch, of which the verifier would
 * follow both ways each time. */
static __always_inline u32 ports_of_late(const struct inbound_source *source, const struct inbound_limits *limits)
{
	u16 now = limits->now / 1000000000;
	u32 within = limits->within_ns / 1000000000, ports = 0;

	for (u32 at = 0; at < INBOUND_CONTACTS; at++) {
		const struct inbound_contact *contact = &source->known[at];
		u32 other = contact->transport ^ IPPROTO_TCP, age = (u16)(now - contact->when);

		/* One where the first is 0, and where the others are less than zero. */
		ports += (other - 1) >> 31 & (age - within) >> 31 & (at - source->next) >> 31;
	}
	return ports;
}

/* The lock is held. It was decided. */
static __always_inline void begin_anew(struct inbound_source *source, const struct inbound_limits *limits)
{
	if (source->walk > INBOUND_LEFT)
		source->walk = INBOUND_LEFT;
	if (source->failed >= limits->failures)
		source->failed = limits->failures - 2;
}

/* The lock is held. Finds which limit a source has passed, if any. What follows is told again after a while only, and needs a
 * little more. */
static __always_inline void judge_source(struct inbound_source *source, const struct inbound_limits *limits,
					 struct inbound_result *result)
{
	u32 reason = 0;

	if (limits->ports && ports_of_late(source, limits) > limits->ports)
		reason = INBOUND_PORTS;
	else if (source->walk >= INBOUND_SCANS)
		reason = INBOUND_UNANSWERED;
	else if (source->failed >= limits->failures)
		reason = INBOUND_FAILURES;
	if (!reason || limits->now < source->told_until)
		return;
	source->told_until = limits->now + limits->quiet_ns;
	result->reason = reason;
	__builtin_memcpy(&result->source, source, sizeof(*source));
	begin_anew(source, limits);
}

static __always_inline void set_attempt(struct inbound_attempt *attempt, const u64 *own, u16 port, u8 kind, u8 transport,
					const struct inbound_limits *limits)
{
	attempt->own[0] = own[0];
	attempt->own[1] = own[1];
	attempt->port = port;
	attempt->kind = kind;
	attempt->transport = transport;
	attempt->is_served = 0;
	attempt->is_refused = 0;
	/* Under a profile ports count, wherever they are. */
	attempt->host = limits->ports ? 0 : mix(own[0], own[1]);
}

/* The lock is held. One step of the walk. */
static __always_inline void step(struct inbound_source *source, s32 steps)
{
	s32 walk = source->walk + steps;

	if (walk < -INBOUND_TRUST)
		walk = -INBOUND_TRUST;
	if (walk > INBOUND_SCANS + INBOUND_STEP)
		walk = INBOUND_SCANS + INBOUND_STEP;
	source->walk = walk;
}

/* A source gets in touch. What is not served counts as a failure at once, until it is answered: a scan does not wait. All is read
 * from a map, so that the verifier goes one way on after each branch. */
static __always_inline void take_probe(const struct inbound_attempt *attempt, const struct inbound_limits *limits,
				       struct inbound_result *result)
{
	struct inbound_slot slot = slot_of(attempt->source, limits->seed);
	struct inbound_bucket *bucket = slot.bucket;
	u16 when = limits->now / 1000000000;
	struct inbound_contact *contact;
	struct inbound_source *source;
	u32 way;

	__builtin_memset(result, 0, sizeof(*result) - sizeof(result->source));
	if (!bucket)
		return;
	bpf_spin_lock(&bucket->lock);
	source = find_place(bucket, slot.tag, attempt->source);
	if (!source) {
		source = make_place(bucket, slot.tag, limits, &result->evicted);
		clear(source, attempt->source, limits->now);
	} else if (source->last_ns + limits->memory_ns <= limits->now) {
		clear(source, attempt->source, limits->now);
	}
	way = bucket->found;
	source->last_ns = limits->now;
	source->kinds |= 1 << (attempt->kind & 15);
	contact = find_contact(bucket, source, attempt);
	if (contact) {
		contact->when = when;
	} else {
		result->is_first = !source->contacts;
		result->is_new = 1;
		contact = &source->known[source->next & (INBOUND_CONTACTS - 1)];
		source->next++;
		contact->port = attempt->port;
		contact->host = attempt->host;
		contact->transport = attempt->transport;
		contact->when = when;
		contact->state = attempt->is_served ? INBOUND_ANSWERED : INBOUND_WAITING;
		if (source->contacts < 0xffff)
			source->contacts++;
		if (attempt->is_served) {
			source->answered++;
			/* Who is there answers every echo. */
			if (attempt->kind != PROBE_PING)
				step(source, -INBOUND_STEP);
		} else if (attempt->kind == PROBE_UDP) {
			step(source, INBOUND_SILENT);
		} else {
			source->failed++;
			step(source, INBOUND_STEP);
		}
		judge_source(source, limits, result);
	}
	result->walk = source->walk > 0 ? source->walk : 0;
	/* Where it was found, or made room for. */
	bucket->worths[way & (INBOUND_WAYS - 1)] = worth_of(source);
	bpf_spin_unlock(&bucket->lock);
	if (result->evicted)
		count(COUNT_INBOUND_EVICTED, 1);
}

/* Something came of a first contact that waited: it is answered, or of UDP refused. */
static __always_inline void take_outcome(const struct inbound_attempt *attempt, const struct inbound_limits *limits,
					 struct inbound_result *result)
{
	struct inbound_slot slot = slot_of(attempt->source, limits->seed);
	struct inbound_bucket *bucket = slot.bucket;
	struct inbound_contact *contact;
	struct inbound_source *source;

	__builtin_memset(result, 0, sizeof(*result) - sizeof(result->source));
	if (!bucket)
		return;
	bpf_spin_lock(&bucket->lock);
	source = find_place(bucket, slot.tag, attempt->source);
	contact = source ? find_contact(bucket, source, attempt) : NULL;
	result->is_known = contact != NULL;
	if (source && contact && contact->state == INBOUND_WAITING) {
		s32 counted = attempt->transport == IPPROTO_UDP ? INBOUND_SILENT : INBOUND_STEP;

		if (attempt->is_refused) {
			contact->state = INBOUND_REFUSED;
			source->failed++;
			step(source, INBOUND_STEP - counted);
			judge_source(source, limits, result);
		} else {
			contact->state = INBOUND_ANSWERED;
			source->answered++;
			if (attempt->transport != IPPROTO_UDP && source->failed)
				source->failed--;
			step(source, -counted - (attempt->transport == IPPROTO_ICMP ? 0 : INBOUND_STEP));
		}
	}
	bpf_spin_unlock(&bucket->lock);
}
