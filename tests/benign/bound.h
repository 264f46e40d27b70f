/* How long a program runs: its first argument, in seconds, and no longer than ten minutes. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static inline double now(void) {
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* When to end. The alarm is for the case that a program does not look at the clock. */
static inline double end_of(int count, char **arguments) {
	int seconds = count > 1 ? atoi(arguments[1]) : 0;
	if (seconds < 1 || seconds > 600) {
		fprintf(stderr, "usage: %s SECONDS ..., 1 to 600\n", arguments[0]);
		exit(2);
	}
	alarm((unsigned)seconds + 5);
	return now() + seconds;
}
