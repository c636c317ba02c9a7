#!/bin/sh
# executor: functions that block, behind HTTP. Others are served meanwhile, ten run at a time, and one that is too slow is
# answered with 504.
[ "${1:-}" != --needs ] || { command -v curl > /dev/null || { echo curl; exit 1; }; exit 0; }
. "$(dirname "$0")/server.inc"

ask() { curl -s --max-time 10 "$@" || fail "curl $*: status $?"; }
status() { curl -s -o /dev/null -w '%{http_code}' --max-time 10 "$@" || true; }
is() { [ "$2" = "$3" ] || fail "$1: $2 instead of $3"; }
work() { ask "$url/work?seconds=$1" > "$folder/work.$2"; date +%s%N > "$folder/ended.$2"; }

start_server build/examples/executor --timeout=9
url=http://127.0.0.1:$port
is 'a result' "$(ask "$url/work?seconds=0.01")" 'worked for 0.01 seconds'
is 'no number' "$(status "$url/work?seconds=-1")" 400

# Twelve for ten threads: two rounds; and the page in the middle of them.
workers=
begun=$(date +%s%N)
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    work 1 $i & workers="$workers $!"
done
ask $url/ | grep -q 'Served at once' || fail 'the page'
page=$(date +%s%N)
wait $workers
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    is "worker $i" "$(cat "$folder/work.$i")" 'worked for 1 seconds'
    [ "$(cat "$folder/ended.$i")" -gt "$page" ] || fail "worker $i was done before the page was served"
done
took=$((($(cat "$folder"/ended.* | sort -n | tail -n 1) - begun) / 1000000))
[ $took -ge 2000 ] || fail "more than ten at a time: $took ms"
[ $took -lt 9000 ] || fail "one after the other: $took ms"
stop_server

# Too slow; clients that do not wait; and what has not begun by then is not begun.
start_server build/examples/executor --timeout=0.2
url=http://127.0.0.1:$port
is 'too slow' "$(status "$url/work?seconds=0.5")" 504
for i in 1 2 3; do
    curl -s -o /dev/null --max-time 0.1 "$url/work?seconds=0.4" || true
done
is 'the page' "$(status $url/)" 200
is 'in time' "$(status "$url/work?seconds=0")" 200
stop_server
