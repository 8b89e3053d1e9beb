# sunup. `make setup` once (the others do it when needed), then `make dev` or `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Twice as many as processors: many tests wait for clocks.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(2 * (os.cpu_count() or 1))')

.PHONY: help setup dev test cover distribution wheel release live soak check format docs bench pins clean

help:
	@echo "make setup   a virtual environment in $(VENV) with pinned dependencies"
	@echo "make dev     the users API on an embedded PostgreSQL: http://localhost:3000"
	@echo "make test    check, then all tests; CI also runs cover and distribution"
	@echo "make cover   the tests again, with a gate of 95 % of lines and branches"
	@echo "make distribution   the sdist and the wheel, built and tried as a stranger would"
	@echo "make wheel   dist/sunup-<version>-py3-none-any.whl, for other projects"
	@echo "make release VERSION=1.2.3   version, changelog, sdist and wheel; commits nothing"
	@echo "make live    with SUNUP_LIVE=1: AWS's own answers, written to docs/live"
	@echo "make soak    a million steps of the simulator, 300 sequences in real processes, 10,000 faults"
	@echo "make check   ruff (lint and format), mypy, and who may import whom"
	@echo "make format  let ruff put things right"
	@echo "make docs    build/site/index.html from docs/; a dead link is an error"
	@echo "make bench   imports, the adapter, cold starts against the peers ... and all targets, into docs/benchmarks"
	@echo "make pins    pin the dependencies anew, from pyproject.toml"

setup: $(VENV)/.ready

# Pinned by hash; the project itself is installed as a link to src/.
$(VENV)/.ready: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' || \
		{ echo "This needs Python 3.11 to 3.14; name one: make setup PYTHON=python3.13"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "This Python cannot make virtual environments; on Debian: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

dev: setup
	@$(BIN)/sunup dev examples/users

test: check
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=worksteal -q

# Half as long again as `make test`; at least 95 % of lines and branches have to be seen. Not again:
# the guides and the templates, which are followed by commands in processes of their own.
cover: setup
	@rm -f .coverage .coverage.*
	SUNUP_SOURCE=$(CURDIR)/src/sunup $(BIN)/python -m coverage run -m pytest --numprocesses=$(WORKERS) --dist=worksteal -q \
		--ignore=tests/docs/test_guides.py --ignore=tests/local/cli/test_new.py \
		--ignore=tests/receipts/killing --ignore=tests/simulator/test_repeating.py
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

# What other projects can install: dist/sunup-<version>-py3-none-any.whl.
wheel: setup
	$(BIN)/python -m hatchling build -t wheel -d dist

# Sets the version, dates the changelog, builds and tries both distributions; commits nothing.
release: setup
	$(BIN)/python scripts/release.py $(VERSION)

# In an AWS account, with SUNUP_LIVE=1: says what it costs first, and destroys what it made.
live: setup
	$(BIN)/python -m scripts.live

distribution: setup
	$(BIN)/python scripts/try_distribution.py

soak: setup
	$(BIN)/python -m tests.simulator --steps 1000000
	$(BIN)/python -m tests.simulator --steps 1000000 --engine dsql
	SUNUP_SEQUENCES=60 SUNUP_FAULTS=10000 SUNUP_FUZZ=10000 $(BIN)/python -m pytest --numprocesses=$(WORKERS) -q \
		tests/promises/test_sequences.py tests/promises/test_soak.py tests/examples/test_users_fuzz.py \
		tests/adapter/test_mutated_events.py

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@# Modules of the same names as the other example's.
	MYPYPATH=src:examples/users_fastapi $(BIN)/mypy examples/users_fastapi
	MYPYPATH=src:examples/users_asgi $(BIN)/mypy examples/users_asgi
	MYPYPATH=src:examples/users_flask $(BIN)/mypy examples/users_flask
	@# Its plugin imports the settings; no database is asked.
	PYTHONPATH=examples/users_django MYPYPATH=src:examples/users_django DB_HOST=/nowhere $(BIN)/mypy --config-file scripts/mypy_django.ini examples/users_django
	@# Who may import whom; the cache is written anew by each run anyway.
	PYTHONPATH=. $(BIN)/lint-imports --no-logo --no-cache

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.docs
	$(BIN)/python -m scripts.settings_table
	$(BIN)/python -m scripts.site

$(VENV)/.docs: $(VENV)/.ready requirements/docs.txt
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements/docs.txt
	@touch $@

bench: setup
	$(BIN)/python benchmarks/imports.py
	$(BIN)/python benchmarks/adapter.py
	$(BIN)/python benchmarks/cold_start.py --write docs/benchmarks
	$(BIN)/python benchmarks/waking.py --write docs/benchmarks
	$(BIN)/python benchmarks/waits.py --write docs/benchmarks
	$(BIN)/python benchmarks/relay.py --write docs/benchmarks
	$(BIN)/python benchmarks/packages.py --write docs/benchmarks
	$(BIN)/python benchmarks/receipts.py --write docs/benchmarks
	$(BIN)/python benchmarks/engines.py --write docs/benchmarks
	$(BIN)/python benchmarks/observing.py --write docs/benchmarks
	$(BIN)/python benchmarks/plan.py --write docs/benchmarks
	$(BIN)/python benchmarks/targets.py --write docs/benchmarks

pins:
	uv pip compile pyproject.toml --all-extras --group dev --group bench --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --upgrade -o requirements/dev.txt
	uv pip compile --group docs --universal --python-version 3.11 -c requirements/dev.txt \
		--generate-hashes --no-header --no-annotate --upgrade -o requirements/docs.txt
	printf 'asyncpg\nmsgspec\nstarlette\n' | uv pip compile - --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --upgrade -o examples/users/requirements.txt
	printf 'asyncpg\nfastapi\nsqlalchemy[asyncio]\n' | uv pip compile - --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --upgrade -o examples/users_fastapi/requirements.txt
	printf 'flask\nmsgspec\npsycopg[binary]\n' | uv pip compile - --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --upgrade -o examples/users_flask/requirements.txt
	printf 'django\nmsgspec\npsycopg[binary]\nwhitenoise\n' | uv pip compile - --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --upgrade -o examples/users_django/requirements.txt
	printf 'asyncpg\nmsgspec\n' | uv pip compile - --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --upgrade -o examples/users_asgi/requirements.txt

clean:
	rm -rf .venv* .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
