#!/bin/sh
# Builds the engine's tests without Node and runs them; arguments are passed on (--seed N, --workloads N, --images N, words
# of a claim). SANITIZE in the environment builds a variant: see tool.sh.
exec sh "$(dirname "$0")/tool.sh" run "$@"
