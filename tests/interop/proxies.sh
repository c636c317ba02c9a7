#!/bin/sh
# Real proxies in front of build/tests/conformance_server, and requests that are not quite right: what a proxy lets
# through as one request is one for us too. Another SEED than 1, or a larger COUNT, for a longer search.
[ "${1:-}" != --needs ] || {
    for tool in python3 nginx; do
        PATH=$PATH:/usr/sbin command -v $tool > /dev/null || { echo $tool; exit 1; }
    done
    exit 0
}
. "$(dirname "$0")/server.inc"

start_server build/tests/conformance_server
timeout -k 5 55 python3 -B tests/interop/proxies.py "$port" "$folder" "${SEED:-1}" "${COUNT:-400}" \
    > "$folder/out" 2>&1 || fail "$(tail -n 20 "$folder/out")"
stop_server
