// Not hashing, now and then, in a way that shows nothing of RandomX to who looks at a thread that rests.
#pragma once

#include <csignal>
#include <cstdint>
#include <ctime>

struct Rest {
	uint64_t after;  // nanoseconds of hashing before it
	uint64_t length; // nanoseconds; 0 to yield the processor once
};

// The signals that end a stretch of hashing.
enum Stretch { STRETCH_EVADE, STRETCH_DUTY };
int signal_of(Stretch stretch);
sigset_t stretch_signals();

// The calling thread takes rests from now on, also in the middle of a hash.
void take_rests(Stretch stretch, Rest rest);

// A timer that sends a signal to the calling thread, and its next time.
timer_t timer_of_thread(int signal);
void fire_after(timer_t timer, uint64_t nanoseconds);
