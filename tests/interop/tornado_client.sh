#!/bin/sh
# Tornado's AsyncHTTPClient against build/tests/conformance_server.
python() { for each in /usr/bin/python3 python3; do "$each" -c 'import tornado' 2> /dev/null && echo "$each" && return; done; }
[ "${1:-}" != --needs ] || { [ -n "$(python)" ] || { echo python3-tornado; exit 1; }; exit 0; }
. "$(dirname "$0")/server.inc"

mkdir "$folder/static"
echo 'a file' > "$folder/static/a.txt"
start_server build/tests/conformance_server --static="$folder/static"
timeout 60 "$(python)" tests/interop/tornado_client.py "$port" || fail 'the client is not content'
stop_server
