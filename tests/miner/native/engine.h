// Memory and virtual machines of RandomX.
#pragma once

#include <atomic>
#include <cstdint>
#include <randomx.h>

struct Engine {
	randomx_flags flags;
	randomx_cache *cache;
	randomx_dataset *dataset;
};

struct Setup {
	bool full = false;
	bool jit = true;
	bool huge_pages = false;
	int threads = 1;
};

// In memory that all processes of the miner share.
struct Tally {
	std::atomic<uint64_t> hashes;
	std::atomic<bool> announced;
};

uint64_t now();

// Fills cache or dataset. Ends the program where memory is short.
Engine prepare(const Setup &setup);

randomx_vm *machine(const Engine &engine);

// One hash, of what nobody has hashed before; counts it.
void hash(randomx_vm *vm, uint64_t &nonce, Tally &tally);
