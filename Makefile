# Trihead: `make demo` shows it, `make test` tests it; both do all the set-up and are safe to repeat.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin
MODEL ?= qwen2.5-coder-0.5b
# Two workers on two cores: more threads a worker only fight each other.
PYTEST_WORKERS ?= 2
TASK ?= 01-fizzbuzz

.PHONY: help env weights demo test check docs pins clean

help:  ## what there is
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 12

env:  ## make the environment in .venv
	@requirements/install.sh dev

weights: env
	@$(BIN)/model pull $(MODEL)

demo: weights  ## fetch the default model and let the agent solve an example task
	@rm -rf runs/demo && mkdir -p runs/demo
	@$(BIN)/agent run examples/$(TASK)/task.md --model $(MODEL) --workdir runs/demo

test: weights  ## run the tests (bend and docker tests run where those are installed)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadgroup $(ARGS)

check: env  ## lint, types, import contracts, stale docs
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python docs/build.py --check

docs: env  ## write docs/cli from --help
	@$(BIN)/python docs/build.py

pins: env  ## resolve the requirement sets anew
	@requirements/compile.sh

clean:  ## remove the environment and caches (weights stay in the data folder)
	@rm -rf .venv .uv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
