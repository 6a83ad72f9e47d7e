# The two commands are `make run` and `make test`; `make help` lists the others.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
# p4runtime-shell pins old releases of what it needs and works with new ones: an environment of its own.
SHELL_VENV := .venv-shell
SHELL_STAMP := $(SHELL_VENV)/.ready
TOPOLOGY ?= topologies/figure1.yaml
P4RUNTIME ?= 127.0.0.1:9559
ROOT := $(filter 0,$(shell id -u))

# Debian's names; installed when root, named when not.
SYSTEM_TEST_PACKAGES := iproute2 ethtool tshark
# TOOL:PACKAGE of what `make mininet` needs; ping of busybox or inetutils says other things than Mininet reads.
MININET_TOOLS := mn:mininet ping:iputils-ping iperf3:iperf3 ethtool:ethtool ip:iproute2 sysctl:procps

.DEFAULT_GOAL := help
.PHONY: help run test lint unit ptf ptf-all p4 p4-check stubs bench bench-report conformance fuzz shell clean system mininet mininet-system

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# Compiled where there are a C compiler and Python's headers: `optional` in pyproject.toml.
COMPILED := controller/lisp/_hmac.c controller/mapping/_refresh.c controller/app/_udp_batch.c

$(STAMP): pyproject.toml $(COMPILED) controller/lisp/_named_tuple.h
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "lispfabric needs Python 3.11 or newer; $$($(PYTHON) --version) is $(PYTHON). Set PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(if $(ROOT),apt-get -qq update && apt-get install -yqq python3-venv >/dev/null,\
	  { echo "python3-venv is missing: apt-get install python3-venv" >&2; exit 1; })
	$(PYTHON) -m venv $(VENV)
	@rm -f $(COMPILED:.c=.*.so)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@for part in $(subst /,.,$(COMPILED:.c=)); do $(BIN)/python -c "import $$part" 2>/dev/null || missing="$$missing $$part"; done; \
	[ -z "$$missing" ] || echo "NOT COMPILED, for want of a C compiler or of Python.h:$$missing; Python does the same, a third slower" >&2
	@# PTF's declared dependency netifaces needs a compiler and is used by nothing we call.
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps 'ptf==0.12.0'
	@touch $@

$(SHELL_STAMP): Makefile | $(STAMP)
	$(PYTHON) -m venv $(SHELL_VENV)
	$(SHELL_VENV)/bin/pip install --quiet --disable-pip-version-check \
	  'ipython==9.8.0' 'protobuf==6.33.6' 'grpcio==1.85.1' 'googleapis-common-protos==1.76.0'
	$(SHELL_VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps 'p4runtime-shell==0.0.6'
	@touch $@

shell: $(STAMP) $(SHELL_STAMP) ## p4runtime-shell on a switch of a fabric that `lispfabric up` keeps: SWITCH=D3
	@device=$$($(BIN)/lispfabric device $(TOPOLOGY) $(or $(SWITCH),A1)) && PYTHONPATH=stubs $(SHELL_VENV)/bin/python -m \
	  p4runtime_sh --grpc-addr $(P4RUNTIME) --device-id $$device --election-id 1,0

run: $(STAMP) ## bring up Figure 1 and show a packet's way from accelerator 1 to 7 and back
	@$(BIN)/lispfabric run topologies/figure1.yaml

test: $(STAMP) $(SHELL_STAMP) system p4-check lint unit ptf-all ## set everything up and pass the tests

system:
	@missing=""; for tool in tshark:tshark $(MININET_TOOLS); do \
	  command -v $${tool%%:*} >/dev/null || missing="$$missing $${tool##*:}"; done; \
	if [ -n "$$missing" ]; then \
	  if [ -n "$(ROOT)" ]; then apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends $$missing >/dev/null; \
	  else echo "MISSING: tests that need these do not run; install them with: apt-get install$$missing" >&2; fi; fi

	@# The binary of etcd alone: installed, its package would start a service.
	@command -v etcd >/dev/null || [ -x $(BIN)/etcd ] || { [ -n "$(ROOT)" ] && folder=$$(mktemp -d) && cd $$folder && apt-get -qq update \
	  && apt-get -qq -o APT::Sandbox::User=root download etcd-server && dpkg-deb -x etcd-server_*.deb . \
	  && install usr/bin/etcd $(CURDIR)/$(BIN)/etcd && rm -rf $$folder; } \
	  || echo "NOT RUN: the tests of the etcd store need etcd: apt-get install etcd-server" >&2

lint: $(STAMP) ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# A process more than cores, for tests also wait; those of a file stay together, for they share fabrics. Files go in the
# order of their names, which has the quick ones at the end: by their number of tests, long ones would come last.
unit: $(STAMP) ## the Python tests
	$(BIN)/pytest -n $$(($$($(BIN)/python -c 'import os; print(os.cpu_count() or 1)') + 1)) --dist loadfile --no-loadscope-reorder
	@$(BIN)/python -c 'import torch' 2>/dev/null \
	  || echo "NOT RUN: the tests of the PyTorch backend need PyTorch: $(BIN)/pip install -e '.[torch]'" >&2

ptf: $(STAMP) ## the PTF suite; TARGET=softswitch|bmv2, PORTS=unix|veth
	$(BIN)/python -m ptf_tests.run --target $(or $(TARGET),softswitch) $(if $(PORTS),--ports $(PORTS))

ptf-all: $(STAMP)
	$(BIN)/python -m ptf_tests.run --target softswitch --ports unix
	@if [ -n "$(ROOT)" ]; then echo $(BIN)/python -m ptf_tests.run --target softswitch --ports veth; \
	  $(BIN)/python -m ptf_tests.run --target softswitch --ports veth; \
	else echo "NOT RUN: the PTF suite over veth pairs needs root" >&2; fi
	@if [ -n "$$SIMPLE_SWITCH_GRPC" ] || command -v simple_switch_grpc >/dev/null; then \
	  $(BIN)/python -m ptf_tests.run --target bmv2; \
	else echo "NOT RUN: the PTF suite on bmv2 needs simple_switch_grpc on the PATH or in \$$SIMPLE_SWITCH_GRPC" >&2; fi

mininet: $(STAMP) mininet-system ## a topology in Mininet, as root: TARGET=softswitch|bmv2, TOPOLOGY=file, TEST=1 for a check instead of the prompt
	@[ -n "$(ROOT)" ] || { echo "Mininet needs root" >&2; exit 1; }
	@$(BIN)/python -m topologies.mininet_run $(TOPOLOGY) --target $(or $(TARGET),softswitch) $(if $(TEST),--test)

mininet-system:
	@missing=""; for tool in $(MININET_TOOLS); do command -v $${tool%%:*} >/dev/null || missing="$$missing $${tool##*:}"; done; \
	if [ -n "$$missing" ]; then \
	  if [ -n "$(ROOT)" ]; then apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends $$missing >/dev/null; \
	  else echo "MISSING: install with: apt-get install$$missing" >&2; exit 1; fi; fi

p4: $(STAMP) ## compile the P4 program with p4c-bm2-ss from the PATH or $P4C
	$(BIN)/python p4src/build.py

p4-check: $(STAMP)
	$(BIN)/python p4src/build.py --check

stubs: ## regenerate the P4Runtime stubs
	stubs/generate.sh

bench: $(STAMP) ## every benchmark, as ratios against a peer or the machine's limit; BENCH="store udp" for some
	@$(BIN)/python -m bench.report run $(BENCH)

bench-report: $(STAMP) ## write what they said last into docs/benchmarks.md
	@$(BIN)/python -m bench.report write

fuzz: $(STAMP) ## coverage-guided fuzzing of every decoder, FUZZ_SECONDS=8 each; FUZZ_TARGETS="ecm lcaf" for some
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/pip install --quiet --disable-pip-version-check -e '.[fuzz]' \
	  || { echo "atheris has no wheel for $$($(BIN)/python --version): nothing fuzzed; \`make unit\` replays the corpus" >&2; exit 1; }
	$(BIN)/python -m fuzz.run --seconds $(or $(FUZZ_SECONDS),8) $(FUZZ_TARGETS)

conformance: $(STAMP) ## the conformance matrix from the last test runs
	@$(BIN)/python -m tests.conformance.matrix

clean: ## remove what the build made
	rm -rf $(VENV) $(SHELL_VENV) $(COMPILED:.c=.*.so) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
