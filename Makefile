# Targets a contributor needs; `make` lists them.
.DEFAULT_GOAL := help
.PHONY: help install test test-slow old-transformers lint format docs demo

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install:  ## install the package with all development tools into the active environment
	python -m pip install -c constraints.txt -e ".[dev]"

test:  ## run the default tests (under 12 minutes on two cores)
	python -m pytest -n 2

test-slow:  ## run the tests marked slow, among them every command that the pages show
	python -m pytest -m slow

old-transformers:  ## check that transformers 4.51 reads what we write (fetches it into build/)
	python -m pip install --quiet --target build/transformers-4.51 "transformers==4.51.3"
	BABYLM_HF_OLD_TRANSFORMERS=build/transformers-4.51 python -m pytest -m slow tests/invariants/test_old_transformers.py

lint:  ## check style and types
	ruff check . && ruff format --check . && mypy

format:  ## put the code into the house's style
	ruff check --fix . && ruff format .

docs:  ## build the pages into site/; a broken link or docstring is an error
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build --quiet

demo:  ## train the demonstration model
	accelerate launch recipes/hard_decay.py --demo
