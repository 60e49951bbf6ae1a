#!/bin/sh
# Builds the program so that it can die between any two stores that the other side sees, and kills each half at these
# steps: at a few of them, or with DUOCOPY_STEPS=all at every one (some minutes).
set -eu
cd "$(dirname "$0")/../.."
RUSTC_WORKSPACE_WRAPPER="$PWD/duocopy/tests/rustc_steps.sh" cargo build --quiet -p duocopy
export DUOCOPY_STEPS_PROGRAM="$PWD/target/steps"
# The tests put the usual program in its place again.
cp target/debug/duocopy "$DUOCOPY_STEPS_PROGRAM"
exec cargo test -p duocopy --test suite "${@:-every_step::}" -- --show-output
