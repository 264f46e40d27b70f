// A miner for tests: README.md beside this file says what it does.
#include "handover.h"
#include "options.h"
#include "rest.h"
#include "sampler.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <sched.h>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

static const uint64_t MICROSECOND = 1000, MILLISECOND = 1000000, SECOND = 1000000000;
static const uint64_t TURN = 100 * MILLISECOND;

static std::atomic<int> first_thread;

static void lane(const Options &options, const Engine &engine, int number, Tally &tally) {
	uint64_t nonce = uint64_t(number) << 32;
	if (options.evade == Evade::thread)
		hash_in_threads(engine, nonce, tally, TURN);
	randomx_vm *vm = machine(engine);
	if (number == 0)
		first_thread = static_cast<int>(syscall(SYS_gettid));
	if (number == 0 && options.sample)
		sample_this_thread(997 * MICROSECOND);
	if (options.duty < 100) {
		uint64_t percent = uint64_t(options.period) * MILLISECOND / 100;
		take_rests(STRETCH_DUTY, {percent * options.duty, percent * (100 - options.duty)});
	}
	// The kernel takes the processor away from a thread that has hashed for some milliseconds, with whatever mode it
	// is in. One that gives it up before is not seen like that.
	if (options.evade == Evade::reset_and_sleep)
		take_rests(STRETCH_EVADE, {1400 * MICROSECOND, MICROSECOND});
	if (options.evade == Evade::reset_and_yield)
		take_rests(STRETCH_EVADE, {1400 * MICROSECOND, 0});
	if (options.evade == Evade::pause)
		take_rests(STRETCH_EVADE, {SECOND, 3 * SECOND});
	for (;;)
		hash(vm, nonce, tally);
}

// How often the first thread gave the processor up, and how often it was taken away.
static void print_switches() {
	std::string path = "/proc/self/task/" + std::to_string(first_thread) + "/status";
	FILE *file = fopen(path.c_str(), "r");
	char line[256];
	while (file != nullptr && fgets(line, sizeof line, file) != nullptr)
		if (std::string(line).find("voluntary_ctxt_switches") != std::string::npos)
			fputs(line, stdout);
	if (file != nullptr)
		fclose(file);
}

int main(int count, char **arguments) {
	Options options = read_options(count, arguments);
	// Bounds that hold whatever goes wrong: 8 GiB, and a quarter of an hour to fill memory.
	rlimit memory = {8UL << 30, 8UL << 30};
	setrlimit(RLIMIT_AS, &memory);
	alarm(unsigned(options.seconds) + 900);
	if (options.pin >= 0) {
		cpu_set_t set;
		CPU_ZERO(&set);
		CPU_SET(options.pin, &set);
		if (sched_setaffinity(0, sizeof set, &set) != 0) {
			perror("--pin");
			return 1;
		}
	}
	void *shared = mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	Tally &tally = *new (shared) Tally{};
	Engine engine = prepare(options.setup);
	uint64_t end = now() + uint64_t(options.seconds) * SECOND;
	if (options.evade == Evade::process) {
		hash_in_processes(engine, options.setup.threads, tally, TURN, end);
	} else {
		for (int number = 0; number < options.setup.threads; number++)
			std::thread(lane, std::cref(options), std::cref(engine), number, std::ref(tally)).detach();
		std::this_thread::sleep_for(std::chrono::seconds(options.seconds));
	}
	printf("hashes %lu\n", tally.hashes.load());
	if (options.sample) {
		print_samples(stdout);
		print_switches();
	}
	if (options.samples != nullptr)
		write_samples(options.samples, 200);
	fflush(stdout);
	// Not by return: threads go on hashing with what the end of the program would take from under them.
	_exit(0);
}
