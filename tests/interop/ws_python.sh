#!/bin/sh
# python3-websockets: its client and build/tests/conformance_server, its server and build/tests/ws_echo_client.
. "$(dirname "$0")/../python.inc"
[ "${1:-}" != --needs ] || { [ -n "$(python_with websockets)" ] || { echo python3-websockets; exit 1; }; exit 0; }
. "$(dirname "$0")/server.inc"

run() { timeout -k 5 25 "$(python_with websockets)" -B tests/interop/ws_python.py "$@" > "$folder/out" 2>&1 || fail "$1: $(tail -n 20 "$folder/out")"; }
start_server build/tests/conformance_server --max-message=16777216 --ping-interval=0.3 2> "$folder/log"
run client $port $pid
await_server
run server build/tests/ws_echo_client
