# The one entry for developers and for a first look. Each target does all of its own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Set by whoever wants the tests on more or fewer processes. One more than two cores: tests wait for the engine, too.
JOBS ?= 3
# What a target needs is made side by side: types are checked while the engine comes up.
MAKEFLAGS += --jobs=3

# Where it is set, each of the many commands that the tests start would compile all of envcap anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help python demo test test-fast check engine browser bases install clean

help:  ## Show what can be asked for
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# Before all that may install packages: only one can at a time.
python:
	@sh tools/venv.sh '$(PYTHON)'

install: $(STAMP)  ## Put envcap and its development tools into .venv

$(STAMP): pyproject.toml | python
	@$(PYTHON) -c 'import sys; sys.exit("`$(PYTHON)` is Python %d.%d; envcap needs 3.10 or newer. Try: make PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 10) else 0)'
	@$(PYTHON) -m venv --clear $(VENV)
	@echo "installing envcap and its tools into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable . --group dev
	@touch $@

demo: $(STAMP)  ## Freeze, build and verify the example in examples/digits
	@PYTHON='$(PYTHON)' sh examples/digits/demo.sh

engine: | python  ## Make sure that a Docker engine and the test images are there
	@PYTHON='$(PYTHON)' tests/engine/up

# After the engine, because both may have to install packages, and only one can at a time.
browser: | engine  ## Make sure that there is a Chromium for the tests of the report page
	@tests/browser/up >/dev/null

check: $(STAMP)  ## Style and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

# With more examples where a stranger's text meets a parser.
test: check engine browser  ## Everything, the container tests included
	@HYPOTHESIS_PROFILE=ci $(BIN)/pytest --numprocesses $(JOBS) --dist loadgroup

test-fast: check  ## All that needs no container engine, no package index and no whole environment
	@$(BIN)/pytest --numprocesses $(JOBS) --dist loadgroup --ignore=tests/integration -m 'not engine and not network and not browser'

# Only where a registry with NVIDIA's images can be reached; the table is reviewed as a diff.
bases: $(STAMP)  ## Write the table of NVIDIA's CUDA images anew, from their registry
	@$(BIN)/python tools/bases.py

clean:  ## Remove what the targets above made in this folder
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis examples/*/.venv examples/*/.envcap
