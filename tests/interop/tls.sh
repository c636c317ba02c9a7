#!/bin/sh
# https over the OpenSSL of docs/examples/tls_openssl.c: against itself, curl and the openssl tool. Who cannot be trusted
# is refused.
[ "${1:-}" != --needs ] || {
    for tool in curl openssl; do command -v $tool > /dev/null || { echo $tool; exit 1; }; done
    pkg-config --exists openssl 2> /dev/null || { echo libssl-dev; exit 1; }
    exit 0
}
. "$(dirname "$0")/server.inc"
tls=build/examples/tls_openssl
proxy_pid=
trap 'kill -KILL $pid $proxy_pid 2> /dev/null || :; rm -rf "$folder"' EXIT

# A CA of our own and what it has signed: certificate NAME "subjectAltName" DAYS [CA]. DAYS below 0: it has expired.
authority() {
    openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=$1" -keyout "$folder/$1.key" -out "$folder/$1.pem" \
        > "$folder/log" 2>&1 || fail "openssl: $(cat "$folder/log")"
}
certificate() {
    {
        openssl req -newkey rsa:2048 -nodes -subj "/CN=$1" -keyout "$folder/$1.key" -out "$folder/$1.csr"
        echo "subjectAltName=$2" > "$folder/names"
        mkdir -p "$folder/signed" && : > "$folder/signed/index" && openssl rand -hex 8 > "$folder/signed/serial"
        printf '%s\n' '[ca]' 'default_ca=ca' '[ca]' "database=$folder/signed/index" "serial=$folder/signed/serial" \
            "new_certs_dir=$folder/signed" 'default_md=sha256' 'policy=policy' '[policy]' 'commonName=supplied' \
            > "$folder/ca.conf"
        openssl ca -batch -config "$folder/ca.conf" -cert "$folder/${4:-ca}.pem" -keyfile "$folder/${4:-ca}.key" \
            -startdate "$3" -enddate "$5" -notext -extfile "$folder/names" -in "$folder/$1.csr" -out "$folder/$1.pem"
    } > "$folder/log" 2>&1 || fail "openssl: $(cat "$folder/log")"
}
authority ca
authority stranger
certificate good DNS:localhost,IP:127.0.0.1 20200101000000Z ca 20991231000000Z
certificate elsewhere DNS:example.org 20200101000000Z ca 20991231000000Z
certificate expired DNS:localhost,IP:127.0.0.1 20200101000000Z ca 20200102000000Z
certificate unsigned DNS:localhost,IP:127.0.0.1 20200101000000Z stranger 20991231000000Z

head -c 20000000 /dev/urandom > "$folder/large"
serve_with() { start_server $tls --cert="$folder/$1.pem" --key="$folder/$1.key" --root="$folder"; }
fetch() {  timeout 20 $tls --ca="$folder/ca.pem" "$@"; }
refuses() {
    ! fetch "https://$1:$port/" > "$folder/out" 2> "$folder/err" || fail "$2 was trusted"
    [ ! -s "$folder/out" ] || fail "$2 was read: $(cat "$folder/out")"
    grep -q "$3" "$folder/err" || fail "$2 was refused because of: $(cat "$folder/err")"
}
start_proxy() {
    proxy_port=$(openssl rand -hex 2) && proxy_port=$((20000 + 0x$proxy_port % 12000)) # below those that the kernel gives
    printf '%s\n' "Port $proxy_port" 'Listen 127.0.0.1' 'Allow 127.0.0.1' "LogFile \"$folder/tinyproxy.log\"" 'LogLevel Connect' \
        "PidFile \"$folder/tinyproxy.pid\"" > "$folder/tinyproxy.conf"
    tinyproxy -d -c "$folder/tinyproxy.conf" > /dev/null 2> "$folder/log" & proxy_pid=$!
    for i in $(seq 50); do ! curl -s -o /dev/null http://127.0.0.1:$proxy_port/ || return 0; sleep 0.1; done
    fail "tinyproxy: $(cat "$folder/log")"
}
is() { [ "$2" = "$3" ] || fail "$1: $2 instead of $3"; }

# Ourselves with ourselves.
serve_with good
for host in localhost 127.0.0.1; do
    is "a page of $host" "$(fetch https://$host:$port/ 2> "$folder/err")" 'Hello over https'
done
grep -q ': 200 OK$' "$folder/err" || fail "a page: $(cat "$folder/err")"
url=https://localhost:$port
fetch $url/ $url/ $url/upload $url/ > "$folder/out" 2> "$folder/err" && fail '405 counts as success'
is 'kept connections' "$(grep -c 'the connection was there$' "$folder/err")" 3
fetch $url/files/large > "$folder/out" 2> "$folder/err" || fail "a large file: $(cat "$folder/err")"
cmp -s "$folder/large" "$folder/out" || fail 'a large file is another'
is 'a large upload' "$(fetch --send="$folder/large" $url/upload 2> /dev/null)" '20000000 bytes'
fetch --ca="$folder/stranger.pem" $url/ > /dev/null 2> "$folder/err" && fail 'a CA that is not ours was trusted'
grep -q 'unable to get local issuer\|self.signed' "$folder/err" || fail "an unknown CA: $(cat "$folder/err")"

# curl with ours.
ask() { curl -s --max-time 20 --cacert "$folder/ca.pem" "$@" || fail "curl $*: status $?"; }
is 'curl' "$(ask $url/)" 'Hello over https'
is 'curl, twice' "$(ask $url/ $url/ -w '%{num_connects} ' | tr -d '\n')" 'Hello over https1 Hello over https0 '
is 'curl, TLS 1.2' "$(ask --tls-max 1.2 $url/)" 'Hello over https'
ask $url/files/large -o "$folder/out"
cmp -s "$folder/large" "$folder/out" || fail 'what curl got is another'
ask --limit-rate 20M -H 'Connection: close' $url/files/large -o "$folder/out"
cmp -s "$folder/large" "$folder/out" || fail 'what a slow curl got is another'
is 'what curl sends' "$(ask -T "$folder/large" -X POST $url/upload)" '20000000 bytes'
is 'in chunks' "$(ask -T - -X POST $url/upload < "$folder/large")" '20000000 bytes'
for i in 1 2 3 4 5 6 7 8; do ask $url/files/large -o "$folder/out$i" & pids="${pids:-} $!"; done
for each in $pids; do wait "$each" || fail 'eight at once'; done
for i in 1 2 3 4 5 6 7 8; do cmp -s "$folder/large" "$folder/out$i" || fail "one of eight at once is another"; done

# Those who do not speak TLS, and those who leave in the middle of it, are not served, and stop nobody.
curl -s --max-time 5 "http://localhost:$port/" > "$folder/out" && fail 'plain HTTP was answered'
printf 'GET / HTTP/1.0\r\n\r\n' | timeout 5 openssl s_client -quiet -connect localhost:$port -CAfile "$folder/ca.pem" \
    > "$folder/out" 2> /dev/null || fail 's_client'
grep -q 'Hello over https' "$folder/out" || fail 's_client was not answered'
timeout 1 openssl s_client -connect localhost:$port > /dev/null 2>&1 < /dev/null || :
is 'after all' "$(ask $url/)" 'Hello over https'
stop_server

# Who cannot be trusted.
serve_with elsewhere
refuses localhost 'another host' 'hostname mismatch'
refuses 127.0.0.1 'another address' 'IP address mismatch'
stop_server
serve_with expired
refuses localhost 'an expired certificate' 'has expired'
stop_server
serve_with unsigned
refuses localhost 'a certificate of somebody else' 'unable to get local issuer\|self.signed'
stop_server

# Through a proxy, which sees nothing of it.
if command -v tinyproxy > /dev/null; then
    serve_with good
    start_proxy
    is 'through a proxy' "$(fetch --proxy=127.0.0.1 --proxy-port=$proxy_port https://localhost:$port/ 2> "$folder/err")" 'Hello over https'
    fetch --proxy=127.0.0.1 --proxy-port=$proxy_port https://localhost:$port/files/large > "$folder/out" 2> "$folder/err" ||
        fail "a large file through a proxy: $(cat "$folder/err")"
    cmp -s "$folder/large" "$folder/out" || fail 'a large file through a proxy is another'
    grep -q "CONNECT localhost:$port HTTP/1.1" "$folder/tinyproxy.log" || fail 'the proxy was not asked'
    stop_server
    serve_with elsewhere
    ! fetch --proxy=127.0.0.1 --proxy-port=$proxy_port https://localhost:$port/ 2> "$folder/err" || fail 'another host was trusted through a proxy'
    grep -q 'hostname mismatch' "$folder/err" || fail "through a proxy: $(cat "$folder/err")"
    kill $proxy_pid
    proxy_pid=
    stop_server
else
    echo 'skipped: tinyproxy is not installed'
fi

# Ours with the server of the openssl tool, whose answer ends with the connection.
cd "$folder"
openssl s_server -accept 127.0.0.1:0 -cert good.pem -key good.key -www > s_server.log 2>&1 & pid=$!
cd - > /dev/null
for i in $(seq 50); do
    port=$(sed -n 's/^ACCEPT .*:\([0-9]*\)$/\1/p' "$folder/s_server.log")
    [ -z "$port" ] || break
    sleep 0.1
done
[ -n "$port" ] || fail "s_server: $(cat "$folder/s_server.log")"
fetch "https://localhost:$port/" 2> "$folder/err" | grep -q 'Protocol' || fail "s_server: $(cat "$folder/err")"
kill $pid && wait $pid || :
pid=

# Whoever sits between can cut a connection, but cannot say goodbye in the server's name: only what was ended by that is
# whole.
if command -v python3 > /dev/null; then
    cat > "$folder/server.py" << 'END'
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(8)
print(listener.getsockname()[1], flush=True)
for how in ("goodbye", "cut", "garbage"):
    plain, _ = listener.accept()
    tls = context.wrap_socket(plain, server_side=True)
    tls.recv(10000)
    tls.send(b"HTTP/1.0 200 OK\r\n\r\nall of it")
    if how == "goodbye":
        plain = tls.unwrap()
    else:
        plain = socket.socket(fileno=tls.detach())
        if how == "garbage":
            plain.send(b"\x17\x03\x03\x00\x20" + 32 * b"x")
    plain.close()
END
    mkfifo "$folder/ready"
    python3 "$folder/server.py" "$folder/good.pem" "$folder/good.key" > "$folder/ready" & pid=$!
    read -r port < "$folder/ready"
    is 'ended by a goodbye' "$(fetch https://localhost:$port/ 2> "$folder/err")" 'all of it'
    ! fetch https://localhost:$port/ > /dev/null 2> "$folder/err" || fail 'what was cut is taken for whole'
    grep -q 'closed\|reset' "$folder/err" || fail "what was cut: $(cat "$folder/err")"
    ! fetch https://localhost:$port/ > /dev/null 2> "$folder/err" || fail 'what was forged is taken for whole'
    wait $pid || fail "server.py: status $?"
    pid=
else
    echo 'skipped: python3 is not installed'
fi
