#!/bin/sh
# build/tests/conformance_server, with little of everything, and clients that want all of it: they get what they
# deserve, an honest one is served meanwhile, and neither memory nor the log grows.
[ "${1:-}" != --needs ] || {
    command -v python3 > /dev/null || { echo python3; exit 1; }
    [ -e /proc/self/statm ] || { echo /proc; exit 1; }
    exit 0
}
. "$(dirname "$0")/server.inc"

start_server sh -c 'ulimit -n 48; exec build/tests/conformance_server "$@" 2> "$0"' "$folder/log" \
    --header-timeout=0.8 --body-timeout=0.8 --idle-timeout=0.8 --write-timeout=0.8 --max-connections=30
python3 - "$port" "$pid" <<'PYTHON' || fail "conformance_server: $(head -n 20 "$folder/log")"
import os, select, socket, struct, sys, time
port, pid = int(sys.argv[1]), int(sys.argv[2])

def connect(receive=None):
    s = socket.socket()
    s.settimeout(10)
    if receive:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    s.connect(("127.0.0.1", port))
    return s

def answer(s):
    data = b""
    try:
        while True:
            part = s.recv(65536)
            if not part:
                return data
            data += part
    except ConnectionError:
        return data

def status(s):
    return int(answer(s)[9:12] or 0)

def honest():
    with connect() as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        data = answer(s)
        assert data.startswith(b"HTTP/1.1 200 OK\r\n") and data.endswith(b"Hello, World!"), data

def resident():
    return int(open("/proc/%d/statm" % pid).read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def processor():
    fields = open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

honest()

# One that stops sending is not one that has left.
for path in b"/", b"/slow?seconds=0.2", b"/fetch?url=http://127.0.0.1:%d/slow%%3Fseconds=0.2" % port:
    with connect() as s:
        s.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        s.shutdown(socket.SHUT_WR)
        data = answer(s)
        assert data.startswith(b"HTTP/1.1 200 OK\r\n") and not data.endswith(b"\r\n\r\n"), (path, data)

before = resident()

# Slow ones, each with its end.
slow = [
    (b"GET / HTTP/1.1\r\nHost: ", b"a", 408),
    (b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", b"a", 408),
    (b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", b"a", 408),
    (b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", 408),
]
clients = [connect() for _ in slow]
reader = connect(1)
reader.sendall(b"GET /bytes/100000000 HTTP/1.1\r\nHost: a\r\n\r\n")
for s, (first, drip, wanted) in zip(clients, slow):
    s.sendall(first)
for _ in range(300):
    for s, (first, drip, wanted) in zip(clients, slow):
        if not select.select([s], [], [], 0)[0]:
            s.send(drip)
    honest()
    time.sleep(0.01)
for s, (first, drip, wanted) in zip(clients, slow):
    got = status(s)
    assert got == wanted, (first, got)
    s.close()
assert len(answer(reader)) < 50000000
reader.close()

# More than there are places and descriptors.
cpu, start = processor(), time.monotonic()
hoard = []
for i in range(90):
    s = connect()
    s.sendall([b"", b"GET / HTTP/1.1\r\nHo", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"][i % 3])
    hoard.append(s)
for _ in range(20):
    honest()
time.sleep(0.5)
spent, elapsed = processor() - cpu, time.monotonic() - start
assert spent < 0.3 * elapsed, "%g s of %g on the processor" % (spent, elapsed)
for s in hoard:
    s.close()

# Bad ones, and those that go at once, by a reset.
for i in range(5000):
    s = connect()
    s.sendall([b"garbage\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
               b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
               b"GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"][i % 4])
    if i % 2:
        assert status(s) in (400, 404)
    else:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
honest()
assert resident() - before < 8 << 20, resident() - before
PYTHON
stop_server
size=$(wc -c < "$folder/log")
[ "$size" -lt 20000 ] || fail "$size bytes of log"
