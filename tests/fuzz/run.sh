#!/bin/bash
# Builds the fuzzers with clang and runs each for so many seconds, one per core at a time:
# tests/fuzz/run.sh [SECONDS]
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-20}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "usage: $0 [SECONDS]" >&2; exit 2; }
cmake -S . -B build/fuzz -G Ninja --log-level=WARNING -DSTILLGATE_WERROR=ON -DSTILLGATE_FUZZ=ON \
  -DCMAKE_CXX_COMPILER=clang++
cmake --build build/fuzz --target fuzzers

fuzz() {
  local name=$1 seconds=$2 result=clean runs
  local found=build/fuzz/found/$name log=build/fuzz/$name.log
  mkdir -p "$found"
  # What is found goes to the first folder; the seeds in the repository stay as they are.
  "build/fuzz/tests/fuzz/$name" -max_total_time="$seconds" -max_len=8192 -print_final_stats=1 \
    -artifact_prefix="$found-crash-" "$found" "tests/fuzz/corpus/${name#fuzz_}" \
    >"$log" 2>&1 || result="FAILED, see $log"
  runs=$(awk '/number_of_executed_units/ {print $2}' "$log")
  printf '%-20s %10s runs  %s\n' "$name" "${runs:-?}" "$result"
  [[ $result == clean ]] || { tail -n 30 "$log" >&2; return 1; }
}
export -f fuzz
for source in tests/fuzz/fuzz_*.cpp; do
  basename "$source" .cpp
done | xargs -P "$(nproc)" -I '{}' bash -c 'set -euo pipefail; fuzz "$1" "$2"' - '{}' "$seconds"
