#include "rest.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xmmintrin.h>

static Rest rests[2];
static thread_local timer_t timers[2];

int signal_of(Stretch stretch) { return SIGRTMIN + stretch; }

sigset_t stretch_signals() {
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, signal_of(STRETCH_EVADE));
	sigaddset(&set, signal_of(STRETCH_DUTY));
	return set;
}

static timespec timespec_of(uint64_t nanoseconds) {
	return {time_t(nanoseconds / 1000000000), long(nanoseconds % 1000000000)};
}

timer_t timer_of_thread(int signal) {
	sigevent event = {};
	event.sigev_notify = SIGEV_THREAD_ID;
	event.sigev_signo = signal;
	event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
	timer_t timer;
	// By the wall's clock: clocks of CPU time are looked at once a tick, which is what the evader must come before.
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) {
		perror("timer_create");
		exit(1);
	}
	return timer;
}

void fire_after(timer_t timer, uint64_t nanoseconds) {
	itimerspec when = {{}, timespec_of(nanoseconds)};
	timer_settime(timer, 0, &when, nullptr);
}

// A hash takes up to a second, so rests cannot wait for its end. A signal comes in between: the kernel saves what the
// thread computes with, MXCSR too, and puts it back when the handler returns. To the handler it gives a fresh MXCSR,
// round to nearest, and so to whoever looks at the thread while it sleeps. It is set here all the same, to say so.
// The next stretch is counted from the end of the rest: on a busy machine a timer that goes on by itself would leave
// no time to hash.
static void rest(int signal, siginfo_t *, void *) {
	int before = errno, stretch = signal - SIGRTMIN;
	_mm_setcsr(0x1f80);
	if (rests[stretch].length == 0) {
		sched_yield();
	} else {
		// The kernel stretches a microsecond to some fifty, by its default slack. Without slack the time is over
		// before the thread has left the processor, and then it does not leave.
		timespec length = timespec_of(rests[stretch].length);
		nanosleep(&length, nullptr);
	}
	fire_after(timers[stretch], rests[stretch].after);
	errno = before;
}

void take_rests(Stretch stretch, Rest how) {
	rests[stretch] = how;
	struct sigaction action = {};
	action.sa_sigaction = rest;
	action.sa_flags = SA_SIGINFO | SA_RESTART;
	// All of them: whichever came would end a sleep too soon, that of --sample too.
	sigfillset(&action.sa_mask);
	sigaction(signal_of(stretch), &action, nullptr);
	timers[stretch] = timer_of_thread(signal_of(stretch));
	fire_after(timers[stretch], how.after);
}
