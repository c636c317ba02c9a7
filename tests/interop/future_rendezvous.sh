#!/bin/sh
# future_rendezvous: /main waits for /index, and blocks nobody; who does not wait to the end is noticed.
[ "${1:-}" != --needs ] || { command -v curl > /dev/null || { echo curl; exit 1; }; exit 0; }
. "$(dirname "$0")/server.inc"

ask() { curl -s --max-time 10 "$@" || fail "curl $*: status $?"; }
is() { [ "$2" = "$3" ] || fail "$1: $2 instead of $3"; }

# Until the line has come so many times; at most 5 seconds.
await() {
    for i in $(seq 100); do
        [ "$(grep -c "$1" "$folder/log")" -lt "$2" ] || return 0
        sleep 0.05
    done
    fail "'$1' did not come: $(cat "$folder/log")"
}

start_server build/examples/future_rendezvous 2> "$folder/log"
url=http://127.0.0.1:$port
is 'nobody waits' "$(ask $url/index)" Index
clients=
for i in 1 2 3; do
    ask $url/main > "$folder/main.$i" & clients="$clients $!"
done
# A client is held back, which shows that /main waits; then it leaves.
for i in 1 2; do
    status=0
    curl -s -o "$folder/left" --max-time 0.3 $url/main || status=$?
    is 'it waits' $status 28
    await 'has left' $i
done
for i in 1 2 3; do
    [ ! -s "$folder/main.$i" ] || fail '/main has not waited'
done
is 'the meeting' "$(ask $url/index)" Index
wait $clients
for i in 1 2 3; do
    is "/main $i" "$(cat "$folder/main.$i")" Main
done

# Once more, the first from a client that has left in the meantime.
ask $url/main > "$folder/main" & client=$!
curl -s -o "$folder/left" --max-time 0.5 $url/main || true
await 'has left' 3
is 'the next meeting' "$(ask $url/index)" Index
wait $client
is '/main' "$(cat "$folder/main")" Main
stop_server
