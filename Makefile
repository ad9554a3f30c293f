# Every target works on a machine that has only Python 3.11 and make: the virtual environment is made on demand.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP = $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt

# Prepared data sets, where the folder exists. The package itself knows no such path.
NEUROKIT_DATA ?= ../shared/data
ifneq ($(wildcard $(NEUROKIT_DATA)),)
export NEUROKIT_DATA := $(abspath $(NEUROKIT_DATA))
else
unexport NEUROKIT_DATA
endif
export MPLBACKEND ?= Agg

.PHONY: help install demo lint test test-slow bench peers figures docs clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-10s %s\n", $$1, $$2}'

install: $(STAMP) ## make .venv with everything pinned in constraints.txt

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' \
	  || { echo "Python 3.11 or later is needed: make PYTHON=python3.11 ..."; exit 1; }
	@echo "installing into $(VENV): some minutes the first time"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) -e '.[all,test,docs]'
	@touch $@

demo: install ## fit and compare models on real spikes; table, pictures and report.html in out/demo
	$(BIN)/python -m analysis.compare_models --out out/demo

lint: install ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Most of what the fast tests of JAX models do is compile, which takes two thirds of the time without optimisation.
test: install ## the fast tests and the examples in the docstrings
	JAX_DISABLE_MOST_OPTIMIZATIONS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow' --doctest-modules tests neurokit_snn

test-slow: install ## the rest of the tests
	$(BIN)/python -m pytest -m slow tests

bench: install ## every speed and memory claim beside its peer
	@status=0; for file in benchmarks/[a-z]*.py; do \
	  name=$$(basename $$file .py); [ $$name = harness ] && continue; \
	  $(BIN)/python -m benchmarks.$$name || status=1; \
	done; exit $$status

peers: install ## packages that are only measured against: never part of our own dependencies
	@$(PIP) snntorch spconv elephant loguru requests
	@$(PIP) --no-deps spikingjelly

figures: install ## every figure of every paper, with its claims
	@status=0; found=0; for file in paper_figures/[a-z]*.py; do \
	  name=$$(basename $$file .py); [ $$name = harness ] && continue; found=1; \
	  $(BIN)/python -m paper_figures.$$name || status=1; \
	done; [ $$found = 1 ] || echo "no paper figures yet"; exit $$status

docs: install ## the documentation, as HTML in docs/_build/html
	rm -rf docs/api
	env -u MPLBACKEND $(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

clean: ## remove what the other targets made, .venv too
	rm -rf $(VENV) out dist build docs/_build docs/api .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
