# The words of the README. Everything that is not here already is fetched by these targets.

.PHONY: demo test test-examples test-upgrade test-helm bench ingest-peer clippy format deny audit

demo: ## everything in one process, with sample campaigns and a stream of events
	cargo run --release --package standalone

test: ## all tests, also those on a real Kafka and a real Cassandra, which are brought and started here
	dev/fetch
	cargo build --workspace --all-targets
	cargo test --workspace

test-examples: export EXAMPLES_PYTHON = $(abspath $(or $(DEV_HOME),.dev))/python/bin/python
test-examples: export EXAMPLES_NODE_MODULES = $(abspath $(or $(DEV_HOME),.dev))/node/node_modules
test-examples: ## the examples in Python and Node; `make test` has the others. Needs Python 3.9 with venv, Node 20 and npm, and fetches their clients
	dev/fetch kafka
	dev/fetch-examples
	cargo build --workspace --bins
	cargo test --package tests --features fetched-examples --test examples_fetched

test-upgrade: ## this release beside an older one during load, forth and back: FROM names its tag or commit, and is built for that
	dev/fetch kafka
	-git worktree remove --force "$(abspath $(or $(DEV_HOME),.dev))/older" 2>/dev/null
	git worktree add --force --detach "$(abspath $(or $(DEV_HOME),.dev))/older" $(FROM)
	cd "$(abspath $(or $(DEV_HOME),.dev))/older" && CARGO_TARGET_DIR=target cargo build --package matcher --bin matcher
	cargo build --workspace --bins
	OLDER_MATCHER="$(abspath $(or $(DEV_HOME),.dev))/older/target/debug/matcher" \
	  cargo test --package tests --features older-release --test upgrade
	git worktree remove --force "$(abspath $(or $(DEV_HOME),.dev))/older"

test-helm: ## chart, Dockerfile and compose file, also on a real API server and as processes on a real Kafka; needs Python with PyYAML and jsonschema
	helm/check/run
	helm/check/install
	dev/fetch
	cargo build --workspace --bins
	helm/check/steps "$${CARGO_TARGET_DIR:-target}/debug"
	dev/compose/check "$${CARGO_TARGET_DIR:-target}/debug"

bench: export DEV_KAFKA_JVM ?= -Xmx2g -XX:+UseParallelGC
bench: ## figures of speed, on a real Kafka
	dev/fetch kafka cassandra event-ruler streams
	cargo build --release --workspace --bins
	$(MAKE) ingest-peer
	cargo bench --workspace

ingest-peer: ## the plain service that ingest is measured against
	cd ingest/benches/peers/go && go build -o "$${CARGO_TARGET_DIR:-$(CURDIR)/target}/release/ingest-peer" .

clippy:
	cargo clippy --workspace --all-targets -- -D warnings

format:
	cargo fmt --all

deny: ## licences, advisories and sources of all dependencies
	cargo deny check

audit: ## known vulnerabilities of what Cargo.lock has
	cargo audit
