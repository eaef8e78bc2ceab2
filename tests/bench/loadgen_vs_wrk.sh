#!/usr/bin/env bash
# What a request costs the load generator, beside wrk.
#
# nginx serves 1 KB on core 0; on core 1 wrk and `blast` (the load generator's example) take
# turns in sending as fast as it answers, one thread and 32 connections each. What counts is
# processor time per 1,000 requests: it does not depend on how fast the target is. Afterwards
# two rates show how punctual the generator is. Takes about 40 s after building.
#
# Needs nginx, wrk and two cores. Everything stays on 127.0.0.1.
set -euo pipefail
cd "$(dirname "$0")/../.."

for tool in nginx wrk taskset; do
    PATH="$PATH:/usr/sbin" command -v "$tool" >/dev/null || {
        echo "loadgen_vs_wrk: needs $tool" >&2
        exit 1
    }
done

rounds=3
seconds=4
port=${PORT:-18431}
url="http://127.0.0.1:$port/1k"

cargo build --quiet --profile dist -p cutover-loadgen --example blast
blast="${CARGO_TARGET_DIR:-target}/dist/examples/blast"

dir=$(mktemp -d)
nginx_pid=
cleanup() {
    if [[ -n $nginx_pid ]]; then kill "$nginx_pid" 2>/dev/null || true; fi
    rm -rf "$dir"
}
trap cleanup EXIT

head -c 1024 /dev/zero | tr '\0' x >"$dir/1k"
cat >"$dir/nginx.conf" <<CONF
daemon off;
master_process off;
pid $dir/pid;
error_log $dir/error.log warn;
events { worker_connections 1024; }
http {
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path $dir/body;
    proxy_temp_path $dir/proxy;
    fastcgi_temp_path $dir/fastcgi;
    uwsgi_temp_path $dir/uwsgi;
    scgi_temp_path $dir/scgi;
    open_file_cache max=16;
    server {
        listen 127.0.0.1:$port backlog=1024;
        root $dir;
    }
}
CONF
PATH="$PATH:/usr/sbin" taskset -c 0 nginx -p "$dir" -c "$dir/nginx.conf" -e "$dir/error.log" &
nginx_pid=$!
for _ in $(seq 100); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then ready=1; break; fi
    sleep 0.05
done
if [[ -z ${ready:-} ]]; then
    echo "loadgen_vs_wrk: nginx does not listen on $port after 5 s:" >&2
    cat "$dir/error.log" >&2
    exit 1
fi

# Runs a command on core 1; its output goes to $dir/out. Prints the processor time it took, user
# and system, in milliseconds: what the subshell's /proc/PID/stat says of children waited for.
cpu_ms() (
    taskset -c 1 "$@" >"$dir/out"
    read -r -a stat <"/proc/$BASHPID/stat"
    echo $(((stat[15] + stat[16]) * 1000 / $(getconf CLK_TCK)))
)

# Processor time of core 1's guest per 1,000 requests, with the rate beside it.
line() { # NAME CPU_MS REQUESTS
    awk -v name="$1" -v ms="$2" -v n="$3" -v s="$seconds" 'BEGIN {
        printf "%-6s %8.0f requests/s  %6.3f ms CPU per 1,000 requests\n", name, n / s, ms * 1000 / n
    }'
}

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

for round in $(seq "$rounds"); do
    ms=$(cpu_ms wrk -t1 -c32 -d"${seconds}s" "$url")
    requests=$(awk '/requests in/ { print $1 }' "$dir/out")
    line wrk "$ms" "$requests"
    awk -v ms="$ms" -v n="$requests" 'BEGIN { print ms * 1000 / n }' >>"$dir/wrk"

    ms=$(cpu_ms "$blast" "127.0.0.1:$port" /1k --seconds "$seconds")
    requests=$(awk '$1 == "requests" { print $2 }' "$dir/out")
    failed=$(awk '$1 == "failed" { print $2 }' "$dir/out")
    if [[ $failed != 0 ]]; then
        echo "loadgen_vs_wrk: $failed of $requests requests failed in round $round" >&2
        exit 1
    fi
    line blast "$ms" "$requests"
    awk -v ms="$ms" -v n="$requests" 'BEGIN { print ms * 1000 / n }' >>"$dir/blast"
done
awk -v ours="$(median <"$dir/blast")" -v wrk="$(median <"$dir/wrk")" 'BEGIN {
    printf "median: blast %.3f, wrk %.3f, ratio %.2f\n", ours, wrk, ours / wrk
}'

for rate in 250 1000 20000; do
    ms=$(cpu_ms "$blast" "127.0.0.1:$port" /1k --seconds "$seconds" --rate "$rate")
    awk -v rate="$rate" -v ms="$ms" -v s="$seconds" '
        { v[$1] = $2 }
        END {
            printf "%5d/s: sent %d, lateness p50 %d p99 %d p99.9 %d us, %.1f %% of a core\n", rate,
                v["requests"], v["lateness_p50"], v["lateness_p99"], v["lateness_p99.9"],
                ms / s / 10
        }' "$dir/out"
done
