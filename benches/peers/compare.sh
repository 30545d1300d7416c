#!/usr/bin/env bash
# Measure Regatta and its peers in turn on the same work; prints a table and writes every sample as JSON.
#   benches/peers/compare.sh [--quick] [--workload members|grid|all] [--rounds N] [--out FILE] [--help for the rest]
# Environment: REGATTA (the binary; built when it is the default and missing), VENV (made when missing),
# PYTHON (3.11 or later, to make it with), ROUNDS.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(cd -- "$here/../.." && pwd)
venv=${VENV:-$here/.venv-peers}
default_binary="${CARGO_TARGET_DIR:-$root/target}/release/regatta"
binary=${REGATTA:-$default_binary}

if [[ ! -x $venv/bin/python ]]; then
    echo "making $venv (several GB)" >&2
    "${PYTHON:-python3}" -m venv "$venv"
fi
if [[ ! -e $venv/.installed || $here/requirements.txt -nt $venv/.installed ]]; then
    "$venv/bin/python" -m pip install --quiet --requirement "$here/requirements.txt" >&2
    touch "$venv/.installed"
fi

wants_help=no
for argument in "$@"; do
    case $argument in -h | --help) wants_help=yes ;; esac
done
if [[ $wants_help == no && ! -x $binary ]]; then
    if [[ $binary != "$default_binary" ]]; then
        echo "error: REGATTA=$binary is not a program" >&2
        exit 2
    fi
    cargo build --release --manifest-path "$root/Cargo.toml" >&2
fi

exec "$venv/bin/python" "$here/compare.py" --regatta "$binary" --rounds "${ROUNDS:-5}" "$@"
