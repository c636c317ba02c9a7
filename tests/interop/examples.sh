#!/bin/sh
# The examples of the web layer do what they say: rest, upload, longpoll, events; curl_static.sh has static_site.
[ "${1:-}" != --needs ] || { command -v curl > /dev/null || { echo curl; exit 1; }; exit 0; }
. "$(dirname "$0")/server.inc"

ask() { curl -s --max-time 10 "$@" || fail "curl $*: status $?"; }
status() { curl -s -o /dev/null -w '%{http_code}' --max-time 10 "$@"; }
is() { [ "$2" = "$3" ] || fail "$1: $2 instead of $3"; }

# JSON.
start_server build/examples/rest
notes=http://127.0.0.1:$port/notes
is 'no notes' "$(ask $notes)" '[]'
is 'a note' "$(ask -d 'buy "milk"' $notes)" '{"id":1,"text":"buy \"milk\""}'
is 'its status' "$(status -d 'second' $notes)" 201
is 'all' "$(ask $notes)" '[{"id":1,"text":"buy \"milk\""},{"id":2,"text":"second"}]'
is 'changed' "$(ask -X PUT -d tea $notes/1)" '{"id":1,"text":"tea"}'
is 'deleted' "$(status -X DELETE $notes/1)" 204
is 'gone' "$(status $notes/1)" 404
is 'no text' "$(status -d '' $notes)" 400
is 'too long' "$(status -d "$(head -c 2000 /dev/zero | tr '\0' x)" $notes)" 413
is 'not allowed' "$(status -X POST $notes/2)" 405
stop_server

# Files go to a folder.
mkdir "$folder/uploads"
head -c 5000000 /dev/urandom > "$folder/large"
start_server build/examples/upload --directory="$folder/uploads"
url=http://127.0.0.1:$port/
ask $url | grep -q '<form' || fail 'no form'
ask -F "file=@$folder/large;filename=../../large.bin" -F field=value $url | grep -q '^<p>1 files, 5000005 bytes' || fail 'upload'
cmp -s "$folder/large" "$folder/uploads/large.bin" || fail 'the file is another'
is 'a file that is there' "$(status -F "file=@$folder/large;filename=large.bin" $url)" 409
is 'no form' "$(status -d a=b $url)" 415
is 'a form that is cut' "$(status -H 'Content-Type: multipart/form-data; boundary=b' -d '--b' $url)" 400
stop_server

# Waiting for news.
start_server build/examples/longpoll
messages=http://127.0.0.1:$port/messages
ask "$messages?after=0" > "$folder/one" & one=$!
ask "$messages?after=0" > "$folder/two" & two=$!
curl -s --max-time 0.3 "$messages?after=0" > /dev/null && fail 'an answer with no news'
is 'said' "$(status -d 'hello' $messages)" 204
wait $one && wait $two
is 'the news' "$(cat "$folder/one")" '{"last":1,"messages":["hello"]}'
is 'the same' "$(cat "$folder/two")" '{"last":1,"messages":["hello"]}'
ask -d 'again' $messages
is 'what was missed' "$(ask "$messages?after=0")" '{"last":2,"messages":["hello","again"]}'
stop_server

# Events, for as long as the client likes.
start_server build/examples/events --seconds=0.05
curl -s -N --max-time 1 http://127.0.0.1:$port/events > "$folder/events" || :
[ "$(grep -c '^data: ' "$folder/events")" -ge 3 ] || fail "few events: $(cat "$folder/events")"
stop_server
