# Run `make` to see what there is. Every target does its own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SERVE ?=

.DEFAULT_GOAL := help
.PHONY: help demo run test check format lint types imports unit docs bench e2e clean

help: ## List the targets
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it with: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "No virtual environment could be made. On Debian: apt-get install python3-venv"; exit 1; }

# One stamp an extra, so that `make demo` need not wait for the test tools.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "Installing FlexMeasures into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@echo "Installing the test tools into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

demo: $(VENV)/.installed ## Schedule a small site on real data, end to end (SERVE=1 keeps the server running)
	@$(BIN)/flexmeasures demo $(if $(SERVE),--serve)

run: $(VENV)/.installed ## Serve FlexMeasures on http://localhost:5000, nothing else needed
	@$(BIN)/flexmeasures run

test: $(VENV)/.installed-test ## All tests but those that need a browser
	@$(BIN)/python -m pytest -m "not e2e"

check: lint types imports unit ## Format, lint, types, import rules, unit tests

format: $(VENV)/.installed-test ## Put the code into shape
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lint: $(VENV)/.installed-test
	@$(BIN)/ruff format --check . && $(BIN)/ruff check .

types: $(VENV)/.installed-test
	@$(BIN)/mypy

imports: $(VENV)/.installed-test
	@$(BIN)/lint-imports

unit: $(VENV)/.installed-test
	@$(BIN)/python -m pytest tests/unit

docs: $(VENV)/.installed-test ## Write the generated parts of the documentation
	@$(BIN)/python docs/reference/generate.py

e2e: $(VENV)/.installed-test ## Stories through a real browser (Debian: apt-get install chromium)
	@$(BIN)/python -m pytest -m e2e

bench: $(VENV)/.installed-test ## Benchmarks: medians, ratios and where the time goes (ONLY=name for one)
	@$(BIN)/python -m benchmarks $(ONLY)

clean: ## Remove what the other targets made
	rm -rf $(VENV) instance build src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
