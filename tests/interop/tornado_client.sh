#!/bin/sh
# Tornado's AsyncHTTPClient against build/tests/conformance_server.
. "$(dirname "$0")/../python.inc"
[ "${1:-}" != --needs ] || { [ -n "$(python_with tornado)" ] || { echo python3-tornado; exit 1; }; exit 0; }
. "$(dirname "$0")/server.inc"

mkdir "$folder/static"
echo 'a file' > "$folder/static/a.txt"
start_server build/tests/conformance_server --static="$folder/static"
timeout 60 "$(python_with tornado)" tests/interop/tornado_client.py "$port" || fail 'the client is not content'
stop_server
