#include "sampler.h"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static const unsigned KEPT = 4096;
static struct {
	uint64_t at;
	uint32_t mxcsr;
} samples[KEPT];
static std::atomic<uint64_t> taken;
static uint64_t modes[4], flushes;

static unsigned mode_of(uint32_t mxcsr) { return mxcsr >> 13 & 3; }
static bool flush_of(uint32_t mxcsr) { return mxcsr & 0x8040; }

// What the thread was computing with is in the frame that the signal has saved. The handler's own MXCSR says nothing:
// the kernel resets it before it calls a handler.
static void take(int, siginfo_t *, void *context) {
	uint32_t mxcsr = static_cast<ucontext_t *>(context)->uc_mcontext.fpregs->mxcsr;
	timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	uint64_t number = taken++;
	if (number < KEPT)
		samples[number] = {uint64_t(time.tv_sec) * 1000000 + uint64_t(time.tv_nsec) / 1000, mxcsr};
	modes[mode_of(mxcsr)]++;
	flushes += flush_of(mxcsr);
}

void sample_this_thread(uint64_t interval) {
	// One of the last signals: few programs use them, and Python and Node leave them alone.
	int number = SIGRTMAX - 2;
	struct sigaction action = {};
	action.sa_sigaction = take;
	action.sa_flags = SA_SIGINFO | SA_RESTART;
	sigfillset(&action.sa_mask);
	sigaction(number, &action, nullptr);
	sigevent event = {};
	event.sigev_notify = SIGEV_THREAD_ID;
	event.sigev_signo = number;
	event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
	timer_t timer;
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) {
		perror("timer_create");
		exit(1);
	}
	timespec each = {time_t(interval / 1000000000), long(interval % 1000000000)};
	itimerspec when = {each, each};
	timer_settime(timer, 0, &when, nullptr);
}

void print_samples(FILE *to) {
	fprintf(to, "samples %lu: nearest %lu, down %lu, up %lu, zero %lu; flush %lu\nsequence ",
		taken.load(), modes[0], modes[1], modes[2], modes[3], flushes);
	for (unsigned i = 0; i < taken && i < 200; i++)
		fprintf(to, "%u", mode_of(samples[i].mxcsr));
	fprintf(to, "\n");
}

void write_samples(const char *path, unsigned at_most) {
	FILE *file = fopen(path, "w");
	if (file == nullptr)
		return;
	for (unsigned i = 0; i < taken && i < KEPT && i < at_most; i++)
		fprintf(file, "%lu %u %d\n", samples[i].at - samples[0].at, mode_of(samples[i].mxcsr),
			flush_of(samples[i].mxcsr));
	fclose(file);
}
