// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Egress: what a workload may not reach it gets no packet to.
 *
 * Who connects or sends gets an error at once, from on_connect and on_send; these know the process. What comes out of a
 * socket in another way, and what an open connection still sends once that is denied, on_packet drops: it knows the
 * socket, which belongs to the cgroup that it was made in. Nothing is dropped that answers whoever came from outside. */
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "egress.h"
#include "egress_apart.h"
#include "egress_learnt.h"
#include "egress_names.h"
#include "egress_told.h"
#include "frames.h"
#include "headers.h"
#include "network.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* How long an answer may be sent to somebody who sent a datagram, as connection trackers have it. */
#define ANSWER_NS (180 * 1000000000ull)

/* Who sent datagrams to a workload. */
struct egress_peer {
	u64 cgroup;
	u8 address[16];
	u16 port;
	u16 own_port;
	u32 protocol;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct egress_peer);
	__type(value, u64); /* CLOCK_BOOTTIME ns of the last */
} egress_peers SEC(".maps");

/* Whether anything in the cgroup is noted at all: what is not judged now may be quarantined later. */
static __always_inline bool is_in_scope(u32 policy)
{
	return policy & ~(POLICY_NAMED | POLICY_EXCLUDED);
}

/* Whether somebody is judged here. A quarantine holds where nothing else does. */
static __always_inline bool is_judged(u32 policy, struct egress_grant grant)
{
	return (policy & POLICY_EGRESS_ON) || grant.kind == EGRESS_QUARANTINED;
}

/* Whether it may be reached, by its address or by a name that it has; where it may not because of a ban, `ban` is set. `context`
 * is what the program was called with. */
static __always_inline bool is_reached(void *context, u64 cgroup, u32 policy, struct egress_grant grant,
				       const struct egress_target *target, struct socket_owner *owner, u32 *ban)
{
	u32 says, list;

	/* A grant by hand is meant for them too. */
	if ((policy & POLICY_EGRESS_APART) && !grant.kind && owner && is_of_others(context, target, cgroup, owner->uid)) {
		*ban = EGRESS_OF_OTHERS;
		return false;
	}
	says = address_says(grant, policy, target, ban);
	if (says != EGRESS_NOTHING || !cell(CELL_EGRESS_NAMES))
		return says == EGRESS_SOMETHING;
	list = list_of(policy) | (*ban ? EGRESS_ALWAYS : 0);
	return may_reach_by_name(cgroup, lists_of(list, grant), target, owner);
}

/* Allowed by what holds, and not since nobody enforces it. */
#define REACHED 2

/* The answer to whoever wants to reach something, or asks for a name: ALLOW, REACHED or REFUSE. */
static __always_inline int decide(void *context, u64 cgroup, u32 policy, struct egress_grant grant,
				  const struct egress_target *target, struct socket_owner *owner, u32 hook,
				  const struct asked_name *name)
{
	u32 verdict, ban = name ? name->ban : 0;
	/* A quarantine was decided by whoever enforces, and is carried out whatever the mode here. */
	bool enforce = (policy & POLICY_EGRESS_ENFORCE) || grant.kind == EGRESS_QUARANTINED;

	count(COUNT_EGRESS_CHECKED, 1);
	if (!ban && is_reached(context, cgroup, policy, grant, target, owner, &ban))
		return REACHED;
	if (enforce && lease_has_run_out(bpf_ktime_get_boot_ns())) {
		count(COUNT_EGRESS_LEASE_EXPIRED, 1);
		enforce = false;
	}
	count(enforce ? COUNT_EGRESS_DENIED : COUNT_EGRESS_OBSERVED, 1);
	if (ban && enforce)
		count_ban(ban);
	verdict = enforce ? EGRESS_DENIED : EGRESS_OBSERVED;
	if (enforce && grant.kind == EGRESS_QUARANTINED)
		verdict = EGRESS_CUT;
	tell(cgroup, target, owner, verdict, hook, ban, name);
	return enforce ? REFUSE : ALLOW;
}

/* Whether this peer has sent something to the socket's port lately. */
static __always_inline bool is_answer(u64 cgroup, const struct egress_target *target, u32 own_port)
{
	struct egress_peer key = { .cgroup = cgroup, .port = target->port, .own_port = own_port, .protocol = target->protocol };
	u64 *last;

	__builtin_memcpy(key.address, target->address, sizeof(key.address));
	last = bpf_map_lookup_elem(&egress_peers, &key);
	return last && bpf_ktime_get_boot_ns() < *last + ANSWER_NS;
}

/* Somebody may ask a name server: that is noted where its answer is to be looked at. Returns what is asked for where it is
 * banned. */
static __always_inline struct asked_name ask(struct __sk_buff *packet, const struct headers *headers, u64 cgroup, u32 policy,
					     struct egress_grant grant)
{
	struct asked_name name = { .packet = packet, .at = headers->transport + UDP_HEADER + DNS_HEADER };

	if (!(policy & POLICY_EGRESS_ON) || headers->target.protocol != IPPROTO_UDP || !headers->target.has_port ||
	    headers->target.port != DNS_PORT || !cell(CELL_EGRESS_NAMES))
		return name;
	note_question(packet, headers->start, cgroup, lists_of(list_of(policy), grant));
	/* Whoever grants everything by hand knows of it, and who is quarantined is refused anyway. */
	if (grant.kind != EGRESS_GRANTED && grant.kind != EGRESS_QUARANTINED)
		name.ban = ban_of_question(packet, headers->transport + UDP_HEADER,
					   lists_of(list_of(policy) | EGRESS_ALWAYS, grant));
	return name;
}

/* Whether a socket is made in the host's own network, where nobody in scope can pose as a name server. */
static __always_inline bool is_in_host_network(void *socket)
{
	u64 host = cell(CELL_HOST_NETWORK);

	return bpf_get_netns_cookie(socket) == (host ? host : bpf_get_netns_cookie(NULL));
}

/* What a socket is connected to may be reached: where its first packet goes there, that need not be found out again. By that time
 * the packet belongs to the socket's cgroup, so that this holds for sockets of the same alone. A grant ends by itself. */
static __always_inline void note_peer(struct socket_owner *owner, const struct egress_target *target)
{
	owner->connected_at = cell(CELL_EGRESS_CHANGES) + 1;
	__builtin_memcpy(owner->peer, target->address, sizeof(owner->peer));
	owner->peer_port = target->port;
}

/* Whether it goes where the socket was connected to: not where somebody rewrote the address on the way. */
static __always_inline bool goes_to_peer(const struct socket_owner *owner, const struct egress_target *target)
{
	const u32 *address = (const u32 *)target->address;
	u32 differs = (owner->peer[0] ^ address[0]) | (owner->peer[1] ^ address[1]) | (owner->peer[2] ^ address[2]) |
		      (owner->peer[3] ^ address[3]);

	return !differs && target->has_port && owner->peer_port == target->port;
}

/* A process connects a socket, or sends a datagram to an address. */
static __always_inline int reach(struct bpf_sock_addr *wanted, struct egress_target *target, u32 hook)
{
	struct socket_owner *owner;
	struct egress_grant grant;
	bool is_own = false;
	u64 cgroup;
	u32 policy;
	int decided;

	if (is_off(CELL_OFF_EGRESS))
		return ALLOW;
	policy = current_policy(&cgroup);
	if (!is_in_scope(policy))
		return ALLOW;
	target->protocol = wanted->protocol;
	target->port = bpf_ntohs(wanted->user_port);
	target->has_port = has_ports(target->protocol);
	owner = bpf_sk_storage_get(&socket_owners, wanted->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (owner) {
		is_own = owner->cgroup == cgroup;
		if (!owner->cgroup)
			set_owner(owner, cgroup, policy);
		if (hook == EGRESS_CONNECT) {
			owner->outbound = 1;
			/* That was of whom it was connected to before. */
			owner->allowed_at = 0;
		}
	}
	grant = grant_of(cgroup);
	if (!is_judged(policy, grant))
		return ALLOW;
	if (hook == EGRESS_SEND && grant.kind != EGRESS_QUARANTINED && is_answer(cgroup, target, wanted->sk->src_port))
		return ALLOW;
	decided = decide(wanted, cgroup, policy, grant, target, owner, hook, NULL);
	if (hook == EGRESS_CONNECT && decided == REACHED && is_own && !grant.kind)
		note_peer(owner, target);
	return !!decided;
}

SEC("cgroup/connect4")
int on_connect4(struct bpf_sock_addr *wanted)
{
	struct egress_target target = {};

	set_ipv4(&target, wanted->user_ip4);
	return reach(wanted, &target, EGRESS_CONNECT);
}

SEC("cgroup/sendmsg4")
int on_send4(struct bpf_sock_addr *wanted)
{
	struct egress_target target = {};

	set_ipv4(&target, wanted->user_ip4);
	return reach(wanted, &target, EGRESS_SEND);
}

SEC("cgroup/connect6")
int on_connect6(struct bpf_sock_addr *wanted)
{
	struct egress_target target = {};

	set_ipv6(&target, wanted);
	return reach(wanted, &target, EGRESS_CONNECT);
}

SEC("cgroup/sendmsg6")
int on_send6(struct bpf_sock_addr *wanted)
{
	struct egress_target target = {};

	set_ipv6(&target, wanted);
	return reach(wanted, &target, EGRESS_SEND);
}

/* Who made a socket, before anybody passes it on. */
SEC("cgroup/sock_create")
int on_socket(struct bpf_sock *socket)
{
	struct socket_owner *owner;
	u64 cgroup;
	u32 policy;

	if (is_off(CELL_OFF_EGRESS))
		return ALLOW;
	policy = current_policy(&cgroup);
	if (!is_in_scope(policy))
		return ALLOW;
	owner = make_owner(socket, cgroup, policy);
	if (owner && cell(CELL_EGRESS_NAMES))
		owner->in_host_network = is_in_host_network(socket);
	return ALLOW;
}

SEC("cgroup_skb/egress")
int on_packet(struct __sk_buff *packet)
{
	struct socket_owner *owner, *connection = NULL;
	struct headers headers = {};
	struct bpf_sock *socket;
	struct egress_grant grant = {};
	struct asked_name name;
	u64 cgroup = 0, changes;
	u32 policy;
	int decided;

	socket = packet->sk;
	if (!socket)
		return ALLOW;
	socket = bpf_sk_fullsock(socket);
	/* No socket of a process: a connection's last words. */
	if (!socket)
		return ALLOW;
	owner = bpf_sk_storage_get(&socket_owners, socket, NULL, 0);
	changes = cell(CELL_EGRESS_CHANGES) + 1;
	if (socket->protocol == IPPROTO_TCP) {
		/* Whoever was connected to answers; a connection that was there before these programs is taken for such. Who
		 * else connects (SCTP) is not seen to. */
		if (!owner || !owner->outbound || owner->allowed_at == changes)
			return ALLOW;
		if (owner->connected_at == changes && read_packet(packet, &headers) &&
		    goes_to_peer(owner, &headers.target)) {
			owner->allowed_at = changes;
			return ALLOW;
		}
		connection = owner;
	}
	if (is_off(CELL_OFF_EGRESS))
		return ALLOW;
	policy = packet_policy(packet, &cgroup);
	if (!policy && owner) {
		policy = owner->policy;
		cgroup = owner->cgroup;
	}
	if (is_in_scope(policy))
		grant = grant_of(cgroup);
	if (!is_judged(policy, grant))
		return ALLOW;
	/* What cannot be read goes nowhere that is known to be allowed. */
	read_packet(packet, &headers);
	name = ask(packet, &headers, cgroup, policy, grant);
	/* Who is asked for nothing more can still be sent something, again and again: in quarantine that opens nothing. */
	if (headers.target.has_port && grant.kind != EGRESS_QUARANTINED && !name.ban &&
	    is_answer(cgroup, &headers.target, bpf_ntohs(headers.ports.source)))
		return ALLOW;
	/* A connection has one peer, so that it need be decided once, unless a grant ends by itself. */
	barrier_var(connection);
	decided = decide(packet, cgroup, policy, grant, &headers.target, owner, EGRESS_PACKET, &name);
	if (connection && !grant.kind && decided == REACHED)
		connection->allowed_at = changes;
	return !!decided;
}

/* Datagrams that come in may be answered. */
SEC("cgroup_skb/ingress")
int on_arrival(struct __sk_buff *packet)
{
	struct headers headers = {};
	struct egress_peer key = {};
	struct bpf_sock *socket = packet->sk;
	u64 cgroup = 0, now;
	u32 policy;

	if (!socket)
		return ALLOW;
	socket = bpf_sk_fullsock(socket);
	/* Of connections it is known otherwise who began them. */
	if (!socket || socket->protocol == IPPROTO_TCP || is_off(CELL_OFF_EGRESS))
		return ALLOW;
	policy = packet_policy(packet, &cgroup);
	if (!(policy & POLICY_EGRESS_ON))
		return ALLOW;
	if (!read_packet(packet, &headers) || !headers.target.has_port || headers.target.protocol == IPPROTO_TCP)
		return ALLOW;
	if (cell(CELL_EGRESS_NAMES) && comes_from_a_resolver(&headers)) {
		struct socket_owner *owner = bpf_sk_storage_get(&socket_owners, socket, NULL, 0);

		/* In a network of its own a workload can be whoever it likes. */
		if (owner && owner->in_host_network)
			take_answer(packet, 0);
	}
	now = bpf_ktime_get_boot_ns();
	key.cgroup = cgroup;
	key.protocol = headers.target.protocol;
	key.port = bpf_ntohs(headers.ports.source);
	key.own_port = headers.target.port;
	__builtin_memcpy(key.address, headers.source, sizeof(key.address));
	bpf_map_update_elem(&egress_peers, &key, &now, BPF_ANY);
	return ALLOW;
}

/* What packet sockets send is judged frame by frame: of connections within it nothing is known. */
SEC("tcx/ingress")
int on_egress_frame(struct __sk_buff *frame)
{
	struct headers headers = { .start = ETH_HEADER };
	struct egress_grant grant = {};
	struct asked_name name;
	u64 cgroup = 0;
	u32 policy;
	int decided;

	if (!is_of_packet_socket(frame) || is_off(CELL_OFF_EGRESS))
		return FRAME_PASS;
	policy = packet_policy(frame, &cgroup);
	if (is_in_scope(policy))
		grant = grant_of(cgroup);
	/* Who asks for an address on its own network reaches nobody by that. */
	if (!is_judged(policy, grant) || frame->protocol == bpf_htons(ETH_P_ARP))
		return FRAME_PASS;
	/* What cannot be read goes nowhere that is known to be allowed. */
	read_packet(frame, &headers);
	name = ask(frame, &headers, cgroup, policy, grant);
	decided = decide(frame, cgroup, policy, grant, &headers.target, NULL, EGRESS_PACKET, &name);
	return decided == REFUSE ? FRAME_DROP : FRAME_PASS;
}

/* What comes back to a workload with a network of its own: where it is on its way there, the workload has no hand in it. */
SEC("tcx/egress")
int on_egress_return(struct __sk_buff *frame)
{
	struct headers headers = { .start = ETH_HEADER };

	if (!cell(CELL_EGRESS_NAMES) || is_off(CELL_OFF_EGRESS))
		return FRAME_PASS;
	/* A raw socket of a neighbour can send what a name server would. */
	if (is_of_raw_socket(frame) || is_of_packet_socket(frame))
		return FRAME_PASS;
	if (read_packet(frame, &headers) && comes_from_a_resolver(&headers))
		take_answer(frame, ETH_HEADER);
	return FRAME_PASS;
}
