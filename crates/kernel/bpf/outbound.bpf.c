// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Outbound: no port scan leaves. Every first contact of a workload is counted where its packet leaves, and what comes of
 * it where the answer arrives; whoever scans makes no more of them.
 *
 * on_departure decides, for whatever socket of an IP protocol a packet comes from, and on_outbound_frame for packet
 * sockets; on_contact and on_datagram give an error at once to whoever is blocked already, and know the process. What is
 * established, and what answers, goes on. Where settings say so, on_outbound_socket refuses raw sockets, as packet_socket.bpf.c
 * does packet sockets. */
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "frames.h"
#include "headers.h"
#include "contacts.h"
#include "contact_log.h"
#include "destinations.h"
#include "raw_sockets.h"
#include "silence.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* A process wants to connect or send: who is blocked gets an error at once, but for whom it knows already. */
static __always_inline int reach(struct bpf_sock_addr *wanted, struct egress_target *target, bool connects)
{
	struct origin origin = {};
	struct outbound_contact *contact;
	struct outbound_state *state;
	struct outbound_target key;

	if (is_off(CELL_OFF_OUTBOUND))
		return ALLOW;
	origin.policy = current_policy(&origin.cgroup);
	if (!is_judged(&origin))
		return ALLOW;
	origin.owner = bpf_sk_storage_get(&socket_owners, wanted->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (origin.owner && !origin.owner->cgroup)
		set_owner(origin.owner, origin.cgroup, origin.policy);
	/* It may have been passed on: this process uses it. */
	else if (origin.owner && connects && origin.owner->pid != bpf_get_current_pid_tgid() >> 32)
		set_process(origin.owner);
	origin.workload = whole_of(origin.cgroup);
	target->protocol = wanted->protocol;
	target->port = bpf_ntohs(wanted->user_port);
	if (connects && wanted->type == SOCK_STREAM && !may_connect(&origin, target))
		return REFUSE;
	state = bpf_map_lookup_elem(&outbound_states, &origin.workload);
	if (!is_blocked(&origin, state) || is_nobody(target->address))
		return ALLOW;
	key = key_of(&origin, target->address, target->port, target->protocol);
	contact = bpf_map_lookup_elem(&outbound_contacts, &key);
	if (contact && contact->state == CONTACT_ANSWERED)
		return ALLOW;
	return stop(&origin, bpf_ktime_get_boot_ns());
}

SEC("cgroup/connect4")
int on_contact4(struct bpf_sock_addr *wanted)
{
	struct egress_target target = {};

	set_ipv4(&target, wanted->user_ip4);
	return reach(wanted, &target, true);
}

SEC("cgroup/sendmsg4")
int on_datagram4(struct bpf_sock_addr *wanted)
{
	struct egress_target target = {};

	set_ipv4(&target, wanted->user_ip4);
	return reach(wanted, &target, false);
}

SEC("cgroup/connect6")
int on_contact6(struct bpf_sock_addr *wanted)
{
	struct egress_target target = {};

	set_ipv6(&target, wanted);
	return reach(wanted, &target, true);
}

SEC("cgroup/sendmsg6")
int on_datagram6(struct bpf_sock_addr *wanted)
{
	struct egress_target target = {};

	set_ipv6(&target, wanted);
	return reach(wanted, &target, false);
}

/* Who makes a socket: raw ones connect to nobody. */
SEC("cgroup/sock_create")
int on_outbound_socket(struct bpf_sock *socket)
{
	struct origin origin = {};

	if (is_off(CELL_OFF_OUTBOUND))
		return ALLOW;
	origin.policy = current_policy(&origin.cgroup);
	if (!is_judged(&origin))
		return ALLOW;
	make_owner(socket, origin.cgroup, origin.policy);
	if (socket->type != SOCK_RAW || !packet_sockets_are_denied())
		return ALLOW;
	return make_raw(&origin, OUTBOUND_RAW_SOCKET, socket->protocol);
}

/* Whether its packets may be first contacts: of a connection, only what opens it is. */
static __always_inline bool may_be_contact(const struct bpf_sock *socket)
{
	return socket->type != SOCK_STREAM || socket->state == TCP_SYN_SENT;
}

static __always_inline bool find_origin(struct __sk_buff *packet, struct bpf_sock *socket, struct origin *origin)
{
	origin->owner = bpf_sk_storage_get(&socket_owners, socket, NULL, 0);
	origin->policy = packet_policy(packet, &origin->cgroup);
	if (!origin->policy && origin->owner) {
		origin->policy = origin->owner->policy;
		origin->cgroup = origin->owner->cgroup;
	}
	if (!is_judged(origin))
		return false;
	origin->workload = whole_of(origin->cgroup);
	return true;
}

/* A packet leaves for somebody whom the workload has not been in touch with. */
static __always_inline int make_contact(const struct origin *origin, const struct egress_target *target,
					const struct outbound_target *key)
{
	struct outbound_limits limits = read_limits();
	struct outbound_contact contact = {
		.epoch = epoch_of(limits.now),
		.weight = weight_of(target->address),
		.by_device = origin->by_device,
	};
	struct outbound_state *state = state_of(origin->workload);
	struct contact_result result;

	if (!state) {
		count(COUNT_OUTBOUND_NO_ROOM, 1);
		return ALLOW;
	}
	if (is_blocked(origin, state))
		return stop(origin, limits.now);
	result = take_contact(state, &limits, origin->owner, target, contact.weight);
	if (result.reason)
		tell(origin, target, state, NULL, result.reason, limits.now);
	if (result.verdict == CONTACT_BLOCKED)
		return stop(origin, limits.now);
	if (result.verdict == CONTACT_PACED && is_enforced(origin, limits.now)) {
		count(COUNT_OUTBOUND_PACED, 1);
		return REFUSE;
	}
	count(COUNT_OUTBOUND_CONTACTS, 1);
	bpf_map_update_elem(&outbound_contacts, key, &contact, BPF_ANY);
	log_contact(origin, target, limits.now);
	return ALLOW;
}

/* What becomes of a packet that leaves. */
static __always_inline int depart(const struct origin *origin, const struct headers *headers)
{
	struct outbound_contact *contact;
	struct outbound_target key;

	if (is_nobody(headers->target.address)) {
		struct outbound_state *state = bpf_map_lookup_elem(&outbound_states, &origin->workload);
		u64 now = bpf_ktime_get_boot_ns();

		if (!state || state->reason != OUTBOUND_PROOF)
			return ALLOW;
		tell(origin, &headers->target, state, NULL, OUTBOUND_PROOF, now);
		return stop(origin, now);
	}
	key = key_of(origin, headers->target.address, headers->target.port, headers->target.protocol);
	contact = bpf_map_lookup_elem(&outbound_contacts, &key);
	if (contact && contact->state == CONTACT_ANSWERED)
		return ALLOW;
	/* A later fragment goes where the first one went. */
	if (contact || (has_ports(headers->target.protocol) && !headers->target.has_port)) {
		struct outbound_state *state = bpf_map_lookup_elem(&outbound_states, &origin->workload);

		return is_blocked(origin, state) ? stop(origin, bpf_ktime_get_boot_ns()) : ALLOW;
	}
	return make_contact(origin, &headers->target, &key);
}

SEC("cgroup_skb/egress")
int on_departure(struct __sk_buff *packet)
{
	struct bpf_sock *socket = packet->sk;
	struct origin origin = {};
	struct headers headers = {};

	if (!socket)
		return ALLOW;
	socket = bpf_sk_fullsock(socket);
	/* First of all what is most of all: the packets of open connections. */
	if (!socket || !may_be_contact(socket) || is_off(CELL_OFF_OUTBOUND))
		return ALLOW;
	if (!find_origin(packet, socket, &origin) || !read_packet(packet, &headers))
		return ALLOW;
	origin.by_device = socket->type == SOCK_RAW;
	return depart(&origin, &headers);
}

#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

enum outcome {
	OUTCOME_NONE,
	OUTCOME_ANSWERED,
	OUTCOME_REFUSED,
};

/* What a packet that arrives says to a contact with its sender. */
static __always_inline u32 outcome_of(struct __sk_buff *packet, const struct headers *headers)
{
	u8 first = 0, flags = 0;

	switch (headers->target.protocol) {
	case IPPROTO_TCP:
		if (bpf_skb_load_bytes(packet, headers->transport + 13, &flags, sizeof(flags)))
			return OUTCOME_NONE;
		if (flags & TCP_RST)
			return OUTCOME_REFUSED;
		return (flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK) ? OUTCOME_ANSWERED : OUTCOME_NONE;
	case IPPROTO_ICMP:
		/* An echo's answer; what routers say of others comes from the routers. */
		if (bpf_skb_load_bytes(packet, headers->transport, &first, sizeof(first)) || first != 0)
			return OUTCOME_NONE;
		return OUTCOME_ANSWERED;
	case IPPROTO_ICMPV6:
		if (bpf_skb_load_bytes(packet, headers->transport, &first, sizeof(first)) || first != 129)
			return OUTCOME_NONE;
		return OUTCOME_ANSWERED;
	default:
		return OUTCOME_ANSWERED;
	}
}

/* The process whose contact it was walks too. Returns what blocks it from now on, or none. */
static __always_inline struct outbound_walk *walk_on(const struct origin *origin, struct outbound_state *state,
						     const struct outbound_limits *limits, u32 weight, bool refused)
{
	struct outbound_walk *walk = walk_of(origin, refused);

	if (!walk)
		return NULL;
	if (!refused) {
		walk->answered++;
		walk->walk -= walk->walk < limits->step ? walk->walk : limits->step;
		return NULL;
	}
	walk->refused++;
	walk->walk += weight * limits->step;
	if (walk->walk < OUTBOUND_REFUSALS * limits->step || limits->now < walk->blocked_until)
		return NULL;
	walk->walk = 0;
	walk->blocked_until = limits->now + limits->block_ns;
	state->processes_blocked_until = walk->blocked_until;
	return walk;
}

/* Something came of a contact, or somebody gets in touch with the workload. */
static __always_inline void take_answer(const struct origin *origin, struct headers *headers, bool refused)
{
	struct outbound_target key = key_of(origin, headers->source, bpf_ntohs(headers->ports.source), headers->target.protocol);
	struct outbound_contact *contact = bpf_map_lookup_elem(&outbound_contacts, &key);
	struct outbound_limits limits;
	struct outbound_state *state;
	struct outbound_walk *walk;
	u32 reason;

	if (!contact) {
		struct outbound_contact from_outside = { .state = CONTACT_ANSWERED };

		/* Whoever did may be answered. */
		if (!refused)
			bpf_map_update_elem(&outbound_contacts, &key, &from_outside, BPF_ANY);
		return;
	}
	/* A raw socket sees answers to its echo requests itself: whoever comes second finds it done. */
	if (contact->state != CONTACT_OPEN || (origin->by_device && !contact->by_device))
		return;
	contact->state = refused ? CONTACT_REFUSED : CONTACT_ANSWERED;
	state = bpf_map_lookup_elem(&outbound_states, &origin->workload);
	if (!state)
		return;
	limits = read_limits();
	__builtin_memcpy(headers->target.address, headers->source, sizeof(headers->source));
	headers->target.port = key.port;
	reason = take_outcome(state, &limits, contact->epoch, contact->weight, refused);
	if (reason)
		tell(origin, &headers->target, state, NULL, reason, limits.now);
	walk = walk_on(origin, state, &limits, contact->weight, refused);
	/* Where the workload is blocked, the process is with it. */
	if (walk && !reason && limits.now >= state->blocked_until)
		tell(origin, &headers->target, state, walk, OUTBOUND_UNANSWERED, limits.now);
}

SEC("cgroup_skb/ingress")
int on_outcome(struct __sk_buff *packet)
{
	struct bpf_sock *socket = packet->sk;
	struct origin origin = {};
	struct headers headers = {};
	u32 outcome;

	if (!socket)
		return ALLOW;
	socket = bpf_sk_fullsock(socket);
	if (!socket || !may_be_contact(socket) || is_off(CELL_OFF_OUTBOUND))
		return ALLOW;
	if (!find_origin(packet, socket, &origin) || !read_packet(packet, &headers))
		return ALLOW;
	if (is_nobody(headers.source))
		return ALLOW;
	outcome = outcome_of(packet, &headers);
	if (outcome != OUTCOME_NONE)
		take_answer(&origin, &headers, outcome == OUTCOME_REFUSED);
	return ALLOW;
}

/* How soon it is told again that frames were dropped for where they come from. */
#define TELL_NS 1000000000ull

/* Notes whose device it is, for what comes back by it. */
static __always_inline struct frame_sender *note_sender(const struct origin *origin, u32 device)
{
	struct frame_sender fresh = { .cgroup = origin->cgroup, .policy = origin->policy };
	struct frame_sender *sender = bpf_map_lookup_elem(&outbound_frames, &device);

	if (sender && sender->cgroup == origin->cgroup)
		return sender;
	bpf_map_update_elem(&outbound_frames, &device, &fresh, BPF_ANY);
	return bpf_map_lookup_elem(&outbound_frames, &device);
}

/* A packet socket has sent something. Returns whether it may, whatever its destination is. */
static __always_inline bool may_send_frames(const struct origin *origin, const struct egress_target *target, u32 device)
{
	struct frame_sender *sender = note_sender(origin, device);
	bool deny = packet_sockets_are_denied();
	u64 now = bpf_ktime_get_boot_ns();
	struct outbound_state *state;
	u64 again;

	state = state_of(origin->workload);
	if (!sender || !state)
		return !deny || !is_enforced(origin, now);
	again = sender->told_ns + TELL_NS;
	if (!sender->told_ns || (deny && now >= again)) {
		sender->told_ns = now;
		tell(origin, target, state, NULL, OUTBOUND_PACKET_SOCKET, now);
	}
	return !deny || stop(origin, now) == ALLOW;
}

SEC("tcx/ingress")
int on_outbound_frame(struct __sk_buff *frame)
{
	struct headers headers = { .start = ETH_HEADER };
	bool whole = is_of_packet_socket(frame);
	struct origin origin = {};
	bool is_ip;

	if ((!whole && !is_of_raw_socket(frame)) || is_off(CELL_OFF_OUTBOUND))
		return FRAME_PASS;
	origin.policy = packet_policy(frame, &origin.cgroup);
	if (!is_judged(&origin))
		return FRAME_PASS;
	if (!whole) {
		note_sender(&origin, frame->ifindex);
		return FRAME_PASS;
	}
	origin.workload = whole_of(origin.cgroup);
	origin.by_device = true;
	is_ip = read_packet(frame, &headers);
	if (!may_send_frames(&origin, &headers.target, frame->ifindex))
		return FRAME_DROP;
	return !is_ip || depart(&origin, &headers) == ALLOW ? FRAME_PASS : FRAME_DROP;
}

/* What comes back to a workload that has packet or raw sockets: nobody but this program knows for whom it is. */
SEC("tcx/egress")
int on_outbound_return(struct __sk_buff *frame)
{
	struct headers headers = { .start = ETH_HEADER };
	struct origin origin = {};
	struct frame_sender *sender;
	u32 device = frame->ifindex;
	u8 flags = 0;

	sender = bpf_map_lookup_elem(&outbound_frames, &device);
	if (!sender || is_off(CELL_OFF_OUTBOUND))
		return FRAME_PASS;
	origin.cgroup = sender->cgroup;
	origin.policy = sender->policy;
	origin.by_device = true;
	origin.workload = whole_of(origin.cgroup);
	if (!read_packet(frame, &headers) || is_nobody(headers.source))
		return FRAME_PASS;
	if (headers.target.protocol == IPPROTO_TCP &&
	    bpf_skb_load_bytes(frame, headers.transport + 13, &flags, sizeof(flags)))
		return FRAME_PASS;
	take_answer(&origin, &headers, flags & TCP_RST);
	return FRAME_PASS;
}

/* The agent asks: attached nowhere, but run by it with the workload's cgroup in the place of a frame. */
SEC("tc")
int settle_contacts(struct __sk_buff *question)
{
	u64 workload;

	if (is_off(CELL_OFF_OUTBOUND) || bpf_skb_load_bytes(question, 0, &workload, sizeof(workload)))
		return 0;
	return settle(workload, bpf_ktime_get_boot_ns());
}
