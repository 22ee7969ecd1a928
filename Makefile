# One task file. `make setup` is implied by every other target and is quick the second time.
PYTHON ?= python3.11
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
STAMP := $(VENV)/.setup-done

.PHONY: setup demo test check bench soak lock clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "Python 3.11 is needed: install it, or say 'make PYTHON=/path/to/python $(MAKECMDGOALS)'."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked dependencies into $(VENV) ..."
# The lock names everything, so pip need not resolve: it would ask for the newest `package[extra]` and then refuse it for want of a hash.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes --no-deps --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m pip check
	@touch $(STAMP)

demo: setup
	@$(BIN)/connector demo

# The unit tests alone must go down every branch of the pure rules, so they are measured by themselves.
test: setup
	@$(BIN)/python -m pytest tests/unit --numprocesses auto --dist loadfile --cov --cov-report=
	@$(BIN)/coverage report
# The few long ones begin first, so that no processor waits for them in the end.
	@$(BIN)/python -m pytest tests/simulation tests/integration --numprocesses auto --dist loadfile --no-loadscope-reorder

check: setup
	@$(BIN)/ruff check connector tests
	@$(BIN)/ruff format --check connector tests
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: setup
	@$(BIN)/python -m tests.benchmarks

# Seed after seed with heavy faults: `make soak MINUTES=60 DATABASE=postgresql`. It may be stopped, and goes on where it was.
MINUTES ?= 60
DATABASE ?= sqlite
soak: setup
	@$(BIN)/python -m connector.simulation.soak --minutes $(MINUTES) --database $(DATABASE)

# Only for whoever changes a dependency: writes exact versions and hashes for all platforms.
lock: setup
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-annotate --custom-compile-command "make lock" --quiet --output-file requirements.lock

clean:
	rm -rf $(VENV) build *.egg-info
