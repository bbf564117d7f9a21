# Every target is listed by `make help`. Node 24 comes with the npm packages, so `npm run` is how programs start.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# Before anything else, so that what is missing is one sentence and not a stack trace. The packages hold a Node.js 24 for
# Linux on x64; elsewhere it has to be there.
NODE_AT_LEAST := $(if $(filter Linux-x86_64,$(shell uname -sm | tr ' ' -)),20,24)
.PHONY: need-npm
need-npm:
	@command -v npm >/dev/null && command -v node >/dev/null || { echo "Proffer needs Node.js $(NODE_AT_LEAST) or newer with npm: not found on the PATH. See CONTRIBUTING.md." >&2; exit 1; }
	@node -e 'process.exit(+process.versions.node.split(".")[0] >= $(NODE_AT_LEAST) ? 0 : 1)' || { echo "Proffer needs Node.js $(NODE_AT_LEAST) or newer; this is $$(node --version). See CONTRIBUTING.md." >&2; exit 1; }

# Go builds the test cluster's control plane, once. Not needed with ready binaries or a cluster of one's own.
.PHONY: need-go
need-go:
	@command -v go >/dev/null || [ "$(CLUSTER)" = kubeconfig ] || [ -n "$(KUBEBUILDER_ASSETS)" ] || ls .cache/cluster/kubernetes-*/bin/kube-apiserver >/dev/null 2>&1 || { echo "The test cluster is built with Go once; there is no go on the PATH. Install Go, or set CLUSTER=kubeconfig to use the cluster of your kubeconfig. See CONTRIBUTING.md." >&2; exit 1; }

# Not `npm ci`: it refuses a lock file without the optional packages of other systems, and ours was written where only those
# for Linux could be had. Versions are the lock file's all the same, and it stays as it is.
node_modules/.package-lock.json: package-lock.json | need-npm
	npm install --no-save --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: help
help: ## List every target
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}'

.PHONY: setup
setup: need-npm node_modules/.package-lock.json ## Install the npm packages (Node 24 among them)

.PHONY: check
check: setup ## Format, lint, types, layering, dead code, generated files, chart (no cluster needed)
	@npm run --silent check

.PHONY: generate
generate: setup ## Write CRDs, the chart's copies and the reference docs afresh from src/
	@npm run --silent generate

.PHONY: unit
unit: setup ## Unit, property and simulated tests
	@npm run --silent unit

.PHONY: coverage
coverage: setup ## Unit tests with their coverage, file by file in coverage/coverage-summary.json; fails below 95% of branches in src/offers
	@npm run --silent coverage

.PHONY: e2e
e2e: need-go setup ## End-to-end tests on an embedded control plane (built once, about ten minutes)
	@npm run --silent e2e

.PHONY: e2e-install
e2e-install: need-go setup ## Only those on a real node: helm install, upgrade, uninstall, tasks as containers (needs root)
	@npm run --silent e2e -- test/e2e/real-node test/e2e/install

.PHONY: test
test: need-go setup ## All tests: check, unit, e2e; ends with `N passed, N failed`
	@npm run --silent test

.PHONY: format
format: setup ## Format and fix what can be fixed
	@npm run --silent format

.PHONY: demo
demo: need-go setup ## Show Proffer at work on an embedded control plane
	@npm run --silent demo

.PHONY: demo-down
demo-down: need-npm ## End the demo that KEEP=1 left running
	@npm run --silent cluster -- down --name demo

.PHONY: bench
bench: need-go setup ## Measure throughput and latency
	@npm run --silent bench

.PHONY: experiments
experiments: setup ## Run published workloads in each scheduler of before as a configuration; TRACES=folder (docs/experiments.md)
	@npm run --silent experiments

tools/mutation/node_modules/.package-lock.json: tools/mutation/package-lock.json | need-npm
	npm install --prefix tools/mutation --no-save --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: mutation
mutation: setup tools/mutation/node_modules/.package-lock.json ## Break what decides who gets what, line by line, and see that a test fails; FILES=src/offers/queues/room.ts for some (an hour or more)
	@npm run --silent mutation -- $(if $(FILES),--mutate $(FILES))

.PHONY: image
image: setup ## Build the operator's image into dist/images, without a daemon; with one, load it too
	@npm run --silent image -- build operator
	@if docker info >/dev/null 2>&1; then docker load --input dist/images/operator.tar; fi

.PHONY: plugin
plugin: setup ## Build kubectl's plugin, one file: dist/kubectl-proffer
	@npm run --silent build -- kubectl-proffer

.PHONY: cluster-binaries
cluster-binaries: need-go setup ## Build the test cluster's control plane ahead of time
	@npm run --silent cluster -- build

.PHONY: clean
clean: ## Remove packages and results; the built control plane stays in .cache
	rm -rf node_modules coverage dist
