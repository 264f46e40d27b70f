/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether what a workload waits for was met with silence. Its next contact brings that to light, and there may be none: whoever
 * scanned has got to its end. */
#pragma once
#include "contacts.h"

/* Returns 1 where it is found to have scanned. */
static __always_inline int settle(u64 workload, u64 now)
{
	struct origin origin = { .cgroup = workload, .workload = workload };
	struct outbound_state *state = bpf_map_lookup_elem(&outbound_states, &workload);
	u32 *policy = bpf_map_lookup_elem(&scopes, &workload), reason;
	struct outbound_limits limits = read_limits();
	struct egress_target last = {};

	if (!state)
		return 0;
	origin.policy = policy ? *policy : 0;
	if (depends_on_user(origin.policy))
		origin.policy = or_users(origin.policy, state->maker.uid);
	if (!is_judged(&origin))
		return 0;
	limits.now = now;
	reason = take_silence(state, &limits);
	if (!reason)
		return 0;
	__builtin_memcpy(last.address, state->address, sizeof(last.address));
	last.port = state->port;
	last.protocol = state->protocol;
	tell(&origin, &last, state, NULL, reason, now);
	return 1;
}
