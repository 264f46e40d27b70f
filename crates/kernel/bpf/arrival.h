/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a frame says that lies between two pointers: who sends it to whom, and whether somebody gets in touch by it. */
#pragma once
#include "kernel_types.h"
#include <bpf/bpf_endian.h>
#include "inbound_layout.h"
#include "target.h"

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define ETH_P_8021Q 0x8100
#define ETH_P_8021AD 0x88a8
#define MOST_TAGS 2
#define MOST_EXTENSIONS 8 /* no host needs as many, and Linux takes any number */

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define SCTP_INIT 1
#define SCTP_INIT_ACK 2
#define ICMP_ECHO_REPLY 0
#define ICMP_UNREACHABLE 3
#define ICMP_ECHO 8
#define ICMPV6_UNREACHABLE 1
#define ICMPV6_ECHO 128
#define ICMPV6_ECHO_REPLY 129

struct arrival {
	u64 source[2]; /* IPv4 as ::ffff:a.b.c.d */
	u64 target[2];
	u32 is_ipv4;
	u16 source_port;
	u16 port;
	u8 protocol;
	u8 kind;  /* enum inbound_kind */
	u8 flags; /* of TCP; of ICMP its type, of SCTP that of the first chunk */
	u8 later; /* a fragment that is not the first: it has no ports */
	u32 sequence; /* of TCP */
	u16 refused; /* the port of UDP that an ICMP packet says nobody is at; 0 is none */
	u16 unused;
};

/* A word of an address as the kernel's maps have it, of four bytes as they are in the packet. */
static __always_inline void set_mapped(u64 *address, u32 ipv4)
{
	u32 *words = (u32 *)address;

	words[0] = 0;
	words[1] = 0;
	words[2] = bpf_htonl(0xffff);
	words[3] = ipv4;
}

static __always_inline u16 u16_at(const void *at)
{
	const u8 *bytes = at;

	return bytes[0] << 8 | bytes[1];
}

/* Which of these it is, by the flags of TCP. What ends or refuses a connection, and what is within one, is no first contact. */
static __always_inline u8 kind_of_flags(u8 flags)
{
	if (flags & TCP_RST)
		return NO_PROBE;
	if (flags & TCP_SYN)
		return flags & TCP_ACK ? NO_PROBE : PROBE_SYN;
	if (flags & TCP_ACK)
		return NO_PROBE;
	if (flags == TCP_FIN)
		return PROBE_FIN;
	return flags & 0x3f ? PROBE_XMAS : PROBE_NULL;
}

/* The port of UDP that a packet went to which ICMP says something of: it is within that, from its own header on. */
static __always_inline u16 refused_port(const struct arrival *arrival, void *inner, void *end)
{
	u8 *bytes = inner;

	if (arrival->is_ipv4) {
		if (inner + 20 > end || bytes[9] != IPPROTO_UDP)
			return 0;
		inner += (bytes[0] & 0xf) * 4;
	} else {
		if (inner + 40 > end || bytes[6] != IPPROTO_UDP)
			return 0;
		inner += 40;
	}
	return inner + 4 > end ? 0 : u16_at(inner + 2);
}

/* Reads what the transport protocol's header begins with. `first` is the first of several fragments. */
static __always_inline void read_transport(struct arrival *arrival, void *at, void *end, bool first)
{
	u8 *bytes = at;

	switch (arrival->protocol) {
	case IPPROTO_TCP:
		if (at + 8 > end)
			return;
		arrival->source_port = u16_at(at);
		arrival->port = u16_at(at + 2);
		__builtin_memcpy(&arrival->sequence, at + 4, 4);
		if (at + 14 > end) {
			/* Nobody but who hides its flags cuts the header of TCP. */
			if (first)
				arrival->kind = PROBE_FRAGMENT;
			return;
		}
		arrival->flags = bytes[13];
		arrival->kind = kind_of_flags(bytes[13]);
		return;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		if (at + 8 > end)
			return;
		arrival->source_port = u16_at(at);
		arrival->port = u16_at(at + 2);
		arrival->kind = PROBE_UDP;
		return;
	case IPPROTO_SCTP:
		if (at + 13 > end)
			return;
		arrival->source_port = u16_at(at);
		arrival->port = u16_at(at + 2);
		arrival->flags = bytes[12];
		if (bytes[12] == SCTP_INIT)
			arrival->kind = PROBE_SCTP;
		return;
	case IPPROTO_ICMP:
		if (at + 8 > end)
			return;
		arrival->flags = bytes[0];
		if (arrival->is_ipv4 && bytes[0] == ICMP_ECHO)
			arrival->kind = PROBE_PING;
		if (arrival->is_ipv4 && bytes[0] == ICMP_UNREACHABLE)
			arrival->refused = refused_port(arrival, at + 8, end);
		return;
	case IPPROTO_ICMPV6:
		if (at + 8 > end)
			return;
		arrival->flags = bytes[0];
		if (!arrival->is_ipv4 && bytes[0] == ICMPV6_ECHO)
			arrival->kind = PROBE_PING;
		if (!arrival->is_ipv4 && bytes[0] == ICMPV6_UNREACHABLE)
			arrival->refused = refused_port(arrival, at + 8, end);
		return;
	}
}

/* Returns whether it is a whole header of IPv4. */
static __always_inline bool read_arrival_ipv4(struct arrival *arrival, void *at, void *end)
{
	u8 *bytes = at;
	u32 from, to, fragment;

	if (at + 20 > end || bytes[0] >> 4 != 4)
		return false;
	__builtin_memcpy(&from, at + 12, 4);
	__builtin_memcpy(&to, at + 16, 4);
	set_mapped(arrival->source, from);
	set_mapped(arrival->target, to);
	arrival->is_ipv4 = 1;
	arrival->protocol = bytes[9];
	fragment = u16_at(at + 6);
	if (fragment & 0x1fff)
		arrival->later = 1;
	else
		read_transport(arrival, at + (bytes[0] & 0xf) * 4, end, fragment & 0x2000);
	return true;
}

/* Whether it is a header of IPv6 that others follow. */
static __always_inline bool is_extension(u32 next)
{
	return next == 0 || next == 43 || next == 44 || next == 51 || next == 60;
}

/* The same of IPv6, with what is between the header and what it carries. Whoever hides that behind many headers, or in a later
 * fragment than the first, is told by that. */
static __always_inline bool read_arrival_ipv6(struct arrival *arrival, void *at, void *end)
{
	u8 *bytes = at;
	bool first = false;
	u32 next;

	if (at + 40 > end || bytes[0] >> 4 != 6)
		return false;
	__builtin_memcpy(arrival->source, at + 8, 16);
	__builtin_memcpy(arrival->target, at + 24, 16);
	next = bytes[6];
	at += 40;
	for (int count = 0; count < MOST_EXTENSIONS; count++) {
		u32 length;

		if (!is_extension(next))
			break;
		/* What is cut short is no first contact, and its source may be banned all the same. */
		if (at + 8 > end) {
			if (first)
				arrival->kind = PROBE_HIDDEN;
			return true;
		}
		bytes = at;
		if (next == 44) {
			u32 fragment = u16_at(at + 2);

			length = 8;
			if (fragment & 0xfff8) {
				arrival->protocol = bytes[0];
				arrival->later = 1;
				return true;
			}
			first = fragment & 1;
		} else {
			length = next == 51 ? (bytes[1] + 2) * 4 : (bytes[1] + 1) * 8;
		}
		next = bytes[0];
		at += length;
	}
	arrival->protocol = next;
	if (is_extension(next) || (first && at + 8 > end)) {
		arrival->kind = PROBE_HIDDEN;
		return true;
	}
	read_transport(arrival, at, end, first);
	return true;
}

/* What is behind the header of Ethernet, and its type; NULL where that is cut. A tag of a VLAN may be in the frame still, or two. */
static __always_inline void *after_link(void *at, void *end, u16 *type)
{
	if (at + 14 > end)
		return NULL;
	*type = u16_at(at + 12);
	at += 14;
	for (int tag = 0; tag < MOST_TAGS; tag++) {
		if (*type != ETH_P_8021Q && *type != ETH_P_8021AD)
			break;
		if (at + 4 > end)
			return NULL;
		*type = u16_at(at + 2);
		at += 4;
	}
	return at;
}

/* Whether headers follow that of IPv6. */
static __always_inline bool has_extensions(void *at, void *end)
{
	u16 type;

	at = after_link(at, end, &type);
	return at && type == ETH_P_IPV6 && at + 40 <= end && is_extension(((u8 *)at)[6]);
}

/* Returns whether it is a packet of IP. */
static __always_inline bool read_arrival(struct arrival *arrival, void *at, void *end)
{
	u16 type;

	at = after_link(at, end, &type);
	if (!at)
		return false;
	__builtin_memset(arrival, 0, sizeof(*arrival));
	arrival->kind = NO_PROBE;
	if (type == ETH_P_IP)
		return read_arrival_ipv4(arrival, at, end);
	if (type == ETH_P_IPV6)
		return read_arrival_ipv6(arrival, at, end);
	return false;
}

/* Whether it is for all, or for many. */
static __always_inline bool is_for_many(const u64 *address)
{
	const u8 *bytes = (const u8 *)address;
	const u32 *words = (const u32 *)address;

	if (!address[0] && words[2] == bpf_htonl(0xffff))
		return bytes[12] >= 224 || !words[3];
	return bytes[0] == 0xff;
}
