#!/bin/sh
# permessage-deflate: python3-websockets, Tornado and node's ws, their clients and build/tests/conformance_server, their
# servers and build/tests/ws_echo_client.
. "$(dirname "$0")/../python.inc"
export NODE_PATH=/usr/share/nodejs:/usr/lib/nodejs
[ "${1:-}" != --needs ] || {
    [ -n "$(python_with 'tornado, websockets')" ] || { echo python3-websockets python3-tornado; exit 1; }
    command -v node > /dev/null && node -e 'require("ws")' > /dev/null 2>&1 || { echo node-ws; exit 1; }
    exit 0
}
. "$(dirname "$0")/server.inc"

run() { timeout -k 5 60 "$@" > "$folder/out" 2>&1 || fail "$*: $(tail -n 20 "$folder/out")"; }
start_server build/tests/conformance_server --max-message=16777216 2> "$folder/log"
for side in "client $port" "server build/tests/ws_echo_client"; do
    run "$(python_with 'tornado, websockets')" -B tests/interop/ws_deflate.py websockets $side
    run "$(python_with 'tornado, websockets')" -B tests/interop/ws_deflate.py tornado $side
    run node tests/interop/ws_deflate.js $side
done
stop_server
