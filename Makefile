# make demo: the whole path on synthetic scans. make test: lint, types, tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WHICH_PYTHON = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: expected Python 3.11 or newer, found $$($(PYTHON) --version); give PYTHON=..." >&2; exit 2; }

.PHONY: demo test lint bench faults load fuzz wheel audit readme clean

$(VENV)/installed: pyproject.toml constraints.txt
	@$(WHICH_PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(VENV)/installed
	$(BIN)/train-unet --arch scratch --overwrite
	$(BIN)/train-unet --arch resnet50 --encoder-weights none --overwrite
	$(BIN)/export-onnx artifacts/demo/unet-scratch-w8 artifacts/demo/unet-resnet50-w8
	$(BIN)/seg-predict artifacts/demo/unet-scratch-w8.onnx "artifacts/phantom/test/person08[5-9]_slice1.png" --out artifacts/demo/predictions
	$(BIN)/seg-eval artifacts/demo/*.onnx --json artifacts/demo/evaluation.json --csv artifacts/demo/evaluation.csv
	@ls -d artifacts/demo/*/curves.png artifacts/demo/*.onnx artifacts/demo/predictions

lint: $(VENV)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Two at a time: much of what the tests wait for is one process's start, or a single thread.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist loadfile

bench: $(VENV)/installed
	$(BIN)/pytest --benchmark-only

# Fifty runs that are killed and go on, and every write on a disk that is full.
faults: $(VENV)/installed
	$(BIN)/pytest --long tests/train/test_faults.py

# Thousands of predictions and scans: the same results, and no memory lost.
load: $(VENV)/installed
	$(BIN)/pytest --long tests/runtime/test_load.py

# Readers against changed files, each for FUZZ_SECONDS: all of them, or READERS="image onnx".
FUZZ_SECONDS ?= 600
fuzz: $(VENV)/installed
	PYTHONPATH=$(CURDIR) $(BIN)/python -m tests.support.fuzz_run --seconds $(FUZZ_SECONDS) $(READERS)

# The same bytes from the same commit, wherever and whenever it is built.
wheel: $(VENV)/installed
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	sha256sum dist/*.whl

# The pinned versions against the database of known vulnerabilities, which needs the network.
audit:
	@$(WHICH_PYTHON)
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(VENV)/audit/bin/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt

# After a study: its tables in the README.
readme: $(VENV)/installed
	$(BIN)/python -m bench.study.readme README.md artifacts/study/study.json

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
