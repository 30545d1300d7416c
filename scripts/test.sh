#!/usr/bin/env bash
# All checks of the project: format, lints, documentation, tests. Needs nothing but Rust; uses
# cargo-nextest where it is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

# A failing snapshot is a failing test, and leaves no file behind.
export INSTA_UPDATE=no

echo "== format"
cargo fmt --check
echo "== lints"
cargo clippy --all-targets -- -D warnings
echo "== documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items
echo "== tests"
cargo test --doc --quiet
if cargo nextest --version >/dev/null 2>&1; then
  cargo nextest run --no-fail-fast
else
  cargo test --all-targets --no-fail-fast
fi
