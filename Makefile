# `make run` opens the workbench and `make test` proves it; both install what is missing first.
.DEFAULT_GOAL := help
.PHONY: help run test check conformance floors grab bundle lock clean

# Any Python that runs can prepare; which one the environment is made of is decided in packaging/prepare.py.
# Each is tried by running it, because a version manager's shim may exist and still refuse.
PREPARE = for p in .venv/bin/python python3.13 python3.12 python3.11 python3 python; do \
	  if "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 8))' >/dev/null 2>&1; then break; fi; p=; done; \
	if [ -z "$$p" ]; then echo "Legion Workbench needs Python 3.11, 3.12 or 3.13; none was found here." >&2; exit 1; fi; \
	"$$p" packaging/prepare.py

PY = .venv/bin/python

# Compiled files are kept, whatever the machine says: the tests start hundreds of processes.
export PYTHONDONTWRITEBYTECODE :=

# The fast tests run side by side, what is slow or needs the machine to itself one after the other.
FAST = -n logical --maxprocesses 4 --dist worksteal -m "not slow and not model and not xvfb"
REST = -m "slow or model or xvfb"

help:
	@echo "make run          open the workbench (first time: install everything)"
	@echo "make test         run every test"
	@echo "make check        format, lint, contracts, types and the fast tests"
	@echo "make conformance  the official MCP suite, both revisions, server and client"
	@echo "make floors       measure every promised figure at full count and write docs/figures.md (ONLY=id for one)"
	@echo "make grab         draw every page into docs/pictures"
	@echo "make bundle       build the application folder dist/legion-workbench"
	@echo "make lock         resolve the locks anew"
	@echo "make clean        remove what was built, keep .venv"

run:
	@$(PREPARE) run

test:
	@$(PREPARE) test
	@$(PY) -m pytest -q $(FAST); fast=$$?; $(PY) -m pytest -q $(REST); rest=$$?; \
	for code in $$fast $$rest; do case $$code in 0|3) ;; *) exit $$code;; esac; done; \
	if [ $$fast = 3 ] || [ $$rest = 3 ]; then exit 3; fi

# The types are checked beside the tests, and only where something they depend on has changed since they were right.
TYPED = .venv/typed
$(TYPED): pyproject.toml $(wildcard packaging/locks/*) \
  $(shell find legion_core app -name __pycache__ -prune -o \( -type d -o -name '*.py' \) -print)
	@touch $@.begun && .venv/bin/basedpyright && mv $@.begun $@

# How long each part took is said at the end: `$(call timed,PART,COMMAND)` keeps it.
TIMES = .venv/times
timed = begun=$$(date +%s); { $(2); }; code=$$?; echo "$(1) $$(($$(date +%s) - begun)) s" >>$(TIMES); [ $$code = 0 ] || exit $$code

check:
	@$(PREPARE) check
	@: >$(TIMES)
	@$(call timed,format,$(PY) -m ruff format --check --quiet .)
	@$(call timed,lint,$(PY) -m ruff check --quiet .)
	@$(call timed,contracts,out=$$(.venv/bin/lint-imports 2>&1) || { echo "$$out"; false; })
	@types=$$(mktemp); { $(call timed,types,$(MAKE) --no-print-directory $(TYPED)); } >"$$types" 2>&1 & checker=$$!; \
	begun=$$(date +%s); $(PY) -m pytest -q $(FAST); tests=$$?; echo "fast tests $$(($$(date +%s) - begun)) s" >>$(TIMES); \
	wait $$checker; typed=$$?; cat "$$types"; rm -f "$$types"; \
	sed '$$!s/$$/,/' $(TIMES) | tr '\n' ' '; echo; \
	[ $$typed = 0 ] || exit $$typed; exit $$tests

conformance:
	@$(PREPARE) test
	@$(PY) -m legion_core.testing.mcp_suite

floors:
	@$(PREPARE) test
	@$(PY) -m benchmarks.floors $(if $(ONLY),--only "$(ONLY)")

grab:
	@$(PREPARE) check
	@$(PY) -m app.grab docs/pictures

bundle:
	@$(PREPARE) bundle
	@$(PY) -m PyInstaller --noconfirm --log-level WARN --distpath dist --workpath build/pyinstaller packaging/legion-workbench.spec
	@$(PY) packaging/smoke.py dist/legion-workbench

lock:
	@$(PREPARE) check
	@sh packaging/lock.sh

clean:
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
