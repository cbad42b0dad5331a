#!/bin/sh
# Builds one of the engine's test programs without Node and runs it: tool.sh run|crash|fuzz [arguments of the program].
# SANITIZE=address,undefined or SANITIZE=thread in the environment builds that variant, each in a directory of its own.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
program=$1
shift
variant=$(printf %s "${SANITIZE:-plain}" | tr ',' '-')
out=${PLOGDB_NATIVE_BUILD:-$here/../build}/$variant
mkdir -p "$out"
cmake -S "$here/.." -B "$out" -DSANITIZE="${SANITIZE:-}" >"$out/configure.log" || { cat "$out/configure.log"; exit 1; }
cmake --build "$out" --parallel 2 --target "$program" >"$out/build.log" 2>&1 || { cat "$out/build.log"; exit 1; }
exec "$out/$program" "$@"
