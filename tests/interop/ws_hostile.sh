#!/bin/sh
# build/tests/conformance_server /ws, and clients that break each rule of RFC 6455 or go in the middle of everything:
# they get what they deserve, an honest one is served meanwhile, and neither memory nor descriptors nor the log grow.
[ "${1:-}" != --needs ] || {
    command -v python3 > /dev/null || { echo python3; exit 1; }
    [ -e /proc/self/statm ] || { echo /proc; exit 1; }
    exit 0
}
. "$(dirname "$0")/server.inc"

start_server sh -c 'ulimit -n 100; exec build/tests/conformance_server "$@" 2> "$0"' "$folder/log" \
    --max-message=65536 --ping-interval=0.4
timeout -k 5 55 python3 -B tests/interop/ws_hostile.py "$port" "$pid" > "$folder/out" 2>&1 ||
    fail "$(tail -n 20 "$folder/out"; tail -n 5 "$folder/log")"
await_server
size=$(wc -c < "$folder/log")
[ "$size" -lt 200000 ] || fail "$size bytes of log"
