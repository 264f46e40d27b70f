/* What test suites of mathematical libraries do, and what comes nearest to RandomX:
 *
 *   SECONDS call|TIME [MIB [flush]]   all four modes in turn, each for one call or for TIME milliseconds
 *   SECONDS threads [MIB [flush]]     four threads, each in a mode of its own, fixed
 *   SECONDS nearest [MIB [flush]]     one mode; with `flush`, what programs for sound and those of -ffast-math do
 *
 * MIB is memory that is read and written all along, as RandomX does with its cache. `flush` sets the flush-to-zero bits
 * that RandomX sets.
 */
#include "bound.h"

#include <fenv.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#ifdef __x86_64__
#include <xmmintrin.h>
#endif

static const int modes[4] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
static double end;
static uint64_t *memory;
static uint64_t words;
static int flush;

static uint64_t state = 88172645463325252u;

/* Some hundred nanoseconds of work, in memory too where there is any. */
static double work(double x) {
	for (int i = 0; words > 0 && i < 8; i++) {
		state ^= state << 13, state ^= state >> 7, state ^= state << 17;
		memory[state % words] += state;
	}
	return sin(x) * exp(-x) + pow(x, 0.3);
}

static void flush_if_wanted(void) {
	if (!flush)
		return;
#ifdef __x86_64__
	_mm_setcsr(_mm_getcsr() | 0x8040);
#else
	__builtin_aarch64_set_fpcr(__builtin_aarch64_get_fpcr() | 1u << 24);
#endif
}

static double in_mode(int mode, double until) {
	double sum = 0, x = 0.5;
	fesetround(mode);
	do
		for (int i = 0; i < 64; i++)
			sum += work(x += 1e-6);
	while (now() < until && now() < end);
	return sum;
}

static void *fixed(void *mode) {
	flush_if_wanted();
	return in_mode(*(const int *)mode, end) == 0 ? NULL : mode;
}

static void threads(void) {
	pthread_t all[4];
	words = 0; /* The memory is one thread's. */
	for (int i = 0; i < 4; i++)
		if (pthread_create(&all[i], NULL, fixed, (void *)&modes[i]) != 0)
			exit(1);
	for (int i = 0; i < 4; i++)
		pthread_join(all[i], NULL);
}

static double calls(void) {
	double sum = 0, x = 0.5;
	for (unsigned i = 0; i % 1024 != 0 || now() < end; i++) {
		fesetround(modes[i % 4]);
		sum += work(x += 1e-9);
	}
	return sum;
}

int main(int count, char **arguments) {
	end = end_of(count, arguments);
	const char *how = count > 2 ? arguments[2] : "call";
	int mebibytes = count > 3 ? atoi(arguments[3]) : 0;
	flush = count > 4 && strcmp(arguments[4], "flush") == 0;
	if (mebibytes < 0 || mebibytes > 4096)
		return 2;
	words = (uint64_t)mebibytes << 17;
	memory = malloc(words * sizeof *memory + 1);
	if (memory == NULL)
		return 1;
	memset(memory, 1, words * sizeof *memory);
	flush_if_wanted();
	double sum = 0;
	if (strcmp(how, "call") == 0)
		sum = calls();
	else if (strcmp(how, "threads") == 0)
		threads();
	else if (strcmp(how, "nearest") == 0)
		sum = in_mode(FE_TONEAREST, end);
	else if (atoi(how) > 0)
		for (int i = 0; now() < end; i++)
			sum += in_mode(modes[i % 4], now() + atoi(how) / 1e3);
	else
		return 2;
	printf("%g\n", sum);
}
