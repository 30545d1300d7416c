#!/usr/bin/env bash
# All measurements of a GPU machine in one go, from a built program: no cargo, no network, under 10 minutes.
#   scripts/gpu-report.sh BINARY [OUTDIR] [--adapter A] [--help for the rest]
# Writes OUTDIR/report.json and OUTDIR/report.md. Peers that are not installed are rows that say so.
# Environment: VENV (where JAX and PyTorch are; benches/peers/.venv-peers), PYTHON (where there is no such place).
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
python=${VENV:-$root/benches/peers/.venv-peers}/bin/python
if [[ ! -x $python ]]; then
    if [[ -n ${VENV:-} ]]; then
        echo "error: VENV=$VENV has no bin/python; make it with python3 -m venv, or leave VENV out" >&2
        exit 2
    fi
    python=${PYTHON:-python3}
fi
if ! command -v "$python" >/dev/null; then
    echo "error: there is no $python; install Python 3.11, or name one with PYTHON" >&2
    exit 2
fi
exec "$python" "$root/benches/peers/gpu_report.py" "$@"
