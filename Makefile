# Everything a contributor does is one target. PYTHON names the interpreter that .venv is made of.
PYTHON ?= python3
BIN := .venv/bin
RUST_SOURCES := Cargo.toml Cargo.lock $(shell find rust -name target -prune -o \( -name '*.rs' -o -name Cargo.toml \) -print)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | sed 's/:.*## /\t/' | expand -t 16

# urllib3-future, which niquests brings, would otherwise put itself in the place of urllib3.
.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	URLLIB3_NO_OVERRIDE=1 $(BIN)/pip install --quiet --no-binary urllib3-future --group dev
	@touch $@

.venv/built: .venv/ready $(RUST_SOURCES)
	. $(BIN)/activate && PIP_QUIET=1 maturin develop --release --locked --quiet
	@touch $@

.PHONY: build
build: .venv/built ## set up .venv and build the package into it, in release mode

.PHONY: run
run: build ## replay the recorded cassettes
	$(BIN)/deltawire replay tests/cassettes

.PHONY: gateway
gateway: build ## run the example gateway in front of a stand-in for a provider, until Ctrl-C
	@$(BIN)/deltawire serve tests/cassettes --port 8000 --pace 0.05 & standin=$$!; \
	trap 'kill $$standin 2>/dev/null; wait' EXIT; trap : INT; \
	echo "Try it:"; \
	echo "  curl -N http://127.0.0.1:8080/v1/chat/completions -H 'Authorization: Bearer sk-example-alice-key' \\"; \
	echo "    -d '{\"model\": \"weather\", \"messages\": [], \"stream\": true}'"; \
	$(BIN)/python examples/gateway.py examples/gateway.toml 8080

.PHONY: test
test: lint ## lint, then run all tests, Rust and Python
	cargo test --locked --quiet
	$(BIN)/pytest

.PHONY: lint
lint: build ## ruff, mypy, stubtest, rustfmt, clippy
	$(BIN)/ruff check && $(BIN)/ruff format --check
	$(BIN)/mypy && $(BIN)/stubtest deltawire._native
	cargo fmt --check && cargo fmt --check --manifest-path rust/fuzz/Cargo.toml
	cargo clippy --locked --all-targets --quiet -- -D warnings

.PHONY: fmt
fmt: .venv/ready ## format Python and Rust
	$(BIN)/ruff check --fix-only && $(BIN)/ruff format && cargo fmt && cargo fmt --manifest-path rust/fuzz/Cargo.toml

# litellm asks for narrow versions of what it needs: it is measured where it fits, and left out where it does not.
.venv/bench-ready: pyproject.toml | .venv/built
	URLLIB3_NO_OVERRIDE=1 $(BIN)/pip install --quiet 'deltawire[bench]'
	$(BIN)/pip freeze --exclude-editable > .venv/installed.txt
	-$(BIN)/pip install --quiet --constraint .venv/installed.txt litellm
	@touch $@

BENCH := $(BIN)/pytest benches --benchmark-enable --benchmark-only
RESULTS := target/bench

.PHONY: bench
bench: build .venv/bench-ready ## time deltawire beside its floors and its peers
	$(BENCH) --benchmark-columns=min,median,iqr,rounds

.PHONY: bench-report
bench-report: build .venv/bench-ready ## run all benches, write docs/benchmarks.md and its charts
	mkdir -p $(RESULTS)
	$(BENCH) --quiet --benchmark-json=$(RESULTS)/suite.json > $(RESULTS)/suite.log || { cat $(RESULTS)/suite.log; exit 1; }
	$(BIN)/python -m benches.targets --json $(RESULTS)/targets.json
	$(BIN)/python -m benches.growth --json $(RESULTS)/growth.json
	$(BIN)/python -m benches.memory --json $(RESULTS)/memory.json
	$(BIN)/python -m benches.fairness --json $(RESULTS)/fairness.json
	$(BIN)/python -m benches.load --json $(RESULTS)/load.json
	$(BIN)/python -m benches.report $(RESULTS)

.PHONY: targets
targets: build ## tell which targets of speed are reached, as medians of paired rounds
	$(BIN)/python -m benches.targets

.PHONY: counts
counts: build ## count the core's instructions with valgrind, and hold them to benches/counts.json
	$(BIN)/python -m benches.counts

.PHONY: load
load: build ## measure what a gateway costs under load, by what it does to the bytes
	$(BIN)/python -m benches.load

# cargo-fuzz asks for a nightly compiler's flags; RUSTC_BOOTSTRAP lets the stable one take them.
FUZZ_SECONDS ?= 60
.PHONY: fuzz
fuzz: ## fuzz the core for FUZZ_SECONDS a target
	command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
	for target in $$(cargo fuzz list --fuzz-dir rust/fuzz); do \
	  RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir rust/fuzz --sanitizer none $$target -- -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

.PHONY: wheel
wheel: .venv/ready ## build a wheel into dist, guided by a profile: takes rustup's component llvm-tools
	$(BIN)/maturin build --release --locked --pgo --out dist

.PHONY: clean
clean: ## remove everything that is made
	rm -rf .venv target rust/fuzz/target dist
