# What one does with Hayward. Each target installs what it lacks (Debian and Ubuntu), then does its job.

TRIPLE := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
BINARY := target/$(TRIPLE)/release/hayward
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: help run build test vm-test bench fuzz docs install

help: ## Show this
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 18

run: build ## Build the release binary and run the agent in the foreground
	$(SUDO) tools/prepare-host
	$(SUDO) $(BINARY) run

build: ## Build the static release binary
	@tools/install-build-deps
	@tools/build-release hayward

test: ## Pass every test: format, lints, unit, property, end to end, virtual machines
	@tools/install-build-deps
	@tools/install-test-deps
	@tools/test

vm-test: build ## Run the tests in virtual machines with Debian's kernels
	@tools/install-test-deps
	@cargo run -q -p xtask -- vm --binary $(BINARY)

bench: build ## Measure, print the table, write target/bench.json and docs/performance.md
	@tools/build-release hayward-benches
	$(SUDO) tools/prepare-host
	$(SUDO) target/$(TRIPLE)/release/hayward-benches --binary $(BINARY)

fuzz: ## Throw a minute of random input at each parser
	@tools/install-build-deps
	PROPTEST_CASES=200000 cargo test --release -q -p hayward-rules -p hayward-policy -p hayward-record -p hayward-kernel never_panics

docs: build ## Write the generated references in docs/
	$(BINARY) reference settings > docs/settings.md
	$(BINARY) reference metrics > docs/metrics.md
	$(BINARY) reference cli > docs/cli.md

install: build ## Install on this host
	$(SUDO) $(BINARY) install
