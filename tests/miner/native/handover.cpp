#include "handover.h"
#include "rest.h"

#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <thread>
#include <ucontext.h>
#include <unistd.h>

// Threads. The hash has a stack of its own; a thread that takes it over switches to that stack, and in the signal that
// ends its turn switches back and is gone. When the next one has switched to the stack, it returns from that signal
// into the middle of the hash.
namespace {
struct Lane {
	ucontext_t carrier, hashing;
	const Engine *engine;
	Tally *tally;
	randomx_vm *vm;
	uint64_t nonce;
};
thread_local Lane *current;
} // namespace

static void leave(int, siginfo_t *, void *) { swapcontext(&current->hashing, &current->carrier); }

static void begin(unsigned high, unsigned low) {
	Lane *lane = reinterpret_cast<Lane *>(uint64_t(high) << 32 | low);
	// Only now: a thread that were interrupted while it switches stacks would save a mixture of both.
	sigset_t signals = stretch_signals();
	pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
	for (;;)
		hash(lane->vm, lane->nonce, *lane->tally);
}

static void carry(Lane *lane, uint64_t each) {
	current = lane;
	timer_t timer = timer_of_thread(signal_of(STRETCH_EVADE));
	fire_after(timer, each);
	swapcontext(&lane->carrier, &lane->hashing);
	timer_delete(timer);
}

void hash_in_threads(const Engine &engine, uint64_t nonce, Tally &tally, uint64_t each) {
	sigset_t signals = stretch_signals();
	pthread_sigmask(SIG_BLOCK, &signals, nullptr);
	struct sigaction action = {};
	action.sa_sigaction = leave;
	action.sa_flags = SA_SIGINFO;
	action.sa_mask = signals;
	sigaction(signal_of(STRETCH_EVADE), &action, nullptr);

	Lane lane = {{}, {}, &engine, &tally, machine(engine), nonce};
	const size_t size = 1 << 20;
	void *stack = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack == MAP_FAILED || getcontext(&lane.hashing) != 0) {
		perror("no stack");
		exit(1);
	}
	lane.hashing.uc_stack.ss_sp = stack;
	lane.hashing.uc_stack.ss_size = size;
	uint64_t address = reinterpret_cast<uint64_t>(&lane);
	makecontext(&lane.hashing, reinterpret_cast<void (*)()>(begin), 2, unsigned(address >> 32), unsigned(address));
	for (;;)
		std::thread(carry, &lane, each).join();
}

// Processes. A child is born in the middle of the hash and goes on with it; its parent ends. Memory is shared until it
// is written to, so cache and dataset are there once.
static pid_t owner;
static uint64_t stop, turn;

static void alarm_after_turn() {
	itimerval when = {{}, {time_t(turn / 1000000000), suseconds_t(turn % 1000000000 / 1000)}};
	setitimer(ITIMER_REAL, &when, nullptr);
}

// There is never more than one process for a lane, and none without the first one, which a test may have killed.
static void multiply(int) {
	if (now() >= stop || kill(owner, 0) != 0 || fork() > 0)
		_exit(0);
	alarm_after_turn();
}

void hash_in_processes(const Engine &engine, int lanes, Tally &tally, uint64_t each, uint64_t end) {
	owner = getpid(), stop = end, turn = each;
	// Children whose parent has ended become this process's, which waits for them.
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (int lane = 0; lane < lanes; lane++) {
		if (fork() != 0)
			continue;
		struct sigaction action = {};
		action.sa_handler = multiply;
		sigaction(SIGALRM, &action, nullptr);
		uint64_t nonce = uint64_t(lane) << 32;
		randomx_vm *vm = machine(engine);
		alarm_after_turn();
		for (;;)
			hash(vm, nonce, tally);
	}
	while (wait(nullptr) > 0)
		;
}
