# make bench   installs into .venv, trains the reference network on the embedded data, prints the leaderboard
# make test    installs into .venv, runs the tests
# make check   ruff, mypy, import rules
PYTHON ?= python3
BIN := .venv/bin

.PHONY: bench test check clean

bench: .venv/installed
	$(BIN)/bench run --arch custom_resnet34
	$(BIN)/bench leaderboard

test: .venv/installed
	$(BIN)/python -m pytest

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_imports.py

# Written last, so that an interrupted installation is taken up again.
.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache dist
