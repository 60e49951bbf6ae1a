#!/bin/sh
# A hundred times as many simultaneous starts as the ordinary tests make, without roles and with: some minutes each.
set -eu
cd "$(dirname "$0")/.."
export BLOCKPIPE_ROUNDS="${BLOCKPIPE_ROUNDS:-100000}"
exec cargo test --release -p blockpipe --test suite many_starts -- --show-output
