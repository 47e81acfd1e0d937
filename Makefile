# `make help` says what there is. Nothing is written into the checkout but by `make generate`, and results of
# benchmarks into its `target`, which git ignores.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PGOPS_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pgops
CARGO_TARGET_DIR ?= $(PGOPS_CACHE)/target
export PGOPS_CACHE CARGO_TARGET_DIR

# With KUBECONFIG set to a cluster of yours: where it pulls the images from, ours and PostgreSQL's.
PGOPS_E2E_REGISTRY ?= localhost
PGOPS_E2E_THREADS ?= 4
export PGOPS_E2E_REGISTRY

musl := x86_64-unknown-linux-musl
programs := webhook provisioner runner instance probe
binaries := $(CARGO_TARGET_DIR)/$(musl)/release
phase := tests/phase

##@ The main job

.PHONY: demo
demo: ## upgrade PostgreSQL 13 to 17 on a real cluster, before your eyes
	@tests/cluster/packages
	@$(MAKE) -j2 demo-programs prefixed-cluster-up
	@$(MAKE) install
	@hack/demo

.PHONY: test
test: fmt ## everything that is checked before a release
	@$(phase) "Packages" tests/cluster/packages
	@# The cluster's programs compile while the code is checked: together they fill the machine.
	@$(MAKE) -j2 checks prefixed-cluster-up
	@$(MAKE) chart-lint
	@$(MAKE) install
	@$(MAKE) e2e

.PHONY: test-all
test-all: export PGOPS_COUNTS := $(CARGO_TARGET_DIR)/counts
test-all: ## and then the worker killed at every record and stage, and faults of all kinds: an hour more
	@rm -f "$(PGOPS_COUNTS)"
	@$(MAKE) test
	@$(MAKE) differential
	@$(MAKE) matrix
	@tests/summary "$(PGOPS_COUNTS)"

##@ Parts of `make test`

.PHONY: fmt
fmt: ## the formatting of the code
	@$(phase) "Format" cargo fmt --all --check

.PHONY: clippy
clippy: ## the lints
	@$(phase) "Clippy" cargo clippy --workspace --all-targets --locked -- --deny warnings

.PHONY: unit
unit: ## the unit tests
	@$(phase) "Unit tests" cargo test --workspace --exclude pgops-e2e --locked

.PHONY: generated
generated: ## that generated files are what their sources make
	@$(phase) "Generated files" tests/generate --check

.PHONY: deny
deny: ## licences, duplicate crates, sources of crates
	@$(phase) "Licences and crates" tests/cargo-deny --log-level error check --deny unmatched-skip licenses bans sources

.PHONY: chart-lint
chart-lint: ## the charts, without a cluster
	@$(phase) "Charts" tests/charts

.PHONY: e2e
e2e: ## the end-to-end tests, on the cluster with pgops installed
	@$(phase) "Build of the end-to-end tests" cargo test --package pgops-e2e --locked --no-run
	@$(phase) "End-to-end tests" tests/cluster/exec \
		cargo test --package pgops-e2e --locked --offline -- --test-threads $(PGOPS_E2E_THREADS)

.PHONY: differential
differential: ## our preflight beside the real pg_upgrade, over all data sets
	@$(phase) "Build of the comparison" cargo test --package pgops-e2e --test differential --locked --no-run
	@$(phase) "Comparison with pg_upgrade" tests/cluster/exec \
		cargo test --package pgops-e2e --test differential --locked --offline

.PHONY: matrix
matrix: ## the kills and the faults, which `make test` leaves out, on the test cluster with pgops installed
	@$(phase) "Build of the matrix" cargo test --package pgops-e2e --locked --test chaos --no-run
	@# Kills must come when they are meant to, whatever else the machine does.
	@$(phase) "Kills and faults" nice -n -10 tests/cluster/exec \
		cargo test --package pgops-e2e --locked --offline --test chaos -- --skip alone:: --test-threads 3
	@# These take the cluster itself away.
	@$(phase) "Faults of the cluster" tests/cluster/exec \
		cargo test --package pgops-e2e --locked --offline --test chaos -- alone:: --test-threads 1

# What needs no cluster, one after the other.
.PHONY: checks
checks:
	@$(MAKE) generated
	@$(MAKE) clippy
	@$(MAKE) unit
	@$(MAKE) build
	@$(MAKE) deny

# The demonstration itself runs inside of the cluster's network, which leads nowhere else.
.PHONY: demo-programs
demo-programs: build
	@$(phase) "Build of the demonstration" cargo build --package pgops-demo --locked

.PHONY: prefixed-cluster-up
prefixed-cluster-up:
	@tests/cluster/up 2>&1 | sed --unbuffered 's/^/[cluster] /'

.PHONY: fuzz
fuzz: ## bytes thrown at admission, for PGOPS_FUZZ_SECONDS (60): not a part of `make test`
	@$(phase) "Fuzzing admission" tests/fuzz

##@ Building and installing

# What static programs need: where rustup installs nothing by itself, rust-toolchain.toml alone does not bring it.
.PHONY: static
static:
	@command -v musl-gcc >/dev/null || tests/cluster/packages
	@[[ -d "$$(rustc --print sysroot)/lib/rustlib/$(musl)" ]] || rustup target add $(musl)

.PHONY: build
build: static ## the static programs that go into images
	@CC_x86_64_unknown_linux_musl=musl-gcc $(phase) "Release build" \
		cargo build --release --locked --target $(musl) \
		$(programs:%=--bin pgops-%) --workspace

.PHONY: images
images: build cluster-up ## their images, in the test cluster
	@$(phase) "Images" tests/images "$(binaries)"

.PHONY: install
install: images ## pgops in the cluster, with the catalog of tests/values.yaml
	@# The annotation replaces the pods when, and only when, the programs have changed.
	@build=$$(cd "$(binaries)" && cat pgops-webhook pgops-provisioner pgops-runner pgops-instance | sha256sum | cut -c1-12); \
	$(phase) "Helm" tests/cluster/exec helm upgrade --install pgops charts/pgops \
		--namespace pgops-system --create-namespace --wait --timeout 3m \
		--values tests/values.yaml \
		--set images.registry="$(PGOPS_E2E_REGISTRY)" --set catalog.registry="$(PGOPS_E2E_REGISTRY)" \
		--set-string podAnnotations.build="$$build"

.PHONY: generate
generate: ## every generated file: definitions, table of values
	@tests/generate

##@ Benchmarks

.PHONY: bench-admission
bench-admission: static ## what an admission review costs; results in target/bench/admission.jsonl
	@CC_x86_64_unknown_linux_musl=musl-gcc $(phase) "Benchmark of admission" \
		cargo bench --locked --target $(musl) --package pgops-webhook --bench admission

.PHONY: bench-upgrade
bench-upgrade: ## how long the outage of an upgrade is, on the cluster with pgops installed; target/bench/upgrade.jsonl
	@$(phase) "Build of the benchmark" cargo build --package pgops-bench-upgrade --locked
	@$(phase) "Benchmark of upgrades" tests/cluster/exec \
		cargo run --quiet --package pgops-bench-upgrade --locked --offline

##@ The test cluster

.PHONY: cluster-up
cluster-up: ## bring the cluster up; about 20 minutes the first time, seconds afterwards
	@tests/cluster/up

.PHONY: cluster-down
cluster-down: ## take the cluster down; what was compiled is kept
	@tests/cluster/down

.PHONY: help
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
