#!/bin/sh
# Both ends in one process, on one mapping, under ThreadSanitizer and AddressSanitizer (some minutes, Linux x86-64).
set -eu
cd "$(dirname "$0")/../.."
export RUSTC_BOOTSTRAP=1
export TSAN_OPTIONS="halt_on_error=1 history_size=7"
export ASAN_OPTIONS="detect_stack_use_after_return=1"
for sanitizer in ${*:-thread address}; do
    printf '\n== %s\n' "$sanitizer"
    # A target is named so that build scripts and macros are built without.
    RUSTFLAGS="-Zsanitizer=$sanitizer -Cunsafe-allow-abi-mismatch=sanitizer --cfg blockpipe_one_mapping" \
        cargo test --quiet -p blockpipe --target x86_64-unknown-linux-gnu --target-dir "target/$sanitizer" \
        --test one_memory
done
