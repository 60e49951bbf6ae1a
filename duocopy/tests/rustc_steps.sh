#!/bin/sh
# RUSTC_WORKSPACE_WRAPPER: a program that can die between two stores. What is not ours is compiled once for both.
exec "$@" --cfg blockpipe_steps
