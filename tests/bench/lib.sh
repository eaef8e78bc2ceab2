# What the benchmarks share. Sourced, not run: `source "$(dirname "$0")/lib.sh"`.
#
# Gives `$dir`, a temporary folder that goes away with the script, and functions. Every process
# begun with `begin` is ended, by its pid, on every way out.

bench=$(basename "$0" .sh)
PATH="$PATH:/usr/sbin"
dir=$(mktemp -d)
begun=()

cleanup() {
    for pid in "${begun[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${begun[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

die() {
    echo "$bench: $*" >&2
    exit 1
}

need() { # TOOL...
    for tool in "$@"; do
        command -v "$tool" >/dev/null || die "needs $tool"
    done
    # Whoever is measured and whoever measures get a core each.
    (($(nproc) >= 2)) || die "needs two cores, found $(nproc)"
}

# Runs COMMAND in the background on CORE, its output in $dir/NAME.log; its pid is in $last_pid.
begin() { # NAME CORE COMMAND...
    local name=$1 core=$2
    shift 2
    taskset -c "$core" "$@" >"$dir/$name.log" 2>&1 &
    last_pid=$!
    begun+=("$last_pid")
}

# Waits until `$last_pid`, begun as NAME, listens on PORT.
await_port() { # NAME PORT
    for _ in $(seq 200); do
        kill -0 "$last_pid" 2>/dev/null || break
        # Asking the process's own sockets: somebody else may listen there.
        if owns_port "$last_pid" "$2"; then return; fi
        sleep 0.05
    done
    cat "$dir/$1".*log >&2
    die "$1 does not listen on $2; is the port taken? Choose another with PORT=N"
}

# Whether process PID has a listening socket on 127.0.0.1:PORT.
owns_port() { # PID PORT
    local inode
    # State 0A is LISTEN; the address is in host byte order, the port is not.
    inode=$(awk -v port="$(printf '%04X' "$2")" \
        '$2 == "0100007F:" port && $4 == "0A" { print $10; exit }' /proc/net/tcp)
    [[ -n $inode ]] && find "/proc/$1/fd" -lname "socket:\[$inode\]" 2>/dev/null | grep -q .
}

# Processor time that PID has taken so far, all threads, user and system, in milliseconds.
cpu_ms_of() { # PID
    # Counted after the parenthesis, because the command's name may contain spaces.
    sed 's/.*) //' "/proc/$1/stat" |
        awk -v tick="$(getconf CLK_TCK)" '{ print ($12 + $13) * 1000 / tick }'
}

# Resident memory of PID in MiB.
rss_mib_of() { # PID
    awk '$1 == "VmRSS:" { printf "%.1f\n", $2 / 1024 }' "/proc/$1/status"
}

# Reads numbers; prints "MEDIAN MIN MAX".
spread() {
    sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)], v[1], v[NR] }'
}
