# The groups: for each its place in the order, one line about it, and what it does.
# shellcheck shell=bash

GROUPS_IN_ORDER=(unit demo crash proxy)

describe_group() {
    case $1 in
        unit) echo "tests of every crate and its documentation, no process is started for long" ;;
        demo) echo "the release binary end to end: runs, faults, signals, kill -9, wrong plans, screen, control" ;;
        crash) echo "a hostile world: killed at every record of the journal, clocks that jump, journals that fail" ;;
        proxy) echo "the bundled proxy between real peers: wrk and curl before it, nginx behind it" ;;
        *) return 1 ;;
    esac
}

list_groups() {
    local group
    for group in "${GROUPS_IN_ORDER[@]}"; do printf '%-8s %s\n' "$group" "$(describe_group "$group")"; done
}

is_group() {
    describe_group "$1" >/dev/null
}

group_unit() {
    local status=0
    cargo test --locked --workspace --exclude cutover-tests --no-fail-fast || status=1
    # The state machine against random events: quick there, thorough here.
    PROPTEST_CASES=100000 cargo test --locked --package cutover-engine --lib \
        machine::properties || status=1
    return "$status"
}

# Demos run beside each other; more than three would measure the machine instead of the product.
group_demo() {
    need tmux=tmux || return
    end_to_end 'demo_*' --test-threads=3
}

# The kill series says how many kill points it had, so the output of what passed is shown.
group_crash() {
    need faketime=faketime prlimit=util-linux chattr=e2fsprogs || return
    end_to_end 'crash_*' --test-threads=3 --show-output
}

# One at a time: wrk alone keeps the machine busy.
group_proxy() {
    need nginx=nginx-light curl=curl wrk=wrk || return
    end_to_end 'proxy_*' --test-threads=1
}

# end_to_end TESTS FLAG...: runs end-to-end tests against the release binary, which users run.
end_to_end() {
    local tests=$1
    shift
    cargo build --locked --release --package cutover || return
    CUTOVER_BIN=$CARGO_TARGET_DIR/release/cutover \
        cargo test --locked --package cutover-tests --no-fail-fast --test "$tests" -- "$@"
}
