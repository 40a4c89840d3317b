# Two commands do everything on a machine that has Python 3.11+ and make:
#   make demo                     the main job, live: emulated cloud, simulated devices, the gateway between them
#   make test                     format, lint, types, import laws and all tests; make test ARGS="tests/state -k outbox" runs those tests only
# While you work:
#   make check                    format, lint, types and import laws, without the tests
#   make flaky ARGS="tests/field" those tests twenty times on busy cores, each time in another order
#   make mutants                  which planted mistakes the tests of the core files catch
#   make fuzz                     every parser with made-up and damaged input; make fuzz ARGS="--for 600 --only modbus"
#   make chaos                    the gateway killed and disturbed in every way; make chaos ARGS="--only kills --kills 1000"
#   make audit                    known vulnerabilities of the locked packages; fails as well where the advisories cannot be reached
#   make sbom                     the bill of materials of the installed packages, as the image holds it: sbom.cdx.json
# Others: make bench · make format · make lock · make clean

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
# Three for each core: the tests wait for lines, radios and containers more than they compute.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(3 * (os.cpu_count() or 1))')
export UV_PYTHON_DOWNLOADS := never
export PIP_DISABLE_PIP_VERSION_CHECK := 1
INSTALL := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes --build-constraints requirements-build.lock

.PHONY: install demo check static bytecode test bench flaky mutants fuzz chaos audit sbom format lock clean

# The program, in .venv/bin, for those who do not begin with the demo.
install: .venv/.run

demo: .venv/.run
	@$(BIN)/xyte-gateway demo $(ARGS)

check: static
	$(BIN)/pytest --quiet tests/architecture

static: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# A file goes to one worker, so that its fixtures are made once; tests/conftest.py puts the longest files first.
test: .venv/.dev
	@$(MAKE) --no-print-directory --jobs=2 static bytecode
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

# Else each worker, each command under test and the emulated guest compile the same sources, half a second and more at each start.
bytecode: .venv/.dev
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m compileall -q gateway adapters
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest --quiet --collect-only $(ARGS) > /dev/null || true

bench: .venv/.dev
	@$(BIN)/python tests/benchmarks/run.py $(ARGS)

flaky: .venv/.dev
	@$(BIN)/python tests/flaky.py $(ARGS)

# Which planted mistakes the tests of the core files catch: make mutants ARGS="--file state/store.py --limit 20"
mutants: .venv/.dev
	@$(BIN)/python tests/mutation/run.py $(ARGS)

# The gateway killed and disturbed in every way; fails on a loss, a crash or a hang: make chaos ARGS="--only kills --kills 1000"
chaos: .venv/.dev
	@$(BIN)/python tests/chaos/chaos.py $(ARGS)

# What comes out of the parsers, whatever comes in; fails on a crash and prints the input: make fuzz ARGS="--for 600 --only modbus"
fuzz: .venv/.dev
	@PYTHONPATH=. $(BIN)/python tests/fuzz/fuzz.py $(ARGS)

audit: .venv-audit/.made
	@.venv-audit/bin/python deploy/audit.py requirements.lock requirements-build.lock

sbom: .venv/.run .venv-audit/.made
	@$(BIN)/python deploy/sbom.py requirements.lock > sbom.cdx.json
	@.venv-audit/bin/python deploy/sbom_check.py sbom.cdx.json

format: .venv/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Our own virtual environment, from the locked and hashed lists only.
.venv/.made: requirements-build.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "xyte-gateway needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up .venv, which takes a minute or two, once"
	@$(PYTHON) -m venv --clear .venv \
		|| { echo "This Python cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-build.lock
	@touch $@

.venv/.run: .venv/.made requirements.lock pyproject.toml
	@$(INSTALL) -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: .venv/.run requirements-dev.lock
	@$(INSTALL) -r requirements-dev.lock
	@touch $@

# What nothing else needs, in an environment of its own.
.venv-audit/.made: .venv/.made requirements-audit.lock
	@$(PYTHON) -m venv --clear --without-pip .venv-audit
	@$(BIN)/uv pip install --quiet --python .venv-audit/bin/python --require-hashes -r requirements-audit.lock
	@touch $@

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header
lock: .venv/.made
	$(LOCK) pyproject.toml --extra ble-parsers -o requirements.lock
	$(LOCK) --group build -o requirements-build.lock
	$(LOCK) --group audit -o requirements-audit.lock
	$(LOCK) pyproject.toml --extra ble-parsers --group dev --group build -o requirements-dev.lock

clean:
	rm -rf .venv .venv-audit sbom.cdx.json .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
