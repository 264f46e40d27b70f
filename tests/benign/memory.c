/* Holds MIB of memory and touches each page of it all along: SECONDS MIB. */
#include "bound.h"

int main(int count, char **arguments) {
	double end = end_of(count, arguments);
	size_t mebibytes = count > 2 ? strtoul(arguments[2], NULL, 10) : 1024;
	if (mebibytes < 1 || mebibytes > 4096)
		return 2;
	size_t size = mebibytes << 20;
	volatile char *memory = malloc(size);
	if (memory == NULL)
		return 1;
	unsigned long rounds = 0;
	for (; now() < end; rounds++)
		for (size_t at = 0; at < size && (at & 0xffffff || now() < end); at += 4096)
			memory[at]++;
	printf("%lu\n", rounds);
}
