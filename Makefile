# The few things one does with Tongzhou. Everything is installed into .venv; nothing else is touched.
PY := .venv/bin/python
BENCH ?= joint-lr

.PHONY: help demo test lint bench docs messages lock clean venv-demo venv-dev

help:
	@echo "make demo      three institutions on this machine, from tables to a report (about three minutes)"
	@echo "make test      all tests"
	@echo "make lint      style, types, arrows between rooms"
	@echo "make bench     measurements of ours and of the peers (BENCH=name)"
	@echo "make docs      write docs/reference.md from the code"
	@echo "make messages  compile the Chinese words"
	@echo "make lock      pin the dependencies anew (needs uv)"
	@echo "make clean     remove .venv and everything made by the above"

venv-demo:
	@scripts/setup_venv.sh demo

venv-dev:
	@scripts/setup_venv.sh dev

demo: venv-demo
	@.venv/bin/tongzhou demo

test: venv-dev
	$(PY) -m pytest -q -n auto --dist loadfile $(PYTEST_ARGS)

lint: venv-dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports --no-cache

bench: venv-dev
	@mkdir -p build
	$(PY) -m bench $(BENCH) --json build/bench-$(BENCH).json

docs: venv-dev
	$(PY) scripts/make_reference.py

messages: venv-dev
	$(PY) scripts/compile_messages.py

lock:
	scripts/lock.sh

clean:
	rm -rf .venv build dist demo-out bench/out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
