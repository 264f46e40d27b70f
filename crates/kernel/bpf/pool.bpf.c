// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Pool: a connection on which somebody mines is recognised by what is said on it, whatever its port, and cut.
 *
 * What is looked into is the first bytes that each end of a TCP connection says, and what DNS is asked for. What does not begin with an object of
 * JSON is left alone from its first byte on. Whose a socket is, on_pool_socket and on_pool_connect note, since
 * packets know no process. */
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "headers.h"
#include "network.h"
#include "question.h"
#include "talk.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* What arrives before its turn is to come again; not more often than so. */
#define MOST_EARLY 4

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} pool_events SEC(".maps");

/* An event about whom a socket belongs to and what the headers say; the name or the message is still to come. */
static __always_inline struct pool_event *new_event(const struct socket_owner *owner, u64 cgroup,
						    const struct headers *headers, u32 direction)
{
	struct pool_event *event;

	count(COUNT_POOL_EVENTS, 1);
	event = bpf_ringbuf_reserve(&pool_events, sizeof(*event), 0);
	if (!event) {
		count(COUNT_POOL_LOST, 1);
		return NULL;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->type = EVENT_POOL;
	event->boot_ns = bpf_ktime_get_boot_ns();
	event->cgroup_id = cgroup;
	event->direction = direction;
	event->protocol = headers->target.protocol;
	if (owner)
		NAME_PROCESS(event, owner);
	if (direction == POOL_SENT) {
		event->port = headers->target.port;
		__builtin_memcpy(event->address, headers->target.address, sizeof(event->address));
	} else {
		event->port = bpf_ntohs(headers->ports.source);
		__builtin_memcpy(event->address, headers->source, sizeof(event->address));
	}
	return event;
}

/* Tells of a connection on which somebody mines. */
static __always_inline void tell(struct bpf_sock *socket, const struct pool_flow *flow, u64 cgroup,
				 const struct headers *headers, u32 direction, u32 verdict)
{
	struct pool_event *event = new_event(&flow->owner, cgroup, headers, direction);
	struct reader *reader = reader_of(socket, direction);

	if (!event)
		return;
	event->verdict = verdict;
	event->dialect = flow->mining;
	if (reader) {
		event->message_bytes = reader->kept;
		__builtin_memcpy(event->message, reader->message, sizeof(event->message));
	}
	bpf_ringbuf_submit(event, 0);
}

/* Whether what a policy refuses is refused, or the agent has been silent for too long. */
static __always_inline bool enforces(u32 policy)
{
	return (policy & POLICY_POOL_ENFORCE) && !lease_has_run_out(bpf_ktime_get_boot_ns());
}

static __always_inline void count_verdict(u32 policy, bool enforce)
{
	if ((policy & POLICY_POOL_ENFORCE) && !enforce)
		count(COUNT_POOL_LEASE_EXPIRED, 1);
	count(enforce ? COUNT_POOL_DENIED : COUNT_POOL_OBSERVED, 1);
}

/* A datagram: a question for the name of a pool is refused. */
static __always_inline int look_at_datagram(struct __sk_buff *packet, const struct headers *headers,
					    const struct pool_flow *flow, u64 cgroup, u32 policy)
{
	u32 at = headers->transport + UDP_HEADER, bytes = packet->len - at - DNS_HEADER;
	bool enforce = enforces(policy);
	struct pool_event *event;

	count(COUNT_POOL_CHECKED, 1);
	if (read_question(packet, at) != FOUND)
		return ALLOW;
	count_verdict(policy, enforce);
	event = new_event(flow ? &flow->owner : NULL, cgroup, headers, POOL_SENT);
	if (!event)
		return enforce ? REFUSE : ALLOW;
	event->verdict = enforce ? POOL_DENIED : POOL_OBSERVED;
	event->dialect = POOL_DNS;
	bytes = at_most(bytes, POOL_MESSAGE);
	if (!bpf_skb_load_bytes(packet, at + DNS_HEADER, event->message, bytes))
		event->message_bytes = bytes;
	bpf_ringbuf_submit(event, 0);
	return enforce ? REFUSE : ALLOW;
}

/* A segment of a connection. */
static __always_inline int look_at_segment(struct __sk_buff *packet, struct bpf_sock *socket,
					   const struct headers *headers, struct pool_flow *flow, u64 cgroup,
					   u32 policy, u32 direction)
{
	struct segment segment = {};
	bool is_early = false, enforce = enforces(policy);

	if (!read_segment(packet, headers, &segment))
		return ALLOW;
	if (flow->mining) {
		/* Either end may give up. */
		if (!enforce || (segment.flags & TCP_RST))
			return ALLOW;
		count(COUNT_POOL_DENIED, 1);
		return REFUSE;
	}
	if (!next_bytes(flow, &segment, direction, &is_early)) {
		if (!is_early)
			return ALLOW;
		/* What is sent is sent in order: something was missed. */
		if (direction == POOL_SENT || !enforce || flow->early >= MOST_EARLY) {
			pass_both(socket, flow);
			return ALLOW;
		}
		flow->early += 1;
		return REFUSE;
	}
	flow->mining = read(packet, socket, flow, &segment, headers->target.port, direction);
	if (!flow->mining)
		return ALLOW;
	count_verdict(policy, enforce);
	tell(socket, flow, cgroup, headers, direction, enforce ? POOL_DENIED : POOL_OBSERVED);
	bpf_sk_storage_delete(&pool_talks, socket);
	return enforce ? REFUSE : ALLOW;
}

static __always_inline int look(struct __sk_buff *packet, u32 direction)
{
	struct bpf_sock *socket = packet->sk;
	struct headers headers = {};
	struct pool_flow *flow;
	bool is_tcp;
	u64 cgroup;
	u32 policy;

	if (!socket || !(socket = bpf_sk_fullsock(socket)))
		return ALLOW;
	flow = bpf_sk_storage_get(&pool_flows, socket, NULL, 0);
	if (flow && flow->passed[direction])
		return ALLOW;
	is_tcp = socket->protocol == IPPROTO_TCP;
	/* Until a connection is made, it is its listener's. Of datagrams, questions that are sent are looked at. */
	if (is_tcp ? socket->state == TCP_LISTEN : direction != POOL_SENT || socket->protocol != IPPROTO_UDP)
		return ALLOW;
	if (!is_tcp && (!read_packet(packet, &headers) || headers.target.port != DNS_PORT))
		return ALLOW;
	if (is_off(CELL_OFF_POOL)) {
		/* What is said now is not read, and then nobody knows where what comes later begins. */
		if (is_tcp && flow && !flow->mining && is_active())
			pass_both(socket, flow);
		return ALLOW;
	}
	policy = packet_policy(packet, &cgroup);
	if (!policy && flow) {
		policy = flow->owner.policy;
		cgroup = flow->owner.cgroup;
	}
	if (!(policy & POLICY_POOL_ON))
		return ALLOW;
	if (!is_tcp)
		return look_at_datagram(packet, &headers, flow, cgroup, policy);
	if (!flow)
		flow = bpf_sk_storage_get(&pool_flows, socket, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!flow) {
		count(COUNT_POOL_NO_ROOM, 1);
		return ALLOW;
	}
	if (!read_packet(packet, &headers))
		return ALLOW;
	return look_at_segment(packet, socket, &headers, flow, cgroup, policy, direction);
}

SEC("cgroup_skb/egress")
int on_pool_packet(struct __sk_buff *packet)
{
	return look(packet, POOL_SENT);
}

SEC("cgroup_skb/ingress")
int on_pool_arrival(struct __sk_buff *packet)
{
	return look(packet, POOL_RECEIVED);
}

/* Whose a socket is: whoever made it, or connected it first where that was not seen. */
static __always_inline int note_owner(struct bpf_sock *socket, bool is_connected)
{
	struct pool_flow *flow;
	u64 cgroup;
	u32 policy;

	if (!socket || is_off(CELL_OFF_POOL))
		return ALLOW;
	policy = current_policy(&cgroup);
	if (!(policy & POLICY_POOL_ON))
		return ALLOW;
	flow = bpf_sk_storage_get(&pool_flows, socket, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (flow && !flow->owner.cgroup)
		set_owner(&flow->owner, cgroup, policy);
	if (flow && is_connected)
		forget_talk(socket, flow);
	return ALLOW;
}

SEC("cgroup/sock_create")
int on_pool_socket(struct bpf_sock *socket)
{
	return socket->type != SOCK_RAW ? note_owner(socket, false) : ALLOW;
}

SEC("cgroup/connect4")
int on_pool_connect4(struct bpf_sock_addr *wanted)
{
	return wanted->type != SOCK_RAW ? note_owner(wanted->sk, true) : ALLOW;
}

SEC("cgroup/connect6")
int on_pool_connect6(struct bpf_sock_addr *wanted)
{
	return wanted->type != SOCK_RAW ? note_owner(wanted->sk, true) : ALLOW;
}
