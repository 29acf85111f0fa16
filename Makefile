# The verbs of this project. `make` alone lists them.
SHELL := /bin/bash
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/watershed
# Outside the clone, so that a fresh clone is warm.
export CARGO_TARGET_DIR ?= $(CACHE)/target
VENV := $(CACHE)/python
# The same packages and features for every verb: one build of the dependencies serves them all.
BUILD := cargo build --workspace --locked

.PHONY: help demo test samples fuzz properties prove lint fmt bench release kafka python browser clean

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

demo: ## build and tell three incidents, with nothing else running (first build: 13 minutes on two cores)
	$(BUILD) --bin watershed
	$(CARGO_TARGET_DIR)/debug/watershed demo --exit

test: kafka python browser ## the whole test suite, against a real Kafka broker and real HTTP receivers
	$(BUILD) --bin watershed
	integration/scripts/same-build.sh "$(BUILD) --bin watershed" "cargo test --workspace --locked --no-run"
	PROPTEST_CASES=512 PROPTEST_RNG_SEED=1 WATERSHED_PYTHON="$(VENV)/bin/python" \
	  cargo test --workspace --locked --no-fail-fast

browser:
	@integration/scripts/fetch-chromium.sh

samples: ## what becomes of the real records in WATERSHED_SAMPLES, source by source
	cargo test --workspace --locked --test connectors -- --nocapture --test-threads 1 formats::sampled

SECONDS ?= 60

fuzz: ## every format against records made from all fixtures (SECONDS=60 SEED=number); a fault names its record
	WATERSHED_FUZZ_SECONDS="$(SECONDS)" $(if $(SEED),WATERSHED_FUZZ_SEED="$(SEED)") \
	  cargo test --workspace --locked --test connectors -- --ignored --nocapture formats::fuzzed::fuzz_it

CASES ?= 100000
SEED ?=

properties: ## every property over other random cases than `make test` (CASES=100000), a few minutes
	PROPTEST_CASES="$(CASES)" cargo test --workspace --locked --no-fail-fast --lib -- --nocapture tests
	PROPTEST_CASES="$(CASES)" cargo test --workspace --locked --no-fail-fast --test connectors -- --nocapture formats

prove: ## stream against batch over generated rules and histories (CASES=100000 SEED=number)
	WATERSHED_PROVE_CASES="$(CASES)" $(if $(SEED),WATERSHED_PROVE_SEED="$(SEED)") \
	  cargo test --workspace --locked --test engine -- --ignored --nocapture generated::prove_it

lint: ## formatting, clippy, documentation; warnings are errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

fmt: ## format the code
	cargo fmt --all

bench: python kafka ## throughput, the correlator, formats, and Kafka to webhook; DuckDB beside them (builds the release profile)
	cargo build --release --locked --workspace --bin watershed --bin throughput --bin incidents --bin formats --bin latency
	WATERSHED_PYTHON="$(VENV)/bin/python" $(CARGO_TARGET_DIR)/release/throughput
	$(CARGO_TARGET_DIR)/release/incidents
	$(CARGO_TARGET_DIR)/release/formats
	WATERSHED_BIN="$(CARGO_TARGET_DIR)/release/watershed" $(CARGO_TARGET_DIR)/release/latency
	cargo bench --locked --workspace --bench steps

release: ## the optimised binary
	cargo build --release --locked --workspace --bin watershed
	@echo "$(CARGO_TARGET_DIR)/release/watershed"

# A real broker from its published artifacts. Where Maven or a JDK is missing the tests say what to install.
kafka:
	@[ -n "$$WATERSHED_TEST_KAFKA$$WATERSHED_SKIP_KAFKA" ] || integration/scripts/fetch-kafka.sh >/dev/null || true

# The official webhook library checks our signatures, DuckDB runs our rules.
python:
	@if [ ! -e "$(VENV)/.complete" ] || [ integration/python/requirements.txt -nt "$(VENV)/.complete" ]; then \
	  python3 -m venv "$(VENV)" && \
	  "$(VENV)/bin/pip" install --quiet --disable-pip-version-check -r integration/python/requirements.txt && \
	  touch "$(VENV)/.complete"; \
	fi

clean: ## remove what the build and the tests left
	cargo clean
	rm -rf "$(VENV)" "$(CACHE)"/kafka-*
