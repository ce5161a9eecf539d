# Every task of the project. Each prepares .venv for itself, so the first command after a clone can be `make demo`.
# Needed beforehand: Python 3.11 or newer and make. Nothing is installed outside .venv.
#
#   make PYTHON=python3.12 demo               which Python makes .venv
#   make test ARGS="-k scores -x"             more arguments for pytest or streamlit
#   make test JOBS=4                          on so many processes; each wants a core and up to 3 GB
#   make bench BENCH=name                     one benchmark
#   make bench-gpu DATA=folder                a GPU, trained on that folder

PYTHON ?= python3
ARGS ?=
BENCH ?=
DATA ?=
JOBS ?= 2
MINUTES ?= 30

python := .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)/python

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo run test check audit format e2e bench bench-gpu soak image lock clean new-venv require-python
.NOTPARALLEL: # two installs into one .venv would spoil each other

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

demo: .venv/.installed ## make the demo data, train on it in the background, open the dashboard
	-$(python) -m core demo --background
	$(python) -m streamlit run streamlit_app.py $(ARGS)

run: .venv/.installed ## open the dashboard
	$(python) -m streamlit run streamlit_app.py $(ARGS)

test: .venv/.installed-dev ## every test that needs no browser
	OMP_NUM_THREADS=1 $(python) -m pytest -m "not e2e" -n $(JOBS) --dist loadfile --no-loadscope-reorder \
	  --durations=20 $(ARGS)

e2e: .venv/.installed-dev ## the tests that drive a browser (the system's chromium)
	OMP_NUM_THREADS=1 $(python) -m pytest -m e2e -n $(JOBS) --dist worksteal $(ARGS)

check: .venv/.installed-dev ## lint, formatting, types, dead code, known vulnerabilities; changes nothing
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy
	$(python) -m vulture
	$(python) .ci/audit.py

audit: .venv/.installed-dev ## known vulnerabilities of the pinned packages; says so where nobody can be asked
	$(python) .ci/audit.py

format: .venv/.installed-dev ## rewrite the code into the project's format
	$(python) -m ruff check --fix .
	$(python) -m ruff format .

bench: .venv/.installed-dev ## the benchmarks; BENCH=name for one
	$(python) -m core bench $(BENCH)

bench-gpu: .venv/.installed-dev ## what the GPU here is worth, in at most 8 minutes; DATA=DIR trains on your photos
	$(python) -m tests.bench.gpu $(if $(DATA),--data "$(DATA)")

soak: .venv/.installed-dev ## everything a person does, again and again, for MINUTES=30
	$(python) -m tests.soak.soak --minutes $(MINUTES)

image: ## build the container and see that it answers; needs docker
	docker build --tag atrous .
	@id=$$(docker run --detach --rm --init atrous); trap 'docker stop $$id >/dev/null' EXIT; \
	for second in $$(seq 90); do \
	  test "$$(docker inspect --format '{{.State.Health.Status}}' $$id)" != healthy || exit 0; sleep 1; \
	done; docker logs $$id; echo "The container did not answer within 90 s; its log is above." >&2; exit 1

clean: ## remove caches; runs, data and .venv stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./.venv -prune -o -path ./.git -prune -o -name __pycache__ -type d -prune -exec rm -rf '{}' +


# --- Set-up -----------------------------------------------------------------------------------------------------------

# A kill in mid-install can leave a package that pip takes for whole: its .dist-info is there, but not yet the INSTALLER
# note that pip writes last. Without its .dist-info pip installs it again, over what is there.
define install
	@find .venv -name '*.dist-info' -type d -prune ! -exec test -e '{}/INSTALLER' ';' -exec rm -rf '{}' +
	$(python) -m pip install -r $(1) -c constraints.txt
endef

.venv/.installed: requirements.txt constraints.txt
	@echo "Installing into .venv; the first time this fetches several GB."
	$(call install,requirements.txt)
	@touch $@

.venv/.installed-dev: requirements-dev.txt requirements-onnx.txt requirements.txt constraints.txt
	@echo "Installing into .venv, with what the tests need; the first time this fetches several GB."
	$(call install,requirements-dev.txt)
	@touch .venv/.installed $@

# A .venv that is absent, half made, or too old is made anew, whatever its stamps say.
ifneq ($(shell $(python) -c 'import sys, pip; print(sys.version_info >= (3, 11, 4))' 2>/dev/null),True)
.venv/.installed .venv/.installed-dev: new-venv
endif

new-venv: require-python
	$(PYTHON) -m venv --clear .venv

require-python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11, 4))' 2>/dev/null || { \
	  found=$$("$(PYTHON)" -c 'import sys; print(sys.version.split()[0])' 2>/dev/null || echo "not here"); \
	  echo "Atrous needs Python 3.11.4 or newer, but $(PYTHON) is $$found: name another, as in make PYTHON=python3.11" >&2; \
	  exit 1; }

# Made on the oldest supported Python: what runs there also exists for the newer ones, but not the other way round.
lock: require-python ## pin today's newest versions in constraints.txt (needs Python 3.11)
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo "constraints.txt is made with Python 3.11, the oldest supported: make PYTHON=python3.11 lock" >&2; exit 1; }
	@set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; trap 'exit 130' INT TERM; \
	"$(PYTHON)" -m venv "$$dir/venv"; \
	"$$dir/venv/bin/python" -m pip install -r requirements-dev.txt; \
	"$$dir/venv/bin/python" -m pip freeze --all --exclude pip --exclude-editable > "$$dir/frozen"; \
	sed -n '/^#/!q; p' constraints.txt > "$$dir/constraints"; \
	sed -e '/ @ /d' -e 's/+[^+]*$$//' "$$dir/frozen" >> "$$dir/constraints"; \
	cp "$$dir/constraints" constraints.txt; \
	echo "constraints.txt pins $$(grep -c == constraints.txt) packages: run make test before you commit it"
