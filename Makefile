# `make help` lists the targets. All of them set up .venv first, once.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all lint types bench lock clean distclean

# The name changes with what was installed, so a new lock file or a new dependency sets up again.
STAMP := .venv/.stamp-$(shell cat requirements.lock pyproject.toml tools/bootstrap.sh | sha256sum | cut -c 1-16)

help: ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

$(STAMP):
	@tools/bootstrap.sh $@

setup: $(STAMP) ## Build .venv (the other targets do it by themselves)

demo: $(STAMP) ## Train the pendulum from scratch, play it, draw demo/curve.png and demo/pendulum.gif
	.venv/bin/svpg demo

test: $(STAMP) ## Run the tests; ARGS="-k softmax" hands options to pytest
	.venv/bin/python -m pytest -n 2 --dist worksteal $(ARGS)

test-all: $(STAMP) ## Run the slow tests too
	.venv/bin/python -m pytest -n 2 --dist worksteal -m "" $(ARGS)

lint: $(STAMP) ## Check the code with ruff
	.venv/bin/ruff check .

types: $(STAMP) ## Check the types with mypy
	.venv/bin/mypy

bench: $(STAMP) ## Measure speed
	.venv/bin/svpg bench

lock: $(STAMP) ## Write requirements.lock anew
	tools/lock.sh

clean: ## Remove caches and build products; keeps .venv and runs
	rm -rf build svpg.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +

distclean: clean ## Remove .venv as well
	rm -rf .venv
