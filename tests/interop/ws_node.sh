#!/bin/sh
# node's ws: its client and build/tests/conformance_server, its server and build/tests/ws_echo_client.
export NODE_PATH=/usr/share/nodejs:/usr/lib/nodejs
[ "${1:-}" != --needs ] || {
    command -v node > /dev/null || { echo nodejs; exit 1; }
    node -e 'require("ws")' > /dev/null 2>&1 || { echo node-ws; exit 1; }
    exit 0
}
. "$(dirname "$0")/server.inc"

run() { timeout -k 5 25 node tests/interop/ws_node.js "$@" > "$folder/out" 2>&1 || fail "$1: $(tail -n 20 "$folder/out")"; }
start_server build/tests/conformance_server --max-message=16777216 --ping-interval=0.3 2> "$folder/log"
run client $port $pid
await_server
run server build/tests/ws_echo_client
