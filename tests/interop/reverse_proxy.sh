#!/bin/sh
# The example reverse_proxy in front of a server: bodies both ways, what stays with one connection, WebSockets, ends.
[ "${1:-}" != --needs ] || { command -v curl > /dev/null || { echo curl; exit 1; }; exit 0; }
. "$(dirname "$0")/server.inc"

ask() { curl -s --max-time 10 "$@" || fail "curl $*: status $?"; }
status() { curl -s -o /dev/null -w '%{http_code}' --max-time 10 "$@"; }
is() { [ "$2" = "$3" ] || fail "$1: $2 instead of $3"; }
in_memory() { sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' /proc/$pid/status; }

mkdir "$folder/site"
seq 1 100000 > "$folder/site/numbers"
start_server build/tests/conformance_server --xheaders --static="$folder/site"
other=$pid
trap 'kill -KILL $pid $other 2> /dev/null || :; rm -rf "$folder"' EXIT
start_server build/examples/reverse_proxy --upstream=127.0.0.1:$port
url=http://127.0.0.1:$port

is 'a page' "$(ask $url/)" 'Hello, World!'
is 'two pages' "$(ask $url/ $url/)" 'Hello, World!Hello, World!'
is 'an error' "$(status $url/nothing)" 404
is 'who asks' "$(ask $url/ip)" '127.0.0.1 http'
for lie in 'X-Real-Ip: 6.6.6.6' 'X-Forwarded-For: 6.6.6.6' 'X-Scheme: https' 'X-Forwarded-Proto: https' 'Connection: X-Real-Ip'; do
    is "a client's \"$lie\"" "$(ask -H "$lie" $url/ip)" '127.0.0.1 http'
done
is 'a redirect' "$(ask -o /dev/null -w '%{http_code} %{redirect_url}' $url/redirect/2)" "302 $url/redirect/1"
is 'any method' "$(status -X PURGE $url/)" 405
is 'dots' "$(status --path-as-is "$url/nothing/../echo")" 404
is 'no URL' "$(status "$url/%zz")" 400

ask -H 'X-End: 1' -H 'Connection: keep-alive, X-Hop' -H 'X-Hop: 1' -H 'TE: trailers' -H 'Host: name.example' $url/headers > "$folder/headers"
grep -q '^X-End: 1' "$folder/headers" && grep -q '^Host: name.example' "$folder/headers" || fail "headers: $(cat "$folder/headers")"
grep -q '^X-Forwarded-For: 127.0.0.1' "$folder/headers" || fail "who asks: $(cat "$folder/headers")"
! ask -H User-Agent: $url/headers | grep -q User-Agent || fail 'a User-Agent that nobody sent'
! grep -q '^X-Hop\|^TE' "$folder/headers" || fail "headers: $(cat "$folder/headers")"

# Ranges, validators and HEAD are the server's to answer.
ask -D "$folder/head" -r 10-19 $url/static/numbers -o "$folder/part"
grep -q '^HTTP/1.1 206' "$folder/head" && is 'a part' "$(cat "$folder/part")" "$(head -c 20 "$folder/site/numbers" | tail -c 10)"
etag=$(sed -n 's/^E[Tt]ag: *\([^\r]*\).*/\1/p' "$folder/head")
is 'nothing new' "$(status -H "If-None-Match: $etag" $url/static/numbers)" 304
is 'its size' "$(ask -I $url/static/numbers | tr -d '\r' | sed -n 's/^Content-Length: //p')" "$(wc -c < "$folder/site/numbers" | tr -d ' ')"

# Bodies.
head -c 5000000 /dev/urandom > "$folder/large"
is 'a body' "$(ask -d 'some text' $url/echo)" 'some text'
is 'no body' "$(ask -X POST -H 'Content-Length: 0' $url/echo)" ''
is 'no chunk' "$(ask -X POST -H 'Transfer-Encoding: chunked' --data-binary @/dev/null $url/echo)" ''
is 'no body at all' "$(printf 'POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n' |
    curl -s --max-time 10 "telnet://127.0.0.1:$port" | head -n 1 | tr -d '\r')" 'HTTP/1.1 400 Bad Request'
is 'a large one' "$(ask --data-binary @"$folder/large" $url/upload)" 5000000
is 'in chunks' "$(ask -H 'Transfer-Encoding: chunked' --data-binary @"$folder/large" $url/upload)" 5000000
is 'that waits' "$(ask -H 'Expect: 100-continue' --data-binary @"$folder/large" $url/upload)" 5000000
is 'an answer' "$(ask $url/bytes/3000000 | wc -c | tr -d ' ')" 3000000
is 'in chunks' "$(ask $url/chunked/300000 | wc -c | tr -d ' ')" 300000

# What a client does not read is not read from the server: 300 MB do not come into memory.
if [ -r /proc/$pid/status ]; then
    before=$(in_memory)
    curl -s --limit-rate 1M --max-time 1 $url/bytes/300000000 > /dev/null || :
    [ $(($(in_memory) - before)) -lt 8000 ] || fail "$(($(in_memory) - before)) KiB held for a slow client"
    is 'and then' "$(ask $url/)" 'Hello, World!'
fi
is 'a slow client' "$(ask --limit-rate 20M $url/bytes/12000000 | wc -c | tr -d ' ')" 12000000

# WebSockets. Their streams go when both sides have ended.
descriptors() { find "/proc/$pid/fd" -mindepth 1 2> /dev/null | wc -l; }
before=$(descriptors)
printf 'one\ntwo\n' | timeout 10 build/examples/ws_client ws://127.0.0.1:$port/ws > "$folder/answers" || fail 'a WebSocket'
is 'echoes' "$(cat "$folder/answers")" 'one
two'
for i in $(seq 100); do
    [ "$(descriptors)" -gt "$before" ] || break
    [ $i -lt 100 ] || fail "descriptors: $(descriptors), $before before"
    sleep 0.05
done
printf '' | timeout 10 build/examples/ws_client ws://127.0.0.1:$port/nothing 2> "$folder/errors" && fail 'a WebSocket of nobody'
grep -q 404 "$folder/errors" || fail "a WebSocket of nobody: $(cat "$folder/errors")"

# Nobody is behind it.
kill -TERM $other
wait $other || fail "the server ended with status $?"
is 'nobody' "$(status $url/)" 502
is 'nobody takes it' "$(status -d x $url/)" 502
printf '' | timeout 10 build/examples/ws_client ws://127.0.0.1:$port/ws 2> "$folder/errors" && fail 'a WebSocket of nobody'
grep -q 502 "$folder/errors" || fail "a WebSocket of nobody: $(cat "$folder/errors")"
stop_server
