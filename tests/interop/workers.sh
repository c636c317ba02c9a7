#!/bin/sh
# build/examples/hello with four processes under load: some are killed, then all are told to end. Clients lose no more
# than the requests that a killed process had, and no answer is cut. While processes finish what they have, new clients
# are refused.
[ "${1:-}" != --needs ] || {
    command -v python3 > /dev/null || { echo python3; exit 1; }
    [ -e /proc/self/stat ] || { echo /proc; exit 1; }
    exit 0
}
. "$(dirname "$0")/server.inc"

start_server build/examples/hello --processes=4 2> "$folder/log"
python3 - "$port" "$pid" <<'PYTHON' || fail "hello: $(cat "$folder/log")"
import os, signal, socket, sys, threading, time
port, parent = int(sys.argv[1]), int(sys.argv[2])
CLIENTS, KILLS = 8, 8
lock, answered, lost, cut, ended = threading.Lock(), 0, 0, [], False

def workers():
    found = set()
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and int(open("/proc/%s/stat" % name).read().rsplit(")", 1)[1].split()[1]) == parent:
                found.add(int(name))
        except (OSError, IndexError):
            pass
    return found

def wait_for(what, wanted):
    limit = time.monotonic() + 10
    while not wanted():
        assert time.monotonic() < limit, what
        time.sleep(0.005)

def ask(s):
    """One whole answer; False: none began."""
    data = b""
    try:
        s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        while not data.endswith(b"</html>\n"):
            part = s.recv(65536)
            if not part:
                break
            data += part
    except OSError:
        pass
    if data and not (data.startswith(b"HTTP/1.1 200 OK\r\n") and data.endswith(b"</html>\n")):
        cut.append(data)
    return bool(data)

def load(requests):
    global answered, lost
    while True:
        try:
            s = socket.create_connection(("127.0.0.1", port), 10)
        except OSError:
            assert ended, "refused"
            return
        with s:
            for i in range(requests):
                well = ask(s)
                with lock:
                    answered, lost = answered + well, lost + (not well)
                if not well:
                    break

threads = [threading.Thread(target=load, args=(1 + i % 2 * 100,), daemon=True) for i in range(CLIENTS)]
for t in threads:
    t.start()
wait_for("four workers", lambda: len(workers()) == 4)
for i in range(KILLS):
    before = answered
    wait_for("answers", lambda: answered > before + 50)
    victim = sorted(workers())[i % 4]
    os.kill(victim, signal.SIGKILL)
    wait_for("another worker", lambda: len(workers()) == 4 and victim not in workers())
assert lost <= KILLS * CLIENTS, lost
before = answered
wait_for("answers", lambda: answered > before + 50)
ended = True
os.kill(parent, signal.SIGTERM)
for t in threads:
    t.join(10)
    assert not t.is_alive()
assert not cut, cut[0]
PYTHON
status=0
wait $pid || status=$?
pid=
[ $status = 0 ] || fail "it ended with status $status: $(cat "$folder/log")"
[ "$(grep -c 'killed by signal 9, restarting' "$folder/log")" = 8 ] || fail "the log: $(cat "$folder/log")"

# One has a request for some seconds.
start_server build/tests/conformance_server --processes=2 2> "$folder/log"
python3 - "$port" "$pid" <<'PYTHON' || fail "conformance_server: $(cat "$folder/log")"
import os, signal, socket, sys, time
port, parent = int(sys.argv[1]), int(sys.argv[2])
slow = socket.create_connection(("127.0.0.1", port), 10)
slow.sendall(b"GET /slow?seconds=2 HTTP/1.1\r\nHost: a\r\n\r\n")
quick = socket.create_connection(("127.0.0.1", port), 10)
quick.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
while quick.recv(65536): # by now the other has arrived, too
    pass
os.kill(parent, signal.SIGTERM)
limit = time.monotonic() + 1
while True: # until the signal has reached all
    try:
        socket.create_connection(("127.0.0.1", port), 10).close()
    except ConnectionRefusedError:
        break
    assert time.monotonic() < limit, "new clients are taken"
    time.sleep(0.005)
assert slow.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n"), "what was asked before is not answered"
PYTHON
await_server
