// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Inbound: port scans against this host are seen, and their source is blocked where its packets arrive.
 *
 * on_inbound_packet (XDP) or on_inbound_frame (a classifier) drops what banned sources send, and counts first contacts;
 * on_inbound_answer sees what comes of these by what leaves, and on_inbound_state who has completed a handshake. Where a
 * source has done too much, it is banned by the packet that was too much. */
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "inbound_verdict.h"
#include "frame_verdict.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define XDP_DROP 1
#define XDP_PASS 2

/* Headers are read that lie within so many bytes; of IPv6 with extensions, as far as a frame goes. */
#define HEADERS 192
#define LONG_HEADERS 9216

struct xdp_md {
	u32 data;
	u32 data_end;
	u32 data_meta;
	u32 ingress_ifindex;
	u32 rx_queue_index;
	u32 egress_ifindex;
};

/* Working memory: what a packet says, and what is known of a source that is found to scan. Of what is read from a map the verifier
 * assumes nothing, so that it goes one way on from wherever in a packet this was found. Nothing here sleeps, and what arrives and
 * what leaves have one each. */
struct inbound_scratch {
	struct arrival arrival;
	struct inbound_limits limits;
	struct inbound_attempt attempt;
	struct inbound_case about;
	struct inbound_result result;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct inbound_scratch);
} inbound_scratches SEC(".maps");

#define ARRIVES 0
#define LEAVES 1

static __always_inline struct inbound_scratch *scratch_of(u32 which)
{
	return bpf_map_lookup_elem(&inbound_scratches, &which);
}

/* Hands a first contact to the agent, where settings want it. */
static __always_inline void log_inbound(const struct arrival *arrival, u32 device)
{
	struct inbound_contact_event *event;

	if (!(flags_of_settings() & INBOUND_LOG))
		return;
	event = bpf_ringbuf_reserve(&inbound_log, sizeof(*event), 0);
	if (!event) {
		count(COUNT_INBOUND_LOG_LOST, 1);
		return;
	}
	event->type = EVENT_INBOUND_CONTACT;
	event->kind = arrival->kind;
	event->boot_ns = bpf_ktime_get_boot_ns();
	__builtin_memcpy(event->source, arrival->source, sizeof(event->source));
	__builtin_memcpy(event->target, arrival->target, sizeof(event->target));
	event->source_port = arrival->source_port;
	event->port = arrival->port;
	event->device = device;
	event->unused = 0;
	/* Nobody is woken for one contact: the agent comes by, and takes many at once. */
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

static __always_inline void set_case(struct inbound_case *about, u32 is_ipv4, u32 device)
{
	about->is_ipv4 = is_ipv4;
	about->device = device;
	about->reason = 0;
	about->decoys = 0;
	about->sources = 0;
}

/* Somebody gets in touch. Returns whether the packet is dropped. A function of its own, since few packets come here. */
static __noinline bool take_first_contact(struct inbound_scratch *scratch, u32 device)
{
	const struct arrival *arrival = &scratch->arrival;
	struct inbound_attempt *attempt = &scratch->attempt;
	struct inbound_result *result = &scratch->result;
	struct inbound_case *about = &scratch->about;
	struct inbound_service service;
	u32 together;
	u64 now;

	read_inbound_limits(&scratch->limits);
	now = scratch->limits.now;
	set_attempt(attempt, arrival->target, arrival->port, arrival->kind,
		    arrival->kind == PROBE_PING ? IPPROTO_ICMP : arrival->protocol, &scratch->limits);
	attempt->source[0] = arrival->source[0];
	attempt->source[1] = arrival->source[1];
	take_prefix(attempt->source, arrival->is_ipv4);
	service = service_of(attempt->own, attempt->port, attempt->transport);
	attempt->is_served = is_served(&service);
	set_case(about, arrival->is_ipv4, device);
	take_probe(attempt, &scratch->limits, result);
	if (result->is_new) {
		count(COUNT_INBOUND_CONTACTS, 1);
		log_inbound(arrival, device);
	}
	if (attempt->is_served && !result->reason)
		return false;
	/* As somebody does whom it was worth looking for. */
	if (arrival->kind == PROBE_SYN && result->walk >= 2 * INBOUND_STEP)
		about->decoys = has_twin(arrival, attempt->source, now);
	if (result->reason) {
		about->reason = result->reason;
		return conclude(about, attempt, &result->source, now);
	}
	if (about->decoys)
		return drops_decoys(attempt->source, now);
	if (arrival->kind != PROBE_SYN || !result->is_new || result->walk > 2 * INBOUND_STEP)
		return false;
	together = count_together(arrival->port, result->is_first, now);
	if (together) {
		about->reason = INBOUND_DISTRIBUTED;
		about->sources = together;
		__builtin_memset(&result->source, 0, sizeof(result->source));
		conclude(about, attempt, &result->source, now);
	}
	return false;
}

/* Somebody answers what this host has not asked. */
static __always_inline void note_unasked(const struct arrival *arrival)
{
	struct inbound_flow flow;
	u64 now = now_ns();

	if (is_opened(arrival))
		return;
	flow = flow_of(arrival->source, arrival->source_port, arrival->port, arrival->protocol);
	bpf_map_update_elem(&inbound_unasked, &flow, &now, BPF_ANY);
}

static __always_inline bool is_answer_to_syn(const struct arrival *arrival)
{
	return arrival->protocol == IPPROTO_TCP && (arrival->flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
}

/* A packet arrives. Returns whether it is dropped. */
static __always_inline bool arrive(struct inbound_scratch *scratch, u32 device)
{
	const struct arrival *arrival = &scratch->arrival;
	struct inbound_ban *ban = ban_of(arrival);

	if (ban && !comes_in(arrival, ban)) {
		ban->dropped++;
		count(COUNT_INBOUND_DROPPED, 1);
		return true;
	}
	/* As nearly all are. */
	if (arrival->kind == NO_PROBE) {
		if (is_answer_to_syn(arrival))
			note_unasked(arrival);
		return false;
	}
	if (is_for_many(arrival->target) || (arrival->kind == PROBE_UDP && is_opened(arrival)))
		return false;
	if (!(arrival->kind == PROBE_HIDDEN ? drops_hidden(arrival->source) : take_first_contact(scratch, device)))
		return false;
	count(COUNT_INBOUND_DROPPED, 1);
	return true;
}

SEC("xdp")
int on_inbound_packet(struct xdp_md *packet)
{
	struct inbound_scratch *scratch = scratch_of(ARRIVES);

	if (!scratch || inbound_is_off())
		return XDP_PASS;
	if (!read_arrival(&scratch->arrival, (void *)(long)packet->data, (void *)(long)packet->data_end))
		return XDP_PASS;
	return arrive(scratch, packet->ingress_ifindex) ? XDP_DROP : XDP_PASS;
}

/* Has the first bytes lie where they can be read. Returns whether they do. */
static __always_inline bool pull(struct __sk_buff *frame, u32 most)
{
	u32 wanted = frame->len < most ? frame->len : most;

	return frame->data_end - frame->data >= wanted || !bpf_skb_pull_data(frame, wanted);
}

static __always_inline bool read_frame(struct arrival *arrival, struct __sk_buff *frame)
{
	if (!pull(frame, HEADERS))
		return false;
	if (has_extensions((void *)(long)frame->data, (void *)(long)frame->data_end) && !pull(frame, LONG_HEADERS))
		return false;
	return read_arrival(arrival, (void *)(long)frame->data, (void *)(long)frame->data_end);
}

SEC("tcx/ingress")
int on_inbound_frame(struct __sk_buff *frame)
{
	struct inbound_scratch *scratch = scratch_of(ARRIVES);

	if (!scratch || inbound_is_off() || !read_frame(&scratch->arrival, frame))
		return FRAME_PASS;
	return arrive(scratch, frame->ifindex) ? FRAME_DROP : FRAME_PASS;
}

/* What leaves, seen from the other end: who gets it is the source. */
static __always_inline void take_answer(struct inbound_scratch *scratch, u16 port, u8 kind, u8 transport, u32 device)
{
	const struct arrival *answer = &scratch->arrival;
	struct inbound_attempt *attempt = &scratch->attempt;

	read_inbound_limits(&scratch->limits);
	set_attempt(attempt, answer->source, port, kind, transport, &scratch->limits);
	attempt->source[0] = answer->target[0];
	attempt->source[1] = answer->target[1];
	take_prefix(attempt->source, answer->is_ipv4);
	set_case(&scratch->about, answer->is_ipv4, device);
}

/* This host begins something with somebody. */
static __always_inline void note_opened(const struct arrival *answer, u64 since)
{
	struct inbound_flow flow = flow_of(answer->target, answer->port, answer->source_port, answer->protocol);

	bpf_map_update_elem(&inbound_opened, &flow, &since, BPF_ANY);
}

static __always_inline void put_service(const struct inbound_service *service, u64 now)
{
	struct inbound_host *host = host_state();

	if (host)
		host->answered[service->port] = 1;
	bpf_map_update_elem(&inbound_served, service, &now, BPF_ANY);
}

/* A service answers somebody. Returns whether somebody was there to be answered. */
static __noinline bool note_answer(struct inbound_scratch *scratch, u8 transport, u16 port, u64 now)
{
	struct inbound_service service = service_of(scratch->arrival.source, port, transport);
	u64 *known = bpf_map_lookup_elem(&inbound_served, &service);

	/* Whoever came while the port was not known to answer is still to get what it counts. */
	take_answer(scratch, port, NO_PROBE, transport, 0);
	take_outcome(&scratch->attempt, &scratch->limits, &scratch->result);
	if (known && *known) {
		*known = now;
		return true;
	}
	/* Of UDP, it may as well be this host that begins. */
	if (transport == IPPROTO_UDP && !scratch->result.is_known)
		return false;
	put_service(&service, now);
	return true;
}

/* A packet that belongs to no connection was refused: who scans by such learns from that what is open. */
static __noinline void take_refusal(struct inbound_scratch *scratch, u32 device, u64 now)
{
	const struct arrival *answer = &scratch->arrival;
	struct inbound_service service = service_of(answer->source, answer->source_port, IPPROTO_TCP);
	struct inbound_flow flow = flow_of(answer->target, answer->port, answer->source_port, IPPROTO_TCP);
	struct inbound_result *result = &scratch->result;

	if (bpf_map_lookup_elem(&inbound_opened, &flow) || bpf_map_lookup_elem(&inbound_unasked, &flow) ||
	    is_served(&service))
		return;
	take_answer(scratch, answer->source_port, PROBE_ACK, IPPROTO_TCP, device);
	take_probe(&scratch->attempt, &scratch->limits, result);
	if (result->is_new)
		count(COUNT_INBOUND_CONTACTS, 1);
	if (!result->reason)
		return;
	scratch->about.reason = result->reason;
	conclude(&scratch->about, &scratch->attempt, &result->source, now);
}

/* Somebody is told that a port of UDP is closed. */
static __noinline void take_unreachable(struct inbound_scratch *scratch, u32 device, u64 now)
{
	struct inbound_result *result = &scratch->result;

	take_answer(scratch, scratch->arrival.refused, PROBE_UDP, IPPROTO_UDP, device);
	scratch->attempt.is_refused = 1;
	take_outcome(&scratch->attempt, &scratch->limits, result);
	if (!result->reason)
		return;
	scratch->about.reason = result->reason;
	conclude(&scratch->about, &scratch->attempt, &result->source, now);
}

static __always_inline void answer_tcp(struct inbound_scratch *scratch, u32 device, u64 now)
{
	const struct arrival *answer = &scratch->arrival;
	u8 flags = answer->flags & (TCP_SYN | TCP_ACK | TCP_RST);

	if (flags == TCP_SYN)
		note_opened(answer, now & ~INBOUND_ANSWERS);
	else if (flags == (TCP_SYN | TCP_ACK))
		note_answer(scratch, IPPROTO_TCP, answer->source_port, now);
	else if (flags == TCP_RST)
		take_refusal(scratch, device, now);
	else if (flags == (TCP_RST | TCP_ACK)) {
		struct inbound_service service = service_of(answer->source, answer->source_port, IPPROTO_TCP);
		u64 *known = bpf_map_lookup_elem(&inbound_served, &service);

		/* It may be what ends a connection: whether the port is served is seen with the next. */
		if (known)
			*known = 0;
	}
}

static __always_inline void answer_udp(struct inbound_scratch *scratch, u64 now)
{
	const struct arrival *answer = &scratch->arrival;
	struct inbound_flow flow = flow_of(answer->target, answer->port, answer->source_port, IPPROTO_UDP);

	if (bpf_map_lookup_elem(&inbound_opened, &flow))
		return;
	now &= ~INBOUND_ANSWERS;
	if (note_answer(scratch, IPPROTO_UDP, answer->source_port, now))
		now |= INBOUND_ANSWERS;
	note_opened(answer, now);
}

/* A packet leaves: something may come of a contact by it. */
static __always_inline void leave(struct inbound_scratch *scratch, u32 device)
{
	const struct arrival *answer = &scratch->arrival;
	u64 now = now_ns();

	switch (answer->protocol) {
	case IPPROTO_TCP:
		answer_tcp(scratch, device, now);
		break;
	case IPPROTO_UDP:
		if (answer->kind == PROBE_UDP)
			answer_udp(scratch, now);
		break;
	case IPPROTO_SCTP:
		if (answer->flags == SCTP_INIT)
			note_opened(answer, now & ~INBOUND_ANSWERS);
		else if (answer->flags == SCTP_INIT_ACK)
			note_answer(scratch, IPPROTO_SCTP, answer->source_port, now);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (answer->refused)
			take_unreachable(scratch, device, now);
		/* A later fragment says nothing, and its type would be that of an answer. */
		else if (!answer->later && answer->flags == (answer->is_ipv4 ? ICMP_ECHO_REPLY : ICMPV6_ECHO_REPLY))
			note_answer(scratch, IPPROTO_ICMP, 0, now);
		break;
	}
}

SEC("tcx/egress")
int on_inbound_answer(struct __sk_buff *frame)
{
	struct inbound_scratch *scratch = scratch_of(LEAVES);

	if (scratch && !inbound_is_off() && read_frame(&scratch->arrival, frame))
		leave(scratch, frame->ifindex);
	return FRAME_PASS;
}

#define TCP_ESTABLISHED 1
#define AF_INET 2
#define AF_INET6 10

/* A connection is established, or is so no more: whoever is at its other end exists. */
SEC("tp_btf/inet_sock_set_state")
int on_inbound_state(u64 *arguments)
{
	const struct sock *socket = (const struct sock *)arguments[0];
	int old = (int)arguments[1], new = (int)arguments[2];
	struct inbound_address address = {};
	struct inbound_peer *peer, fresh = { .connections = 1 };
	u32 is_ipv4 = 1;
	u16 family;

	if ((old == TCP_ESTABLISHED) == (new == TCP_ESTABLISHED) || inbound_is_off())
		return 0;
	family = BPF_CORE_READ(socket, __sk_common.skc_family);
	if (family == AF_INET) {
		set_mapped(address.words, BPF_CORE_READ(socket, __sk_common.skc_daddr));
	} else if (family == AF_INET6) {
		BPF_CORE_READ_INTO(&address.words, socket, __sk_common.skc_v6_daddr);
		is_ipv4 = !address.words[0] && ((u32 *)address.words)[2] == bpf_htonl(0xffff);
	} else {
		return 0;
	}
	take_prefix(address.words, is_ipv4);
	if (is_of_this_host(address.words))
		return 0;
	peer = bpf_map_lookup_elem(&inbound_peers, &address);
	if (new != TCP_ESTABLISHED) {
		if (peer && peer->connections > 0)
			__sync_fetch_and_add(&peer->connections, -1);
		return 0;
	}
	/* The same clock; this kind of program may not read it the cheaper way. */
	fresh.proven_ns = bpf_ktime_get_ns();
	if (!peer) {
		bpf_map_update_elem(&inbound_peers, &address, &fresh, BPF_ANY);
		return 0;
	}
	peer->proven_ns = fresh.proven_ns;
	__sync_fetch_and_add(&peer->connections, 1);
	return 0;
}
