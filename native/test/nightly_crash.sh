#!/bin/sh
# A million crash images, or as many as --images says; everything that is printed goes to build/nightly-crash.log (a line
# per 50,000 images, violations at once), and its last lines to the terminal. The exit code is that of the explorer.
set -u
here=$(cd "$(dirname "$0")" && pwd)
log=$here/../../build/nightly-crash.log
mkdir -p "$(dirname "$log")"
sh "$here/tool.sh" crash --images 1000000 --jobs "$(nproc)" "$@" >"$log" 2>&1
code=$?
tail -n 20 "$log"
exit $code
