#include "engine.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <unistd.h>

// RANDOMX_DATASET_ITEM_SIZE, which the library's header does not tell.
static const size_t ITEM_BYTES = 64;

uint64_t now() {
	timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return uint64_t(time.tv_sec) * 1000000000 + uint64_t(time.tv_nsec);
}

static randomx_flags with(randomx_flags flags, randomx_flags more, bool wanted) {
	return wanted ? randomx_flags(flags | more) : randomx_flags(flags & ~more);
}

// Miners fall back to small pages where there are no huge ones, and say so.
template <typename Memory> static Memory *allocate(Memory *(*from)(randomx_flags), randomx_flags flags) {
	Memory *memory = from(flags);
	if (memory == nullptr && (flags & RANDOMX_FLAG_LARGE_PAGES)) {
		fprintf(stderr, "no huge pages (sysctl vm.nr_hugepages); using small ones\n");
		memory = from(with(flags, RANDOMX_FLAG_LARGE_PAGES, false));
	}
	if (memory == nullptr) {
		fprintf(stderr, "no memory for RandomX, or no JIT on this processor\n");
		exit(1);
	}
	return memory;
}

// The dataset takes minutes to make. A small part of it is made, and is copied over the rest: programs are compiled, read
// all 2080 MiB at random and round as they do in every miner. What they find are no valid shares.
static void fill(randomx_dataset *dataset, randomx_cache *cache) {
	const size_t items = randomx_dataset_item_count(), made = 1 << 16;
	randomx_init_dataset(dataset, cache, 0, made);
	auto memory = static_cast<uint8_t *>(randomx_get_dataset_memory(dataset));
	for (size_t item = made; item < items; item += made)
		memcpy(memory + item * ITEM_BYTES, memory, std::min(made, items - item) * ITEM_BYTES);
}

Engine prepare(const Setup &setup) {
	static const char key[] = "hayward test";
	randomx_flags flags = randomx_get_flags();
	flags = with(flags, RANDOMX_FLAG_LARGE_PAGES, setup.huge_pages);
	flags = with(flags, RANDOMX_FLAG_JIT, setup.jit);
	// The dataset is always made by compiled code, which is faster; nothing of it is left when hashing begins.
	randomx_flags making = with(flags, RANDOMX_FLAG_JIT, setup.jit || setup.full);
	Engine engine{flags, allocate(randomx_alloc_cache, making), nullptr};
	randomx_init_cache(engine.cache, key, sizeof key);
	if (!setup.full)
		return engine;
	engine.flags = with(flags, RANDOMX_FLAG_FULL_MEM, true);
	engine.dataset = allocate(randomx_alloc_dataset, engine.flags);
	fill(engine.dataset, engine.cache);
	randomx_release_cache(engine.cache);
	engine.cache = nullptr;
	return engine;
}

randomx_vm *machine(const Engine &engine) {
	randomx_vm *vm = randomx_create_vm(engine.flags, engine.cache, engine.dataset);
	if (vm == nullptr && (engine.flags & RANDOMX_FLAG_LARGE_PAGES))
		vm = randomx_create_vm(with(engine.flags, RANDOMX_FLAG_LARGE_PAGES, false), engine.cache, engine.dataset);
	if (vm == nullptr) {
		fprintf(stderr, "no virtual machine of RandomX\n");
		exit(1);
	}
	return vm;
}

void hash(randomx_vm *vm, uint64_t &nonce, Tally &tally) {
	uint8_t result[RANDOMX_HASH_SIZE];
	nonce++;
	randomx_calculate_hash(vm, &nonce, sizeof nonce, result);
	tally.hashes++;
	// By write and not by stdio: with --evade a hash may end in another process than it began in.
	if (!tally.announced.exchange(true) && write(STDOUT_FILENO, "hashing\n", 8) != 8)
		_exit(1);
}
