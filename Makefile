# Two commands do everything on a fresh machine: `make dashboard` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Only what is imported is compiled, on its first import: of gigabytes of libraries, most never are. It is kept then,
# whatever the environment says: each of the hundreds of processes of the tests would compile all that it imports.
export PYTHONDONTWRITEBYTECODE :=
INSTALL := $(BIN)/pip install -q --no-compile --disable-pip-version-check
PORT ?= 8501
WORKERS ?= 2
# What the code looks like: banned names, types of rows, named parameters, short functions, and where state, names of
# files, formats and JavaScript may stand.
RULES := $(addprefix tests/rules/,test_words.py test_state.py test_run_files.py test_text.py test_typed_rows.py \
  test_parameters.py test_tests.py test_javascript.py::test_no_javascript_hides_in_python)

.PHONY: dashboard test selftest test-slow check types style rules fix bench docs browser node postgres office clean

dashboard: $(VENV)/app
	$(BIN)/python -m whalecam dashboard --port $(PORT)

# The rules ran in `check` already.
test: $(VENV)/dev browser node postgres check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
	  $(patsubst %,--ignore=%,$(filter %.py,$(RULES))) $(patsubst %,--deselect=%,$(filter-out %.py,$(RULES))) \
	  tests/journeys tests

selftest: $(VENV)/app
	$(BIN)/python -m whalecam selftest

test-slow: $(VENV)/dev browser postgres office
	$(BIN)/python -m pytest -m slow

# Types take longest: the others are checked beside them.
check: $(VENV)/dev
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target types style rules

types: $(VENV)/dev
	$(BIN)/mypy

style: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/oxlint --deny-warnings whalecam tests/js

rules: $(VENV)/dev
	$(BIN)/python -m pytest $(RULES)

fix: $(VENV)/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/dev
	$(BIN)/python -m docs.generate
	$(BIN)/mkdocs build --strict

bench: $(VENV)/dev
	$(BIN)/python -m benchmarks ../shared/data

browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq chromium; } \
	  || echo "no chromium and no root: browser journeys will be skipped"

node:
	@command -v node >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq --no-install-recommends nodejs; } \
	  || echo "no node and no root: the browser's code will be tested in the browser alone"

postgres:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql; } \
	  || echo "no postgresql and no root: the journal will be tested on SQLite alone"

office:
	@command -v soffice >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq --no-install-recommends libreoffice-calc; } \
	  || echo "no LibreOffice and no root: the CSV will not be tested with it"

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "WhaleCAM needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/app: requirements.txt pyproject.toml | $(VENV)/bin/python
	$(INSTALL) -r requirements.txt
	$(INSTALL) --no-deps -e .
	@touch $@

$(VENV)/dev: requirements-dev.txt requirements-ray.txt $(VENV)/app
	$(INSTALL) -r requirements.txt -r requirements-dev.txt -r requirements-ray.txt
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
