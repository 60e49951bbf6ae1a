#!/bin/sh
# Builds the program so that it can die between any two stores that the other side sees, and kills each half at these
# steps: at a few of them, or with DUOCOPY_STEPS=all at every one (some minutes).
set -eu
cd "$(dirname "$0")/../.."
RUSTFLAGS="--cfg blockpipe_steps" cargo build --quiet -p duocopy --target-dir target/steps
export DUOCOPY_STEPS_PROGRAM="$PWD/target/steps/debug/duocopy"
exec cargo test -p duocopy --test every_step -- --show-output "$@"
