# make bench   installs into .venv, trains the reference network on the embedded data, prints the leaderboard
# make test    installs into .venv, runs the tests: a process per core, up to four, each with one thread
# make check   ruff, mypy, import rules
# make soak    what takes long (docs/reliability.md): 10,000 damaged inputs, faults of the disk, 200 kills, scale
# make test-oldest   the tests with the oldest versions that pyproject.toml allows (tests/oldest.txt)
# make gpu     what a CUDA device must prove, then MINUTES of measurements and runs; installs nothing (docs/gpu.md)
# make audit   known vulnerabilities of what is installed; needs PyPI itself
PYTHON ?= python3
BIN := .venv/bin

.PHONY: bench test check soak test-oldest gpu audit clean

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

soak: .venv/installed
	BENCH_FUZZ=500 OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/fuzz
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m soak -s

test-oldest: .venv-oldest/installed
	OMP_NUM_THREADS=1 .venv-oldest/bin/python -m pytest -n auto --maxprocesses 4

# Of a checkout as it is: a rented machine may have no package index.
GPU_PYTHON ?= $(if $(wildcard .venv/installed),.venv/bin/python,python3)
MINUTES ?= 10
OUT ?= proof
gpu:
	PYTHONPATH=. $(GPU_PYTHON) tests/gpu/proof.py --tests --minutes $(MINUTES) --out $(OUT) $(PROOF)

audit: .venv/installed
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet pip-audit
	.venv-audit/bin/pip-audit --path "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

# Written last, so that an interrupted installation is taken up again.
.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

.venv-oldest/installed: pyproject.toml tests/oldest.txt
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --upgrade pip
	.venv-oldest/bin/python -m pip install --quiet --constraint tests/oldest.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .venv-oldest .venv-audit .mypy_cache .pytest_cache .ruff_cache dist
