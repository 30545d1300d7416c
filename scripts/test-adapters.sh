#!/usr/bin/env bash
# The GPU tests on more software adapters than scripts/test.sh finds: SwiftShader (256 invocations a
# workgroup, subgroups of 4), and llvmpipe with other vector widths. Takes several minutes.
#
#   scripts/test-adapters.sh [FOLDER]      FOLDER: where SwiftShader is unpacked [a temporary one]
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${1:-$(mktemp -d)}
driver=$folder/usr/lib/chromium/vk_swiftshader_icd.json
[[ -f $driver ]] || scripts/install-adapters.sh --swiftshader "$folder"
export REGATTA_EXPECT_ADAPTER=1 XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/tmp}

# What says nothing about a driver's arithmetic takes minutes on SwiftShader: CI has it on llvmpipe alone.
skipped=()
if [[ ${CI:-} == true ]]; then
  for topic in faults sweeps layout cost; do skipped+=(--skip "$topic::"); done
fi

run() {
  echo "== $1"
  shift
  if cargo nextest --version >/dev/null 2>&1; then
    env "$@" cargo nextest run --lib engine::gpu --no-fail-fast -- "${skipped[@]}"
  else
    env "$@" cargo test --lib engine::gpu --no-fail-fast -- "${skipped[@]}"
  fi
}

run "SwiftShader" VK_DRIVER_FILES="$(cd "$folder" && pwd)/usr/lib/chromium/vk_swiftshader_icd.json" WGPU_BACKEND=vulkan
if [[ ${CI:-} != true ]]; then
  run "llvmpipe, vectors of 128 bits" LP_NATIVE_VECTOR_WIDTH=128 WGPU_BACKEND=vulkan
  run "llvmpipe, vectors of 512 bits" LP_NATIVE_VECTOR_WIDTH=512 WGPU_BACKEND=vulkan
fi
