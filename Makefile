# Everything a newcomer needs: `make run`, then `make test`. Nothing is installed outside .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
export GX_ANALYTICS_ENABLED := false
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export FEAST_USAGE := False
unexport PYTHONDONTWRITEBYTECODE # common in containers; every command would compile five thousand modules again, 10 s
.DEFAULT_GOAL := help

help: ## say what each target does
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

$(UV):
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.installed: requirements.lock pyproject.toml | $(UV)
	$(UV) pip install --no-config --quiet --no-deps --python $(BIN)/python --require-hashes -r requirements.lock
	$(UV) pip install --no-config --quiet --python $(BIN)/python --no-deps --editable .
	$(BIN)/python -c "from orchestration.definitions import defs; defs()" # parses the dbt project and compiles our modules, once
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	$(UV) pip install --no-config --quiet --no-deps --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/ppo/.installed: requirements-ppo.lock $(VENV)/.installed-dev
	$(UV) pip install --no-config --quiet --no-deps --python $(BIN)/python --target $(VENV)/ppo --require-hashes -r requirements-ppo.lock
	@touch $@

install: $(VENV)/.installed ## set up the environment from the lock

$(VENV)/tryton/.installed: requirements-tryton.lock | $(UV)
	$(UV) venv --no-config --quiet --allow-existing --python $(BIN)/python $(VENV)/tryton
	$(UV) pip install --no-config --quiet --no-deps --python $(VENV)/tryton/bin/python --require-hashes -r requirements-tryton.lock
	@touch $@

$(VENV)/mutation/.installed: requirements-mutation.lock $(VENV)/.installed-dev
	$(UV) pip install --no-config --quiet --no-deps --python $(BIN)/python --target $(VENV)/mutation --require-hashes -r requirements-mutation.lock
	@touch $@

$(VENV)/spark/.installed: requirements-spark.lock | $(UV)
	$(UV) venv --no-config --quiet --allow-existing --python $(BIN)/python $(VENV)/spark
	$(UV) pip install --no-config --quiet --no-deps --python $(VENV)/spark/bin/python --require-hashes -r requirements-spark.lock
	@touch $@

install-dev: $(VENV)/.installed-dev ## the same, with the tools the tests need

run: install ## raw extracts to orders on the sample company
	$(BIN)/stockhouse run sample_data

test: check $(VENV)/tryton/.installed ## every test that needs nothing but this checkout (services and shared data when they are there)
	$(BIN)/pytest -n 2 --dist loadgroup --no-loadscope-reorder --durations 25 -m "not long"

check: install-dev ## style, types and the walls between rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install-dev ## write the code as the style asks
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test-long: install-dev ## what `make test` leaves out: several runs of the whole line in one test, minutes each
	$(BIN)/pytest -n 2 --dist loadgroup --durations 0 -m long

test-fast: install-dev ## the tests of pure ideas and of single steps: no whole line, no services, no public data
	$(BIN)/pytest -n 2 --dist loadgroup -m "not line and not shared and not service" tests/forecasting tests/procurement tests/publish tests/replenishment tests/trace tests/twin

bench: install-dev ## every benchmark, into tests/benchmarks/RESULTS.md
	$(BIN)/python tests/benchmarks/results.py

drill: install-dev ## the long fault drills
	$(BIN)/python tests/landing/drill_landing.py
	$(BIN)/python tests/ledger/drill_procurement.py
	$(BIN)/python tests/ledger/drill_eight_weeks.py S01,S02 8
	$(BIN)/python tests/line/drill_shared_cases.py
	$(BIN)/python tests/line/drill_small_worlds.py
	$(BIN)/python tests/line/drill_public_worlds.py

mutation: install-dev $(VENV)/mutation/.installed ## would a test notice? code of money, ledger, landing and decisions changed in one place each, an hour or more
	PYTHONPATH=$(CURDIR)/$(VENV)/mutation $(BIN)/python tests/benchmarks/results.py mutants

ppo: install-dev $(VENV)/ppo/.installed ## PPO by skrl over our Gymnasium environment, its rows beside the learned agents': five CPU minutes a problem
	PYTHONPATH=$(CURDIR)/$(VENV)/ppo $(BIN)/python tests/benchmarks/bench_ppo.py zipkin-L4-p9 retailers-lost
	$(BIN)/python tests/benchmarks/results.py learning

drill-soak: install-dev ## a week of a shop with everything at once: tills that send, runs, orders, readers, kills, clocks that are wrong
	$(BIN)/python tests/benchmarks/results.py soak

drill-superset: install ## Superset itself imports the dashboard as code and draws every chart of LAKEHOUSE, in an environment of its own (700 MB)
	$(UV) venv --no-config --quiet --allow-existing --python $(BIN)/python $(VENV)/superset
	$(UV) pip install --no-config --quiet --python $(VENV)/superset/bin/python "apache-superset==6.1.*" "duckdb<2" duckdb-engine "flask-caching==2.3.1" cachetools
	$(VENV)/superset/bin/python tests/publish/drill_superset.py $(or $(LAKEHOUSE),.lakehouse)/derived/published

drill-tryton: install-dev $(VENV)/tryton/.installed ## eight weeks of a company that lives in Tryton, beside Tryton's own order points
	$(BIN)/python tests/line/drill_tryton.py

scale-up: install ## the dbt project on Spark (a master, two workers, Java 17), every mart and feature compared with DuckDB's and what each engine costs, for HOMES
	@java -version >/dev/null 2>&1 || { echo "scale-up: Java is absent: install 17 or newer (Debian: openjdk-17-jre-headless)"; exit 2; }
	@$(MAKE) --no-print-directory $(VENV)/spark/.installed
	$(if $(HOMES),,$(BIN)/stockhouse run sample_data --home $(VENV)/spark/sample --until features)
	$(BIN)/python tests/transform/drill_spark.py $(VENV)/spark $(or $(HOMES),$(VENV)/spark/sample)

docs: install ## what a home knows as pages: dashboard, dbt docs and gates, in LAKEHOUSE/derived/docs
	$(BIN)/stockhouse docs --home $(or $(LAKEHOUSE),.lakehouse)

release: install-dev ## the wheel (built twice, the same), its software bill of materials and its licences, into dist/
	rm -rf dist && mkdir -p dist/again
	$(UV) build --no-config --quiet --wheel --out-dir dist .
	$(UV) build --no-config --quiet --wheel --out-dir dist/again .
	cmp dist/*.whl dist/again/*.whl && rm -rf dist/again
	$(UV) venv --no-config --quiet dist/env
	$(UV) pip install --no-config --quiet --no-deps --python dist/env/bin/python --require-hashes -r requirements.lock
	$(BIN)/cyclonedx-py environment dist/env/bin/python --pyproject pyproject.toml --output-reproducible -o dist/sbom.cdx.json
	$(BIN)/pip-licenses --python dist/env/bin/python --format markdown --order license --output-file dist/licences.md
	rm -rf dist/env

audit-deps: install-dev ## locked packages named by the OSV advisories unpacked in ADVISORIES (a folder; nothing is fetched)
	$(BIN)/python .github/release/audit_deps.py "$(ADVISORIES)" requirements.lock requirements-dev.lock requirements-spark.lock requirements-tryton.lock requirements-mutation.lock requirements-ppo.lock

lock: $(UV) ## resolve the locks anew, without any index host in them
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-emit-index-url --no-annotate pyproject.toml -o requirements.lock
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-emit-index-url --no-annotate --extra dev pyproject.toml -c requirements.lock -o requirements-dev.lock
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-emit-index-url --no-annotate --extra spark pyproject.toml -c requirements.lock -o requirements-spark.lock
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-emit-index-url --no-annotate --group pyproject.toml:tryton -o requirements-tryton.lock
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-emit-index-url --no-annotate --group pyproject.toml:mutation -c requirements-dev.lock -o requirements-mutation.lock
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-emit-index-url --no-annotate --group pyproject.toml:ppo -c requirements-dev.lock -o requirements-ppo.lock

.PHONY: help install install-dev run check format test test-fast test-long bench drill mutation ppo drill-soak drill-superset drill-tryton scale-up docs release audit-deps lock
