/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who scans: a random walk over what comes of first contacts (Jung, Paxson, Berger, Balakrishnan: Fast Portscan Detection
 * Using Sequential Hypothesis Testing, 2004), which answers in between can lead astray; so ceilings on failures, on
 * contacts that wait, and on their rate stand beside it. */
#pragma once
#include "network.h"
#include "target.h"

#define NS_PER_MINUTE (60 * 1000000000ull)

/* What settings say. Read before a lock is taken, under which no helper may be called. */
struct outbound_limits {
	u64 now;
	u64 half_ns;
	u64 block_ns;
	u32 in_flight;
	u32 failed;
	u32 rate;
	u32 step; /* of the walk, for a refusal or an answer; one for silence */
};

static __always_inline struct outbound_limits read_limits(void)
{
	struct outbound_limits limits = {
		.now = bpf_ktime_get_boot_ns(),
		.half_ns = cell(CELL_OUTBOUND_PER) / 2,
		.block_ns = cell(CELL_OUTBOUND_BLOCK),
		.in_flight = (u32)cell(CELL_OUTBOUND_IN_FLIGHT),
		.failed = (u32)cell(CELL_OUTBOUND_FAILED),
		.rate = (u32)cell(CELL_OUTBOUND_RATE),
	};

	if (!limits.half_ns)
		limits.half_ns = 1;
	limits.step = (u64)limits.failed * OUTBOUND_SILENT_PER_REFUSAL / OUTBOUND_USUAL_FAILURES;
	if (!limits.step)
		limits.step = 1;
	return limits;
}

static __always_inline u64 epoch_of(u64 now)
{
	return now / OUTBOUND_EPOCH_NS;
}

/* Lets time pass: what has waited for too long was met with silence. */
static __always_inline void advance(struct outbound_state *state, const struct outbound_limits *limits)
{
	u64 epoch = epoch_of(limits->now);
	u64 half = limits->now / limits->half_ns;

	/* Nothing for a whole span: what was before has nothing to do with what comes. */
	if (half > state->half + 1)
		state->walk = 0;
	if (half != state->half) {
		state->failed[1] = half == state->half + 1 ? state->failed[0] : 0;
		state->failed[0] = 0;
		state->half = half;
	}
	for (int passed = 0; passed < OUTBOUND_EPOCHS && state->epoch < epoch; passed++) {
		u32 at = ++state->epoch & (OUTBOUND_EPOCHS - 1);
		u32 silent = state->unanswered[at];
		u32 made_up_for = state->spare[at] * OUTBOUND_SILENT_PER_ANSWER;

		state->unanswered[at] = 0;
		state->answers[at] = 0;
		state->spare[at] = 0;
		state->silent += silent;
		state->failed[0] += silent;
		if (silent > made_up_for)
			state->walk += silent - made_up_for;
	}
	if (state->epoch < epoch)
		state->epoch = epoch;
}

static __always_inline void block(struct outbound_state *state, const struct outbound_limits *limits, u32 reason)
{
	state->blocked_until = limits->now + limits->block_ns;
	state->reason = reason;
	state->walk = 0;
	state->failed[0] = 0;
	state->failed[1] = 0;
}

/* Which limit was passed, if any was; whoever passed it is blocked. */
static __always_inline u32 judge(struct outbound_state *state, const struct outbound_limits *limits)
{
	u32 reason = 0;

	if (state->walk >= OUTBOUND_REFUSALS * limits->step)
		reason = OUTBOUND_UNANSWERED;
	else if (state->failed[0] + state->failed[1] >= limits->failed)
		reason = OUTBOUND_FAILURES;
	if (reason)
		block(state, limits, reason);
	return reason;
}

enum contact_verdict {
	CONTACT_ALLOWED,
	CONTACT_PACED,	 /* too many wait, or come at once: this one may be tried again */
	CONTACT_BLOCKED,
};

struct contact_result {
	u32 verdict;
	u32 reason; /* it is blocked from now on */
};

/* What waits for an answer, and what was answered lately. */
static __always_inline u32 sum(const u32 *spans)
{
	return spans[0] + spans[1] + spans[2] + spans[3];
}

/* A workload that nobody answers gets half of what may wait, the rest as it is answered. */
static __always_inline bool too_many_wait(const struct outbound_state *state, const struct outbound_limits *limits)
{
	u32 allowed = limits->in_flight / 2 + sum(state->answers);

	return sum(state->unanswered) >= (allowed < limits->in_flight ? allowed : limits->in_flight);
}

/* Counts what may be made of CELL_OUTBOUND_RATE. */
static __always_inline bool too_fast(struct outbound_state *state, const struct outbound_limits *limits)
{
	u64 passed = limits->now - state->rated_ns;
	u64 more;

	if (passed > NS_PER_MINUTE)
		passed = NS_PER_MINUTE;
	more = passed * limits->rate / NS_PER_MINUTE;
	if (more) {
		state->rated_ns = limits->now;
		state->left = state->left + more < limits->rate ? state->left + more : limits->rate;
	}
	if (!state->left)
		return true;
	state->left--;
	return false;
}

/* Counts whose contacts are most, as Boyer and Moore have it: whoever is left when each is set against one of another's. Where nothing
 * waits for an answer and nothing was refused, what was before is not what is looked for. */
static __always_inline void note_maker(struct outbound_state *state, const struct socket_owner *owner)
{
	struct outbound_maker *maker = &state->maker;

	if (!sum(state->unanswered) && !state->walk)
		maker->lead = 0;
	if (!owner)
		return;
	if (maker->pid == owner->pid && maker->start_boot_ns == owner->start_boot_ns) {
		maker->lead++;
		return;
	}
	if (maker->lead) {
		maker->lead--;
		return;
	}
	maker->lead = 1;
	NAME_PROCESS(maker, owner);
}

static __always_inline void note_contact(struct outbound_state *state, const struct socket_owner *owner,
					 const struct egress_target *target, u32 weight)
{
	note_maker(state, owner);
	__builtin_memcpy(state->address, target->address, sizeof(state->address));
	state->port = target->port;
	state->protocol = target->protocol;
	state->contacts++;
	state->unanswered[state->epoch & (OUTBOUND_EPOCHS - 1)] += weight;
}

/* A first contact is to be made. */
static __always_inline struct contact_result take_contact(struct outbound_state *state,
							  const struct outbound_limits *limits,
							  const struct socket_owner *owner,
							  const struct egress_target *target, u32 weight)
{
	struct contact_result result = {};

	bpf_spin_lock(&state->lock);
	advance(state, limits);
	if (limits->now < state->blocked_until) {
		result.verdict = CONTACT_BLOCKED;
	} else {
		if (state->reason) {
			/* It was blocked, and begins anew. */
			state->reason = 0;
			state->contacts = 0;
			state->answered = 0;
			state->refused = 0;
			state->silent = 0;
		}
		result.reason = judge(state, limits);
		if (result.reason)
			result.verdict = CONTACT_BLOCKED;
		else if (too_many_wait(state, limits) || too_fast(state, limits))
			result.verdict = CONTACT_PACED;
		if (result.verdict == CONTACT_ALLOWED)
			note_contact(state, owner, target, weight);
	}
	bpf_spin_unlock(&state->lock);
	return result;
}

/* Nothing happens but that time passes. Returns which limit was passed by it, or 0. */
static __always_inline u32 take_silence(struct outbound_state *state, const struct outbound_limits *limits)
{
	u32 reason = 0;

	bpf_spin_lock(&state->lock);
	advance(state, limits);
	if (limits->now >= state->blocked_until)
		reason = judge(state, limits);
	bpf_spin_unlock(&state->lock);
	return reason;
}

/* Something came of a contact that was made in `epoch`. Returns which limit was passed by it, or 0. */
static __always_inline u32 take_outcome(struct outbound_state *state, const struct outbound_limits *limits, u64 epoch,
					u32 weight, bool refused)
{
	u32 reason = 0;

	bpf_spin_lock(&state->lock);
	advance(state, limits);
	/* Else it was taken for silence, and is not taken back. */
	if (state->epoch - epoch < OUTBOUND_EPOCHS) {
		u32 at = epoch & (OUTBOUND_EPOCHS - 1);

		state->unanswered[at] -= state->unanswered[at] < weight ? state->unanswered[at] : weight;
		if (refused) {
			state->refused++;
			state->failed[0] += weight;
			state->walk += weight * limits->step;
		} else {
			state->answered++;
			state->answers[at]++;
			if (!state->walk)
				state->spare[at]++;
			state->walk -= state->walk < limits->step ? state->walk : limits->step;
		}
		if (limits->now >= state->blocked_until)
			reason = judge(state, limits);
	}
	bpf_spin_unlock(&state->lock);
	return reason;
}
