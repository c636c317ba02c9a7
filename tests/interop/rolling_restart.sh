#!/bin/sh
# build/examples/rolling_restart under load on kept and on new connections: three generations take over, one cannot, and
# no request fails. Clients try nothing twice.
[ "${1:-}" != --needs ] || { command -v python3 > /dev/null || { echo python3; exit 1; }; exit 0; }
. "$(dirname "$0")/server.inc"
trap '[ -z "$pid" ] || { kill -TERM $pid; sleep 2; kill -KILL $pid; } 2> /dev/null; rm -rf "$folder"' EXIT

cp build/examples/rolling_restart "$folder/server"
start_server "$folder/server" 2> "$folder/log"
python3 - "$port" "$pid" "$folder" <<'PYTHON' || fail "rolling_restart: $(cat "$folder/log")"
import os, re, signal, socket, sys, threading, time
port, first, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
lock, answered, served_by, failed, ended = threading.Lock(), [0, 0], {}, [], False

def wait_for(what, wanted):
    limit = time.monotonic() + 10
    while not wanted():
        assert not failed, failed[0]
        assert time.monotonic() < limit, what
        time.sleep(0.01)

def log_has(text, times):
    return lambda: open(folder + "/log").read().count(text) == times

def read_answer(s):
    data = b""
    while b"\r\n\r\n" not in data or not data.endswith(b"\n"):
        part = s.recv(65536)
        assert part, "cut: %r" % data
        data += part
    process = re.fullmatch(rb"HTTP/1.1 200 OK\r\n.*\r\n\r\nserved by (\d+)\n", data, re.S)
    assert process, data
    return int(process[1]), b"\r\nConnection: close\r\n" in data

# A connection each time, or one for as long as the server likes.
def load(is_kept):
    try:
        while not ended:
            with socket.create_connection(("127.0.0.1", port), 10) as s:
                closes = False
                while not closes and not ended:
                    s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    process, closes = read_answer(s)
                    with lock:
                        answered[is_kept] += 1
                        served_by[process] = time.monotonic()
                    closes = closes or not is_kept
    except (OSError, AssertionError) as error:
        failed.append("%s: %r" % ("kept" if is_kept else "new", error))

def replace_by(path):
    os.rename(path, folder + "/server")
    os.kill(first, signal.SIGHUP)

wait_for("the first generation", log_has(" serves\n", 1))
threads = [threading.Thread(target=load, args=(i % 2,), daemon=True) for i in range(8)]
for t in threads:
    t.start()
for restart in range(1, 4):
    before = list(answered)
    wait_for("answers", lambda: answered[0] > before[0] + 200 and answered[1] > before[1] + 200)
    # A request that began before is finished by whom it began with.
    begun = socket.create_connection(("127.0.0.1", port), 10)
    begun.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    process, _ = read_answer(begun)
    begun.sendall(b"GET / HTTP/1.1\r\n")
    if restart == 2: # what cannot serve changes nothing
        open(folder + "/broken", "w").write("#!/bin/sh\nexit 3\n")
        os.chmod(folder + "/broken", 0o755)
        os.link(folder + "/server", folder + "/whole")
        replace_by(folder + "/broken")
        wait_for("the broken one", log_has(" ended with 3\n", 1))
        replace_by(folder + "/whole")
    else:
        os.kill(first, signal.SIGHUP)
    wait_for("generation %d" % (restart + 1), log_has(" serves\n", restart + 1))
    since = time.monotonic()
    wait_for("others", lambda: time.monotonic() > since + 1.2)
    begun.sendall(b"Host: a\r\n\r\n")
    assert read_answer(begun) == (process, True)
    begun.close()
    wait_for("the end of the one before", log_has(" ended with 0\n", restart))
    old = {process for process in served_by if served_by[process] < since + 1.1}
    wait_for("new processes", lambda: max(served_by.values()) > since + 1.3)
    assert old and all(served_by[process] < since + 1.2 for process in old), (old, served_by)
ended = True
for t in threads:
    t.join(10)
    assert not t.is_alive()
assert not failed, failed[0]
assert len(served_by) in range(4, 9), served_by
PYTHON
stop_server
[ "$(grep -c ' ended with 0$' "$folder/log")" = 4 ] || fail "the log: $(cat "$folder/log")"
