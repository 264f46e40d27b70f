/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The few kernel types that Hayward reads. Offsets are relocated when a program is loaded (CO-RE), so only the
 * names and types of the fields matter here, not their order. */
#pragma once

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;
typedef _Bool bool;
#define true 1
#define false 0

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_LPM_TRIE = 11,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_SK_STORAGE = 24,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};
/* Known to the kernel by its name: a lock within a map's value. */
struct bpf_spin_lock {
	u32 val;
};

enum { BPF_ANY = 0, BPF_NOEXIST = 1 };
/* A ring is read when its reader comes by. */
enum { BPF_RB_NO_WAKEUP = 1 };
enum { BPF_F_NO_PREALLOC = 1, BPF_F_CLONE = 1 << 9 };
enum { BPF_LOCAL_STORAGE_GET_F_CREATE = 1, BPF_SK_STORAGE_GET_F_CREATE = 1 };
/* Which helpers the kernel has. */
enum bpf_func_id { BPF_FUNC_ktime_get_coarse_ns = 160, BPF_FUNC_task_pt_regs = 175 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct qstr {
	u32 len;
	const unsigned char *name;
};

struct super_block {
	u32 s_dev;
};

struct inode {
	u64 i_ino;
	u32 i_nlink;
	struct super_block *i_sb;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
};

struct fs_struct {
	struct path root;
};

struct mm_struct {
	unsigned long arg_start, arg_end;
	struct file *exe_file;
};

struct kernfs_node {
	const char *name;
	u64 id;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup_root {
	int hierarchy_id;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
	struct cgroup_root *root;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct ns_common {
	unsigned int inum;
};

struct mnt_namespace {
	struct ns_common ns;
};

struct nsproxy {
	struct mnt_namespace *mnt_ns;
};

typedef struct {
	u32 val;
} kuid_t;

struct cred {
	kuid_t uid;
};

struct thread_info {
	unsigned long flags;
};

#if defined(__TARGET_ARCH_arm64)

struct user_fpsimd_state {
	u32 fpcr;
};

struct thread_struct {
	struct {
		struct user_fpsimd_state fpsimd_state;
	} uw;
};

struct pt_regs {
	s32 syscallno;
};

#else

struct fxregs_state {
	u32 mxcsr;
};

union fpregs_state {
	struct fxregs_state fxsave;
};

struct fpstate {
	union fpregs_state regs;
};

struct fpu {
	struct fpstate *fpstate;
};

struct thread_struct {
	struct fpu fpu;
};

struct pt_regs {
	unsigned long orig_ax;
};

struct irq_stack {
	char stack[1];
};

#endif

struct sched_entity {
	u64 sum_exec_runtime;
};

struct task_struct {
	struct sched_entity se;
	int pid, tgid;
	u64 start_boottime;
	void *stack;
	struct mm_struct *mm;
	struct fs_struct *fs;
	struct css_set *cgroups;
	struct nsproxy *nsproxy;
	const struct cred *cred;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	char comm[16];
	struct thread_info thread_info;
	struct thread_struct thread;
};

struct in6_addr {
	u8 bytes[16];
};

struct sock_common {
	u32 skc_daddr;
	u16 skc_family;
	struct in6_addr skc_v6_daddr;
};

struct sock {
	struct sock_common __sk_common;
};

struct linux_binprm {
	const char *filename;
};

#pragma clang attribute pop
