# Two commands on a fresh clone: `make demo` and `make test`. Both make their own .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo
VIEWER := hatch_build.py viewer/package.json viewer/build.mjs $(wildcard viewer/src/*.js viewer/src/desk/*.js)
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet -c constraints.txt
WORKERS ?= 2

.PHONY: help demo docs wheel containers test-versions test coverage test-slow test-cluster test-processors mutation bench lint types layers unused format clean

help:
	@echo "make demo       a phantom patient from raw images to a report, in $(DEMO)/"
	@echo "make test       the tests (under 15 minutes on two cores)"
	@echo "make coverage   the tests once more, and the lines that none of them reaches"
	@echo "make test-slow  the long studies whose figures stand in docs/"
	@echo "make mutation   whether tests notice changed code; MODULES=\"pet/maps.py …\" or ten at random"
	@echo "make test-processors     golden and reference numbers as other processors compute them"
	@echo "make test-cluster    50 faults in a SLURM of three nodes on this host (root, Debian)"
	@echo "make docs       this documentation as a site, in docs/_build/html (a warning is an error)"
	@echo "make wheel      sdist and wheel in dist/, and the wheel at work in an empty environment"
	@echo "make containers the recipes of containers/ and conda/, as far as they can be checked without building"
	@echo "make test-versions   the tests with the lowest and the newest versions of dependencies"
	@echo "make bench      measured figures beside their targets"
	@echo "make lint types layers   what CI checks besides the tests"

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Falx needs Python 3.11 or newer; choose one with: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.user: $(VENV)/bin/python pyproject.toml constraints.txt $(VIEWER)
	$(PIP) -e ".[pages,genes]"
	@touch $@

$(VENV)/.developer: $(VENV)/bin/python pyproject.toml constraints.txt $(VIEWER)
	$(PIP) -e ".[all,test,lint]"
	@touch $@ $(VENV)/.user

demo: $(VENV)/.user
	$(BIN)/falx demo $(DEMO)

test: $(VENV)/.developer
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not slow"

coverage: $(VENV)/.developer
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow" --cov --cov-report=term:skip-covered

test-slow: $(VENV)/.developer
	$(BIN)/python -m pytest -m slow

test-cluster: $(VENV)/.developer
	$(BIN)/python scripts/test_cluster.py

test-processors: $(VENV)/.developer
	$(BIN)/python scripts/test_processors.py --workers $(WORKERS)

$(VENV)/.docs: $(VENV)/.developer
	$(PIP) -e ".[docs]"
	@touch $@

docs: $(VENV)/.docs
	rm -rf docs/_build/html docs/gallery
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -W --keep-going -q -b html -d docs/_build/doctrees docs docs/_build/html
	$(BIN)/python scripts/check_site.py docs/_build/html

containers: $(VENV)/.developer
	$(PIP) -e ".[containers]"
	$(BIN)/hadolint containers/Dockerfile
	$(BIN)/python -m pytest -q tests/test_release.py

wheel: $(VENV)/bin/python
	rm -rf dist
	$(PIP) build
	$(BIN)/python -m build --quiet
	$(BIN)/python scripts/test_wheel.py dist

test-versions: $(VENV)/bin/python
	$(BIN)/python scripts/test_versions.py --workers $(WORKERS)

bench: $(VENV)/.developer
	$(BIN)/python -m benchmarks

lint: $(VENV)/.developer
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python scripts/check_house.py
	$(BIN)/codespell src tests benchmarks examples docs scripts README.md CONTRIBUTING.md
	$(BIN)/validate-pyproject pyproject.toml

mutation: $(VENV)/.developer
	$(PIP) -e ".[mutation]"
	$(BIN)/python scripts/mutation.py $(MODULES)

unused: $(VENV)/.developer
	$(BIN)/python scripts/unused.py

types: $(VENV)/.developer
	$(BIN)/mypy

layers: $(VENV)/.developer
	$(BIN)/lint-imports

format: $(VENV)/.developer
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
