#!/usr/bin/env bash
# Installs software adapters, so that GPU code is tested on a machine without a GPU. Debian 12 or its
# like, as root.
#
#   scripts/install-adapters.sh                   Mesa's llvmpipe, by Vulkan and by OpenGL
#   scripts/install-adapters.sh --swiftshader DIR also unpacks SwiftShader into DIR; it is used with
#                                                 VK_DRIVER_FILES=DIR/usr/lib/chromium/vk_swiftshader_icd.json
set -euo pipefail

if ! command -v apt-get >/dev/null; then
  echo "this script needs apt-get; install Mesa's Vulkan drivers (lavapipe) with your own package manager" >&2
  exit 1
fi
missing=()
for package in mesa-vulkan-drivers libegl1 libgl1-mesa-dri; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if ((${#missing[@]})) || [[ ${1:-} == --swiftshader ]]; then
  apt-get update -qq
fi
if ((${#missing[@]})); then
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
if [[ ${1:-} == --swiftshader ]]; then
  folder=${2:?name a folder: --swiftshader DIR}
  mkdir -p "$folder"
  folder=$(cd "$folder" && pwd)
  chmod 755 "$folder"
  # Only the driver is wanted, and none of the browser that it comes with.
  (cd "$folder" && rm -f chromium-common_*.deb && apt-get download -qq chromium-common && dpkg-deb -x chromium-common_*.deb . && rm -f chromium-common_*.deb)
  echo "VK_DRIVER_FILES=$folder/usr/lib/chromium/vk_swiftshader_icd.json"
fi
