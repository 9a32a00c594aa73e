# Everything from a fresh checkout, with nothing but Python 3.11 to 3.13 and GNU make: `make demo`, `make test`.
# The first run fetches what the lock file names into .venv; later ones need no network. Wishes go in as variables:
#   make test PYTEST_ARGS="-k registry -x"     make demo DEMO_ARGS="--keep"     make test PYTHON=/opt/python3.12/bin/python3

.SHELLFLAGS := -euc
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

BIN := .venv/bin
LOCK := requirements.lock
PEERS := loadtest/peers/requirements
STAMP := .venv/.stamp
COMPILE = env -u PIP_FIND_LINKS $(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe \
	--no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options

# The first that runs and is of a version we support. It is run, not only found: a version manager's stand-in may be on
# the path for a version that is not active.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	"$$name" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo "$$name" && break; done)

# An ABI of all Pythons from 3.11 on; the crates that Cargo.lock names, and no others.
BUILD_NATIVE := CARGO_TARGET_DIR=$(CURDIR)/native/target PATH="$(CURDIR)/$(BIN):$$PATH" PYTHON=$(CURDIR)/$(BIN)/python native/build
CARGO_THERE := command -v cargo >/dev/null || { echo "make: no cargo on the path: install Rust 1.90 or later for wurao_native. The filter runs without it, on its Python path" >&2; exit 1; }

# What Rust checks is checked where the native path was built: whoever runs without it needs no toolchain. Compiled once.
NATIVE_BUILT := command -v cargo >/dev/null && $(BIN)/python -c 'import wurao_native' 2>/dev/null
CARGO := CARGO_TARGET_DIR=$(CURDIR)/native/target cargo
RUST := --locked --manifest-path native/Cargo.toml --package wurao_core

# Most tests wait for processes; each of these has a Kafka of its own, of half a gigabyte. 0: one after another.
TEST_PROCESSES ?= 3

# What builds the image: the first that works, not only is installed (Docker's client may be there without an engine).
BUILDER = $(shell for name in docker podman buildah; do "$$name" info >/dev/null 2>&1 && echo "$$name" && break; done)
IMAGE = wurao:$(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

.PHONY: help demo test prove bench soak peers lint docs lock native wheel sbom audit image pins clean kafka

help: ## show what can be made
	@echo "make TARGET, where TARGET is one of"
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  \1\t\2/' | expand -t 12

demo: $(STAMP) kafka ## everything on this machine, with sample traffic, for under a minute
	@$(BIN)/wurao demo $(DEMO_ARGS)

test: $(STAMP) kafka ## every test, on a genuine Kafka; where cargo is and the native path was built, also those in Rust
	@if $(NATIVE_BUILT); then $(CARGO) test --quiet $(RUST); fi
	@$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist worksteal $(PYTEST_ARGS)

prove: $(STAMP) ## prove the promises of the rule table
	@$(BIN)/python -m stream.policy.prove

bench: $(STAMP) kafka ## measure throughput and costs
	@$(BIN)/python -m loadtest bench $(BENCH_ARGS)

soak: $(STAMP) kafka ## hours of load with faults
	@$(BIN)/python -m loadtest soak $(SOAK_ARGS)

peers: $(STAMP) ## what loadtest measures beside the filter (needs the network once)
	@$(BIN)/python -m loadtest.peers

lint: $(STAMP) ## style, types, import arrows; where cargo is and the native path was built, also of Rust
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@if $(NATIVE_BUILT); then $(CARGO) fmt --check --manifest-path native/Cargo.toml --all && $(CARGO) clippy --quiet $(RUST) --all-targets -- -D warnings; fi

docs: $(STAMP) ## write the documents and manifests that are made from the code
	@$(BIN)/python -m docs.generate
	@$(BIN)/python -m deploy

lock: $(STAMP) ## resolve the lock files anew (needs the network)
	@{ sed '/^$$/,$$d' $(LOCK); echo; $(COMPILE) --extra kafka --extra trace --extra dev --output-file - pyproject.toml; } > $(LOCK).new
	@mv $(LOCK).new $(LOCK)
	@{ sed '/^$$/,$$d' $(PEERS).lock; echo; $(COMPILE) --constraint $(LOCK) --output-file - $(PEERS).in; } > $(PEERS).lock.new
	@mv $(PEERS).lock.new $(PEERS).lock
	@for jars in deploy/kafka loadtest/peers/java; do (cd $$jars && $(CURDIR)/$(BIN)/python -m jgo --resolver python --quiet lock); done

native: $(STAMP) ## build the native batch function into .venv (needs Rust's cargo; the filter runs without it)
	@$(CARGO_THERE)
	@rm -rf native/target/wheels
	@$(BUILD_NATIVE) native/target/wheels
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-index --force-reinstall native/target/wheels/*.whl
	@$(BIN)/python -c 'import wurao_native; print("wurao_native is in .venv:", wurao_native.__version__)'

wheel: $(STAMP) ## wheels of wurao and, where cargo is, of wurao_native, in dist/
	@$(BIN)/python -m pip wheel -qq --disable-pip-version-check --no-deps --no-build-isolation --no-index --wheel-dir dist .
	@if command -v cargo >/dev/null; then $(BUILD_NATIVE) dist; \
	else echo "make: no cargo on the path, so no wheel of wurao_native (the filter runs without it)" >&2; fi
	@ls dist

sbom: $(STAMP) ## the bill of materials, CycloneDX 1.6, of what the lock files name, in dist/
	@$(BIN)/python -m deploy.sbom dist/wurao.cdx.json

audit: $(STAMP) ## known vulnerabilities of all that (needs the network; error 1: there are some, 2: nobody answered)
	@$(BIN)/python -m deploy.audit $(AUDIT_ARGS)

image: ## the image, by docker, podman or buildah, under the name that deploy/ gives it (needs the network)
	@if [ -z "$(BUILDER)" ]; then echo "make: neither docker, podman nor buildah works here: install one, or name one with BUILDER=" >&2; exit 1; fi
	@$(BUILDER) build --file deploy/Containerfile --tag $(IMAGE) $(IMAGE_ARGS) .

pins: $(STAMP) ## pin the images that deploy/ names to the digests that their registries show (needs the network and skopeo)
	@$(BIN)/python -m deploy.pins

clean: ## remove what was made here (the fetched jars stay in the user's cache)
	@rm -rf .venv .venv-peers build dist native/target *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Cheap when all is there; asks nothing of a broker that somebody else runs.
kafka: $(STAMP)
	@if [ -z "$${WURAO_KAFKA__BOOTSTRAP:-}" ]; then $(BIN)/python -m stream.testbed.local --prepare; fi

# A virtual environment cannot be moved, so one whose Python does not run here is made anew.
$(STAMP): $(LOCK) pyproject.toml
	@if [ -z "$(PYTHON)" ]; then echo "make: no Python 3.11, 3.12 or 3.13 with venv was found: install one, or name it with PYTHON=" >&2; exit 1; fi
	@echo "Setting up .venv with $$("$(PYTHON)" -V) and the packages of $(LOCK) (once; a minute or two)"
	@$(BIN)/python -c '' 2>/dev/null || { rm -rf .venv; "$(PYTHON)" -m venv .venv; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@touch $@
