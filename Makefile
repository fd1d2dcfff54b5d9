# Everything is set up from Python 3.11 and make alone: uv, the packages, the jars, Java.
# The system's Python goes first, as distributions compile theirs with profiles and whoever builds one by hand seldom
# does: docs/benchmarks.md has both. Debian's lacks ensurepip without python3.11-venv; then those on the PATH are asked.
PYTHON ?= $(shell for python in /usr/bin/python3.11 python3.11 python3.12; do \
	"$$python" -c 'import ensurepip' 2>/dev/null && command -v "$$python" && exit; done; \
	command -v python3.11 || command -v python3.12)
UV := UV_PYTHON_DOWNLOADS=never .tools/bin/uv
RUN := .venv/bin/
SERVERS := postgresql collectd-core libyajl2 pmacct rsyslog rsyslog-kafka

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types unit browser servers collector bench live clean

help: ## What there is to make
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: .venv/.complete ## Python packages and jars, into .venv and the user's cache
	@$(RUN)python -m afoot.runtime.jars flink flink-s3

demo: setup ## The findings job over the bundled capture, and the case it names
	@$(RUN)afoot demo

test: setup lint types unit ## Everything that CI runs

lint: .venv/.complete ## Style and imports
	$(RUN)ruff check .
	$(RUN)ruff format --check .

types: .venv/.complete ## mypy --strict
	$(RUN)mypy

unit: .venv/.complete browser servers ## The tests alone, those against real servers included
	@$(RUN)python -m afoot.runtime.jars
	$(RUN)pytest -q --durations=15

browser: ## Chromium, which the tests open pages with; installed where that can be done
	@command -v chromium >/dev/null || { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq chromium fonts-dejavu-core >/dev/null; } \
		|| echo "chromium is missing: apt-get install chromium fonts-dejavu-core" >&2

servers: ## PostgreSQL and the agents that Debian has, which the tests run; installed where that can be done
	@for file in /usr/lib/postgresql/*/bin/initdb /usr/sbin/collectd /usr/sbin/nfacctd /usr/lib/*/rsyslog/omkafka.so; do test -e "$$file" || missing=1; done; \
		test -z "$$missing" || { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq --no-install-recommends $(SERVERS) >/dev/null; } \
		|| echo "some of these are missing: apt-get install --no-install-recommends $(SERVERS)" >&2

collector: setup ## The OpenTelemetry Collector, built by Go 1.26, with the files shipped for it
	@command -v go >/dev/null || { echo "go is missing: install Go 1.26 or newer" >&2; exit 1; }
	cd tests/servers/collector && CGO_ENABLED=0 go build -mod=readonly -trimpath -ldflags="-s -w" -o $(CURDIR)/.tools/collector .
	@$(RUN)python -m afoot.runtime.jars kafka
	$(RUN)pytest -q -m collector

bench: setup ## Throughput, memory and cost a point, as a table and as JSON
	@$(RUN)python -m benchmarks

live: setup servers ## Half an hour: real agents, a real pipeline, a real job that disturbs it, and who afoot says it was
	@$(RUN)python -m afoot.runtime.jars flink flink-s3 kafka debezium
	@$(RUN)python -m live

clean: ## Remove what setup made in this folder; the cache of jars stays
	rm -rf .venv .tools .mypy_cache .pytest_cache .ruff_cache .hypothesis

.tools/.complete: tools.lock
	@test -n "$(PYTHON)" || { echo "afoot needs Python 3.11 or 3.12: install it, or name it: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -m venv --clear .tools || { echo "the venv module of $(PYTHON) is missing: apt-get install python3.11-venv" >&2; exit 1; }
	@.tools/bin/pip install --quiet --disable-pip-version-check --require-hashes -r tools.lock
	@touch $@

.venv/.complete: .tools/.complete pyproject.toml uv.lock
	@if [ -t 2 ]; then quiet=; else quiet=--quiet; fi; $(UV) sync --frozen $$quiet --python "$(PYTHON)"
	@touch $@
