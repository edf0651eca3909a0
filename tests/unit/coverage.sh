#!/bin/bash
# Prints the line coverage of the parts without I/O by the unit tests; fails below 95 %.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=build/coverage
# Without a compiler cache: what it gives back names the folders of another build.
cmake -S . -B "$folder" -G Ninja --log-level=WARNING -DSTILLGATE_WERROR=ON \
  -DSTILLGATE_TESTS=ON -DSTILLGATE_COVERAGE=ON \
  -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_COMPILER_LAUNCHER=
cmake --build "$folder" --target unit_tests
# Counts of an earlier run are for an earlier source.
find "$folder" -name '*.gcda' -delete
# A part for each process: they add up their counts where they end.
export GTEST_TOTAL_SHARDS=6 folder
seq 0 5 | xargs -P "$(nproc)" -I '{}' bash -c 'export GTEST_SHARD_INDEX={} log=$folder/unit_tests_{}.log
  "$folder/tests/unit/unit_tests" --gtest_brief=1 >"$log" 2>&1 || { cat "$log" >&2; exit 1; }'
gcovr --root . --filter 'cpp/src/model/' --filter 'cpp/src/runtime_api/' --filter 'cpp/src/hold/' --exclude-throw-branches \
  --fail-under-line 95 "$folder"
