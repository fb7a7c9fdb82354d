# make demo: train, export, predict and score on synthetic scans. make test: lint, types, docs, tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CHECK_PYTHON = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: Python 3.11 or newer is needed, found $$($(PYTHON) --version); give PYTHON=..." >&2; exit 2; }
# Python compiles what it imports at the first time; all packages would take a minute more.
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --no-compile
# Where this is set, every process of the tests would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint docs page-tools bytecode bench faults load fuzz mutants wheel audit readme clean

$(VENV)/installed: pyproject.toml constraints.txt
	@$(CHECK_PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP_INSTALL) --constraint constraints.txt --editable '.[dev]'
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
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory page-tools && npm run --prefix export/page --silent lint; fi

# The browser's ONNX Runtime and the checkers of the page's JavaScript, from npm.
page-tools: export/page/node_modules/installed
export/page/node_modules/installed: export/page/package.json
	npm install --prefix export/page --silent --no-audit --no-fund
	touch $@

# The documentation as a website in site/. A broken link or reference fails the build.
docs: $(VENV)/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# One more than two cores: many tests wait for another process, and all use a single thread.
test: $(VENV)/installed
	@$(MAKE) --no-print-directory --jobs 2 lint bytecode
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 3 --dist loadfile

# Compile the installed packages beside the lint, which takes one core: otherwise each process of
# the tests compiles what it imports, all at the same time. Some contain files that do not compile.
bytecode: $(VENV)/installed
	@$(BIN)/python -m compileall -qq -x '/(tests?|testing|benchmarks?)/' $(VENV)/lib || true

bench: $(VENV)/installed
	$(BIN)/pytest --benchmark-only

# Kill and resume fifty training runs, and try every write on a full disk.
faults: $(VENV)/installed
	$(BIN)/pytest --long tests/train/test_faults.py

# Run thousands of predictions, and check that results stay equal and memory stays flat.
load: $(VENV)/installed
	$(BIN)/pytest --long tests/runtime/test_load.py

# Feed mutated files to the readers, each for FUZZ_SECONDS. READERS="image onnx" selects some.
FUZZ_SECONDS ?= 600
fuzz: $(VENV)/installed
	PYTHONPATH=$(CURDIR) $(BIN)/python -m tests.support.fuzz_run --seconds $(FUZZ_SECONDS) $(READERS)

# Change one place of a module at a time and see whether its tests notice. MODULES="runtime/metrics.py" selects some.
MUTANT_MINUTES ?= 60
mutants: $(VENV)/installed
	$(BIN)/python $(PIP_INSTALL) --constraint constraints.txt --editable '.[mutants]'
	PYTHONPATH=$(CURDIR) $(BIN)/python -m tests.support.mutation_run --minutes $(MUTANT_MINUTES) $(MODULES)

# A reproducible wheel: one commit gives the same bytes on any machine at any time.
wheel: $(VENV)/installed
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	sha256sum dist/*.whl

# Look up known vulnerabilities of the pinned versions. Needs the network.
audit:
	@$(CHECK_PYTHON)
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python $(PIP_INSTALL) pip-audit
	$(VENV)/audit/bin/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt

# Update the study's table in the README from study.json.
readme: $(VENV)/installed
	$(BIN)/python -m bench.study.readme README.md artifacts/study/study.json

clean:
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache
