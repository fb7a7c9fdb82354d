# make demo: the whole path on synthetic scans. make test: lint, types, tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WHICH_PYTHON = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: expected Python 3.11 or newer, found $$($(PYTHON) --version); give PYTHON=..." >&2; exit 2; }

.PHONY: demo test lint bench clean

$(VENV)/installed: pyproject.toml constraints.txt
	@$(WHICH_PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(VENV)/installed
	$(BIN)/train-unet --arch scratch --out artifacts/demo/scratch --overwrite
	$(BIN)/train-unet --arch resnet50 --encoder-weights none --out artifacts/demo/resnet50 --overwrite
	$(BIN)/export-onnx artifacts/demo/scratch artifacts/demo/resnet50
	$(BIN)/seg-predict artifacts/demo/scratch.onnx artifacts/phantom/test --out artifacts/demo/predictions
	$(BIN)/seg-eval artifacts/demo/scratch.onnx artifacts/demo/resnet50.onnx --json artifacts/demo/evaluation.json --csv artifacts/demo/evaluation.csv
	@echo
	@ls -d artifacts/demo/*/curves.png artifacts/demo/*.onnx artifacts/demo/predictions

lint: $(VENV)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint
	$(BIN)/pytest

bench: $(VENV)/installed
	$(BIN)/pytest --benchmark-only

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
