#!/bin/sh
# build/tests/conformance_client and the fetch example with servers of other people: nginx, h2o, lighttpd, Tornado,
# Python's http.server; and through a proxy, tinyproxy. Those that are not installed are skipped by name.
. "$(dirname "$0")/../python.inc"
has() { PATH=$PATH:/usr/sbin command -v $1 > /dev/null; }
[ "${1:-}" != --needs ] || {
    has nginx || { echo nginx; exit 1; }
    [ -n "$(python_with http.server)" ] || { echo python3; exit 1; }
    exit 0
}
. "$(dirname "$0")/server.inc"
PATH=$PATH:/usr/sbin
client=build/tests/conformance_client
fetch=build/examples/fetch

# What was started, to be ended.
pids=
stop_pids() { for each in $pids $pid; do kill $each 2> /dev/null || :; done; wait; pids= pid=; }
trap 'stop_pids; rm -rf "$folder"' EXIT
free_port() { "$(python_with socket)" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
wait_for() { # PORT: until somebody listens there
    for i in $(seq 100); do
        ! "$(python_with socket)" -c "import socket; socket.create_connection(('127.0.0.1', $1), 1)" 2> /dev/null || return 0
        sleep 0.1
    done
    fail "nobody listens on $1"
}

# get WHAT ARGS...: fetches, and sets $line. is WHAT FIELD WANTED: of that line.
get() { line=$(timeout 60 $client --details "$@") || fail "$name: conformance_client $*: status $?"; }
field() { printf '%s' "$line" | sed -n 's/.*"'$1'":\("\([^"]*\)"\|\([^",}]*\)\)[,}].*/\2\3/p'; }
is() { [ "$(field $1)" = "$2" ] || fail "$name: $1 is not $2: $line"; }
body_is() { is body_hex "$(printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n')"; is error null; }
sum() { sha1sum "$1" | cut -d ' ' -f 1; }
file_is() { is error null; is code 200; is length "$(wc -c < "$1" | tr -d ' ')"; is body_sha1 "$(sum "$1")"; }
fails() { is error "$1"; }

site=$folder/site
mkdir -p "$site/folder"
chmod 755 "$folder" "$site" # servers are somebody else
printf 'Hello, world' > "$site/plain"
printf 'an index' > "$site/folder/index.html"
: > "$site/empty"
head -c 100000000 /dev/urandom > "$site/large"
head -c 70000 /dev/urandom > "$site/middle"

# A server of files: URL, and whether it keeps connections.
check_files() {
    url=$1 keeps=$2
    get $url/plain && file_is "$site/plain"
    get $url/empty && file_is "$site/empty"
    get $url/middle && file_is "$site/middle"
    get --stream $url/large && file_is "$site/large"
    get $url/large && fails 'too large'
    get --method=HEAD $url/large && is code 200 && is length 0 && is error null
    get $url/nothing && is code 404 && is error null
    get $url/folder && is code 200 && is redirects 1 && is length 8 && is effective_url $url/folder/
    get --no-follow $url/folder && is code 301 && is redirects 0 && is error null
    # Many at a time: each as it should be, over as few connections as there may be.
    timeout 60 $client --details --repeat=400 --concurrency=8 $url/middle > "$folder/lines" || fail "$name: many"
    [ "$(grep -c "\"code\":200.*$(sum "$site/middle").*\"error\":null" "$folder/lines")" = 400 ] || fail "$name: not all of many"
    new=$(grep -c '"reused":false' "$folder/lines")
    if [ $keeps = yes ]; then [ "$new" -le 8 ] || fail "$name: $new connections instead of 8"; fi
    if [ $keeps = no ]; then [ "$new" = 400 ] || fail "$name: only $new connections"; fi
    $fetch -o "$folder/out" $url/large 2> "$folder/err" || fail "$name: fetch: $(cat "$folder/err")"
    cmp -s "$site/large" "$folder/out" || fail "$name: what fetch got is another"
    [ ! -s "$folder/err" ] || fail "$name: fetch says: $(cat "$folder/err")"
    [ "$($fetch $url/plain)" = 'Hello, world' ] || fail "$name: fetch"
    $fetch --head $url/plain | grep -q '^HTTP/1.[01] 200' || fail "$name: fetch --head"
    ! $fetch $url/nothing > /dev/null 2> "$folder/err" || fail "$name: fetch: 404 is no success"
    grep -q ': 404 ' "$folder/err" || fail "$name: fetch of nothing: $(cat "$folder/err")"
}

# nginx: also over IPv6 and a Unix socket, slowly, and what only it can do.
name=nginx
nginx_port=$(free_port)
cat > "$folder/nginx.conf" << END
daemon off;
master_process off;
pid $folder/nginx.pid;
error_log $folder/nginx.log;
events { worker_connections 1000; }
http {
    access_log off;
    default_type text/plain;
    keepalive_requests 1000000;
    client_max_body_size 1000m;
    client_body_temp_path $folder/nginx;
    proxy_temp_path $folder/nginx;
    fastcgi_temp_path $folder/nginx;
    uwsgi_temp_path $folder/nginx;
    scgi_temp_path $folder/nginx;
    server {
        listen 127.0.0.1:$nginx_port;
        listen [::1]:$nginx_port;
        listen unix:$folder/socket;
        root $site;
        location = /old { return 301 /plain; }
        location = /scheme { absolute_redirect off; return 302 //127.0.0.1:$nginx_port/plain; }
        location = /secure { return 302 https://127.0.0.1/; }
        location = /file { return 302 file:///etc/passwd; }
        location = /slow { alias $site/large; limit_rate 100k; }
        location = /progress { alias $site/large; limit_rate 60m; }
        location = /twice { return 200 "\$http_x_twice"; }
        location = /none { return 204; }
        location = /closes { keepalive_timeout 0; return 200 "closed"; }
    }
}
END
nginx -e stderr -p "$folder" -c "$folder/nginx.conf" 2> "$folder/log" & pids="$pids $!"
wait_for $nginx_port
nginx=http://127.0.0.1:$nginx_port
check_files $nginx yes
get http://localhost:$nginx_port/plain && file_is "$site/plain"
if [ -e /proc/net/if_inet6 ]; then
    get "http://[::1]:$nginx_port/middle" && file_is "$site/middle"
    get --family=6 "http://[::1]:$nginx_port/plain" && file_is "$site/plain"
fi
get --family=4 "http://localhost:$nginx_port/plain" && file_is "$site/plain"
get --unix="$folder/socket" http://anything/middle && file_is "$site/middle"
get --interface=127.0.0.2 $nginx/plain && file_is "$site/plain"
get $nginx/old && file_is "$site/plain" && is redirects 1
get $nginx/scheme && file_is "$site/plain" && is effective_url $nginx/plain
get $nginx/secure && fails unsupported
get $nginx/file && [ "$(field error)" != null ] || fail "a redirect to a file: $line"
get --header='Range: bytes=10-19' $nginx/middle && is code 206 && is length 10
get --header="If-None-Match: $($fetch --head $nginx/plain | sed -n 's/^ETag: \(.*\)\r$/\1/p')" $nginx/plain && is code 304 && is length 0
get --body --header='X-Twice: again' $nginx/twice && body_is again
get $nginx/none && is code 204 && is error null
timeout 20 $client --details --repeat=10 $nginx/closes | grep -c '"code":200.*"reused":false' | grep -q '^10$' || fail 'connections that nginx closes'
get --stream --timeout=0.3 $nginx/slow && fails timeout
get --method=TRACE $nginx/plain && is code 405
get --max-body=69999 $nginx/middle && fails 'too large'
get --max-body=70000 $nginx/middle && file_is "$site/middle"
get --max-header=50 $nginx/plain && fails 'too large'
if has script; then # a terminal
    script -qec "$fetch -o $folder/out $nginx/progress" /dev/null > "$folder/tty" < /dev/null || fail 'fetch on a terminal'
    grep -q 'MB of 100.0 MB' "$folder/tty" || fail "no progress on a terminal: $(cat "$folder/tty")"
    cmp -s "$site/large" "$folder/out" || fail 'what fetch got on a terminal is another'
fi

# Others that serve files.
for name in h2o lighttpd; do
    has $name || { echo "skipped: $name is not installed"; continue; }
    other=$(free_port)
    case $name in
    h2o)
        { [ "$(id -u)" != 0 ] || echo "user: $(id -un)"
          echo "listen: { host: 127.0.0.1, port: $other }"
          echo "hosts: { default: { paths: { \"/\": { file.dir: $site } } } }"; } > "$folder/h2o.conf"
        h2o -c "$folder/h2o.conf" > "$folder/log" 2>&1 & pids="$pids $!" ;;
    lighttpd)
        printf '%s\n' 'server.bind = "127.0.0.1"' "server.port = $other" "server.document-root = \"$site\"" \
            'index-file.names = ( "index.html" )' 'mimetype.assign = ( "" => "text/plain" )' \
            'server.max-keep-alive-requests = 1000' > "$folder/lighttpd.conf"
        lighttpd -D -f "$folder/lighttpd.conf" > "$folder/log" 2>&1 & pids="$pids $!" ;;
    esac
    wait_for $other
    check_files http://127.0.0.1:$other yes
done
name=http.server
other=$(free_port)
"$(python_with http.server)" -m http.server --bind 127.0.0.1 --directory "$site" $other > "$folder/log" 2>&1 & pids="$pids $!"
wait_for $other
check_files http://127.0.0.1:$other no

# Tornado: all but files.
name=Tornado
if [ -n "$(python_with tornado)" ]; then
    start_server "$(python_with tornado)" tests/interop/tornado_server.py 2> "$folder/log"
    tornado=http://127.0.0.1:$port
    get --body $tornado/ && body_is 'Hello, World!'
    get --body --data='a body' $tornado/echo && body_is 'a body'
    get --body --data='expected' --expect-continue $tornado/echo && body_is expected
    for method in GET DELETE OPTIONS OTHER; do get --body --method=$method $tornado/method && body_is $method; done
    for method in POST PUT PATCH; do get --body --data= --method=$method $tornado/method && body_is $method; done
    get $tornado/chunked/1000 && is length 5000 && is body_sha1 "$(for i in $(seq 0 999); do printf '%05d' $i; done | sha1sum | cut -d ' ' -f 1)"
    get --body --data-size=50000000 $tornado/upload && body_is 50000000
    get --body $tornado/redirect/5 && body_is 'Hello, World!' && is redirects 5
    get $tornado/redirect/6 && fails 'too many redirects' && is code 302
    get --max-redirects=7 $tornado/redirect/6 && is code 200
    get $tornado/loop && fails 'too many redirects'
    for status in 301 302 303; do get --body --data=x "$tornado/redirect/1?status=$status" && body_is GET; done
    for status in 307 308; do get --body --data=x "$tornado/redirect/1?status=$status" && body_is POST; done
    get $tornado/status/204 && is code 204 && is length 0 && is error null
    get $tornado/status/304 && is code 304 && is error null
    get "$tornado/status/503?reason=Not+today" && is code 503 && is reason 'Not today'
    get --body --auth=me:secret:word $tornado/auth && body_is me:secret:word
    get --body "http://you:p%40ss@127.0.0.1:$port/auth" && body_is you:p@ss && is effective_url $tornado/auth
    get $tornado/auth && is code 401
    get --timeout=0.3 "$tornado/slow?seconds=5" && fails timeout
    get --body --timeout=5 "$tornado/slow?seconds=0.3" && body_is slept
    get $tornado/cut && fails closed && is code 200
    get --body --header='X-One: 1' --header='X-Two: a, b' $tornado/headers
    body_is "Host: 127.0.0.1:$port|User-Agent: ioloop|X-One: 1|X-Two: a, b"
    [ "$($fetch --data='from fetch' $tornado/echo)" = 'from fetch' ] || fail 'fetch --data'
    [ "$($fetch --data=@"$site/large" $tornado/upload)" = 100000000 ] || fail 'fetch --data=@FILE'
    timeout 60 $client --repeat=2000 --concurrency=50 $tornado/ | grep -c '"code":200.*"error":null' | grep -q '^2000$' || fail 'many at a time'
    stop_server
else
    echo 'skipped: python3-tornado is not installed'
fi

# Where nobody is, and what nobody can do.
name=nobody
get http://127.0.0.1:$(free_port)/ && fails refused
get --unix="$folder/nothing" http://a/ && [ "$(field error)" != null ] || fail "no socket: $line"
get http://no-such-host.invalid/ && fails resolve
get ftp://127.0.0.1/ && fails unsupported
get https://127.0.0.1/ && fails unsupported
get 'http://a b/' && fails invalid
get --connect-timeout=0.5 --timeout=3 http://192.0.2.1/
case $(field error) in timeout | unreachable | refused) ;; *) fail "an address where nobody is: $line" ;; esac

# Through a proxy: plainly, by CONNECT, and with a password.
if has tinyproxy; then
    name=tinyproxy
    proxy_port=$(free_port) locked=$(free_port)
    for each in "$proxy_port" "$locked"; do
        printf '%s\n' "Port $each" 'Listen 127.0.0.1' 'Timeout 60' 'Allow 127.0.0.1' 'MaxClients 100' \
            "LogFile \"$folder/tinyproxy$each.log\"" 'LogLevel Connect' "PidFile \"$folder/tinyproxy$each.pid\"" > "$folder/tinyproxy$each"
        [ $each = $proxy_port ] || echo 'BasicAuth me secret' >> "$folder/tinyproxy$each"
        tinyproxy -d -c "$folder/tinyproxy$each" > /dev/null 2> "$folder/log" & pids="$pids $!"
        wait_for $each
    done
    proxy=127.0.0.1:$proxy_port
    for way in --no-tunnel --tunnel; do
        get $way --proxy=$proxy $nginx/middle && file_is "$site/middle"
        get $way --stream --proxy=$proxy $nginx/large && file_is "$site/large"
        get $way --proxy=$proxy $nginx/folder && is redirects 1 && is length 8
        get $way --proxy=$proxy $nginx/nothing && is code 404
        get $way --proxy=$proxy --method=HEAD $nginx/middle && is code 200 && is length 0
        get $way --proxy=127.0.0.1:$locked --proxy-auth=me:secret $nginx/middle && file_is "$site/middle"
        get $way --proxy=127.0.0.1:$locked --proxy-auth=me:wrong $nginx/middle
        case $(field code)$(field error) in 401null | 407null | 0refused) ;; *) fail "a wrong password: $line" ;; esac
        get $way --proxy=127.0.0.1:$(free_port) $nginx/middle && fails refused
        timeout 60 $client $way --proxy=$proxy --repeat=100 --concurrency=4 $nginx/middle > "$folder/lines" || fail "$name: many"
        [ "$(grep -c "\"code\":200.*$(sum "$site/middle").*\"error\":null" "$folder/lines")" = 100 ] || fail "$name: not all of many"
    done
    grep -q "CONNECT 127.0.0.1:$nginx_port HTTP/1.1" "$folder/tinyproxy$proxy_port.log" || fail 'no tunnel was asked for'
    grep -q "GET http://127.0.0.1:$nginx_port/middle HTTP/1.1" "$folder/tinyproxy$proxy_port.log" || fail 'nothing was asked for without a tunnel'
else
    echo 'skipped: tinyproxy is not installed'
fi

# Our server as a client of nginx: /fetch relays. First the line that outside suites read, to the letter.
name=relay
start_server build/tests/conformance_server
line=$($client --timeout=5 http://127.0.0.1:$port/ --repeat=2)
wanted="{\"code\":200,\"reason\":\"OK\",\"length\":13,\"body_sha1\":\"0a0a9f2a6772942557ab5355d76af442f8f65e01\",\"effective_url\":\"http://127.0.0.1:$port/\",\"error\":null}"
[ "$line" = "$wanted
$wanted" ] || fail "the line: $line"
line=$($client http://127.0.0.1:$port/bytes/3 --body)
case $line in *'"error":null,"body_hex":"787878"}') ;; *) fail "the line with a body: $line" ;; esac
# In the order of the requests, whatever that of the answers.
timeout 20 $client --repeat=40 --concurrency=8 --details http://127.0.0.1:$port/bytes/100 | grep -c '"length":100' | grep -q '^40$' || fail 'forty'
! $client --what http://127.0.0.1:$port/ 2> /dev/null || fail 'an option that is none'
relay="http://127.0.0.1:$port/fetch?url"
status() { curl -s -o /dev/null -w '%{http_code}' --max-time 10 "$1"; }
answers() { [ "$(status "$1")" = $2 ] || fail "relay: $1 is not $2"; }
if has curl; then
    curl -s --max-time 30 "$relay=$nginx/large" | cmp -s "$site/large" - || fail 'what is relayed is another'
    curl -s --max-time 30 --limit-rate 40M "$relay=$nginx/large" | cmp -s "$site/large" - || fail 'what is relayed slowly is another'
    curl -si --max-time 10 "$relay=$nginx/plain" | grep -qi '^content-type: text/plain' || fail 'headers are not relayed'
    answers "$relay=$nginx/nothing" 404
    answers "$relay=http://127.0.0.1:$(free_port)/" 502
    answers "$relay=file:///etc/passwd" 400
    answers "http://127.0.0.1:$port/fetch" 400
    answers "$relay=http://127.0.0.1:$port/slow%3Fseconds=5&timeout=0.2" 504
    curl -s --max-time 0.5 -o /dev/null "$relay=http://127.0.0.1:$port/slow%3Fseconds=5" && fail 'slow is not slow'
    curl -s --max-time 0.5 -o /dev/null "$relay=$nginx/slow" && fail 'slow is not slow'
    answers "$relay=$nginx/plain" 200
fi
stop_server
stop_pids
