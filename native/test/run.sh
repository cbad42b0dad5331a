#!/bin/sh
# Builds the engine's tests without Node and runs them; arguments are passed on (--seed N, --workloads N, words of a claim).
# SANITIZE=address,undefined or SANITIZE=thread in the environment builds that variant, each in a directory of its own.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
variant=$(printf %s "${SANITIZE:-plain}" | tr ',' '-')
out=${PLOGDB_NATIVE_BUILD:-$here/../build}/$variant
mkdir -p "$out"
cmake -S "$here/.." -B "$out" -DSANITIZE="${SANITIZE:-}" >"$out/configure.log" || { cat "$out/configure.log"; exit 1; }
cmake --build "$out" --parallel 2 --target run >"$out/build.log" 2>&1 || { cat "$out/build.log"; exit 1; }
exec "$out/run" "$@"
