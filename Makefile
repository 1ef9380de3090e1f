.PHONY: test clippy format

test:
	cargo test --workspace

clippy:
	cargo clippy --workspace --all-targets -- -D warnings

format:
	cargo fmt --all
