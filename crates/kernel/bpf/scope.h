/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which policy a cgroup falls under, decided from its ancestors. */
#pragma once
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "maps.h"
#include "repeat.h"

/* Levels that are climbed without a call for each. */
#define NEAR_LEVELS 16
/* A cgroup holds a pointer to each of its ancestors in one allocation of at most 4 MiB: none lies deeper. */
#define MAX_CGROUP_DEPTH (1 << 19)

#define find_nothing(context) 1

struct ancestors {
	struct cgroup *cgroup;
	u64 root;
	u32 policy;
	u32 found;
};

/* Goes on to the parent. Returns 1 at the top. */
static __always_inline long climb_cgroup(struct ancestors *ancestors)
{
	struct cgroup *cgroup = ancestors->cgroup;
	struct cgroup_subsys_state *parent = BPF_CORE_READ(cgroup, self.parent);

	if (!parent)
		return 1;
	ancestors->cgroup = BPF_CORE_READ(parent, cgroup);
	return 0;
}

static long is_root_step(u32 index, struct ancestors *ancestors)
{
	struct cgroup *cgroup = ancestors->cgroup;

	if (BPF_CORE_READ(cgroup, kn, id) == ancestors->root) {
		ancestors->found = 1;
		return 1;
	}
	return climb_cgroup(ancestors);
}
REPEATABLE(is_root_step, struct ancestors, cgroup, find_nothing)

static long policy_step(u32 index, struct ancestors *ancestors)
{
	struct cgroup *cgroup = ancestors->cgroup;
	u64 id = BPF_CORE_READ(cgroup, kn, id);
	u32 *policy = bpf_map_lookup_elem(&scopes, &id);

	if (policy) {
		ancestors->policy = *policy;
		return 1;
	}
	return climb_cgroup(ancestors);
}
REPEATABLE(policy_step, struct ancestors, cgroup, find_nothing)

/* Whether `cgroup` lies below (or is) the root that everything is confined to. */
static __always_inline bool below_root(struct cgroup *cgroup)
{
	struct ancestors ancestors = { .root = cell(CELL_ROOT_CGROUP) };

	for (int level = 0; level < NEAR_LEVELS; level++) {
		struct cgroup_subsys_state *parent;

		if (cgroup->kn->id == ancestors.root)
			return true;
		parent = cgroup->self.parent;
		if (!parent)
			return false;
		cgroup = parent->cgroup;
	}
	ancestors.cgroup = cgroup;
	repeat(MAX_CGROUP_DEPTH, is_root_step, &ancestors);
	return ancestors.found;
}

/* The policy of the nearest ancestor that has one: normally the cgroup itself, entered when it was made. */
static __always_inline u32 scope_policy(struct cgroup *cgroup)
{
	struct ancestors ancestors = {};

	for (int level = 0; level < NEAR_LEVELS; level++) {
		u64 id = cgroup->kn->id;
		u32 *policy = bpf_map_lookup_elem(&scopes, &id);
		struct cgroup_subsys_state *parent;

		if (policy)
			return *policy;
		parent = cgroup->self.parent;
		if (!parent)
			return 0;
		cgroup = parent->cgroup;
	}
	ancestors.cgroup = cgroup;
	repeat(MAX_CGROUP_DEPTH, policy_step, &ancestors);
	return ancestors.policy;
}

static __always_inline u32 user_of(struct task_struct *task)
{
	return BPF_CORE_READ(task, cred, uid.val);
}

/* The policy that holds for a task in its cgroup: a user's may be in scope wherever it is. */
static __always_inline u32 policy_of(struct task_struct *task, struct cgroup *cgroup)
{
	u32 policy = scope_policy(cgroup);
	u64 uid_min = cell(CELL_UID_MIN);

	if (!(policy & ~POLICY_NAMED) && uid_min && user_of(task) >= uid_min && below_root(cgroup))
		policy = (u32)cell(CELL_USERS_POLICY);
	return policy;
}
