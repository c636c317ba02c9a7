"""WebSocket clients that want no good, against build/tests/conformance_server: python3 ws_hostile.py PORT PID.

PID is sent SIGTERM at the end.

The server has --max-message=65536 and --ping-interval=0.4, and a ulimit of 100 descriptors.
"""
import os
import random
import signal
import socket
import struct
import sys
import time

from wsraw import (BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Peer, Wrong, connect, fields_of, frame, open_socket,
                   read_head, request_head, status_of)

port, pid = int(sys.argv[1]), int(sys.argv[2])


def descriptors():
    return len(os.listdir("/proc/%d/fd" % pid))


def resident():
    with open("/proc/%d/statm" % pid) as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def processor():
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def honest(text=b"Hello"):
    with connect(port) as peer:
        peer.send(TEXT, text)
        peer.expect(TEXT, text)
        peer.send_close(1000)
        peer.expect_close(1000)
        peer.expect_end()


def settle(wanted):
    """Until as many descriptors are open as before."""
    for _ in range(200):
        if descriptors() <= wanted:
            return
        time.sleep(0.02)
    raise Wrong("%d descriptors are open instead of %d" % (descriptors(), wanted))


def rst(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


open_before = descriptors()

# Handshakes (E10, E12): what each is answered with; None as a value leaves the field out.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
handshakes = [
    ({}, 101),
    ({"Connection": "keep-alive, Upgrade"}, 101),
    ({"Connection": "upgrade"}, 101),
    ({"Upgrade": "WebSocket"}, 101),
    ({"Sec-WebSocket-Protocol": "b" + " " * 5000 + ", x"}, 101),
    ({"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}, 101),
    ({"Origin": "http://127.0.0.1:%d" % port}, 101),
    ({"Origin": "http://evil"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "http://127.0.0.1:%d.evil" % port}, 403),
    ({"Origin": "http://evil/?http://127.0.0.1:%d" % port}, 403),
    ({"Origin": "http://127.0.0.1:%d@evil" % port}, 403),
    ({"Upgrade": None}, 400),
    ({"Upgrade": ""}, 400),
    ({"Upgrade": "websockets"}, 400),
    ({"Upgrade": "h2c"}, 400),
    ({"Connection": None}, 400),
    ({"Connection": "keep-alive"}, 400),
    ({"Connection": "Upgraded"}, 400),
    ({"Sec-WebSocket-Key": None}, 400),
    ({"Sec-WebSocket-Key": ""}, 400),
    ({"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25j"}, 400),  # 15 bytes
    ({"Sec-WebSocket-Key": KEY + "AAAA"}, 400),
    ({"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=!"}, 400),
    ({"Sec-WebSocket-Key": "*" * 24}, 400),
    ({"Sec-WebSocket-Version": None}, {400, 426}),
    ({"Sec-WebSocket-Version": "8"}, 426),
    ({"Sec-WebSocket-Version": "14"}, 426),
    ({"Sec-WebSocket-Version": "130"}, 426),
    ({"Sec-WebSocket-Version": "x"}, {400, 426}),
]
for fields, wanted in handshakes:
    status, got = status_of(port, fields=fields)
    assert status == wanted or (isinstance(wanted, set) and status in wanted), (fields, status, wanted)
    assert status != 426 or got.get("sec-websocket-version") == "13", got
    assert status != 101 or ("sec-websocket-protocol" not in got and "sec-websocket-extensions" not in got), got
for extensions in (";;,,", "constructor", "permessage-deflate;;", "a=\"", "permessage-deflate; x=" + "y" * 7000,
                   ";" * 7000):
    status, got = status_of(port, fields={"Sec-WebSocket-Extensions": extensions})
    assert status in (101, 400) and "sec-websocket-extensions" not in got, (extensions[:50], status, got)
for protocols in "b" + " " * 7000 + "x", "b" + " " * 50000 + "x", "," * 7000, "a b", "\"", "a,a":
    status, got = status_of(port, fields={"Sec-WebSocket-Protocol": protocols})
    assert status in (101, 400, 431) and "sec-websocket-protocol" not in got, (protocols[:50], status, got)
head = request_head(port, "/ws", {})
twice = head[:-2] + b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
assert status_of(port, head=twice)[0] == 400
post = head.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n")
assert status_of(port, head=post)[0] == 405
assert status_of(port, head=head.replace(b"HTTP/1.1", b"HTTP/1.0"))[0] in (400, 426)
assert status_of(port, path="/nothing")[0] == 404
with open_socket(port) as sock:  # what is refused is HTTP as before
    sock.sendall(request_head(port, "/ws", {"Sec-WebSocket-Version": "7"}))
    lines, rest = read_head(sock)
    while len(rest) < int(fields_of(lines).get("content-length", 0)):
        rest += sock.recv(65536)
    if fields_of(lines).get("connection", "").lower() != "close":
        sock.sendall(head)
        assert read_head(sock)[0][0].startswith("HTTP/1.1 101 ")

# Frames in the segment of the handshake (E13), whole and cut at any byte.
frames = (frame(TEXT, b"one", mask=b"abcd") + frame(BINARY, b"\x00\xff", mask=b"efgh") +
          frame(PING, b"three", mask=b"ijkl"))
for cut in [None] + list(range(1, len(frames))):
    with connect(port, behind=frames[:cut]) as peer:
        if cut is not None:
            peer.send_bytes(frames[cut:])
        peer.expect(TEXT, b"one")
        peer.expect(BINARY, b"\x00\xff")
        peer.expect(PONG, b"three")
whole = head + frames
for pieces in 1, 7:
    with open_socket(port) as sock:
        for i in range(0, len(whole), pieces):
            sock.sendall(whole[i:i + pieces])
        lines, rest = read_head(sock)
        peer = Peer(sock, rest, True)
        peer.expect(TEXT, b"one")
# Frames behind a handshake that is refused are HTTP, and bad (E9).
refused = [({"Origin": "http://evil"}, 403), ({"Sec-WebSocket-Key": None}, 400), ({"Sec-WebSocket-Version": "8"}, 426)]
for fields, wanted in refused:
    with open_socket(port) as sock:
        sock.sendall(request_head(port, "/ws", fields) + frames * 10)
        lines, rest = read_head(sock)
        assert int(lines[0].split()[1]) == wanted, lines
        try:
            while (part := sock.recv(65536)):
                rest += part
        except ConnectionError:
            pass
        assert b"101 Switching" not in rest and rest.count(b"HTTP/1.1 ") <= 1, rest

# The limit is that of what is declared (E2), and of all fragments together.
for size, form, code in (65536, None, None), (65537, None, 1009), (1 << 40, None, 1009):
    with connect(port) as peer:
        if code is None:
            peer.send(BINARY, b"x" * size)
            peer.expect(BINARY, b"x" * size)
            continue
        peer.send(BINARY, b"", declared=size)
        peer.expect_close(code)
        peer.expect_end()
with connect(port) as peer:
    for _ in range(2):
        peer.send(BINARY if _ == 0 else CONTINUATION, b"x" * 32768, fin=False)
    peer.send(CONTINUATION, b"x", fin=True)
    peer.expect_close(1009)

# Fragments without end (E3).
with connect(port) as peer:
    flood = peer.frame(TEXT, b"", fin=False) + peer.frame(CONTINUATION, b"", fin=False) * 200000
    try:
        peer.send_bytes(flood)
    except ConnectionError:
        pass
    else:
        peer.expect_close({1002, 1008, 1009})
honest()

# Pings, and nobody who reads the pongs; messages the same. Memory has a limit, and others are served.
before = resident()
peers = []
for opcode, payload in (PING, b"p" * 125), (BINARY, b"m" * 60000):
    for _ in range(2):
        peer = connect(port)
        peer.socket.setblocking(False)
        data = peer.frame(opcode, payload) * 20
        at = sent = 0
        end = time.monotonic() + 0.7
        while time.monotonic() < end and sent < 100 << 20:
            try:
                count = peer.socket.send(data[at:])
                at = (at + count) % len(data)
                sent += count
            except BlockingIOError:
                time.sleep(0.001)
            except ConnectionError:
                break
        peers.append(peer)
        honest()
assert resident() - before < 80 << 20, resident() - before
for peer in peers:
    rst(peer.socket)
settle(open_before)

# Silence is asked whether it is there (the interval is 0.4 s, and up to a quarter more); a pong is enough.
begun = time.monotonic()
with connect(port) as peer:
    for _ in range(2):
        fin, opcode, payload = peer.next_frame()
        assert (fin, opcode) == (True, PING), (fin, opcode)
        peer.send(PONG, payload)
    elapsed = time.monotonic() - begun
    assert 0.7 <= elapsed < 10, elapsed
    peer.send(TEXT, b"still here")
    peer.expect(TEXT, b"still here")
last, longest, asked = time.monotonic(), 0, 0
with connect(port) as peer:  # who talks is not asked, unless this program had to stand still
    for i in range(20):
        peer.send(TEXT, b"%d" % i)
        while (got := peer.next_frame())[1] == PING:
            asked += 1
        assert got == (True, TEXT, b"%d" % i), got
        time.sleep(0.05)
        last, longest = time.monotonic(), max(longest, time.monotonic() - last)
assert asked == 0 or longest > 0.3, (asked, longest)

# As many as there are descriptors, and more: idle ones, and such as stop inside the handshake or a frame.
cpu, begun = processor(), time.monotonic()
hoard, ways = [], [b"", head[:40], head, head + frames[:5], head + frame(TEXT, declared=60000, mask=b"abcd")]
for i in range(130):
    sock = open_socket(port)
    sock.sendall(ways[i % len(ways)])
    hoard.append(sock)
time.sleep(0.3)
spent, elapsed = processor() - cpu, time.monotonic() - begun
assert spent < 0.5 * elapsed + 0.1, "%g s of %g on the processor" % (spent, elapsed)
for sock in hoard:
    sock.close()
settle(open_before)
honest()

# Ten thousand that go somewhere inside of everything: a FIN, a reset, with or without reading what came.
script = (head + frames + frame(TEXT, "\u00e4".encode() * 100, mask=b"mnop", fin=False) + frame(PING, mask=b"qrst") +
          frame(CONTINUATION, b"end", mask=b"uvwx") + frame(BINARY, b"y" * 1000, mask=b"yz01") +
          frame(CLOSE, b"\x03\xe8", mask=b"2345"))
chance = random.Random(20)
memory = []
for i in range(10000):
    sock = open_socket(port)
    data = bytearray(script[:chance.randrange(len(script) + 1)])
    if i % 4 == 3 and len(data) > len(head):  # a byte that is another
        data[chance.randrange(len(head), len(data))] ^= 1 << chance.randrange(8)
    cut = chance.randrange(len(data) + 1)
    try:
        sock.sendall(data[:cut])
        if i % 3 == 0 and cut > len(head):
            sock.recv(65536)
        sock.sendall(data[cut:])
    except ConnectionError:
        pass
    if i % 2:
        rst(sock)
    else:
        sock.close()
    if i % 1000 == 999:
        honest()
        memory.append(resident())
settle(open_before)
assert max(memory[1:]) - memory[1] < 2 << 20, memory
honest(b"the end")
# Who takes no part in closing does not keep the server from ending.
stubborn = [connect(port) for _ in range(3)]
stubborn.append(open_socket(port))
stubborn[-1].sendall(head + frames[:5])
begun = time.monotonic()
os.kill(pid, signal.SIGTERM)
for peer in stubborn[:3]:
    peer.expect_close(1001)
try:
    while True:
        os.kill(pid, 0)
        with open("/proc/%d/stat" % pid) as file:
            if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                break
        assert time.monotonic() - begun < 8, "it does not end"
        time.sleep(0.05)
except (ProcessLookupError, FileNotFoundError):
    pass
print("memory %.1f to %.1f MB" % (memory[0] / 1e6, memory[-1] / 1e6))
