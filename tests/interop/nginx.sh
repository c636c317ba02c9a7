#!/bin/sh
# docs/examples/nginx.conf with the real nginx in front of four of our processes: who asked is passed on, requests are
# spread, static files come from nginx, and a process that is gone is passed over.
[ "${1:-}" != --needs ] || {
    for tool in curl nginx; do
        PATH=$PATH:/usr/sbin command -v $tool > /dev/null || { echo $tool; exit 1; }
    done
    exit 0
}
. "$(dirname "$0")/server.inc"
PATH=$PATH:/usr/sbin

# The ports are those of the file, moved to free ones: tests run beside each other.
pids=
stop_all() {
    nginx_pid=$(cat "$folder/nginx.pid" 2> /dev/null) && kill "$nginx_pid" 2> /dev/null || :
    for each in $pids; do kill $each 2> /dev/null || :; done
}
trap 'stop_all; wait; rm -rf "$folder"' EXIT
conf=$folder/nginx.conf
cp docs/examples/nginx.conf "$conf"
for old in 8000 8001 8002 8003; do
    start_server build/tests/conformance_server --xheaders
    pids="$pids $pid"
    sed -i "s/127\.0\.0\.1:$old;/127.0.0.1:$port;/" "$conf"
done
pid=
first=${pids# }; first=${first%% *}
# A free port for nginx: one that a server of ours had a moment ago.
start_server build/tests/conformance_server
front=$port
kill -TERM $pid; wait $pid || :; pid=
sed -i "s/127\.0\.0\.1:8080;/127.0.0.1:$front;/" "$conf"
mkdir -p "$folder/html/static" "$folder/logs"
chmod 755 "$folder" # its workers are somebody else
echo 'static' > "$folder/html/static/a.txt"
nginx -p "$folder" -c "$conf" > "$folder/log" 2>&1 || fail "nginx: $(cat "$folder/log")"
url=http://127.0.0.1:$front

get() { curl -s --max-time 10 "$@" || fail "curl $*: status $?"; }
[ "$(get $url/)" = 'Hello, World!' ] || fail 'a page'
[ "$(get $url/ip)" = '127.0.0.1 http' ] || fail "who asked: $(get $url/ip)"
get $url/headers | grep -q '^X-Real-IP: 127.0.0.1' || fail 'X-Real-IP'
[ "$(get -H 'X-Real-Ip: 6.6.6.6' $url/ip)" = '127.0.0.1 http' ] || fail 'a client may not say who it is'
[ "$(get -d 'posted' $url/echo)" = posted ] || fail 'a body'
[ "$(get $url/static/a.txt)" = static ] || fail 'a file, from nginx'
get $url/bytes/3000000 | wc -c | grep -q '^ *3000000$' || fail 'a long answer'
get $url/chunked/300000 | wc -c | grep -q '^ *300000$' || fail 'an answer in chunks'
[ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Transfer-Encoding: chunked' -d x $url/upload)" = 200 ] || fail 'an upload'

# One process goes: what it had is finished, and the others serve on.
kill -TERM $first
for i in $(seq 40); do [ "$(get $url/)" = 'Hello, World!' ] || fail "request $i with a process gone"; done
kill "$(cat "$folder/nginx.pid")"
for each in ${pids#* "$first"}; do
    [ $each = $first ] || kill -TERM $each
    wait $each || fail "process $each ended with status $?"
done
pids=
