# `make demo` shows the main features, `make test` tests everything.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LOCK   := requirements/dev.lock
FUZZ_SECONDS ?= 300

# Compiled modules are kept: else each worker compiles all tests, in each run. Those of packages are compiled at their
# first import, since most are never imported.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test faults soak upgrade compat browser fuzz pkilint site lint bench node release-test release-dry-run lock control-plane clean

INSTALL_LOCKED := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes

# uv installs the lock in a tenth of pip's time. It does not read pip's configuration: where only that names an index,
# pip installs the same.
$(VENV)/.done: $(LOCK) requirements/uv.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(INSTALL_LOCKED) -r requirements/uv.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r $(LOCK) || $(INSTALL_LOCKED) -r $(LOCK)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	touch $@

control-plane: $(VENV)/.done
	$(BIN)/python -m tools.control_plane build

lint: $(VENV)/.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# helm is for the tests of the chart; it is built once, too.
# Collecting once compiles the tests for all workers, one half on each core.
test: $(VENV)/.done
	$(BIN)/python -m tools.control_plane build --helm
	$(BIN)/python -m pytest --collect-only -q tests/unit > /dev/null & \
		$(BIN)/python -m pytest --collect-only -q --ignore=tests/unit > /dev/null; wait
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

# All scenarios with failures, with a table at the end; some of them also run in `test`.
faults: control-plane
	$(BIN)/python -m pytest tests/faults -n 4 --dist loadfile -m "not soak" --table $(ARGS)

# What takes minutes: outages, days, many cycles, and random histories with all mutants.
soak: control-plane
	$(BIN)/python -m pytest tests/faults tests/control_plane tests/simulation -n 4 -m soak --table $(ARGS)

# The version before, this one over its objects, and back. It is the newest tag before this commit, or FROM=<commit>.
upgrade: control-plane
	FROM="$(FROM)" $(BIN)/python -m pytest tests/upgrade -m upgrade $(ARGS)

# The oldest Kubernetes that the README names, or KUBERNETES=v1.31.2: its API server is built once, in some minutes.
compat: $(VENV)/.done
	$(BIN)/python -m tools.control_plane build --helm
	$(BIN)/python -m tests.compat "$(KUBERNETES)" $(ARGS)

# The site of the documentation, in build/site/html. Zensical is in an environment of its own.
site: $(VENV)/.done
	$(PYTHON) -m venv build/site/venv
	build/site/venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements/site.lock
	$(BIN)/python -m tools.site build/site/pages
	build/site/venv/bin/zensical build --strict --clean
	$(BIN)/python -m pytest tests/docs/test_site.py -m "site or not site" $(ARGS)

# The page of `clientcert report`, and the site, in Chromium, which has to be installed.
browser: site
	$(BIN)/python -m pytest tests/docs/test_report_pictures.py tests/docs/test_site_pictures.py -m browser $(ARGS)

# Search for unexpected inputs and examples; see tests/fuzz.
fuzz: $(VENV)/.done
	$(BIN)/python -m tests.fuzz $(FUZZ_SECONDS)

# Lint what the operator signs, by RFC 5280; pkilint is in an environment of its own.
pkilint: $(VENV)/.done
	$(PYTHON) -m venv build/pkilint
	build/pkilint/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements/pkilint.lock
	PATH="$$PATH:$(CURDIR)/build/pkilint/bin" $(BIN)/python -m pytest tests/unit/pki/test_pkilint.py $(ARGS)

demo: control-plane
	$(BIN)/python -m tools.demo $(if $(KEEP),--keep)

# P1 to P10, and P14. P11 (100,000 certificates, about an hour), P12 and P13 (renewals) are measured only when asked for: `make bench ARGS=P11`.
bench: control-plane
	$(BIN)/python -m bench $(ARGS)

# The image in pods of a real node, installed by the chart. It needs root, buildah and mmdebstrap; the first run builds
# Kubernetes and containerd for a quarter of an hour. Where no node can run, the end of the run says why.
node: $(VENV)/.done
	$(BIN)/python -m tools.node $(ARGS)

# The tests of a release, whose registry on loopback (crane) is built for them.
release-test: $(VENV)/.done
	$(BIN)/python -m tools.control_plane build --helm --crane
	$(BIN)/python -m pytest tests/release -m "release or not release" $(ARGS)

# All steps of a release but signatures, against a registry on loopback: it needs buildah and mmdebstrap.
release-dry-run: $(VENV)/.done
	$(BIN)/python -m tools.release dry-run

# Write new locks, with hashes and without the address of the package index.
lock:
	$(PYTHON) -m venv build/lock && build/lock/bin/python -m pip install --quiet uv
	build/lock/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --upgrade -o requirements/uv.lock requirements/uv.in
	build/lock/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --upgrade -o requirements/run.lock pyproject.toml
	build/lock/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --upgrade --extra dev -c requirements/run.lock -o requirements/dev.lock pyproject.toml
	build/lock/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --upgrade --extra apprise -c requirements/run.lock -o requirements/apprise.lock pyproject.toml
	build/lock/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --upgrade -c requirements/run.lock -o requirements/fuzz.lock requirements/fuzz.in
	build/lock/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --upgrade -c requirements/run.lock -o requirements/pkilint.lock requirements/pkilint.in
	build/lock/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --upgrade -c requirements/run.lock -o requirements/site.lock requirements/site.in
	build/lock/bin/uv pip compile --universal --python-version 3.11 --format pylock.toml --no-header \
		-c requirements/run.lock -o build/lock/pylock.run.toml pyproject.toml
	build/lock/bin/uv pip compile --universal --python-version 3.11 --format pylock.toml --no-header \
		--extra apprise -c requirements/apprise.lock -o build/lock/pylock.apprise.toml pyproject.toml
	build/lock/bin/python -m pip install --quiet packaging
	build/lock/bin/python -m tools.lock_wheels build/lock/pylock.run.toml build/lock/pylock.apprise.toml

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
