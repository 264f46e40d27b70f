# What one does with Hayward. Each target installs what it lacks (Debian and Ubuntu), then does its job.

TRIPLE := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
BINARY := target/$(TRIPLE)/release/hayward
ARM64 := aarch64-unknown-linux-gnu
# How long `make fuzz` stays with each parser. What parses from now on gets a test with never_panics in its name, by
# `hayward_fuzz::throw`: some hundred inputs, the same each time, in `make test`; new ones here. What it finds becomes a
# test of its own.
SECONDS ?= 60
# How often `make detection` starts each miner.
RUNS ?= 50
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

# What the container image is called.
IMAGE ?= ghcr.io/hayward/hayward

.PHONY: help run build build-arm64 image test vm-test bench detection fuzz fuzz-guided soak docs install

help: ## Show this
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

run: build ## Build the release binary and run the agent in the foreground
	$(SUDO) tools/prepare-host
	$(SUDO) $(BINARY) run

build: ## Build the static release binary
	@tools/install-build-deps
	@tools/build-release hayward

build-arm64: ## Build it for arm64, on whatever this host is
	@tools/install-build-deps
	@tools/install-cross-deps $(ARM64)
	@tools/build-release hayward $(ARM64)

image: build ## Write the container image, target/hayward-image.tar (IMAGE=ghcr.io/hayward/hayward)
	cargo run -q -p xtask -- image --binary $(BINARY) --name $(IMAGE) --output target/hayward-image.tar

test: ## Pass every test: format, lints, unit, property, end to end, virtual machines
	@tools/install-build-deps
	@tools/install-test-deps
	@tools/install-cross-deps $(ARM64)
	@tools/test

vm-test: build build-arm64 ## Run the tests in virtual machines with distributions' kernels
	@tools/install-test-deps
	@cargo run -q -p xtask -- vm $(sort --binary=$(BINARY) --binary=target/$(ARM64)/release/hayward)

bench: build ## Measure, print the table, write target/bench.json and docs/performance.md
	@tools/install-test-deps
	@tools/build-release hayward-benches
	$(SUDO) tools/prepare-host
	$(SUDO) target/$(TRIPLE)/release/hayward-benches --binary $(BINARY)

detection: build ## Start miners and harmless programs under the guard randomx, and write docs/randomx-detection.md (RUNS=50)
	@tools/install-test-deps
	@tools/build-release hayward-benches
	$(SUDO) tools/prepare-host
	$(SUDO) target/$(TRIPLE)/release/hayward-benches detection --binary $(BINARY) --runs $(RUNS) > target/randomx-detection.md
	mv target/randomx-detection.md docs/

fuzz: ## Throw damaged input at everything that parses, a minute each: tests named *never_panics (SECONDS=60)
	@tools/install-build-deps
	HAYWARD_FUZZ_SECONDS=$(SECONDS) cargo test --profile fuzz -q --workspace --exclude hayward-tests --exclude hayward-benches --exclude hayward-test-miner --no-fail-fast never_panics -- --show-output

fuzz-guided: ## Let libFuzzer look for input that breaks what parses, a minute for each target in fuzz/ (SECONDS=60)
	@tools/install-build-deps
	@tools/fuzz-guided $(SECONDS)

soak: ## Run every harmless program for ten minutes beside the guard randomx: more than an hour
	@tools/install-build-deps
	@tools/install-test-deps
	$(SUDO) tools/prepare-host
	cargo build -q
	tools/cargo-as-root test -q -p hayward-tests --test randomx -- --ignored --nocapture

docs: build ## Write the generated references in docs/
	$(BINARY) reference settings > docs/settings.md
	$(BINARY) reference metrics > docs/metrics.md
	$(BINARY) reference cli > docs/cli.md

install: build ## Install on this host
	$(SUDO) $(BINARY) install
