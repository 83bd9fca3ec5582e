#!/bin/bash
# Runs the libFuzzer builds of the fuzz targets and keeps what they learn: fuzz.sh [TARGET] [--seconds N]. Called by ./dev fuzz.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
seconds=60
wanted=""
while [ $# -gt 0 ]; do
  case $1 in
    --seconds)
      seconds=${2:?--seconds needs a number}
      shift
      ;;
    *) wanted=$1 ;;
  esac
  shift
done
found=0
for source in tests/fuzz/*_fuzz.cpp; do
  target=$(basename "$source" .cpp)
  case $target in "$wanted" | "${wanted}_fuzz") ;; *) [ -z "$wanted" ] || continue ;; esac
  found=1
  committed=tests/fuzz/corpus/$target
  grown=build/fuzz/corpus/$target
  crashes=build/fuzz/crashes/$target
  mkdir -p "$committed" "$grown" "$crashes"
  before=$(find "$committed" -type f | wc -l)
  echo "==> fuzz $target for $seconds s"
  if ! "build/fuzz/tests/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$crashes/" "$grown" "$committed" >"build/logs/fuzz-$target.log" 2>&1; then
    tail -n 30 "build/logs/fuzz-$target.log"
    echo "$target failed; the input is in $crashes, the log in build/logs/fuzz-$target.log" >&2
    exit 1
  fi
  "build/fuzz/tests/$target" -merge=1 "$committed" "$grown" >"build/logs/fuzz-merge-$target.log" 2>&1
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "build/logs/fuzz-$target.log")
  echo "    ${runs:-?} runs, no crash; $(($(find "$committed" -type f | wc -l) - before)) new inputs in $committed"
done
if [ $found -eq 0 ]; then
  echo "there is no fuzz target '$wanted'; there are: $(cd tests/fuzz && echo *_fuzz.cpp | sed 's/_fuzz\.cpp//g')" >&2
  exit 2
fi
