// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Scope: every new cgroup is judged by its path before any process can be in it, without user space.
 *
 * on_cgroup_mkdir enters the cgroup's policy; on_cgroup_rmdir takes it out again. What needs a name that only a runtime
 * tells is decided by the agent, which hears of new cgroups where settings ask for that. */
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "maps.h"
#include "scope.h"
#include "dfa.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define PATH_SIZE 1024

struct scope_class {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(u32));
	__uint(value_size, 262144); /* the agent sets the size class before loading */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, u32);
	__array(values, struct scope_class);
} scope_tables SEC(".maps");

struct path_scratch {
	u8 bytes[PATH_SIZE];
	u32 state;
	struct cgroup_event event;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct path_scratch);
} path_scratches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} scope_events SEC(".maps");

static __always_inline const u32 *scope_table(void)
{
	u32 zero = 0;
	void *inner = bpf_map_lookup_elem(&scope_tables, &zero);

	return inner ? bpf_map_lookup_elem(inner, &zero) : NULL;
}

static __always_inline struct path_scratch *current_path_scratch(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&path_scratches, &zero);
}

#define find_path_and_table(context) \
	(((context)->scratch = current_path_scratch()) && ((context)->table = scope_table()))

struct path_context {
	struct path_scratch *scratch;
	const u32 *table;
	struct dfa dfa;
	u32 length;
};

static long path_step(u32 index, struct path_context *context)
{
	struct path_scratch *scratch = context->scratch;

	if (index >= context->length)
		return 1;
	scratch->state = dfa_step(context->table, &context->dfa, scratch->state, scratch->bytes[index & (PATH_SIZE - 1)]);
	return scratch->state == 0;
}
REPEATABLE(path_step, struct path_context, dfa, find_path_and_table)

struct entry_context {
	struct path_scratch *scratch;
	const u32 *table;
	u32 length;
	u32 policy;
};

static long entry_step(u32 index, struct entry_context *context)
{
	const u32 *table = context->table;
	u32 entry = SCOPE_ENTRIES + index * SCOPE_ENTRY_WORDS;
	u32 dfa = word(table, entry + SCOPE_DFA);
	struct path_context path = { .scratch = context->scratch, .table = table, .length = context->length };

	if (index >= word(table, SCOPE_COUNT))
		return 1;
	path.dfa = dfa_at(table, dfa);
	path.scratch->state = word(table, dfa + DFA_START);
	repeat(PATH_SIZE, path_step, &path);
	if (!dfa_accepts(table, dfa, path.scratch->state))
		return 0;
	context->policy = word(table, entry + SCOPE_POLICY);
	return 1;
}
REPEATABLE(entry_step, struct entry_context, length, find_path_and_table)

/* Policy by path: that of the first entry that accepts it. A path too long to be whole falls under its parent's. */
static __always_inline u32 policy_of_path(struct cgroup *cgroup, const char *path)
{
	struct entry_context context = {};
	long length;

	if (!find_path_and_table(&context))
		return 0;
	length = bpf_probe_read_kernel_str(context.scratch->bytes, PATH_SIZE, path);
	if (length <= 1 || length > SCOPE_PATH + 1)
		return scope_policy(cgroup);
	context.length = length - 1;
	repeat(MAX_SCOPE_ENTRIES, entry_step, &context);
	/* Steps may have seen two tables; see repeat.h. Whoever swapped them enters all cgroups again. */
	if (scope_table() != context.table)
		return scope_policy(cgroup);
	return context.policy;
}

/* Tells the agent, which looks for the name. Until it is known, the path's policy holds. */
static __always_inline void tell(u64 id, const char *path)
{
	struct path_scratch *scratch = current_path_scratch();
	struct cgroup_event *event;
	long length;

	if (!scratch)
		return;
	event = &scratch->event;
	event->type = EVENT_CGROUP;
	event->cgroup_id = id;
	length = bpf_probe_read_kernel_str(event->path, EVENT_CGROUP_PATH, path);
	if (length < 1 || length > EVENT_CGROUP_PATH)
		return;
	event->path_bytes = (u32)length - 1;
	if (bpf_ringbuf_output(&scope_events, event, __builtin_offsetof(struct cgroup_event, path) + length, 0))
		count(COUNT_CGROUPS_UNTOLD, 1);
}

/* What was granted to a cgroup, or taken from it, holds for what is made below it. */
static __always_inline void inherit_grant(struct cgroup *cgroup, u64 id)
{
	struct cgroup_subsys_state *parent = cgroup->self.parent;
	struct egress_grant *grant;
	u64 above;

	if (!parent)
		return;
	above = parent->cgroup->kn->id;
	grant = bpf_map_lookup_elem(&egress_grants, &above);
	if (grant && bpf_map_update_elem(&egress_grants, &id, grant, BPF_ANY))
		count(COUNT_EGRESS_GRANTS_FULL, 1);
}

#define WORKLOAD_NAME 80

/* Whether a cgroup of this name is a whole workload: a container's, whose id is 64 digits where it is no scope, a unit's,
 * or a user's. */
static __always_inline bool is_workload_name(const char *name)
{
	char text[WORKLOAD_NAME] = {};
	long length = bpf_probe_read_kernel_str(text, sizeof(text), name) - 1;

	if (length == 64)
		return true;
	if (length < 8 || length >= WORKLOAD_NAME)
		return false;
	if (!__builtin_memcmp(text, "user-", 5))
		return true;
	/* Its last bytes. */
	bpf_probe_read_kernel(text, 8, name + length - 8);
	return !__builtin_memcmp(text, ".service", 8) || !__builtin_memcmp(text + 2, ".scope", 6);
}

/* What is within a workload counts for it, however deep, and whatever its own name is. */
static __always_inline void enter_whole(struct cgroup *cgroup, u64 id)
{
	struct cgroup_subsys_state *parent = cgroup->self.parent;
	u64 above, *whole;

	if (!parent)
		return;
	above = parent->cgroup->kn->id;
	whole = bpf_map_lookup_elem(&wholes, &above);
	if (whole)
		above = *whole;
	else if (!is_workload_name(parent->cgroup->kn->name))
		return;
	bpf_map_update_elem(&wholes, &id, &above, BPF_ANY);
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(on_cgroup_mkdir, struct cgroup *cgroup, const char *path)
{
	u64 id = cgroup->kn->id;
	u32 policy;

	if (!is_active() || cgroup->root->hierarchy_id != 0 || !below_root(cgroup))
		return 0;
	/* Not in the map itself yet, so this is the nearest ancestor's. */
	policy = cell(CELL_NAMES) ? scope_policy(cgroup) : 0;
	if (!(policy & POLICY_NAMED))
		policy = policy_of_path(cgroup, path);
	if (bpf_map_update_elem(&scopes, &id, &policy, BPF_ANY))
		count(COUNT_SCOPES_FULL, 1);
	inherit_grant(cgroup, id);
	enter_whole(cgroup, id);
	if (policy && cell(CELL_NAMES))
		tell(id, path);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(on_cgroup_rmdir, struct cgroup *cgroup, const char *path)
{
	u64 id = cgroup->kn->id;

	if (is_active() && cgroup->root->hierarchy_id == 0) {
		bpf_map_delete_elem(&scopes, &id);
		bpf_map_delete_elem(&egress_grants, &id);
		bpf_map_delete_elem(&wholes, &id);
		bpf_map_delete_elem(&outbound_states, &id);
	}
	return 0;
}
