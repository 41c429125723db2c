# Two commands do everything: `make demo` and `make test`. The rest is for developers.
PYTHON ?= python3
VENV := .venv
VENV2 := .venv-mlflow2
VENV_DVC := .venv-dvc
AZURITE := .azurite
AZURITE_VERSION := 3.37.0
BIN := $(VENV)/bin
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock'

.PHONY: demo test check fix nightly bench docs lock clean

demo: $(VENV)/.ready
	$(BIN)/lastgood demo $(ARGS)

test: $(VENV)/.ready $(VENV2)/.ready $(VENV_DVC)/.ready
	$(BIN)/pytest -n 2 -m "not nightly" $(ARGS)

check: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir .site

fix: $(VENV)/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

nightly: $(VENV)/.ready $(VENV2)/.ready $(VENV_DVC)/.ready $(AZURITE)/.ready
	$(BIN)/pytest -n 2 -m "nightly" --timeout 7200 -rP $(ARGS)

bench: $(VENV)/.ready
	$(BIN)/python benchmarks/vs_mlflow.py $(ARGS)

docs: $(VENV)/.ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lock: $(VENV)/.ready
	$(LOCK) requirements/uv.in -o requirements/uv.txt
	$(LOCK) --all-extras --group dev pyproject.toml -o requirements/dev.txt
	$(LOCK) requirements/mlflow2.in -o requirements/mlflow2.txt
	$(LOCK) requirements/dvc.in -o requirements/dvc.txt

# uv installs from the hash-locked list; pip, which every Python has, installs uv itself.
$(VENV)/.ready: requirements/dev.txt requirements/uv.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lastgood needs Python 3.11 or newer: make PYTHON=python3.x ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r requirements/dev.txt
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-build-isolation --no-deps -e .
	touch $@

$(VENV2)/.ready: requirements/mlflow2.txt $(VENV)/.ready
	test -x $(VENV2)/bin/python || $(PYTHON) -m venv $(VENV2)
	VIRTUAL_ENV=$(VENV2) $(BIN)/uv pip install --quiet --require-hashes -r requirements/mlflow2.txt
	touch $@

$(VENV_DVC)/.ready: requirements/dvc.txt $(VENV)/.ready
	test -x $(VENV_DVC)/bin/python || $(PYTHON) -m venv $(VENV_DVC)
	VIRTUAL_ENV=$(VENV_DVC) $(BIN)/uv pip install --quiet --require-hashes -r requirements/dvc.txt
	touch $@

# Microsoft's server for tests of Azure's blob storage; it comes from npm, where there is npm.
$(AZURITE)/.ready: Makefile
	mkdir -p $(AZURITE)
	if command -v npm >/dev/null; then npm install --prefix $(AZURITE) --no-package-lock --no-audit --no-fund --loglevel=error azurite@$(AZURITE_VERSION); else echo "no npm: the tests over Azure's protocol are skipped"; fi
	touch $@

clean:
	rm -rf $(VENV) $(VENV2) $(VENV_DVC) $(AZURITE) .mypy_cache .ruff_cache .pytest_cache site
