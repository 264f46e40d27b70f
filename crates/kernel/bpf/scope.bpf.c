// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Scope: every new cgroup is judged by its path before any process can be in it, without user space.
 *
 * on_cgroup_mkdir enters the cgroup's policy; on_cgroup_rmdir takes it out again */
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
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct path_scratch);
} path_scratches SEC(".maps");

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

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(on_cgroup_mkdir, struct cgroup *cgroup, const char *path)
{
	u64 id = cgroup->kn->id;
	u32 policy;

	if (!is_active() || cgroup->root->hierarchy_id != 0 || !below_root(cgroup))
		return 0;
	policy = policy_of_path(cgroup, path);
	if (bpf_map_update_elem(&scopes, &id, &policy, BPF_ANY))
		count(COUNT_SCOPES_FULL, 1);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(on_cgroup_rmdir, struct cgroup *cgroup, const char *path)
{
	u64 id = cgroup->kn->id;

	if (is_active() && cgroup->root->hierarchy_id == 0)
		bpf_map_delete_elem(&scopes, &id);
	return 0;
}
