#!/usr/bin/env bash
# Compiles every kernel in every variant with Tint, the WGSL compiler of Dawn and Chromium: a second
# opinion beside naga, with an analysis of uniform control flow that naga lacks. Needs node and npm;
# no GPU and no driver.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cargo run --quiet --example shaders -- "$folder/shaders"
npm install --silent --no-audit --no-fund --prefix "$folder" webgpu@0.6.2 >/dev/null
cp scripts/validate-shaders.mjs "$folder"
node "$folder/validate-shaders.mjs" "$folder/shaders"
