# The first three are all that a newcomer needs. STACK names another stack than `local`: make up STACK=aws.
STACK ?= local
PYTEST_ARGS ?=
# Three on two cores: what the tests of the engine and of whole stacks do most is wait.
WORKERS ?= 3
PYTEST = .venv/bin/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help up down check unit test test-all test-vllm bench lint format lock audit bootstrap recover

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-10s %s\n", $$1, $$2}'

up: bootstrap ## set everything up, then bring the stack up and say how to reach it
	@scripts/up $(STACK)

down: ## destroy the stack and leave no process behind
	@scripts/down $(STACK)

check: bootstrap ## before each commit, 6 minutes on two cores: lint, types, import rules, unit tests
	@$(MAKE) --no-print-directory --output-sync=target -j 2 lint unit

unit: bootstrap ## the unit tests alone
	@$(PYTEST) tests/unit $(PYTEST_ARGS)

test: bootstrap ## before each push, half an hour: all tests but the slow ones whose promises others keep in part
	@$(PYTEST) -m 'not slow' $(PYTEST_ARGS)

test-all: bootstrap ## what CI runs: every test
	@$(PYTEST) $(PYTEST_ARGS)

test-vllm: bootstrap ## on demand, 14 GB of disk and half an hour: the simulator's contract and a stack with a real vLLM
	@scripts/test-vllm $(PYTEST_ARGS)

bench: bootstrap ## what the gate and the path cost: the tables of docs/performance.md, measured anew
	@.venv/bin/python -m tests.bench.gate
	@.venv/bin/python -m tests.bench.usage
	@.venv/bin/python -m tests.bench.pack
	@.venv/bin/python -m tests.bench.spine
	@.venv/bin/python -m tests.bench.node
	@.venv/bin/python -m tests.bench.closing .venv/bin/python -m images.simulator serve tiny --disable-uvicorn-access-log
	@.venv/bin/python -m tests.bench.weights
	@.venv/bin/python -m tests.bench.clouds

lint: bootstrap ## ruff, mypy --strict, import-linter
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy .
	@.venv/bin/lint-imports

format: bootstrap ## what ruff can put right
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

recover: ## after the engine was killed in the middle: mend the state, end its lock, forget what it had begun
	@scripts/recover $(STACK)

lock: bootstrap ## compile requirements/*.in to *.txt again
	@scripts/lock

audit: ## look the locked versions up among known vulnerabilities; needs the network, no part of CI
	@scripts/audit

bootstrap: ## system packages, .venv, engine: only what is missing
	@scripts/bootstrap
