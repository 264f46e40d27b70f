/* Puts SYNs on a wire: DEVICE MAC SOURCES FRAMES. SOURCES is a file with an IPv4 address in each line, whose turns come again and
 * again, in an order that no list has. Prints how many ns that took, by the clock and of the processor. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* MOST keeps this from being a flood, ROOM is of sources, and STRIDE is a prime, so that each source has its turn. */
enum { MOST = 1000000, ROOM = 65536, STRIDE = 7919, BATCH = 64, BYTES = 60 };

static uint8_t frames[ROOM][BYTES];

static void fail(const char *doing) {
	perror(doing);
	exit(1);
}

static uint16_t checksum(const void *bytes, size_t size, uint32_t sum) {
	const uint8_t *byte = bytes;
	for (size_t at = 0; at < size; at += 2)
		sum += byte[at] << 8 | byte[at + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

/* A SYN to a port at which nobody listens. Its checksums are right, since what comes later in the stack looks at them. */
static void make(uint8_t *frame, struct ether_addr to, struct in_addr from) {
	struct ether_header *ethernet = (void *)frame;
	struct iphdr *ip = (void *)(ethernet + 1);
	struct tcphdr *tcp = (void *)(ip + 1);
	memcpy(ethernet->ether_dhost, &to, sizeof(to));
	memset(ethernet->ether_shost, 2, sizeof(ethernet->ether_shost));
	ethernet->ether_type = htons(ETHERTYPE_IP);
	*ip = (struct iphdr){ .version = 4, .ihl = 5, .tot_len = htons(40), .ttl = 64, .protocol = IPPROTO_TCP, .saddr = from.s_addr };
	inet_pton(AF_INET, "198.51.100.1", &ip->daddr);
	ip->check = checksum(ip, sizeof(*ip), 0);
	*tcp = (struct tcphdr){ .source = htons(40000), .dest = htons(9), .seq = htonl(1), .doff = 5, .syn = 1, .window = htons(1024) };
	uint8_t pseudo[12] = { [9] = IPPROTO_TCP, [11] = sizeof(*tcp) };
	memcpy(pseudo, &ip->saddr, 8);
	tcp->check = checksum(tcp, sizeof(*tcp), (uint16_t)~ntohs(checksum(pseudo, sizeof(pseudo), 0)));
}

static unsigned read_sources(const char *path, struct ether_addr to) {
	FILE *file = fopen(path, "r");
	if (file == NULL)
		fail(path);
	char line[64];
	unsigned count = 0;
	struct in_addr from;
	while (count < ROOM && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		if (inet_pton(AF_INET, line, &from) == 1)
			make(frames[count++], to, from);
	}
	fclose(file);
	return count;
}

static int open_wire(const char *device) {
	struct sockaddr_ll wire = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(device) };
	int packets = socket(AF_PACKET, SOCK_RAW, 0);
	if (packets < 0 || bind(packets, (void *)&wire, sizeof(wire)))
		fail(device);
	return packets;
}

/* What arrives is looked at on the processor of whoever sent it. */
static void stay_here(void) {
	cpu_set_t here;
	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	if (sched_setaffinity(0, sizeof(here), &here))
		fail("stay on a processor");
}

static double now(clockid_t clock) {
	struct timespec time;
	clock_gettime(clock, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int main(int count, char **arguments) {
	struct ether_addr *to = count == 5 ? ether_aton(arguments[2]) : NULL;
	unsigned wanted = count == 5 ? (unsigned)atoi(arguments[4]) : 0;
	unsigned sources = to ? read_sources(arguments[3], *to) : 0;
	if (sources == 0 || wanted < 1 || wanted > MOST) {
		fprintf(stderr, "usage: %s DEVICE MAC SOURCES FRAMES, 1 to %d\n", arguments[0], MOST);
		return 2;
	}
	int wire = open_wire(arguments[1]);
	struct mmsghdr batch[BATCH] = { 0 };
	struct iovec parts[BATCH];
	stay_here();
	double began = now(CLOCK_MONOTONIC), spent = now(CLOCK_PROCESS_CPUTIME_ID);
	for (unsigned sent = 0; sent < wanted;) {
		unsigned size = wanted - sent < BATCH ? wanted - sent : BATCH;
		for (unsigned at = 0; at < size; at++) {
			unsigned which = (unsigned)((uint64_t)(sent + at) * STRIDE % sources);
			parts[at] = (struct iovec){ .iov_base = frames[which], .iov_len = BYTES };
			batch[at].msg_hdr = (struct msghdr){ .msg_iov = &parts[at], .msg_iovlen = 1 };
		}
		int done = sendmmsg(wire, batch, size, 0);
		if (done < 1)
			fail("send");
		sent += (unsigned)done;
	}
	printf("%.0f %.0f\n", now(CLOCK_MONOTONIC) - began, now(CLOCK_PROCESS_CPUTIME_ID) - spent);
}
