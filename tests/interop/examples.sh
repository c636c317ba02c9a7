#!/bin/sh
# The examples of the web layer do what they say: rest, upload, longpoll, events, embed; and those of the client: fetch,
# fetch_handler, proxy_fetch, webspider. curl_static.sh has static_site, client.sh more of fetch, tls.sh tls_openssl.
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
echo small > "$folder/small" # a large one may be cut before curl has read the answer
is 'a file that is there' "$(status -F "file=@$folder/small;filename=large.bin" $url)" 409
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
is 'no text' "$(status "$messages?after=%ff")" 400
stop_server

# Events, for as long as the client likes.
start_server build/examples/events --seconds=0.05
curl -s -N --max-time 1 http://127.0.0.1:$port/events > "$folder/events" || :
[ "$(grep -c '^data: ' "$folder/events")" -ge 3 ] || fail "few events: $(cat "$folder/events")"
stop_server

# A guest in another loop, which reads lines.
mkfifo "$folder/lines" "$folder/ready"
build/examples/embed --port=0 < "$folder/lines" > "$folder/ready" &
pid=$!
exec 4> "$folder/lines"
read -r line < "$folder/ready"
rm "$folder/ready"
port=${line##*:}
is 'no line' "$(ask http://127.0.0.1:$port/)" 'nothing yet'
echo 'a line' >&4
is 'a line' "$(ask http://127.0.0.1:$port/)" 'a line'
exec 4>&-
await_server

# The client: what is fetched comes from a server of its own.
start_server build/tests/conformance_server
other=$pid source=http://127.0.0.1:$port
trap 'kill -KILL $pid $other 2> /dev/null || :; rm -rf "$folder"' EXIT
is 'fetch' "$(build/examples/fetch $source/)" 'Hello, World!'
is 'fetch -o' "$(build/examples/fetch -o "$folder/fetched" $source/bytes/100000 2>&1; wc -c < "$folder/fetched" | tr -d ' ')" 100000
is 'fetch --data' "$(build/examples/fetch --data='some text' $source/echo)" 'some text'
is 'fetch --data=@' "$(build/examples/fetch --data=@"$folder/large" $source/upload)" 5000000
is 'fetch --header' "$(build/examples/fetch --header='X-A: b c' $source/headers | grep X-A)" 'X-A: b c'
is 'fetch --method' "$(build/examples/fetch --method=PUT --data=x $source/echo)" x
build/examples/fetch --head $source/bytes/7 | tr -d '\r' > "$folder/head"
grep -q '^HTTP/1.1 200 OK$' "$folder/head" && grep -q '^Content-Length: 7$' "$folder/head" || fail "fetch --head: $(cat "$folder/head")"
for bad in "$source/nothing" "$source/slow?seconds=9" ftp://a/ 'http://a b/' http://127.0.0.1:1/; do
    ! build/examples/fetch --timeout=0.2 "$bad" > /dev/null 2> "$folder/err" || fail "fetch $bad succeeds"
    [ -s "$folder/err" ] || fail "fetch $bad does not say why"
done

# A handler that fetches, both ways.
start_server build/examples/fetch_handler --url="$source/slow?seconds=1"
for way in callbacks generator; do
    ask http://127.0.0.1:$port/$way > "$folder/$way" & eval "$way=$!"
done
is 'others meanwhile' "$(status --max-time 0.5 http://127.0.0.1:$port/nothing)" 404
curl -s --max-time 0.2 http://127.0.0.1:$port/callbacks && fail 'an answer too soon'
curl -s --max-time 0.2 http://127.0.0.1:$port/generator && fail 'an answer too soon'
for way in callbacks generator; do
    eval "wait \$$way"
    is $way "$(cat "$folder/$way")" 'Downloaded!'
done
stop_server
for url in "$source/nothing" http://127.0.0.1:1/ ftp://a/; do
    start_server build/examples/fetch_handler --url="$url" 2> /dev/null
    for way in callbacks generator; do
        case $(status http://127.0.0.1:$port/$way) in 502 | 503) ;; *) fail "$way of $url" ;; esac
    done
    stop_server
done

# One that sleeps every second time. The requests of the client are counted from 1, too.
start_server build/examples/proxy_fetch --sleep=1
proxy=http://127.0.0.1:$port
is 'the first' "$(ask --max-time 0.8 $proxy/test1)" 'TEST2 1'
ask -w ' %{time_total} %{content_type}' $proxy/test1 > "$folder/slow" & slow=$!
sleep 0.2
is 'others meanwhile' "$(ask --max-time 0.5 $proxy/test2)" 'TEST2 3'
is 'the third' "$(ask --max-time 0.5 $proxy/test1)" 'TEST2 4'
wait $slow
grep -q '^TEST2 2 1\.[0-9]* text/html; charset=UTF-8$' "$folder/slow" || fail "the second: $(cat "$folder/slow")"
curl -s --max-time 0.2 $proxy/test1 && fail 'the fourth does not sleep'
stop_server

# Its own site, another one, and one that is not there.
build/examples/webspider > "$folder/pages" || fail "webspider: $(tail -n 3 "$folder/pages")"
grep -q '^100 pages in .* s, 0 failed$' "$folder/pages" || fail "webspider: $(tail -n 3 "$folder/pages")"
is 'pages' "$(sed -n 's/^[0-9]* of [0-9]*: .*\/site\/\([0-9]*\)$/\1/p' "$folder/pages" | sort -n | uniq | wc -l | tr -d ' ')" 100
is 'at most' "$(build/examples/webspider --most=7 --workers=2 | sed -n 's/^\([0-9]* pages\).*/\1/p')" '7 pages'
is 'one page' "$(build/examples/webspider --url=$source/ | sed -n 's/^\([0-9]* pages\).*/\1/p')" '1 pages'
build/examples/webspider --url=http://127.0.0.1:1/ > /dev/null && fail 'nobody is there'
kill -TERM $other
wait $other || fail "the other server ended with status $?"
