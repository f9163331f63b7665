# `make demo` shows the main features, `make test` tests everything.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LOCK   := requirements/dev.lock
FUZZ_SECONDS ?= 300

.PHONY: demo test faults soak fuzz lint bench lock control-plane clean

$(VENV)/.done: $(LOCK) pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	touch $@

control-plane: $(VENV)/.done
	$(BIN)/python -m tools.control_plane build

lint: $(VENV)/.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: control-plane
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

# All scenarios with failures, with a table at the end; some of them also run in `test`.
faults: control-plane
	$(BIN)/python -m pytest tests/faults -n 4 --dist loadfile -m "not soak" --table $(ARGS)

# What takes minutes: outages, days, many cycles, and random histories with all mutants.
soak: control-plane
	$(BIN)/python -m pytest tests/faults tests/control_plane tests/simulation -n 4 -m soak --table $(ARGS)

# Search for unexpected inputs and examples; see tests/fuzz.
fuzz: $(VENV)/.done
	$(BIN)/python -m tests.fuzz $(FUZZ_SECONDS)

demo: control-plane
	$(BIN)/python -m tools.demo $(if $(KEEP),--keep)

# P1 to P10. P11, 100,000 certificates, takes about an hour and is measured by `make bench ARGS=P11` only.
bench: control-plane
	$(BIN)/python -m bench $(ARGS)

# Write new locks, with hashes and without the address of the package index.
lock:
	$(PYTHON) -m venv build/lock && build/lock/bin/python -m pip install --quiet uv
	build/lock/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --upgrade -o requirements/run.lock pyproject.toml
	build/lock/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --upgrade --extra dev -c requirements/run.lock -o requirements/dev.lock pyproject.toml
	build/lock/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --upgrade --extra apprise -c requirements/run.lock -o requirements/apprise.lock pyproject.toml
	build/lock/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --upgrade -c requirements/run.lock -o requirements/fuzz.lock requirements/fuzz.in

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
