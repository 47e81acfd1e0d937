# `make help` lists the targets. Nothing is written into the checkout except by `make generate`, and benchmark results
# into `target`, which git ignores.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PGOPS_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pgops
CARGO_TARGET_DIR ?= $(PGOPS_CACHE)/target
export PGOPS_CACHE CARGO_TARGET_DIR
$(shell hack/claim-target-directory "$(CARGO_TARGET_DIR)")

# With KUBECONFIG set to a cluster of your own: the registry it pulls the images of pgops and of PostgreSQL from.
PGOPS_E2E_REGISTRY ?= localhost
PGOPS_E2E_THREADS ?= 6
export PGOPS_E2E_REGISTRY

musl := x86_64-unknown-linux-musl
# The demonstration's program is built in the same call, so that its dependencies compile once.
programs := webhook provisioner runner instance patroni-proxy probe demo
binaries := $(CARGO_TARGET_DIR)/$(musl)/release
# Debug builds of programs. All packages and an example: cargo then selects the features of the dependencies as it does for
# `cargo test --workspace`, and compiles none of them again. So does `--workspace --test NAME`.
build_debug := cargo build --quiet --locked --workspace --example crds --bin
debug_binaries := $(CARGO_TARGET_DIR)/debug
phase := hack/phase

##@ Main targets

.PHONY: demo
demo: ## upgrade PostgreSQL 13 to 17 on a real cluster while you watch (root, Debian 12)
	@echo "The first run compiles Kubernetes and pgops: 13 minutes on two cores. Later runs take one or two."
	@tests/cluster/packages
	@# Only the images that the demonstration uses are built before it starts.
	@PGOPS_POSTGRES_SUITES="bullseye trixie" $(MAKE) -j2 build prefixed-cluster-up
	@PGOPS_POSTGRES_SUITES="bullseye trixie" $(MAKE) install
	@hack/demo "$(binaries)/pgops-demo"

.PHONY: check
check: check-text check-code generated chart-lint supply-chain ## run all checks that need neither a cluster nor root

.PHONY: test
test: ## run everything required before a release: check, build, e2e (root, Debian 12)
	@# Some tools of `make check` are wheels.
	@$(phase) "Packages" tests/cluster/packages $$(command -v pip pip3 >/dev/null || echo python3-pip)
	@# What takes seconds comes first: a failure below is reported only when the cluster is up too.
	@$(MAKE) check-text
	@# The cluster's programs compile while the code is checked: together they use all of a small machine.
	@$(MAKE) -j2 check-code-and-build prefixed-cluster-up
	@# These need helm, which has been compiled by now.
	@$(MAKE) generated
	@$(MAKE) chart-lint
	@$(MAKE) supply-chain
	@$(MAKE) install
	@$(MAKE) e2e

.PHONY: test-all
test-all: export PGOPS_COUNTS := $(CARGO_TARGET_DIR)/counts
test-all: ## run test, model, test-patroni, e2e-others, differential, escalation, extensions, chaos, nodes, standbys and standbys-others: hours more
	@rm -f "$(PGOPS_COUNTS)"
	@$(MAKE) test
	@$(MAKE) model
	@$(MAKE) test-patroni
	@$(MAKE) e2e-others
	@$(MAKE) differential
	@$(MAKE) escalation
	@$(MAKE) extensions
	@$(MAKE) chaos
	@$(MAKE) nodes
	@$(MAKE) standbys
	@$(MAKE) standbys-others
	@hack/summary "$(PGOPS_COUNTS)"

##@ Parts of `make check`

.PHONY: fmt
fmt: ## check the formatting of the code
	@$(phase) "Format" cargo fmt --all --check

.PHONY: spelling
spelling: ## check the spelling of code and documents
	@$(phase) "Spelling" hack/tool typos

.PHONY: prose
prose: ## check for words and phrases that hack/prose.tsv rules out
	@$(phase) "Prose" hack/prose

.PHONY: shellcheck
shellcheck: ## lint the shell scripts
	@$(phase) "Shell scripts" hack/shellcheck

.PHONY: clippy
clippy: ## lint the code
	@$(phase) "Clippy" cargo clippy --workspace --all-targets --locked -- --deny warnings
	@# All targets are those that `cargo test` runs by itself: the tests on a cluster are not.
	@$(phase) "Clippy, tests on a cluster" cargo clippy --workspace --test '*' --locked -- --deny warnings

.PHONY: unit
unit: ## run the unit tests
	@$(phase) "Unit tests" cargo test --workspace --locked

.PHONY: doc
doc: ## build the API documentation, with warnings denied
	@RUSTDOCFLAGS="--deny warnings" $(phase) "Documentation" \
		cargo doc --workspace --no-deps --document-private-items --locked

.PHONY: generated
generated: ## check that generated files are up to date
	@$(phase) "Generated files" hack/generate --check

.PHONY: deny
deny: ## check licences, duplicate crates and sources of crates
	@$(phase) "Licences and crates" \
		hack/tool cargo-deny --log-level error check --deny unmatched-skip licenses bans sources

.PHONY: supply-chain
supply-chain: ## check what the images are made from, and the workflows
	@$(phase) "Images and workflows" hack/supply-chain

.PHONY: modules
modules: ## check that no modules import each other in a circle
	@$(phase) "Build of the search for circles" $(build_debug) pgops-modules
	@$(phase) "Module circles" $(debug_binaries)/pgops-modules

.PHONY: chart-lint
chart-lint: ## check the charts, without a cluster
	@$(phase) "Charts" hack/charts

# One after the other: in parallel they would only wait for cargo's lock.
.PHONY: check-text
check-text:
	@$(MAKE) fmt
	@$(MAKE) spelling
	@$(MAKE) prose
	@$(MAKE) shellcheck

.PHONY: check-code
check-code:
	@$(MAKE) clippy
	@$(MAKE) unit
	@$(MAKE) doc
	@$(MAKE) deny
	@$(MAKE) modules

.PHONY: check-code-and-build
check-code-and-build: check-code
	@$(MAKE) build

##@ With the network

.PHONY: advisories
advisories: ## check the crates for known vulnerabilities (fetches the advisory database)
	@$(phase) "Advisories" hack/tool cargo-deny --log-level error check advisories

##@ Tests of Patroni

.PHONY: model
model: ## check the model of the failover with more members and writes than the unit tests do
	@$(phase) "Model of the failover" cargo test --workspace --test model --locked -- --include-ignored --test-threads 1

.PHONY: test-patroni
test-patroni: ## test the Patroni bundle: its script, and the bundle in every base system (root, Debian 12)
	@$(phase) "Unit tests of the Patroni bundle" patroni/test unit
	@$(phase) "Patroni behind its proxy" patroni/test proxy
	@$(phase) "Two builds of the Patroni bundle" patroni/test same
	@$(phase) "Patroni bundle in roots of images" patroni/test roots

##@ Tests on a cluster with pgops installed

.PHONY: e2e
e2e: cluster-up ## run the end-to-end tests
	@$(phase) "Build of the end-to-end tests" cargo test --workspace --test e2e --locked --no-run
	@# A test runs it in the cluster's network, where nothing can be downloaded.
	@hack/tool prometheus --version >/dev/null
	@$(phase) "End-to-end tests" tests/cluster/exec \
		cargo test --workspace --test e2e --locked --offline -- --test-threads $(PGOPS_E2E_THREADS)

.PHONY: e2e-others
e2e-others: cluster-up ## run the end-to-end tests that `make test` leaves out
	@$(phase) "Other end-to-end tests" tests/cluster/exec \
		cargo test --workspace --test e2e --locked --offline -- --ignored --test-threads $(PGOPS_E2E_THREADS)

.PHONY: differential
differential: cluster-up ## compare the preflight with the real pg_upgrade over all data sets
	@$(phase) "Build of the comparison" cargo test --workspace --test differential --locked --no-run
	@$(phase) "Comparison with pg_upgrade" tests/cluster/exec \
		cargo test --workspace --test differential --locked --offline

.PHONY: escalation
escalation: cluster-up ## let roles without rights attack the upgrade, in every way that a definition may run code
	@$(phase) "Build of the attacks" cargo test --workspace --test escalation --locked --no-run
	@$(phase) "Attacks on the superuser's rights" tests/cluster/exec \
		cargo test --workspace --test escalation --locked --offline

.PHONY: extensions
extensions: export PGOPS_POSTGRES_SUITES := bullseye+extensions bookworm+extensions trixie+extensions forky+extensions
extensions: cluster-up ## upgrade a database with all extensions that Debian packages, in images of 2.4 GB
	@$(phase) "Build of the tests of extensions" cargo test --workspace --test extensions --locked --no-run
	@$(phase) "Extensions of Debian" tests/cluster/exec \
		cargo test --workspace --test extensions --locked --offline

.PHONY: standbys standbys-others
standbys: ## test databases with standbys, which are enabled in the cluster for that
standbys-others: ## inject every fault into servers of such databases, also at random
standbys-others: standbys_arguments := --ignored
standbys standbys-others: export PGOPS_HELM_FLAGS := --set provisioner.enableStandbys=true
standbys standbys-others: patroni-image install
	@$(phase) "Build of the tests of standbys" cargo test --workspace --test standbys --locked --no-run
	@code=0; $(phase) "Databases with standbys" tests/cluster/exec \
		cargo test --workspace --test standbys --locked --offline -- $(standbys_arguments) --test-threads 1 || code=$$?; \
	PGOPS_HELM_FLAGS= $(MAKE) install; \
	exit $$code

.PHONY: chaos
chaos: cluster-up ## kill the worker at every record and stage, and inject faults
	@$(phase) "Build of the chaos tests" cargo test --workspace --locked --test chaos --no-run
	@# Kills must come at the intended moment, whatever else the machine does.
	@$(phase) "Kills and faults" nice -n -10 tests/cluster/exec \
		cargo test --workspace --locked --offline --test chaos -- --skip alone:: --test-threads 3
	@# These stop parts of the cluster itself.
	@$(phase) "Faults of the cluster" tests/cluster/exec \
		cargo test --workspace --locked --offline --test chaos -- alone:: --test-threads 1

.PHONY: nodes
nodes: cluster-up ## drain and lose a second node during upgrades
	@$(phase) "Build of the tests with two nodes" cargo test --workspace --locked --test nodes --no-run
	@# Pods of other tests must not find the second node, which lacks most images.
	@code=0; $(phase) "Drained and lost nodes" tests/cluster/exec \
		cargo test --workspace --locked --offline --test nodes -- --test-threads 1 || code=$$?; \
	tests/cluster/node remove; \
	exit $$code

.PHONY: dashboard-picture
dashboard-picture: cluster-up ## draw the Grafana dashboard of a real upgrade into docs/images
	@hack/tool prometheus --version >/dev/null
	@$(phase) "Upgrade with Prometheus" env PGOPS_DASHBOARD_DATA="$(CARGO_TARGET_DIR)/dashboard.json" tests/cluster/exec \
		cargo test --workspace --test e2e --locked --offline -- monitoring::
	@mkdir -p docs/images
	@hack/dashboard-picture "$(CARGO_TARGET_DIR)/dashboard.json" docs/images/dashboard.png

.PHONY: prefixed-cluster-up
prefixed-cluster-up:
	@tests/cluster/up 2>&1 | sed --unbuffered 's/^/[cluster] /'

##@ Building and installing

# Requirements of static programs. Where rustup does not install missing targets by itself, rust-toolchain.toml alone
# is not enough.
.PHONY: static
static:
	@command -v musl-gcc >/dev/null || tests/cluster/packages
	@[[ -d "$$(rustc --print sysroot)/lib/rustlib/$(musl)" ]] || rustup target add $(musl)

.PHONY: build
build: static ## build the static programs that go into images
	@CC_x86_64_unknown_linux_musl=musl-gcc $(phase) "Release build" \
		cargo build --release --locked --target $(musl) \
		$(programs:%=--bin pgops-%) --workspace

.PHONY: patroni
patroni: ## build the Patroni bundle, which is a layer of an image
	@$(phase) "Patroni bundle" patroni/build

.PHONY: patroni-image
patroni-image: build cluster-up patroni ## build the image with the Patroni bundle and load it into the test cluster
	@$(phase) "Patroni image" patroni/image "$(binaries)"

.PHONY: images
images: build cluster-up ## build the images and load them into the test cluster
	@$(phase) "Images" hack/images "$(binaries)"

.PHONY: install
install: images ## install pgops in the cluster, with the catalog of tests/values.yaml
	@# The annotation replaces the pods if, and only if, the programs have changed.
	@build=$$(cd "$(binaries)" && cat pgops-{webhook,provisioner,runner,instance} | sha256sum | cut -c1-12); \
	$(phase) "Helm" tests/cluster/exec helm upgrade --install pgops charts/pgops \
		--namespace pgops-system --create-namespace --wait --timeout 3m \
		--values tests/values.yaml \
		--set images.registry="$(PGOPS_E2E_REGISTRY)" --set catalog.registry="$(PGOPS_E2E_REGISTRY)" \
		--set-string podAnnotations.build="$$build" $(PGOPS_HELM_FLAGS)

.PHONY: generate
generate: ## regenerate all generated files: definitions, table of values, references
	@hack/generate

##@ Fuzzing and benchmarks

.PHONY: fuzz
fuzz: ## fuzz the admission handler for PGOPS_FUZZ_SECONDS (60)
	@$(phase) "Fuzzing of admission" hack/fuzz

.PHONY: bench-admission
bench-admission: static ## measure an admission review; writes target/bench/admission.jsonl
	@CC_x86_64_unknown_linux_musl=musl-gcc $(phase) "Benchmark of admission" \
		cargo bench --locked --target $(musl) --package pgops-webhook --bench admission

.PHONY: bench-upgrade
bench-upgrade: cluster-up ## measure the outage of an upgrade, on the cluster; writes target/bench/upgrade.jsonl
	@$(phase) "Build of the benchmark" $(build_debug) pgops-bench-upgrade
	@$(phase) "Benchmark of upgrades" tests/cluster/exec \
		$(debug_binaries)/pgops-bench-upgrade upgrade

.PHONY: bench-preflight
bench-preflight: cluster-up ## measure the preflight of large servers, on the cluster; writes target/bench/preflight.jsonl
	@$(phase) "Build of the benchmark" $(build_debug) pgops-bench-upgrade
	@$(phase) "Benchmark of the preflight" tests/cluster/exec \
		$(debug_binaries)/pgops-bench-upgrade preflight

##@ The test cluster

.PHONY: cluster-up
cluster-up: ## start the test cluster: up to 20 minutes the first time, seconds afterwards
	@tests/cluster/up

.PHONY: cluster-down
cluster-down: ## stop the test cluster; compiled programs and images are kept
	@tests/cluster/down

.PHONY: help
help: ## print this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
