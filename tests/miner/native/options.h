// What the command line says.
#pragma once

#include "engine.h"

enum class Evade { none, reset_and_sleep, reset_and_yield, pause, thread, process };

struct Options {
	Setup setup;
	Evade evade = Evade::none;
	int duty = 100;
	int period = 1000;
	int pin = -1;
	int seconds = 60;
	bool sample = false;
	const char *samples = nullptr;
};

Options read_options(int count, char **arguments);
