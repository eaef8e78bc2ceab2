#!/usr/bin/env bash
# A demo on a busy machine must not roll back falsely: N demos in a row (20 by default) beside
# one busy loop for each core. Prints a table; exits with 1 if any demo did not end done.
# Takes about 45 s a demo.
#
#   tests/soak/demo_under_load.sh [N]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=../lib/cache.sh
source "$root/tests/lib/cache.sh"
# shellcheck source=../lib/packages.sh
source "$root/tests/lib/packages.sh"

runs=${1:-20}
need jq=jq
(cd "$root" && cargo build --locked --release --package cutover)
cutover=$CARGO_TARGET_DIR/release/cutover

folder=$(mktemp -d)
busy=()
cleanup() {
    if ((${#busy[@]} > 0)); then kill "${busy[@]}" 2>/dev/null || true; fi
    rm -rf "$folder"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

for _ in $(seq "$(nproc)"); do
    (while :; do :; done) &
    busy+=($!)
done

row='%4s  %-12s %4s  %8s  %8s  %6s  %8s  %s\n'
# shellcheck disable=SC2059 # the format is a constant
printf "$row" run outcome exit seconds requests failed 'p99 ms' 'broken objective'
bad=0
for run in $(seq "$runs"); do
    code=0
    "$cutover" --dir "$folder/runs" demo --no-tui --output json \
        >"$folder/report.json" 2>"$folder/lines" </dev/null || code=$?
    if ((code != 0)); then
        bad=$((bad + 1))
        cat "$folder/lines" >"$logs/demo_under_load.$run.log"
        cat "$folder/report.json" >>"$logs/demo_under_load.$run.log"
    fi
    IFS=$'\t' read -r outcome seconds requests failed p99 broken < <(jq -r '
        [.outcome, .duration_s, .requests, .failed_requests,
         ([.stacks[]? | select(.through == "edge") | .from_sent_ms.p99 // 0] | max // 0),
         (.breach.guard // "-")] | @tsv' "$folder/report.json") || outcome='no report'
    # shellcheck disable=SC2059 # the format is a constant
    printf "$row" "$run" "$outcome" "$code" "$seconds" "$requests" "$failed" "$p99" "$broken"
done

echo "$((runs - bad)) of $runs demos ended done beside $(nproc) busy loops"
if ((bad > 0)); then
    echo "the others' lines and reports: $logs/demo_under_load.*.log"
    exit 1
fi
