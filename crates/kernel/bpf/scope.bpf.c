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
	__uint(value_size, 262144);
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

struct path_context {
	struct path_scratch *scratch;
	struct dfa dfa;
	u32 length;
};

static long path_step(u32 index, struct path_context *context)
{
	struct path_scratch *scratch = context->scratch;

	if (index >= context->length)
		return 1;
	scratch->state = dfa_step(&context->dfa, scratch->state, scratch->bytes[index & (PATH_SIZE - 1)]);
	return scratch->state == 0;
}

/* Policy by path: the DFA accepts with policy + 1. A path too long to be whole falls under its parent's policy. */
static __always_inline u32 policy_of_path(struct cgroup *cgroup, const char *path)
{
	struct path_context context = {};
	const u32 *table;
	u32 zero = 0, accepted;
	void *inner = bpf_map_lookup_elem(&scope_tables, &zero);
	long length;

	context.scratch = bpf_map_lookup_elem(&path_scratches, &zero);
	if (!inner || !context.scratch)
		return 0;
	table = bpf_map_lookup_elem(inner, &zero);
	if (!table)
		return 0;
	length = bpf_probe_read_kernel_str(context.scratch->bytes, PATH_SIZE, path);
	if (length <= 1 || length >= PATH_SIZE)
		return scope_policy(cgroup);
	context.length = length - 1;
	context.dfa = dfa_at(table, DFA_AT_START);
	context.scratch->state = word(table, DFA_AT_START + DFA_START);
	bpf_loop(PATH_SIZE, path_step, &context, 0);
	accepted = dfa_accepts(table, DFA_AT_START, context.scratch->state);
	return accepted ? accepted - 1 : 0;
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
