/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a socket for the tests in virtual machines: packet, xdp, raw or raw6, by the call that is named then: none, `narrow` for
 * that of 32 bits or `uring`; or stays a while after it, with `stays`. Ends with 0 where it was made, with 1 where that was not
 * permitted, with 2 where it failed otherwise. */
#include <errno.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Since Linux 5.19. */
enum { OP_SOCKET = 45, STAYS = 10, PAGE = 4096 };

static const struct {
	const char *name;
	int family, type, protocol;
} sockets[] = {
	{ "packet", 17, SOCK_RAW, 0 },
	{ "xdp", 44, SOCK_RAW, 0 },
	{ "raw", AF_INET, SOCK_RAW, 255 },
	{ "raw6", AF_INET6, SOCK_RAW, 58 },
};

/* Returns the socket, or an error's number below zero. */
static long narrow(long family, long type, long protocol)
{
	long made = -ENOSYS;

#ifdef __x86_64__
	enum { SOCKET_OF_32_BITS = 359 };

	asm volatile("int $0x80" : "=a"(made) : "a"(SOCKET_OF_32_BITS), "b"(family), "c"(type), "d"(protocol)
		     : "memory", "r8", "r9", "r10", "r11");
#endif
	return (int)made;
}

static long uring(int family, int type, int protocol)
{
	struct io_uring_params parameters = {};
	int ring = syscall(SYS_io_uring_setup, 1, &parameters);
	struct io_uring_sqe *entries;
	char *queue, *done;

	if (ring < 0)
		return -errno;
	queue = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	done = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
	entries = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	if (queue == MAP_FAILED || done == MAP_FAILED || entries == MAP_FAILED)
		return -errno;
	entries[0] = (struct io_uring_sqe){ .opcode = OP_SOCKET, .fd = family, .off = type, .len = protocol };
	*(unsigned *)(queue + parameters.sq_off.array) = 0;
	*(unsigned *)(queue + parameters.sq_off.tail) = 1;
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	return ((struct io_uring_cqe *)(done + parameters.cq_off.cqes))->res;
}

int main(int count, char **words)
{
	const char *way = count > 2 ? words[2] : "";

	for (unsigned i = 0; count > 1 && i < sizeof(sockets) / sizeof(*sockets); i++) {
		int family = sockets[i].family, type = sockets[i].type, protocol = sockets[i].protocol;
		long made;

		if (strcmp(words[1], sockets[i].name))
			continue;
		if (!strcmp(way, "narrow"))
			made = narrow(family, type, protocol);
		else if (!strcmp(way, "uring"))
			made = uring(family, type, protocol);
		else
			made = (made = socket(family, type, protocol)) < 0 ? -errno : made;
		printf("%ld\n", made);
		fflush(stdout);
		if (!strcmp(way, "stays"))
			sleep(STAYS);
		return made >= 0 ? 0 : made == -EPERM ? 1 : 2;
	}
	return 2;
}
