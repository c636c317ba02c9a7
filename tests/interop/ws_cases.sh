#!/bin/sh
# build/tests/conformance_server /ws, and build/tests/ws_echo_client --autobahn, with all the cases of ws_cases.py.
[ "${1:-}" != --needs ] || { command -v python3 > /dev/null || { echo python3; exit 1; }; exit 0; }
. "$(dirname "$0")/server.inc"

cases() { timeout -k 5 55 python3 -B tests/interop/ws_cases.py "$@" > "$folder/verdicts" 2>&1 || fail "$(tail -n 30 "$folder/verdicts")"; }

start_server build/tests/conformance_server --max-message=16777216 2> "$folder/log"
cases client $port /ws
stop_server
cases server build/tests/ws_echo_client --autobahn
