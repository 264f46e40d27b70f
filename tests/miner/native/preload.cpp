// For LD_PRELOAD: samples the main thread of any program. With HAYWARD_SAMPLES=PATH the samples of each process that
// ends by itself go to PATH.<pid>, the counts and the first 200 modes to PATH.<pid>.sum.
#include "sampler.h"

#include <cerrno>
#include <cstdlib>
#include <string>
#include <unistd.h>

static const char *path() { return getenv("HAYWARD_SAMPLES"); }

__attribute__((constructor)) static void begin() {
	if (path() != nullptr)
		sample_this_thread(997000);
}

__attribute__((destructor)) static void end() {
	if (path() == nullptr)
		return;
	std::string name = std::string(path()) + "." + std::to_string(getpid());
	write_samples(name.c_str(), 4096);
	FILE *sum = fopen((name + ".sum").c_str(), "w");
	if (sum == nullptr)
		return;
	fprintf(sum, "%s\n", program_invocation_short_name);
	print_samples(sum);
	fclose(sum);
}
