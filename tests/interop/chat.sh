#!/bin/sh
# build/examples/chat with Chromium: two windows talk to each other, and come back after the server was started again.
. "$(dirname "$0")/../python.inc"
browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
[ "${1:-}" != --needs ] || {
    [ -n "$(python_with tornado)" ] || { echo python3-tornado; exit 1; }
    browser > /dev/null || { echo chromium; exit 1; }
    [ -e /proc/self/task ] || { echo /proc; exit 1; }
    exit 0
}
. "$(dirname "$0")/server.inc"

# By SIGTERM the program ends the browser; files, as the browser's helpers would hold a pipe open.
timeout -k 5 55 "$(python_with tornado)" tests/interop/chat.py "$(browser)" "$folder" > "$folder/out" 2>&1 < /dev/null ||
    fail "the windows do not see what they should: $(tail -n 20 "$folder/out")"
