# `make` lists the targets. The two that matter: `make demo`, `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export PATH := $(HOME)/.cargo/bin:$(PATH)

CARGO ?= cargo
CORPUS ?=
ROUNDS ?=
ONLY ?=
# Unset variables would be handed on as empty ones.
rounds = $(if $(ROUNDS),ROUNDS=$(ROUNDS))
bench = $(rounds) $(CARGO) bench --bench

.PHONY: help
help: ## This list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install what building and running needs and this machine lacks; start an engine if none answers
	@scripts/bootstrap-engine.sh

.PHONY: build
build: setup ## The release binary, target/release/dotcloud
	$(CARGO) build --release --locked

.PHONY: demo
demo: ## From nothing to a stack that loses updates, survives its master, and keeps running
	@scripts/demo.sh

# --- tests

.PHONY: test
test: setup lint ## Everything: format, lints, unit tests, architecture, the binary on real containers
	$(CARGO) test --locked --lib --bins --tests

.PHONY: lint
lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- --deny warnings
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		$(CARGO) deny --locked check bans licenses sources; \
	else \
		echo "skipped: cargo deny is not installed (cargo install cargo-deny)"; \
	fi

.PHONY: test-engine-restart
test-engine-restart: setup ## Everything returns when the Docker engine ends and starts again; on an engine of its own (root)
	$(CARGO) test --locked --test platform --no-run
	scripts/second-engine.sh run $(CARGO) test --locked --test platform -- --ignored --nocapture engine_restart::

.PHONY: test-quick
test-quick: ## Without containers: unit tests and the rules of the house
	$(CARGO) test --locked --lib --bins --test architecture

.PHONY: corpus
corpus: ## Check real build files: make corpus CORPUS=<folder with expected.tsv>
	@[ -n "$(CORPUS)" ] || { echo "Error: say which folder: make corpus CORPUS=<folder with expected.tsv>" >&2; exit 2; }
	@[ -e "$(CORPUS)/expected.tsv" ] || { echo "Error: there is no $(CORPUS)/expected.tsv" >&2; exit 2; }
	CORPUS="$(abspath $(CORPUS))" $(CARGO) test --locked --test corpus

# --- benchmarks: each prints a table and writes target/bench/<name>.json; ROUNDS=n sets how often

.PHONY: bench-failover
bench-failover: setup ## 20 kills, hangs and switchovers of each database's master under writes; ONLY=mysql for one
	$(bench) failover -- $(ONLY)

.PHONY: bench-lost
bench-lost: setup ## Acknowledged writes lost over 50 kills of each database's master under load
	$(bench) failover -- lost $(ONLY)

.PHONY: bench-split-brain
bench-split-brain: setup ## Writes that an old master accepts when it wakes up after another was promoted, 20 times each
	$(bench) failover -- split-brain $(ONLY)

.PHONY: bench-replication
bench-replication: setup ## Acknowledged writes per second with and without the wait for a slave
	$(bench) failover -- replication $(ONLY)

.PHONY: bench-start
bench-start: setup ## How soon a new Redis, MySQL and PostgreSQL answers, beside one that makes its data at the start
	$(bench) start -- $(ONLY)

.PHONY: bench-soak
bench-soak: setup ## Faults by seed on each database, its promises checked after each: SEED=7 MINUTES=5 ONLY=mysql FAULTS=kill
	SEED=$(or $(SEED),1) MINUTES=$(or $(MINUTES),5) ONLY="$(ONLY)" FAULTS="$(FAULTS)" $(CARGO) bench --bench soak

.PHONY: bench-up
bench-up: setup ## Warm `up --wait` of 4 www + 1 redis beside Docker Compose
	@scripts/fetch-compose.sh
	$(bench) up

.PHONY: bench-redeploy
bench-redeploy: setup ## From saving a file to the new answer of 3 instances, beside `docker compose watch`
	@scripts/fetch-compose.sh
	$(bench) redeploy

.PHONY: bench-proxy-load
bench-proxy-load: setup ## 30 s of load during push and scale 1->4->2, then while an instance is killed every 3 s
	$(bench) proxy_load

.PHONY: bench-crash
bench-crash: setup ## kill -9 of the daemon within push, scale and failover, 5 times each
	ROUNDS=$(or $(ROUNDS),5) $(CARGO) test --locked --test platform -- --nocapture crash::

.PHONY: bench-faults
bench-faults: setup ## 60 s of load while www instances and the Redis master are killed every 3 s, by seed
	ROUNDS=$(or $(ROUNDS),4) $(CARGO) test --locked --test platform -- --nocapture faults::no_ack

# --- releases

.PHONY: dist
dist: setup ## The binary with everything optimised (minutes): target/dist/dotcloud
	$(CARGO) build --profile dist --locked
