#!/bin/sh
# The examples with WebSockets: prime_websocket, chat (chat.sh has it with a browser), ws_client.
[ "${1:-}" != --needs ] || {
    command -v python3 > /dev/null || { echo python3; exit 1; }
    command -v curl > /dev/null || { echo curl; exit 1; }
    exit 0
}
. "$(dirname "$0")/server.inc"
client=build/examples/ws_client

clients() { timeout -k 5 30 python3 -B tests/interop/ws_examples.py "$@" > "$folder/out" 2>&1 || fail "$*: $(tail -n 8 "$folder/out")"; }
is() { [ "$2" = "$3" ] || fail "$1: \"$2\" instead of \"$3\""; }
# says WHAT STATUS ARGUMENTS...: ws_client's input is there already; its output and errors.
says() {
    what=$1 wanted=$2 got=0; shift 2
    timeout 10 $client "$@" > "$folder/answers" 2> "$folder/errors" || got=$?
    [ $got = $wanted ] || fail "$what: status $got: $(cat "$folder/errors")"
}

start_server build/examples/prime_websocket 2> "$folder/log"
clients prime $port
url=ws://127.0.0.1:$port/chatsocket
# The answers come behind our close frame, and are printed; a pipe, a file, a last line with no end.
printf '7\n8\n' | says 'a pipe' 0 $url
is 'a pipe' "$(cat "$folder/answers")" 'is a prime number
is not a prime number'
printf 'seven\n11' > "$folder/numbers"
says 'a file' 0 $url < "$folder/numbers"
is 'a file' "$(cat "$folder/answers")" 'Invalid input
is a prime number'
seq 1 20000 > "$folder/numbers"
says 'many' 0 $url < "$folder/numbers"
is 'many' "$(grep -c 'is a prime' "$folder/answers") of $(wc -l < "$folder/answers" | tr -d ' ')" '2262 of 20000'
says 'no input' 0 $url < /dev/null
is 'no input' "$(cat "$folder/answers" "$folder/errors")" ''
printf 'fine\nnot \377 UTF-8\n' | says 'no UTF-8' 0 $url
is 'no UTF-8' "$(cat "$folder/answers" "$folder/errors")" 'Invalid input
not sent: a line has to be UTF-8'
head -c 2000 /dev/zero | tr '\0' 7 | says 'too long' 0 $url
is 'too long' "$(cut -c 1-12 "$folder/errors")" 'closed: 1009'
says 'no such path' 1 "ws://127.0.0.1:$port/nothing" < /dev/null
grep -q 404 "$folder/errors" || fail "no such path: $(cat "$folder/errors")"
says 'another origin' 1 --origin=http://evil $url < /dev/null
grep -q 403 "$folder/errors" || fail "another origin: $(cat "$folder/errors")"
for bad in ftp://a/ 'ws://a b/' ws:// ws://127.0.0.1:1/; do
    says "$bad" 1 "$bad" < /dev/null
    [ -s "$folder/errors" ] || fail "$bad: it does not say why"
done
says 'no URL' 2 < /dev/null
says 'two URLs' 2 $url $url < /dev/null
if command -v script > /dev/null; then # a terminal
    printf '7\n8\n\004' | timeout 10 script -qec "$client $url" /dev/null | tr -d '\r' > "$folder/tty"
    for line in 'connected; Ctrl-D ends it' 'is a prime number' 'is not a prime number' 'closed: 1000'; do
        grep -q "^$line\$" "$folder/tty" || fail "on a terminal, no \"$line\" in: $(cat "$folder/tty")"
    done
fi
# It is there while its input is: the server's end is its end, too.
mkfifo "$folder/input"
timeout 10 $client $url < "$folder/input" > "$folder/answers" 2> "$folder/errors" & waiting=$!
exec 9> "$folder/input"
echo 7 >&9
for _ in $(seq 100); do [ ! -s "$folder/answers" ] || break; sleep 0.05; done
is 'an open input' "$(cat "$folder/answers")" 'is a prime number'
stop_server
wait $waiting || fail "ws_client: status $? when the server stops"
exec 9>&-
is 'the server stops' "$(cut -c 1-12 "$folder/errors")" 'closed: 1001'

# Lines that are too long for one message go as several, cut between characters; more of them than the server takes.
start_server build/tests/conformance_server --max-message=70000 2> "$folder/log"
python3 -c 'print("a" + "\u00e4" * 100000 + "\n" + "\U0001f600" * 100000)' > "$folder/long"
says 'long lines' 0 ws://127.0.0.1:$port/ws < "$folder/long"
is 'long lines' "$(tr -d '\n' < "$folder/answers" | cksum)" "$(tr -d '\n' < "$folder/long" | cksum)"
head -c 30000000 /dev/zero | tr '\0' x | fold -w 999 > "$folder/long"
says 'much input' 0 ws://127.0.0.1:$port/ws < "$folder/long"
cmp -s "$folder/long" "$folder/answers" || echo | cat "$folder/long" - | cmp -s - "$folder/answers" || fail 'much input: the echo is another'
stop_server
clients slow $client "$folder/long"

# The chat: the page, the people, the end.
start_server build/examples/chat 2> "$folder/log"
curl -s --max-time 5 http://127.0.0.1:$port/ | grep -q '<title>chat</title>' || fail 'no page'
clients chat $port
printf 'hello\n' | says 'a guest' 0 "ws://127.0.0.1:$port/chat?name=guest&after=99999999999999"
grep -q '"from":"guest","text":"hello"' "$folder/answers" || fail "a guest: $(cat "$folder/answers")"
stop_server
start_server build/examples/chat 2> "$folder/log"
mkfifo "$folder/there"
timeout -k 5 20 python3 -B tests/interop/ws_examples.py stop $port > "$folder/there" 2> "$folder/errors" & people=$!
read -r line < "$folder/there" || fail "$(cat "$folder/errors")"
stop_server
wait $people || fail "the end of the chat: $(tail -n 5 "$folder/errors")"
