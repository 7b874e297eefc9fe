# The list of commands. Each installs what it needs itself; Python >= 3.11, git and make are all it starts from.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
BIN := .venv/bin
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV
export UV_SYSTEM_CERTS := 1

.PHONY: help setup demo test check lint types imports contract stubs-unchanged generate format vendor-install \
  test-slow chaos fuzz bench bench-matrix peers peers-check lock upgrade system-packages

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make .venv with everything in it
	@.ci/setup

demo: setup ## Run a strategy on the demo dataset and say where its report is
	@$(BIN)/boxgate run configs/demo.yaml

test: check ## All checks and all tests but the slow ones
	@$(BIN)/pytest -q -m "not slow" -n 2 --dist loadfile

check: lint types imports contract stubs-unchanged ## Lint, types, imports, contract

lint: setup
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo "lint: not formatted; run make format"; exit 1; }
	@echo "lint: ok"

types: setup
	@$(BIN)/mypy --no-error-summary
	@echo "types: ok"

imports: setup
	@$(BIN)/lint-imports --no-logo >.venv/imports.txt 2>&1 || { cat .venv/imports.txt; exit 1; }
	@echo "imports: ok"

contract: setup
	@$(BIN)/buf lint
	@$(BIN)/buf breaking --against proto/released/v1.binpb
	@echo "contract: ok"

stubs-unchanged: setup
	@$(BIN)/python proto/generate.py --check
	@echo "stubs: ok"

generate: setup ## Write the stubs of the contract anew
	@$(BIN)/python proto/generate.py

format: setup ## Format the Python files and mend what can be mended safely
	@$(BIN)/ruff check --quiet --fix || true
	@$(BIN)/ruff format --quiet

vendor-install: setup ## Install the SDK's wheels as a vendor would and run an example there
	@$(BIN)/pytest -q tests/tooling/test_vendor_install.py

test-slow: setup ## The thousands of cases that are too many for every change
	@$(BIN)/pytest -q -m slow -n 2 --dist loadfile

chaos: setup ## Kill workers, nodes and drivers of a matrix a hundred times while it runs, and move it over three nodes
	@$(BIN)/pytest -q -m slow tests/server/cluster

fuzz: setup ## 10,000 random runs: ledger, limits and numbers hold in each
	@$(BIN)/python tests/fuzz/fuzz.py --runs 10000 --jobs 2

bench: peers ## Measure Boxgate beside other systems in one sitting: ARGS="--only vector", see docs/benchmarks.md
	@$(BIN)/python tests/bench/suite $(ARGS)

bench-matrix: setup ## Measure the matrix: workers, memory, planning, what it adds to a run, Ray Tune
	@BOXGATE_BENCH_SCRATCH=$$(mktemp -d) && export BOXGATE_BENCH_SCRATCH; trap 'rm -rf "$$BOXGATE_BENCH_SCRATCH"' EXIT; \
	for name in thousand_runs two_workers same_digest memory planning overhead tpe ray_tune; do \
	  echo "$$name" >&2; $(BIN)/python tests/bench/matrix/$$name.py; done

peers: setup ## Install the independent systems that Boxgate is compared with, each below .venv-peers
	@.ci/peers

peers-check: peers ## Make their results again and compare them with the fixtures
	@.ci/peers check

lock: setup ## Refresh requirements.lock after a change of dependencies; versions that still fit stay
	@.ci/lock
	@.ci/setup

upgrade: setup ## Refresh requirements.lock with the newest versions
	@.ci/lock --upgrade
	@.ci/setup

system-packages: ## Install the programs that tests need from the system (apt)
	@.ci/system-packages
