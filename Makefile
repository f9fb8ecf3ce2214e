# Prerequisites: Rust (the version of rust-toolchain.toml), Go, make, a C compiler. `make help` lists the targets.
.DEFAULT_GOAL := help
.PHONY: demo test check generate bench image help

demo: ## the main job, whole, on a real control plane and the simulator; KEEP=1 leaves it running
	@cargo build --features sim --bins && cargo run --quiet --features sim --bin devenv -- demo $(if $(KEEP),--keep)

test: ## everything a submission must pass; the last lines are the counts of the tests
	@scripts/test

check: ## the fast part of it, without a control plane
	@scripts/check

generate: ## CRDs, their copies in the chart, the runbook
	@scripts/generate

bench: ## the budgets, measured, as tables
	@scripts/bench

image: ## the container image
	@scripts/not-yet image "comes with the packaging of docs/roadmap.md"

help: ## this list
	@sed -n 's/^\([a-z]*\): ## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 12
