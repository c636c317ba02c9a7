#!/bin/sh
# curl against build/tests/conformance_server: every method, bodies of all kinds, ranges, uploads, early refusals,
# keep-alive, and what xheaders make of a proxy's headers.
[ "${1:-}" != --needs ] || { command -v curl > /dev/null || { echo curl; exit 1; }; exit 0; }
. "$(dirname "$0")/server.inc"

# expect STATUS ARGUMENTS...: what comes is in body, the heads are in heads.
expect() {
    wanted=$1; shift
    got=$(curl -s -o "$folder/body" -D "$folder/heads" -w '%{http_code}' --max-time 10 "$@") || fail "curl $*: status $?"
    [ "$got" = "$wanted" ] || fail "curl $*: $got instead of $wanted"
}

body_is() { [ "$(cat "$folder/body")" = "$1" ] || fail "the body is $(head -c 200 "$folder/body") instead of $1"; }
head_has() { grep -qi "^$1" "$folder/heads" || fail "no $1 in: $(cat "$folder/heads")"; }
same() { cmp -s "$folder/body" "$1" || fail "the body is not $1"; }

mkdir "$folder/static"
echo 'a file' > "$folder/static/a.txt"
echo '<p>index' > "$folder/static/index.html"
head -c 3000000 /dev/urandom > "$folder/static/large.bin"
head -c 200000 /dev/urandom > "$folder/data"
start_server build/tests/conformance_server --static="$folder/static" --xheaders --unix="$folder/socket"
url=http://127.0.0.1:$port

expect 200 $url/; body_is 'Hello, World!'; head_has 'content-type: text/plain'
expect 200 --http1.0 $url/; body_is 'Hello, World!'
expect 200 -I $url/; head_has 'content-length: 13'
expect 200 --unix-socket "$folder/socket" http://localhost/; body_is 'Hello, World!'
for method in POST PUT DELETE PATCH OPTIONS TRACE MOVE; do expect 405 -X $method $url/; done
expect 404 $url/nothing

# Bodies, in both framings, asked for or not.
expect 200 --data-binary @"$folder/data" $url/echo; same "$folder/data"
expect 200 -H 'Transfer-Encoding: chunked' --data-binary @"$folder/data" $url/echo; same "$folder/data"
expect 200 -H 'Expect: 100-continue' --data-binary @"$folder/data" $url/echo; same "$folder/data"
expect 200 -H 'Expect:' -H 'Transfer-Encoding: chunked' --data-binary @"$folder/data" $url/echo; same "$folder/data"
expect 417 -H 'Expect: miracles' -d x $url/echo
expect 413 --data-binary @"$folder/static/large.bin" $url/echo
expect 413 -H 'Transfer-Encoding: chunked' --data-binary @"$folder/static/large.bin" $url/echo
expect 200 -T "$folder/static/large.bin" $url/upload; body_is 3000000
expect 200 -H 'Transfer-Encoding: chunked' -T "$folder/static/large.bin" $url/upload; body_is 3000000
expect 200 --http1.0 --data-binary @"$folder/data" $url/echo; same "$folder/data"

# Answers.
expect 200 $url/chunked/0; head_has 'transfer-encoding: chunked'; body_is ''
for path in bytes chunked; do
    for size in 0 1 65536 1000000; do
        expect 200 $url/$path/$size
        [ "$(wc -c < "$folder/body")" = $size ] || fail "/$path/$size has $(wc -c < "$folder/body") bytes"
        expect 200 --http1.0 $url/$path/$size
        [ "$(wc -c < "$folder/body")" = $size ] || fail "/$path/$size has $(wc -c < "$folder/body") bytes over 1.0"
    done
done
expect 200 -L $url/redirect/5; body_is 'Hello, World!'
expect 200 -H 'X-Test: a b' $url/headers; grep -q '^X-Test: a b$' "$folder/body" || fail '/headers'
expect 200 $url/slow?seconds=0.1
expect 400 $url/slow?seconds=never

# Forms.
expect 200 -d 'a=1&b=%C3%A9&c=x+y' $url/form
grep -q '^field b=é$' "$folder/body" && grep -q '^field c=x y$' "$folder/body" || fail '/form, urlencoded'
expect 200 -F field=value -F "upload=@$folder/data;filename=a b.bin;type=image/png" $url/form
grep -q '^field field=value$' "$folder/body" || fail '/form, a field'
grep -q '^file upload filename=a b.bin type=image/png length=200000$' "$folder/body" || fail '/form, a file'

# Who asks.
expect 200 $url/ip; body_is '127.0.0.1 http'
expect 200 -H 'X-Real-Ip: 4.4.4.4' -H 'X-Scheme: https' $url/ip; body_is '4.4.4.4 https'
expect 200 -H 'X-Forwarded-For: 1.1.1.1, 5.5.5.5' $url/ip; body_is '5.5.5.5 http'
expect 200 -H 'X-Real-Ip: <script>' $url/ip; body_is '127.0.0.1 http'

# Files.
expect 200 $url/static/a.txt; body_is 'a file'; head_has 'content-type: text/plain'; head_has 'etag: '
etag=$(sed -n 's/^[Ee][Tt]ag: *\([^\r]*\).*/\1/p' "$folder/heads")
expect 304 -H "If-None-Match: $etag" $url/static/a.txt
expect 206 -r 2-5 $url/static/a.txt; body_is file; head_has 'content-range: bytes 2-5/7'
expect 416 -r 100-200 $url/static/a.txt; head_has 'content-range: bytes \*/7'
expect 200 $url/static/large.bin; same "$folder/static/large.bin"
expect 206 -r 1000000- $url/static/large.bin
tail -c 2000000 "$folder/static/large.bin" | cmp -s - "$folder/body" || fail 'the end of a file'
for path in /static/../a /static/%2e%2e/data /static/..%2fdata /static//etc/passwd /static/.hidden; do
    got=$(curl -s -o "$folder/body" -w '%{http_code}' --path-as-is --max-time 5 "$url$path")
    case $got in 40[034]) ;; *) fail "$path: $got" ;; esac
done

# Twenty requests over one connection, and half a hundred at once.
set --
for i in 1 2 3 4 5 6 7 8 9 10; do set -- "$@" $url/bytes/$i $url/chunked/$i; done
opened=$(curl -s -o /dev/null -w '%{num_connects}\n' --max-time 5 "$@" | awk '{ n += $1 } END { print n }')
[ "$opened" = 1 ] || fail "keep-alive: $opened connections"
seq 50 | xargs -P 50 -I{} curl -s --max-time 10 -o /dev/null -w '%{http_code}\n' "$url/slow?seconds=0.2&{}" |
    grep -vq 200 && fail 'fifty at once'
stop_server
