// Which rounding mode a thread is in, looked at by a timer.
#pragma once

#include <cstdint>
#include <cstdio>

// Begins to sample the thread that calls, every `interval` nanoseconds.
void sample_this_thread(uint64_t interval);

// Counts of modes and flush bits, and the first 200 modes.
void print_samples(FILE *to);

// A line for each: microseconds since the first, mode, whether a flush bit was set.
void write_samples(const char *path, unsigned at_most);
