// Rounds as RandomX does and hashes nothing, in as many threads as one likes and as short-lived as one likes: what a
// program could do that wants to wear the guard out. README.md beside this file says more.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xmmintrin.h>

static const uint64_t MILLISECOND = 1000000;

static struct {
	unsigned long threads = 1, burst = 1, rest = 0, life = 600000, memory = 0, seconds = 60;
} options;
static uint64_t end;
// Held until all threads are there: the last ones would else wait long for a processor to be made on.
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static uint64_t now() {
	timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return uint64_t(time.tv_sec) * 1000 * MILLISECOND + uint64_t(time.tv_nsec);
}

static uint64_t next(uint64_t &seed) {
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return seed;
}

// In any of the four modes, with the flush bits as RandomX has them, each for less than a microsecond.
static void round_until(uint64_t when, uint64_t &seed) {
	unsigned before = _mm_getcsr();
	do {
		for (int change = 0; change < 100; change++) {
			_mm_setcsr((unsigned(next(seed)) & 0x6000) | 0x9fc0);
			for (volatile int wait = 0; wait < 100; wait = wait + 1)
				;
		}
	} while (now() < when);
	_mm_setcsr(before);
}

// Half to one and a half times as long as was asked for, so that threads do not keep step.
static void rest(uint64_t &seed) {
	uint64_t length = options.rest * MILLISECOND * (512 + next(seed) % 1024) / 1024;
	timespec time = {time_t(length / 1000 / MILLISECOND), long(length % (1000 * MILLISECOND))};
	if (length > 0)
		nanosleep(&time, nullptr);
}

static bool start(uint64_t seed);

static void *work(void *argument) {
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	uint64_t seed = reinterpret_cast<uint64_t>(argument), began = now();
	while (now() < end) {
		rest(seed);
		round_until(now() + options.burst * MILLISECOND, seed);
		if (now() - began >= options.life * MILLISECOND) {
			start(seed);
			break;
		}
	}
	return nullptr;
}

static bool start(uint64_t seed) {
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
	pthread_t thread;
	return pthread_create(&thread, &small, work, reinterpret_cast<void *>(seed)) == 0;
}

int main(int count, char **arguments) {
	static const struct {
		const char *name;
		unsigned long *value, most;
	} known[] = {
		{"--threads", &options.threads, 20000}, {"--burst", &options.burst, 60000},
		{"--rest", &options.rest, 60000},       {"--life", &options.life, 600000},
		{"--memory", &options.memory, 2048},    {"--seconds", &options.seconds, 600},
	};
	for (int at = 1; at < count; at += 2) {
		bool taken = false;
		for (auto &option : known)
			if (at + 1 < count && strcmp(arguments[at], option.name) == 0) {
				*option.value = strtoul(arguments[at + 1], nullptr, 10);
				taken = *option.value <= option.most;
			}
		if (!taken) {
			fprintf(stderr, "%s: no such option, or not with this number\n", arguments[at]);
			return 2;
		}
	}
	alarm(unsigned(options.seconds) + 300);
	size_t bytes = options.memory << 20;
	void *memory = mmap(nullptr, bytes + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		perror("no memory");
		return 1;
	}
	memset(memory, 1, bytes);
	pthread_mutex_lock(&gate);
	for (unsigned long thread = 1; thread <= options.threads; thread++)
		if (!start(thread * 0x9e3779b97f4a7c15)) {
			perror("no thread");
			return 1;
		}
	end = now() + options.seconds * 1000 * MILLISECOND;
	pthread_mutex_unlock(&gate);
	puts("rounding");
	fflush(stdout);
	sleep(unsigned(options.seconds));
	_exit(0);
}
