#!/bin/sh
# wrk and ab against build/tests/conformance_server: no answer is missing or wrong, whatever they do; not how fast it is.
[ "${1:-}" != --needs ] || {
    for tool in wrk ab; do command -v $tool > /dev/null || { echo $tool; exit 1; }; done
    exit 0
}
. "$(dirname "$0")/server.inc"

head -c 1024 /dev/zero > "$folder/body"
for processes in 1 2; do
    start_server build/tests/conformance_server --processes=$processes
    url=http://127.0.0.1:$port
    for path in / /bytes/100000 /chunked/1000 /nothing; do
        wrk -t 1 -c 64 -d 1s $url$path > "$folder/wrk" || fail "wrk $path"
        ! grep -q 'Socket errors' "$folder/wrk" || fail "wrk $path: $(cat "$folder/wrk")"
        grep -q 'requests in' "$folder/wrk" || fail "wrk $path: $(cat "$folder/wrk")"
    done
    # A connection a request; then kept alive over HTTP/1.0; then posts.
    ab -q -n 5000 -c 50 $url/ > "$folder/ab" 2>&1 || fail "ab: $(cat "$folder/ab")"
    grep -q '^Failed requests: *0$' "$folder/ab" || fail "ab: $(cat "$folder/ab")"
    ab -q -k -n 20000 -c 50 $url/ > "$folder/ab" 2>&1 || fail "ab -k: $(cat "$folder/ab")"
    grep -q '^Failed requests: *0$' "$folder/ab" && ! grep -q '^Keep-Alive requests: *0$' "$folder/ab" ||
        fail "ab -k: $(cat "$folder/ab")"
    ab -q -k -n 5000 -c 50 -p "$folder/body" -T text/plain $url/echo > "$folder/ab" 2>&1 || fail "ab -p: $(cat "$folder/ab")"
    grep -q '^Failed requests: *0$' "$folder/ab" && grep -q '^Document Length: *1024 bytes' "$folder/ab" ||
        fail "ab -p: $(cat "$folder/ab")"
    stop_server
done
