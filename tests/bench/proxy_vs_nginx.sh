#!/usr/bin/env bash
# What a request costs cutover-proxy, beside nginx.
#
# One proxy at a time works on core 0, one thread, adding the same three forwarding fields; wrk
# (64 connections) and an nginx that serves files share core 1. The proxies take turns, so that
# whatever else the machine does meets both. What counts is the processor time of the proxy per
# request: unlike requests/s it hardly depends on who else wants the cores. Takes about a minute
# after building. The last line of the output is the same as JSON.
#
# Larger bodies meet nginx twice: with its own buffer sizes, and as `nginx-32k` with buffers of
# 32 KiB, as somebody who serves such bodies would set it.
#
# Needs nginx, wrk, curl and two cores. Everything stays on 127.0.0.1.
#   PORT=N     first of four ports (default 18441)
#   ROUNDS=N   rounds for each body (default 8)
#   PROXY=FILE measure this binary instead of building one
set -euo pipefail
cd "$(dirname "$0")/../.."
source tests/bench/lib.sh

need nginx wrk curl taskset
port=${PORT:-18441}
rounds=${ROUNDS:-8}
connections=64
bodies=(120 65536)
declare -A proxies=([120]="nginx cutover" [65536]="nginx nginx-32k cutover")
declare -A seconds=([120]=2 [65536]=1)
declare -A port_of=(
    [origin]=$port [nginx]=$((port + 1)) [nginx-32k]=$((port + 2)) [cutover]=$((port + 3))
)
declare -A pid_of

if [[ -z ${PROXY:-} ]]; then
    export CARGO_TARGET_DIR=${XDG_CACHE_HOME:-$HOME/.cache}/cutover-bench/target
    cargo build --quiet --profile dist -p cutover-proxy
    PROXY=$CARGO_TARGET_DIR/dist/cutover-proxy
fi

# An nginx of one process; CONF is what its http block holds besides the common part.
begin_nginx() { # NAME CORE CONF
    local temporary
    temporary=$(printf "%s_temp_path $dir/$1.%s;\n" \
        client_body body proxy proxy fastcgi fastcgi uwsgi uwsgi scgi scgi)
    cat >"$dir/$1.conf" <<CONF
daemon off;
master_process off;
pid $dir/$1.pid;
events { worker_connections 1024; }
http {
    access_log off;
    keepalive_requests 1000000000;
    $temporary
    $3
}
CONF
    begin "$1" "$2" nginx -p "$dir" -c "$dir/$1.conf" -e "$dir/$1.error.log"
    pid_of[$1]=$last_pid
    await_port "$1" "${port_of[$1]}"
}

for size in "${bodies[@]}"; do
    head -c "$size" /dev/zero | tr '\0' x >"$dir/$size"
done
begin_nginx origin 1 "
    sendfile on;
    open_file_cache max=16;
    server {
        listen 127.0.0.1:${port_of[origin]} backlog=1024;
        root $dir;
        location = /seen {
            return 200 '\$http_x_real_ip \$http_x_forwarded_for \$http_x_forwarded_proto';
        }
    }"
begin_proxying_nginx() { # NAME BUFFERS
    # Without a temporary file size of 0, nginx would write part of the larger bodies to disk.
    begin_nginx "$1" 0 "
        upstream origin {
            server 127.0.0.1:${port_of[origin]};
            keepalive 128;
            keepalive_requests 1000000000;
        }
        server {
            listen 127.0.0.1:${port_of[$1]} backlog=1024;
            location / {
                proxy_pass http://origin;
                proxy_http_version 1.1;
                proxy_max_temp_file_size 0;
                $2
                proxy_set_header Connection '';
                proxy_set_header Host \$host;
                proxy_set_header X-Real-IP \$remote_addr;
                proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
                proxy_set_header X-Forwarded-Proto \$scheme;
            }
        }"
}
begin_proxying_nginx nginx ""
begin_proxying_nginx nginx-32k "proxy_buffers 8 32k; proxy_buffer_size 32k;"
cat >"$dir/cutover.json" <<CONF
{
  "listen": "127.0.0.1:${port_of[cutover]}",
  "admin": "127.0.0.1:0",
  "threads": 1,
  "upstreams": [
    { "name": "origin", "address": "127.0.0.1:${port_of[origin]}", "weight": 1 }
  ],
  "forwarding": ["X-Real-IP", "X-Forwarded-For", "X-Forwarded-Proto"]
}
CONF
begin cutover 0 "$PROXY" --config "$dir/cutover.json"
pid_of[cutover]=$last_pid
await_port cutover "${port_of[cutover]}"

# Both must do the same work: same statuses, same bodies, same fields for the origin.
url() { echo "http://127.0.0.1:${port_of[$1]}/$2"; } # PROXY PATH
for path in "${bodies[@]}" seen missing; do
    for proxy in nginx cutover; do
        curl --noproxy "*" --silent --max-time 5 --output "$dir/$proxy.answer" --write-out '%{http_code}\n' \
            "$(url "$proxy" "$path")" >"$dir/$proxy.status" || die "$proxy does not answer /$path"
    done
    cmp --silent "$dir/nginx.status" "$dir/cutover.status" ||
        die "/$path: nginx says $(<"$dir/nginx.status"), cutover $(<"$dir/cutover.status")"
    cmp "$dir/nginx.answer" "$dir/cutover.answer" >&2 || die "/$path: the answers differ"
done
[[ $(curl --noproxy "*" --silent "$(url cutover seen)") == "127.0.0.1 127.0.0.1 http" ]] ||
    die "the forwarding fields do not reach the origin"

# One run; appends "CPU_US_PER_REQUEST REQUESTS_PER_S P99_US RSS_MIB" to $dir/PROXY.SIZE.
run() { # PROXY SIZE SECONDS
    local before after
    before=$(cpu_ms_of "${pid_of[$1]}")
    taskset -c 1 wrk -t1 -c"$connections" -d"$3s" --latency "$(url "$1" "$2")" >"$dir/wrk"
    after=$(cpu_ms_of "${pid_of[$1]}")
    if grep -E 'Non-2xx|Socket errors' "$dir/wrk" >&2; then die "$1 failed requests"; fi
    awk -v ms="$before $after" -v rss="$(rss_mib_of "${pid_of[$1]}")" '
        $1 == "99%" {
            unit = $2; gsub(/[0-9.]/, "", unit)
            p99 = $2 * (unit == "s" ? 1e6 : unit == "ms" ? 1e3 : 1)
        }
        /requests in/ { requests = $1 }
        /Requests\/sec/ { rate = $2 }
        END {
            split(ms, cpu)
            print (cpu[2] - cpu[1]) * 1000 / requests, rate, p99, rss
        }' "$dir/wrk" >>"$dir/$1.$2"
}

# Our CPU time per request over this proxy's, round by round: neighbours in time, so a machine
# that is busy for a while is so for both.
ratios() { # PROXY SIZE
    paste "$dir/cutover.$2" "$dir/$1.$2" | awk '{ print $1 / $5 }' | spread
}
column() { awk -v n="$3" '{ print $n }' "$dir/$1.$2" | spread; } # PROXY SIZE N

began=$(cut -d' ' -f1-3 /proc/loadavg)
echo "load average at the start: $began"
json=
for size in "${bodies[@]}"; do
    for proxy in ${proxies[$size]}; do
        run "$proxy" "$size" 1 # warms up
        rm "$dir/$proxy.$size"
    done
    for _ in $(seq "$rounds"); do
        for proxy in ${proxies[$size]}; do run "$proxy" "$size" "${seconds[$size]}"; done
    done
    for proxy in ${proxies[$size]}; do
        read -r cpu low high < <(column "$proxy" "$size" 1)
        read -r rate _ < <(column "$proxy" "$size" 2)
        read -r p99 _ < <(column "$proxy" "$size" 3)
        read -r _ _ rss < <(column "$proxy" "$size" 4)
        read -r ratio least most < <(ratios "$proxy" "$size")
        printf '%6d B  %-9s %6.2f us CPU/request (%.2f-%.2f)  %7.0f requests/s  p99 %6.2f ms  RSS %5.1f MiB  cutover/this %.2f (%.2f-%.2f)\n' \
            "$size" "$proxy" "$cpu" "$low" "$high" "$rate" "${p99}e-3" "$rss" "$ratio" "$least" "$most"
        json+=$(printf '{"body":%d,"proxy":"%s","cpu_us":%.2f,"cpu_us_min":%.2f,"cpu_us_max":%.2f,"requests_per_s":%.0f,"p99_us":%.0f,"rss_mib":%.1f,"cutover_to_this":%.3f},' \
            "$size" "$proxy" "$cpu" "$low" "$high" "$rate" "$p99" "$rss" "$ratio")
    done
done
ended=$(cut -d' ' -f1-3 /proc/loadavg)
echo "load average at the end: $ended"
printf '{"benchmark":"%s","rounds":%d,"connections":%d,"load_average":["%s","%s"],"results":[%s]}\n' \
    "$bench" "$rounds" "$connections" "$began" "$ended" "${json%,}"
