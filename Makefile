# make setup | test | demo | loop | drift | campaign | bench | lint. Each does its own set-up, once per change of the lock.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
SIZE ?= full
# bonsai (LDAP) is compiled: without a compiler, libldap and libsasl2 everything else works.
LDAP = $(BIN)/python -c 'import bonsai' 2>/dev/null \
	|| $(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check -c constraints.txt bonsai >/dev/null 2>&1 \
	|| echo "bonsai cannot be compiled, so LDAP is left out: apt-get install gcc python3-dev libldap-dev libsasl2-dev"

.PHONY: help setup lint test demo loop drift campaign bench

help: ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## .venv with the command radloop in it, from the lock

$(STAMP): constraints.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing from constraints.txt into $(VENV) (minutes, once)"
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --no-input -c constraints.txt -e '.[dev]'
	@$(LDAP)
	@touch $@

lint: $(STAMP) ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(STAMP) lint ## everything that must hold, in under 15 minutes
	@tests/system-packages
	@$(LDAP)
	$(BIN)/pytest -q -n 3 --dist loadfile --no-loadscope-reorder -m 'not campaign'

demo: $(STAMP) ## studies in, answers out, a table; leaves nothing running
	@$(BIN)/radloop demo

loop: $(STAMP) ## the learning loop, told in docs/loop-*.md; DATA=FOLDER for labelled images
	$(BIN)/python -m tests.loop $(if $(DATA),--data $(DATA))

drift: $(STAMP) ## how soon a change is found, beside evidently and alibi-detect; SIZE=small for a short one
	$(BIN)/python -m tests.drift --size $(SIZE)

campaign: $(STAMP) ## what runs longer, alone; SIZE=small for a short one
	@tests/system-packages
	@$(LDAP)
	RADLOOP_CAMPAIGN=$(SIZE) $(BIN)/pytest -q -m campaign

bench: $(STAMP) ## the numbers, as a table and as JSON; SIZE=small for a short one
	$(BIN)/python -m tests.bench --size $(SIZE)
