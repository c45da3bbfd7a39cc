# Every target does its own set-up: `make serve` and `make test` work in a fresh clone.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help install serve test test-ray chaos-test load-test fuzz benchmark-translation lint format proto async-client api-baseline constraints clean

help:  ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED)  ## Create .venv with the exact versions of constraints.txt, if it is not up to date

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check \
		--constraint constraints.txt --editable '.[server,train,dev]'
	touch $@

serve: install  ## Serve the shipped models on 127.0.0.1:50051; more options in SERVE_OPTIONS
	$(BIN)/dragoman serve $(SERVE_OPTIONS)

test: install  ## Run the tests; a selection or options in TEST_OPTIONS
	$(BIN)/python -m pytest $(TEST_OPTIONS)

test-ray: install  ## Run the end-to-end tests with all models in replicas of Ray Serve (takes long)
	TEST_ENGINE=ray $(BIN)/python -m pytest --timeout 1800 tests/end_to_end $(TEST_OPTIONS)

chaos-test: install  ## Make all go wrong that can, for some minutes; options in CHAOS_OPTIONS
	$(BIN)/python -m tests.benchmarks.chaos.run_chaos --results docs/results $(CHAOS_OPTIONS)

load-test: install  ## Make mixed calls in closed and open loop; options in LOAD_OPTIONS
	$(BIN)/python -m tests.benchmarks.serving.load --results docs/results $(LOAD_OPTIONS)

fuzz: install  ## Send every method requests of all kinds for ten minutes; options in FUZZ_OPTIONS
	$(BIN)/python -m tests.benchmarks.fuzz.run_fuzz --results docs/results $(FUZZ_OPTIONS)

benchmark-translation: install  ## Time translation, beside the peers in DRAGOMAN_PEERS; options in BENCHMARK_OPTIONS
	$(BIN)/python -m tests.benchmarks.translation.compare_speed $(BENCHMARK_OPTIONS)

lint: install  ## Check style, types, the API, the generated code, the dependencies and the import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code
	$(BIN)/buf breaking proto --against proto/api_baseline.json
	$(BIN)/python scripts/generate_stubs.py --check
	$(BIN)/python scripts/generate_async_client.py --check
	$(BIN)/python scripts/audit_dependencies.py
	$(BIN)/python -m pytest -q tests/test_import_directions.py

format: install  ## Format the code and the .proto files
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(BIN)/buf format --write

proto: install  ## Generate the stubs beside the .proto files
	$(BIN)/python scripts/generate_stubs.py

async-client: install  ## Make the asynchronous client's methods from the synchronous ones
	$(BIN)/python scripts/generate_async_client.py

api-baseline: install  ## Record the API that later changes may not break: at a release only
	$(BIN)/buf build proto --exclude-source-info --output proto/api_baseline.json

constraints: install  ## Record the installed versions in constraints.txt
	scripts/freeze_constraints.sh $(BIN)/python > constraints.txt.new
	mv constraints.txt.new constraints.txt
	touch $(INSTALLED)

clean:  ## Remove what was built or cached, and .venv
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
