#!/usr/bin/env bash
# Kills a run before, while and after every single record of its journal, then resumes it, and in
# a second series takes it back: one step; three steps and a gate; a breach and the way back.
# Prints the count of kill points; exits with 1 if any run was not left as its plan allows.
# Takes about ten minutes.
#
#   tests/soak/kill_series.sh [PLAN]    one_step, three_steps_and_a_gate, a_breach_and_the_way_back
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=../lib/cache.sh
source "$root/tests/lib/cache.sh"

cd "$root"
cargo build --locked --release --package cutover
# One series at a time: each drives several runs beside each other.
CUTOVER_BIN=$CARGO_TARGET_DIR/release/cutover \
    cargo test --locked --package cutover-tests --test soak_kill_series -- \
    --ignored --test-threads=1 --show-output "$@"
