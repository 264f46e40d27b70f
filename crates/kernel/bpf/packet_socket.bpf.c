// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Packet sockets of the guard `outbound`, refused where they are made: in whatever network, and by whatever call, be it one of 32
 * bits or of io_uring. An object of its own, since many kernels do not take programs of BPF LSM. */
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "raw_sockets.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define AF_PACKET 17
#define AF_XDP 44
#define EPERM 1

/* Other programs on sockets are only where anything may be; this one is called for the whole host. */
static __always_inline bool is_below_root(void)
{
	u64 root = cell(CELL_ROOT_CGROUP);

	for (int level = 0; root && level <= CGROUP_LEVELS; level++)
		if (bpf_get_current_ancestor_cgroup_id(level) == root)
			return true;
	return false;
}

SEC("lsm/socket_create")
int BPF_PROG(on_packet_socket, int family, int type, int protocol, int kern)
{
	struct origin origin = {};

	/* In no family is there such a socket: it is how the agent asks whether this is called. */
	if (!type)
		count(COUNT_OUTBOUND_ASKED, 1);
	if (kern || !type || (family != AF_PACKET && family != AF_XDP))
		return 0;
	if (is_off(CELL_OFF_OUTBOUND) || !packet_sockets_are_denied())
		return 0;
	origin.policy = current_policy(&origin.cgroup);
	if (!is_judged(&origin) || !is_below_root())
		return 0;
	return make_raw(&origin, OUTBOUND_PACKET_SOCKET, 0) == ALLOW ? 0 : -EPERM;
}
