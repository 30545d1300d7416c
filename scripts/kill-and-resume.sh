#!/usr/bin/env bash
# Kills sweeps with SIGKILL at random moments, goes on with --resume, and compares the records with
# those of an uninterrupted run. Not part of the tests, since it takes minutes.
#
#   scripts/kill-and-resume.sh [KILLS]     default 200
set -euo pipefail
cd "$(dirname "$0")/.."

kills=${1:-200}
cargo build --release --quiet
regatta=$PWD/target/release/regatta
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
sweep=(sweep --data digits --epochs 12 --checkpoint-every 0 --quiet)

"$regatta" "${sweep[@]}" --out "$folder/whole" >/dev/null
begin=$(date +%s%N)
"$regatta" "${sweep[@]}" --out "$folder/timed" >/dev/null
milliseconds=$((($(date +%s%N) - begin) / 1000000))

killed=0 runs=0 cut=0
while ((killed < kills)); do
  run="$folder/run"
  rm -rf "$run"
  runs=$((runs + 1))
  # Up to three kills a run, each at a random moment of the time a whole run takes.
  for _ in 1 2 3; do
    "$regatta" "${sweep[@]}" --out "$run" --resume >/dev/null 2>"$folder/stderr" &
    pid=$!
    sleep "$(awk -v s="$RANDOM" -v ms="$milliseconds" 'BEGIN { print s / 32768 * ms / 1000 }')"
    if kill -KILL "$pid" 2>/dev/null; then cut=$((cut + 1)); fi
    killed=$((killed + 1))
    wait "$pid" 2>/dev/null || true
  done
  "$regatta" "${sweep[@]}" --out "$run" --resume >/dev/null
  cmp "$folder/whole/trials.jsonl" "$run/trials.jsonl"
  cmp "$folder/whole/cv_results.csv" "$run/cv_results.csv"
  cmp "$folder/whole/best.safetensors" "$run/best.safetensors"
done
echo "$killed kills ($cut of them before the end) in $runs runs: all records are those of an uninterrupted run"
