/* SPDX-License-Identifier: Apache-2.0 */
/* A name server for the tests in virtual machines, whose busybox has none: every name is 127.0.0.1, for five minutes. */
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

enum { HEADER = 12, MOST = 512 };

int main(void)
{
	/* The question's name, pointed at; A, IN, the time, four bytes, and the address. */
	static const unsigned char record[] = { 0xc0, HEADER, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 127, 0, 0, 1 };
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = htons(53), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int made = socket(AF_INET, SOCK_DGRAM, 0);

	if (bind(made, (struct sockaddr *)&own, sizeof(own)))
		return 1;
	for (;;) {
		unsigned char message[MOST + sizeof(record)];
		struct sockaddr_in peer;
		socklen_t size = sizeof(peer);
		ssize_t length = recvfrom(made, message, MOST, 0, (struct sockaddr *)&peer, &size);

		if (length < HEADER)
			continue;
		message[2] |= 0x80; /* an answer */
		message[7] = 1;     /* with one record */
		memcpy(message + length, record, sizeof(record));
		sendto(made, message, length + sizeof(record), 0, (struct sockaddr *)&peer, size);
	}
}
