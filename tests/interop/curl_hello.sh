#!/bin/sh
# curl against build/examples/hello: what a client that we did not write makes of it.
[ "${1:-}" != --needs ] || { command -v curl > /dev/null || { echo curl; exit 1; }; exit 0; }
. "$(dirname "$0")/server.inc"

expect() { # expect STATUS ARGUMENTS...
    wanted=$1; shift
    got=$(curl -s -o "$folder/body" -w '%{http_code}' --max-time 5 "$@") || fail "curl $*: status $?"
    [ "$got" = "$wanted" ] || fail "curl $*: $got instead of $wanted"
}

for processes in 1 2; do
    start_server build/examples/hello --processes=$processes
    url=http://127.0.0.1:$port
    expect 200 $url/
    grep -q '<h1>Hello, world</h1>' "$folder/body" || fail "the page is not the page"
    expect 200 $url/plain
    [ "$(cat "$folder/body")" = "Hello, world" ] || fail "/plain"
    expect 200 --http1.0 $url/plain
    expect 200 -I $url/
    expect 404 $url/nothing
    expect 405 -X DELETE $url/
    expect 405 -d 'a=1' $url/
    expect 413 -d "$(head -c 1100000 /dev/zero | tr '\0' x | head -c 100000)" -H 'Content-Length: 99999999' $url/
    expect 405 -H 'Expect: 100-continue' -d 'body' $url/
    for path in / /nothing; do # refused by their heads: curl is not asked for a body, and sends none
        sent=$(head -c 1048576 /dev/zero | curl -s -o /dev/null -w '%{size_upload}' --max-time 5 \
            -H 'Expect: 100-continue' --data-binary @- $url$path)
        [ "$sent" = 0 ] || fail "$path: $sent bytes of a body that was not asked for"
    done
    expect 417 -H 'Expect: miracles' $url/
    expect 405 -H 'Transfer-Encoding: chunked' -d 'body' $url/
    # Ten requests over one connection.
    opened=$(curl -s -o /dev/null -w '%{num_connects}\n' --max-time 5 $url/plain $url/plain $url/plain $url/plain \
        $url/plain $url/plain $url/plain $url/plain $url/plain $url/plain | head -n 1)
    [ "$opened" = 1 ] || fail "keep-alive: $opened connections"
    stop_server
done
