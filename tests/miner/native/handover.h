// Hashes that begin in one thread or process and go on in the next, so that none lives long.
#pragma once

#include "engine.h"

// Hashes in a fresh thread every `each` nanoseconds. Does not return.
void hash_in_threads(const Engine &engine, uint64_t nonce, Tally &tally, uint64_t each);

// Hashes in processes, each the child of the one before, until `end`. Returns when all are gone.
void hash_in_processes(const Engine &engine, int lanes, Tally &tally, uint64_t each, uint64_t end);
