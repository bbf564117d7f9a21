# Every target is listed by `make help`. Node 24 comes with the npm packages, so `npm run` is how programs start.
SHELL := /bin/bash
.DEFAULT_GOAL := help

node_modules/.package-lock.json: package.json package-lock.json
	npm ci --no-audit --no-fund
	@touch $@

.PHONY: help
help: ## List every target
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}'

.PHONY: setup
setup: node_modules/.package-lock.json ## Install the npm packages (Node 24 among them)

.PHONY: check
check: setup ## Format, lint, types, layering, dead code, generated files, chart (no cluster needed)
	npm run --silent check

.PHONY: generate
generate: setup ## Write CRDs, the chart's copies and the reference docs afresh from src/
	npm run --silent generate

.PHONY: unit
unit: setup ## Unit, property and simulated tests
	npm run --silent unit

.PHONY: test
test: setup ## All tests: check, unit, e2e on an embedded control plane; ends with `N passed, N failed`
	npm run --silent test

.PHONY: format
format: setup ## Format and fix what can be fixed
	npm run --silent format
