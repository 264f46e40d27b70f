// For programs that load a miner into themselves, such as Python by ctypes.
#include "engine.h"

#include <algorithm>

extern "C" __attribute__((visibility("default"))) int mine(int seconds) {
	static Engine engine = prepare(Setup{});
	static Tally tally{};
	// Bounded, whatever a caller asks for.
	uint64_t end = now() + uint64_t(std::clamp(seconds, 0, 600)) * 1000000000;
	uint64_t nonce = now(), before = tally.hashes;
	randomx_vm *vm = machine(engine);
	while (now() < end)
		hash(vm, nonce, tally);
	randomx_destroy_vm(vm);
	return int(tally.hashes - before);
}
