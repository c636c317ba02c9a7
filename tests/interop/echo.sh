#!/bin/sh
# Both echo servers against a client of Python's sockets: what goes in comes out, also for many at once, for one that
# sends all before it reads, and for one that half-closes.
[ "${1:-}" != --needs ] || { command -v python3 > /dev/null || { echo python3; exit 1; }; exit 0; }
. "$(dirname "$0")/server.inc"

for server in echo_server tcp_echo; do
    start_server build/examples/$server
    python3 - "$port" <<'PYTHON' || fail "$server"
import os, socket, sys, threading
port = int(sys.argv[1])

def receive(s, n):
    data = b""
    while len(data) < n:
        part = s.recv(65536)
        if not part:
            raise SystemExit("closed after %d of %d bytes" % (len(data), n))
        data += part
    return data

many = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(100)]
for turn in range(3):
    for i, s in enumerate(many):
        s.sendall(b"%d-%d\n" % (turn, i))
    for i, s in enumerate(many):
        wanted = b"%d-%d\n" % (turn, i)
        assert receive(s, len(wanted)) == wanted
for s in many:
    s.close()

s = socket.create_connection(("127.0.0.1", port), 5)
message = os.urandom(8 << 20)
def send_all():
    s.sendall(message)
    s.shutdown(socket.SHUT_WR)
sender = threading.Thread(target=send_all)
sender.start()
assert receive(s, len(message)) == message
sender.join()
assert s.recv(1) == b"", "closed once all was echoed"

s = socket.create_connection(("127.0.0.1", port), 5)
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
s.sendall(b"x" * 100000)
s.close()  # a reset
s = socket.create_connection(("127.0.0.1", port), 5)
s.sendall(b"still there?")
assert receive(s, 12) == b"still there?"
PYTHON
    stop_server
done
