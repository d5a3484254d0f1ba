# make bench   installs into .venv, trains the reference network on the embedded data, prints the leaderboard
# make test    installs into .venv, runs the tests: a process per core, up to four, each with one thread
# make check   ruff, mypy, import rules
# make docs, make site   this documentation and the page of the results as one static folder, site/
# make weights   fetches and makes dawn, trains the network that ships (hours); make rivals: what it is worth (docs/denoise.md)
# make simulate   whether intervals, comparisons and ranks keep their promise, in a table (docs/statistics.md)
# make soak    what takes long (docs/reliability.md): 10,000 damaged inputs, faults of the disk, 200 kills, scale
# make lock    renews requirements.txt, of which .venv is made, and tests/oldest.txt
# make test-newest   the tests with what the index serves today, without the lock
# make test-oldest   the tests with the oldest versions that pyproject.toml allows (tests/oldest.txt)
# make gpu     what a CUDA device must prove, then MINUTES of measurements and runs; installs nothing (docs/gpu.md)
# make audit   known vulnerabilities of what is installed; needs PyPI itself
PYTHON ?= python3
BIN := .venv/bin

PYTEST := -m pytest -n auto --maxprocesses 4 --dist worksteal

.PHONY: bench test check docs site weights rivals simulate soak lock test-newest test-oldest gpu audit clean

bench: .venv/installed
	$(BIN)/bench run --arch custom_resnet34
	$(BIN)/bench leaderboard

test: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python $(PYTEST)

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_imports.py

docs site: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

ARCH ?= unet:width=8
STEPS ?= 1500
SEED ?= 0
TRAIN ?= --precision bf16 --threads 1
weights: .venv/installed
	$(BIN)/bench data fetch dawn
	$(BIN)/bench data make dawn
	$(BIN)/python -m benchmark.cli.weights train dawn --architecture $(ARCH) --steps $(STEPS) --seed $(SEED) $(TRAIN)

rivals: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmark.cli.weights judge dawn

simulate: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python tests/simulating.py

soak: .venv/installed
	BENCH_FUZZ=500 OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/fuzz
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m soak -s

COMPILE := .venv-lock/bin/uv pip compile --quiet --upgrade --python-version 3.11 --extra dev --no-annotate \
	--custom-compile-command 'make lock'

lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --upgrade uv
	$(COMPILE) --universal --generate-hashes --output-file requirements.txt pyproject.toml
	$(COMPILE) --resolution lowest-direct --output-file tests/oldest.txt pyproject.toml

test-newest: .venv-newest/installed
	OMP_NUM_THREADS=1 .venv-newest/bin/python $(PYTEST)

test-oldest: .venv-oldest/installed
	OMP_NUM_THREADS=1 .venv-oldest/bin/python $(PYTEST)

# Of a checkout as it is: a rented machine may have no package index.
GPU_PYTHON ?= $(if $(wildcard .venv/installed),.venv/bin/python,python3)
MINUTES ?= 10
OUT ?= proof
gpu:
	PYTHONPATH="$${PYTHONPATH:+$$PYTHONPATH:}." $(GPU_PYTHON) tests/gpu/proof.py --tests --minutes $(MINUTES) --out $(OUT) $(PROOF)

audit: .venv/installed
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet pip-audit
	.venv-audit/bin/pip-audit --path "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

# `installed` is written last, so that an interrupted installation is taken up again.
.venv/installed: pyproject.toml requirements.txt
	@echo 'Installing the locked packages into .venv: 6 GB, a minute or more.'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# Made anew each time: what is newest changes without any file of ours.
.PHONY: .venv-newest/installed
.venv-newest/installed:
	$(PYTHON) -m venv --clear .venv-newest
	.venv-newest/bin/python -m pip install --quiet --editable '.[dev]'
	.venv-newest/bin/python -m pip freeze > .venv-newest/installed

.venv-oldest/installed: pyproject.toml tests/oldest.txt
	$(PYTHON) -m venv --clear .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --requirement tests/oldest.txt
	.venv-oldest/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

clean:
	rm -rf .venv .venv-lock .venv-newest .venv-oldest .venv-audit .mypy_cache .pytest_cache .ruff_cache dist site
