# Two commands do everything, from an empty clone on:
#
#   make run     all of Thermograph on this machine          make run ARGS="--web-port 8090"
#   make test    everything that can be checked here         make test ARGS="-k ingest"
#
# Both prepare what they need first (tools/README.md says what). The rest is for convenience.

PYTHON ?= python3
VENV_PYTHON := .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)/python
ARGS ?=
# Tests at once. Most of them wait for outages to end, so there are more than cores.
WORKERS ?= 4

.PHONY: help run test nightly check clean

help:
	@sed -n '2,6s/^# \{0,1\}//p' Makefile

run:
	@$(PYTHON) -m tools setup --for run
	@exec $(VENV_PYTHON) -m backend run $(ARGS)

test:
	@$(PYTHON) -m tools setup --for test
	@$(VENV_PYTHON) -m tools check
	@exec $(VENV_PYTHON) -m pytest -n $(WORKERS) --dist worksteal -ra --durations=10 $(ARGS)

# The long forms of what `make test` does in small; last a thousand years in the life of a device, which, cut off, go on
# where they were. The seeds that fail are printed.
nightly:
	@$(PYTHON) -m tools setup --for test
	@$(VENV_PYTHON) -m tools bench kills
	@$(VENV_PYTHON) -m tools bench faults
	@$(VENV_PYTHON) -m tools bench bugs
	@$(VENV_PYTHON) -m tools bench crash
	@$(VENV_PYTHON) -m tools bench fuzz
	@$(VENV_PYTHON) -m tools bench heap
	@$(VENV_PYTHON) -m tools bench flash
	@exec $(VENV_PYTHON) tests/firmware/year.py --seeds 1000 --processes 2 --record var/nightly/years $(ARGS)

check:
	@$(PYTHON) -m tools setup --for test
	@exec $(VENV_PYTHON) -m tools check

# Readings under var/ are data, not build products: they stay.
clean:
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache var/tools
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
