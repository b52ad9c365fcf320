# GeoDL. `make` tells what there is; every target sets up what it needs, once.

PYTHON ?= /usr/bin/python3
VENV := .venv
RUN := $(VENV)/bin/python
MARKER := $(VENV)/geodl-environment.json
TOOLS := $(VENV)/geodl-tools.txt
DISPLAYED := xvfb-run -a -s "-screen 0 1600x1000x24"
SOURCES := geodl_plugin tests .ci
PYTEST ?=
JOBS ?= 2
ROUNDS ?= 10
SUITE ?= trixie

# What Debian has: QGIS with its GDAL, and a screen without a monitor for the tests.
PACKAGES := qgis python3-qgis gdal-bin python3-gdal python3-numpy python3-venv xvfb xauth fonts-dejavu-core

export GEODL_ENVIRONMENT := $(CURDIR)/$(VENV)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup system demo test elsewhere search package install lint format bench clean

help:  ## Tell what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

setup: $(TOOLS)  ## Install what is missing: QGIS (apt, needs root or sudo) and .venv

system:
	@.ci/system $(PACKAGES)

# The same code as the tool 'Set up deep learning libraries'.
$(MARKER): geodl_plugin/worker/requirements.txt | system
	$(PYTHON) -m geodl_plugin.worker.environment INSTALL --directory $(VENV) --base $(PYTHON)
	@touch $@

$(TOOLS): pyproject.toml $(MARKER) | system
	@$(RUN) .ci/tools.py > $@
	$(RUN) -m pip install -qq -r $@

demo: setup package  ## Run the whole road on real imagery, results in build/demo
	$(RUN) tests/demo/run.py

test: setup package  ## Run every test: unit, qgis, process, desktop (PYTEST="-k name" for some)
	$(DISPLAYED) $(RUN) -m pytest -n $(JOBS) --dist loadgroup --no-loadscope-reorder $(PYTEST)

elsewhere:  ## Run every test with the QGIS of another Debian, as root: SUITE=trixie (3.40), forky (3.44)
	.ci/elsewhere $(SUITE) $(PYTEST)

search: setup package  ## Run the property tests with new examples, ROUNDS=10 times
	for round in $$(seq $(ROUNDS)); do \
		$(DISPLAYED) $(RUN) -m pytest -q -x -p no:cacheprovider --hypothesis-profile search \
			$(shell grep -rl '@given' tests) || exit 1; done

package:  ## Build build/geodl_plugin and build/geodl_plugin-<version>.zip
	@$(PYTHON) .ci/package.py

install: package  ## Install the plugin into your QGIS profile (PROFILE=name, default "default")
	@$(PYTHON) .ci/package.py --install "$(PROFILE)"

lint: setup  ## Check form, names, safety and the traps of QGIS
	@status=0; \
	$(RUN) -m ruff check --output-format concise $(SOURCES) || status=1; \
	$(RUN) -m ruff format --check $(SOURCES) || status=1; \
	$(RUN) -m bandit -q -r -c pyproject.toml geodl_plugin || status=1; \
	$(RUN) -m flake8 geodl_plugin tests || status=1; \
	exit $$status

format: setup  ## Put the code in form
	$(RUN) -m ruff check --fix $(SOURCES)
	$(RUN) -m ruff format $(SOURCES)

bench: setup  ## Measure: start-up, memory, speed (accuracy.py takes hours and runs by itself)
	@for each in $(filter-out tests/benchmarks/accuracy%,$(wildcard tests/benchmarks/*.py)); do \
		echo "== $$each"; $(RUN) "$$each" || exit 1; done

clean:  ## Remove build/ and the caches; .venv stays
	rm -rf build .pytest_cache .ruff_cache .hypothesis
	find geodl_plugin tests .ci -name __pycache__ -type d -prune -exec rm -rf {} +
