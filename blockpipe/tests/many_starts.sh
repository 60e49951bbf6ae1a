#!/bin/sh
# A hundred times as many simultaneous starts as the ordinary tests make: some minutes.
set -eu
cd "$(dirname "$0")/.."
export BLOCKPIPE_ROUNDS="${BLOCKPIPE_ROUNDS:-100000}"
exec cargo test --release --test two_processes many_starts -- --show-output
