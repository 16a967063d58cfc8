# Run `make` to see what there is. Every target does its own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SERVE ?=
UPGRADE ?=
DB ?=
# Each test process starts servers of its own.
WORKERS ?= 2
INSTALL = $(BIN)/python tools/install.py
LOCKED := --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo community coordination run test test-newest test-lowest smoke-newest lock check format lint types imports unit docs bench e2e peers dist vendor mutants clean

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it with: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "No virtual environment could be made. On Debian: apt-get install python3-venv"; exit 1; }

# One stamp an extra, so that `make demo` need not wait for the test tools.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing FlexMeasures into $(VENV); this takes a minute or two ..."
	@$(INSTALL) $(LOCKED) --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@echo "Installing the test tools into $(VENV) ..."
	@$(INSTALL) $(LOCKED) --editable '.[test]'
	@touch $@

demo: $(VENV)/.installed ## Plan a home on real data, end to end (SERVE=1 keeps the server running)
	@$(BIN)/flexmeasures demo $(if $(SERVE),--serve)

community: $(VENV)/.installed ## Nine homes that share their roofs, on real data: what other keys and a battery would give
	@$(BIN)/flexmeasures demo --community

coordination: $(VENV)/.installed ## A grid operator's price curve: batteries and cars are planned anew, reported and paid
	@$(BIN)/flexmeasures demo --coordination

run: $(VENV)/.installed ## Serve FlexMeasures on http://localhost:5000, nothing else needed
	@$(BIN)/flexmeasures run

test: $(VENV)/.installed-test ## All tests but those that need a browser (DB=external: on PostgreSQL and Redis from Debian packages)
	@DB=$(DB) $(BIN)/python -m pytest -m "not e2e and not peers" -n $(WORKERS) --dist worksteal

.PHONY: test-faults
test-faults: $(VENV)/.installed-test ## The ring of faults, which is part of make test: stores away, workers killed, reloads, restores
	@$(BIN)/python -m pytest -m faults -n $(WORKERS) --dist worksteal

# The other rings have environments of their own. Warnings of versions that nobody has adapted to yet are shown, not errors.
NEWEST := .venv-newest
LOWEST := .venv-lowest

$(NEWEST)/bin/python $(LOWEST)/bin/python:
	@$(PYTHON) -m venv $(dir $(@D))

.PHONY: newest
newest: $(NEWEST)/bin/python
	@echo "Installing the newest versions into $(NEWEST) ..."
	@$(NEWEST)/bin/python tools/install.py --upgrade --upgrade-strategy eager --editable '.[test]'
	@$(NEWEST)/bin/python -m pip --disable-pip-version-check freeze --exclude-editable | \
		$(PYTHON) tools/compare_versions.py constraints.txt

test-newest: newest ## All tests on the newest versions of all packages
	@$(NEWEST)/bin/python -m pytest -m "not e2e and not peers" -n $(WORKERS) --dist worksteal -W default

smoke-newest: newest
	@$(NEWEST)/bin/python -m pytest -W default $(SMOKE)

test-lowest: $(LOWEST)/bin/python $(VENV)/.uv ## Smoke tests on the lowest versions that pyproject.toml allows
	@$(VENV)/uv/bin/uv pip compile --quiet --python-version 3.11 --resolution lowest-direct --no-header --no-annotate \
		--no-emit-index-url --extra test --output-file $(LOWEST)/constraints.txt pyproject.toml
	@$(LOWEST)/bin/python tools/install.py --constraint $(LOWEST)/constraints.txt --editable '.[test]'
	@$(LOWEST)/bin/python -m pytest -W default $(SMOKE)

SMOKE := tests/unit tests/contract/test_walk.py tests/contract/test_api_meter_data.py tests/contract/test_rest_users.py \
	tests/contract/test_cli_json.py tests/contract/test_forecast_jobs.py tests/contract/processes/test_worker_command.py

$(VENV)/.uv: | $(BIN)/python
	@$(INSTALL) --quiet --target $(VENV)/uv --upgrade uv
	@touch $@

lock: $(VENV)/.uv ## Write constraints.txt anew, for all platforms; versions stay unless UPGRADE=1
	@$(VENV)/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-header --no-annotate \
		--no-emit-index-url $(if $(UPGRADE),--upgrade) --output-file constraints.txt pyproject.toml

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

docs: $(VENV)/.installed-test ## Write the generated parts of the documentation, and build it as a site (src/flexmeasures/ui/site)
	@$(BIN)/python docs/reference/generate.py
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs --quiet build --strict
	@echo "The site is served at /docs/handbook/ by flexmeasures run, and stands in src/flexmeasures/ui/site."

accuracy: $(VENV)/.installed ## Measure the accuracy of forecasts on the series in the folder DATA, and write the page
	@$(BIN)/python docs/reference/accuracy_report.py $(DATA)

e2e: $(VENV)/.installed-test ## Stories through a real browser (Debian: apt-get install chromium)
	@$(BIN)/python -m pytest -m e2e

dist: docs ## Build a wheel and a source distribution into dist, and check both
	@$(INSTALL) --quiet $(LOCKED) build twine
	@rm -rf dist && $(BIN)/python -m build --outdir dist && $(BIN)/python -m twine check --strict dist/*

peers: $(VENV)/.installed-test ## Independent OpenADR 3 clients against our server, each in an environment of its own
	@$(BIN)/python tools/peers.py
	@$(BIN)/python -m pytest tests/peers

# As the documentation of 0.4 calls them.
.PHONY: install-for-dev install-deps install-flexmeasures freeze-deps upgrade-deps update-docs show-data-model upgrade-db
install-for-dev: $(VENV)/.installed-test ## Install everything that developing needs

install-deps install-flexmeasures: $(VENV)/.installed

freeze-deps: lock

upgrade-deps:
	@$(MAKE) lock UPGRADE=1

update-docs: docs

upgrade-db: $(VENV)/.installed ## Bring the tables of the configured database up to date
	@$(BIN)/flexmeasures db upgrade

show-data-model: $(VENV)/.installed ## Draw the tables and how they refer to each other (data-model.svg, or .dot without Graphviz)
	@$(BIN)/python tools/data_model.py

vendor: | $(BIN)/python ## Fetch anew what pages load in browsers (needs npm)
	@$(BIN)/python tools/vendor.py

bench: $(VENV)/.installed-test ## Benchmarks: medians, ratios and where the time goes (ONLY=name for one)
	@$(BIN)/python -m benchmarks $(ONLY)

mutants: $(VENV)/.installed-test ## Put one fault after the other into the code and see that a test notices (ONLY=word)
	@$(BIN)/python -m tests.mutants $(ONLY)

clean: ## Remove what the other targets made
	rm -rf $(VENV) $(NEWEST) $(LOWEST) .venv-peers instance build dist src/flexmeasures/ui/site data-model.* src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
