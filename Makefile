# What a fresh machine needs, and what runs on it.  make setup && make demo
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SHELL_SCRIPTS := $(shell git ls-files '*.sh' .ci/run)

# Where this is set, each of the many processes of the tests would compile the package and the tests again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test quick fuzz lint docs dist clean

setup: $(VENV)/.installed

# torch is pinned here and not in pyproject.toml: asked for by this exact version pip takes a CPU build where one is
# to be had, and asked for by a range it takes the newest with its CUDA packages.
$(VENV)/.installed: pyproject.toml lstmgenre/scattering/_kernel.c
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --editable '.[dev,plot]'
	touch $@

demo: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" recipes/ismir2004/run.sh

# loadgroup: the tests that share what takes long to make run on one worker, and it is made once.
test: setup
	$(BIN)/python -m pytest -n 2 --dist loadgroup

quick: setup
	$(BIN)/python -m pytest -n 2 -m 'not system and not slow'

# Damaged files, for every parser. What breaks one is kept as fuzz-*.bin.
INPUTS ?= 100000
SEED   ?= 1
fuzz: setup
	$(BIN)/python -m tests.fuzz --inputs $(INPUTS) --seed $(SEED)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/shellcheck -x $(SHELL_SCRIPTS)

docs: setup
	$(BIN)/python -m lstmgenre.cli.reference >docs/cli.md

# An sdist, and a wheel from it: dist/. The kernel needs no particular Python (abi3), but its wheel is one for this system;
# for an index, auditwheel makes a manylinux wheel of it.
dist: setup
	rm -rf dist
	$(BIN)/python -m build --no-isolation

clean:
	rm -rf $(VENV) build dist recipes/ismir2004/data recipes/ismir2004/exp
