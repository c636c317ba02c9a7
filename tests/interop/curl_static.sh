#!/bin/sh
# curl and sha256sum against build/examples/static_site: files whole, in parts, compressed, and only those of the site.
[ "${1:-}" != --needs ] || { command -v curl > /dev/null || { echo curl; exit 1; }; exit 0; }
. "$(dirname "$0")/server.inc"

expect() { # expect STATUS ARGUMENTS...
    wanted=$1; shift
    got=$(curl -s --path-as-is -o "$folder/body" -D "$folder/head" -w '%{http_code}' --max-time 10 "$@") ||
        fail "curl $*: status $?"
    [ "$got" = "$wanted" ] || fail "curl $*: $got instead of $wanted"
}

same() { cmp -s "$folder/body" "$1" || fail "$1 came otherwise"; }
says() { grep -qi "^$1" "$folder/head" || fail "no header \"$1\" in: $(cat "$folder/head")"; }

site=$folder/site
mkdir -p "$site/sub"
echo secret > "$folder/secret"
echo '<h1>site</h1>' > "$site/index.html"
echo '<h1>sub</h1>' > "$site/sub/index.html"
head -c 20000000 /dev/urandom > "$site/large.bin"
head -c 30000 /dev/zero | tr '\0' 'x' > "$site/style.css"
gzip -k "$site/style.css"
ln -s ../secret "$site/link"
start_server build/examples/static_site --root="$site"
url=http://127.0.0.1:$port

expect 200 $url/
same "$site/index.html"
says 'Content-Type: text/html'
expect 301 $url/sub
says 'Location: /sub/'
expect 200 -L $url/sub
same "$site/sub/index.html"
expect 200 $url/large.bin
same "$site/large.bin"
says 'Content-Length: 20000000'
expect 200 -I $url/large.bin
says 'Content-Length: 20000000'

# Parts, as a download that was broken off asks for them.
head -c 7000000 "$site/large.bin" > "$folder/part"
curl -s -C - -o "$folder/part" --max-time 10 $url/large.bin || fail "a download does not go on"
cmp -s "$folder/part" "$site/large.bin" || fail "a download went on with something else"
expect 206 -r 0-0 $url/large.bin
[ "$(wc -c < "$folder/body")" -eq 1 ] || fail "a range of one byte"
expect 416 -r 20000000- $url/large.bin

# Conditions.
tag=$(sed -n 's/^[Ee][Tt]ag: \(.*\)\r$/\1/p' "$folder/head")
[ -n "$tag" ] || fail "no tag"
expect 304 -H "If-None-Match: $tag" $url/large.bin
expect 304 -z "$site/index.html" $url/index.html

# Codings.
expect 200 --compressed $url/style.css
same "$site/style.css"
expect 200 -H 'Accept-Encoding: gzip' $url/style.css
same "$site/style.css.gz"
says 'Content-Encoding: gzip'
expect 200 $url/style.css
same "$site/style.css"
says 'Vary: Accept-Encoding'

# Nothing else.
for path in /../secret /%2e%2e/secret /..%2fsecret /link //etc/passwd /.hidden '/..%5csecret'; do
    expect 403 "$url$path"
    ! grep -q secret "$folder/body" || fail "$path was served"
done
expect 404 $url/nothing
expect 405 -X DELETE $url/
stop_server
