/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which policy a cgroup falls under, decided from its ancestors. */
#pragma once
#include "maps.h"

#define MAX_CGROUP_DEPTH 48

/* Whether `cgroup` lies below (or is) the root that everything is confined to. */
static __always_inline bool below_root(struct cgroup *cgroup)
{
	u64 root = cell(CELL_ROOT_CGROUP);

	for (int depth = 0; depth < MAX_CGROUP_DEPTH; depth++) {
		struct cgroup_subsys_state *parent;

		if (cgroup->kn->id == root)
			return true;
		parent = cgroup->self.parent;
		if (!parent)
			return false;
		cgroup = parent->cgroup;
	}
	return false;
}

/* The policy of the nearest ancestor that has one: normally the cgroup itself, entered when it was made. */
static __always_inline u32 scope_policy(struct cgroup *cgroup)
{
	for (int depth = 0; depth < MAX_CGROUP_DEPTH; depth++) {
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
	return 0;
}
