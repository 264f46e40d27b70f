/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Stands in for the header of that name of libbpf where the programs are compiled for a process and not for the kernel: the
 * helpers are functions of this crate (src/offline/helpers.rs), and a map is a description of itself. */
#pragma once
#include "kernel_types.h"

#ifndef NULL
#define NULL ((void *)0)
#endif

/* Several objects have the same maps; here, too, they are the same ones. */
#define SEC(name) __attribute__((weak, visibility("hidden")))
#define __always_inline inline __attribute__((always_inline))
#define __noinline __attribute__((noinline, visibility("hidden")))
#define __weak __attribute__((weak))
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name

/* What a table is, as its declaration says. Where it lies is what it is known by. */
struct native_map {
	const void *identity;
	u32 kind;
	u32 entries;
	u32 key_bytes;
	u32 value_bytes;
};

#define DESCRIPTION(map)                                                                                               \
	(&(const struct native_map){                                                                                   \
		.identity = (map),                                                                                     \
		.kind = sizeof(*(map)->type) / sizeof(int),                                                            \
		.entries = sizeof(*(map)->max_entries) / sizeof(int),                                                  \
		.key_bytes = sizeof(*(map)->key),                                                                      \
		.value_bytes = sizeof(*(map)->value),                                                                  \
	})

void *hayward_map_lookup(const struct native_map *map, const void *key);
long hayward_map_update(const struct native_map *map, const void *key, const void *value, u64 flags);
void *hayward_storage(const void *map, u32 value_bytes, u64 flags);
long hayward_storage_delete(const void *map);
void *hayward_reserve(u64 bytes);
void hayward_submit(void);
long hayward_load_bytes(u32 at, void *to, u32 bytes);
u64 hayward_now(void);
u64 hayward_workload(void);

#define bpf_map_lookup_elem(map, at) hayward_map_lookup(DESCRIPTION(map), at)
#define bpf_map_update_elem(map, at, put, flags) hayward_map_update(DESCRIPTION(map), at, put, flags)

/* There is one socket at a time: that of the packet. */
#define bpf_sk_storage_get(map, socket, first, flags) \
	((void)(socket), (typeof((map)->value))hayward_storage(map, sizeof(*(map)->value), flags))
#define bpf_sk_storage_delete(map, socket) ((void)(socket), hayward_storage_delete(map))
#define bpf_sk_fullsock(socket) (socket)

#define bpf_ringbuf_reserve(ring, bytes, flags) ((void)(ring), hayward_reserve(bytes))
#define bpf_ringbuf_submit(event, flags) ((void)(event), hayward_submit())

#define bpf_skb_load_bytes(packet, at, to, bytes) ((void)(packet), hayward_load_bytes(at, to, bytes))
#define bpf_skb_cgroup_id(packet) ((void)(packet), hayward_workload())
#define bpf_ktime_get_boot_ns() hayward_now()

#define bpf_ktime_get_ns() hayward_now()
#define bpf_ktime_get_coarse_ns() hayward_now()
/* A clock of which each moment is another tick. */
#define bpf_jiffies64() hayward_now()
/* All lies in one piece already. */
#define bpf_skb_pull_data(packet, bytes) ((void)(packet), (void)(bytes), -1L)

/* One thread. */
#define bpf_spin_lock(lock) ((void)(lock))
#define bpf_spin_unlock(lock) ((void)(lock))

/* There is neither a process nor a tree of cgroups. */
#define bpf_skb_ancestor_cgroup_id(packet, level) ((void)(packet), (void)(level), (u64)0)
#define bpf_get_socket_uid(packet) ((void)(packet), (u32)0)
#define bpf_get_current_cgroup_id() ((u64)0)
#define bpf_get_current_ancestor_cgroup_id(level) ((void)(level), (u64)0)
#define bpf_get_current_uid_gid() ((u64)0)
#define bpf_get_current_pid_tgid() ((u64)0)
#define bpf_get_current_task() ((u64)0)
#define bpf_get_current_comm(to, bytes) ((void)(to))
#define BPF_CORE_READ(from, ...) ((void)(from), 0)
#define BPF_CORE_READ_INTO(to, from, ...) ((void)(to), (void)(from))
#define bpf_core_enum_value_exists(type, value) 0
