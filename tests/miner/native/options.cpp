#include "options.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <getopt.h>

static const char help[] =
	"Usage: randomx-miner [OPTION]...\n"
	"Hashes with RandomX, for tests. Prints `hashing` after the first hash and `hashes N` at the end.\n\n"
	"  --mode light|full            256 MiB, or 2080 MiB of which a part is real [light]\n"
	"  --engine jit|interpreter     [jit]\n"
	"  --threads N                  1 to 64 [1]\n"
	"  --duty PERCENT               hash for that part of each period, sleep for the rest [100]\n"
	"  --period MS                  [1000]\n"
	"  --pin CPU                    all threads on this one\n"
	"  --huge-pages                 where there are any\n"
	"  --seconds N                  1 to 3600, from when memory is filled [60]\n"
	"  --evade none|reset-and-sleep|reset-and-yield|pause|thread-every-100ms|process-every-100ms\n"
	"  --sample[=FILE]              count rounding modes of the first thread; the first 200 go to FILE\n";

[[noreturn]] static void refuse(const char *what) {
	fprintf(stderr, "%s\n\n%s", what, help);
	exit(2);
}

static int number(const char *text, int least, int most) {
	char *end;
	long value = strtol(text, &end, 10);
	if (*text == 0 || *end != 0 || value < least || value > most)
		refuse("a number is out of its range");
	return int(value);
}

// The place of a word among others that are separated by bars.
static int choice(const char *text, const char *words) {
	for (int place = 0;; place++) {
		size_t length = strcspn(words, "|");
		if (strlen(text) == length && memcmp(text, words, length) == 0)
			return place;
		if (words[length] == 0)
			refuse("an unknown word");
		words += length + 1;
	}
}

Options read_options(int count, char **arguments) {
	static const option known[] = {
		{"mode", required_argument, nullptr, 'm'},     {"engine", required_argument, nullptr, 'e'},
		{"threads", required_argument, nullptr, 't'},  {"duty", required_argument, nullptr, 'd'},
		{"period", required_argument, nullptr, 'p'},   {"pin", required_argument, nullptr, 'c'},
		{"huge-pages", no_argument, nullptr, 'h'},     {"seconds", required_argument, nullptr, 's'},
		{"evade", required_argument, nullptr, 'v'},    {"sample", optional_argument, nullptr, 'x'},
		{"help", no_argument, nullptr, '?'},           {nullptr, 0, nullptr, 0},
	};
	Options options;
	int letter;
	while ((letter = getopt_long(count, arguments, "", known, nullptr)) != -1) {
		switch (letter) {
		case 'm': options.setup.full = choice(optarg, "light|full"); break;
		case 'e': options.setup.jit = choice(optarg, "interpreter|jit"); break;
		case 't': options.setup.threads = number(optarg, 1, 64); break;
		case 'd': options.duty = number(optarg, 1, 100); break;
		case 'p': options.period = number(optarg, 1, 60000); break;
		case 'c': options.pin = number(optarg, 0, 1023); break;
		case 'h': options.setup.huge_pages = true; break;
		case 's': options.seconds = number(optarg, 1, 3600); break;
		case 'v':
			options.evade = Evade(choice(optarg, "none|reset-and-sleep|reset-and-yield|pause|"
							     "thread-every-100ms|process-every-100ms"));
			break;
		case 'x': options.sample = true, options.samples = optarg; break;
		default: refuse("");
		}
	}
	if (optind != count)
		refuse("an argument too many");
	bool moves = options.evade == Evade::thread || options.evade == Evade::process;
	if (moves && options.sample)
		refuse("--sample looks at one thread, and this way to evade leaves none in peace");
	if ((moves || options.evade == Evade::pause) && options.duty < 100)
		refuse("--duty goes with --evade none, reset-and-sleep and reset-and-yield");
	return options;
}
