# Runs one group after the other and adds up what passed, failed and was skipped.
# shellcheck shell=bash

passed=0 failed=0 skipped=0
failures=()

# Runs a group, its output on the screen and in a log file, and adds up its results.
run_group() {
    local group=$1 log=$logs/$1.log status=0
    echo "=== $group: $(describe_group "$group")"
    export CUTOVER_TESTS_SKIPPED=$logs/$group.skipped
    : >"$CUTOVER_TESTS_SKIPPED"
    ("group_$group") </dev/null 2>&1 | tee "$log" || status=${PIPESTATUS[0]}
    add_up "$group" "$log" "$status"
}

# Cargo's results: `test result: ok. 3 passed; 0 failed; 1 ignored; ...`. A test that cannot be
# run on this machine passes for cargo, and leaves a line in the group's list of skipped ones.
add_up() {
    local group=$1 log=$2 status=$3 ok bad ignored left_out
    read -r ok bad ignored < <(awk '
        /^test result: / { for (i = 1; i < NF; i++) {
            if ($(i + 1) ~ /^passed;/) ok += $i
            if ($(i + 1) ~ /^failed;/) bad += $i
            if ($(i + 1) ~ /^ignored;/) ignored += $i } }
        END { print ok + 0, bad + 0, ignored + 0 }' "$log")
    left_out=$(wc -l <"$CUTOVER_TESTS_SKIPPED")
    if ((status != 0 && bad == 0)); then
        # It could not be set up or built, or a test program crashed: no result says so.
        bad=1
        failures+=("$group ended with exit code $status: $(last_words "$log") (log: $log)")
    elif ((bad > 0)); then
        failures+=("$group: $(failed_tests "$log") (log: $log)")
    fi
    if ((ok + bad + ignored == 0)); then
        bad=1
        failures+=("$group: no test was run (log: $log)")
    fi
    if ((left_out > 0)); then sed "s/^/skipped: $group: /" "$CUTOVER_TESTS_SKIPPED"; fi
    passed=$((passed + ok - left_out))
    failed=$((failed + bad))
    skipped=$((skipped + ignored + left_out))
}

failed_tests() {
    sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$1" | paste -sd ' '
}

last_words() {
    { grep -E '^error' "$1" || tail -n 1 "$1"; } | tail -n 1
}

conclude() {
    local failure
    for failure in "${failures[@]}"; do echo "failed: $failure"; done
    echo "$passed passed, $failed failed, $skipped skipped"
    ((failed == 0))
}
