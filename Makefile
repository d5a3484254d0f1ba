# make bench   installs into .venv, trains the reference network on the embedded data, prints the leaderboard
# make test    installs into .venv, runs the tests: a process per core, up to four, each with one thread
# make check   ruff, mypy, import rules
PYTHON ?= python3
BIN := .venv/bin

.PHONY: bench test check clean

bench: .venv/installed
	$(BIN)/bench run --arch custom_resnet34
	$(BIN)/bench leaderboard

test: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4

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
