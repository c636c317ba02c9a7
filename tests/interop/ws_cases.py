"""Cases for WebSocket endpoints that echo, after the sections of the Autobahn suite, with a strict verdict for each.

    python3 ws_cases.py server PROGRAM...    a fuzzing server on a free port, and PROGRAM... URL, which runs all cases
    python3 ws_cases.py client PORT PATH     the same cases, for a server that echoes at PATH

Says what failed, and last how many passed; status 1 if one failed. CASES in the environment: only those whose names
begin with it.
"""
import os
import struct
import subprocess
import sys
import threading
import time

from wsraw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Peer, Wrong, accept, connect, frame, listen

cases = []


def add(name, function, *args, **how):
    cases.append((name, lambda peer: function(peer, *args, **how)))


# How a case ends.

def close_normally(peer, code=1000, reason=b"", wanted=None):
    """We begin. The server is the one that ends the connection (RFC 6455 7.1.1)."""
    peer.send_close(code, reason)
    see_closed(peer, code if wanted is None else wanted)


def see_closed(peer, code):
    peer.expect_close(code)
    if peer.is_client:
        peer.expect_end()
    else:
        peer.expect_silence(0.005)


def see_failed(peer, code):
    """The other side fails the connection: a close frame, and the end, whatever we do."""
    peer.expect_close(code)
    peer.expect_end()


# 1: messages of all forms of length. 9: large ones.

def echo(peer, opcode, payload, pieces=None, fragment=None):
    if fragment is None:
        peer.send(opcode, payload, pieces=pieces)
    else:
        parts = [payload[i:i + fragment] for i in range(0, len(payload), fragment)] or [b""]
        peer.send_bytes(b"".join(
            peer.frame(opcode if i == 0 else CONTINUATION, part, fin=i == len(parts) - 1)
            for i, part in enumerate(parts)), pieces)
    peer.expect(opcode, payload)
    close_normally(peer)


def text_of(size):
    return (b"*" * size)[:size]


for opcode, section, byte in (TEXT, "1.1", b"*"), (BINARY, "1.2", b"\xfe"):
    for i, size in enumerate([0, 125, 126, 127, 128, 65535, 65536]):
        add("%s.%d %d bytes" % (section, i + 1, size), echo, opcode, byte * size)
    add(section + ".8 65536 bytes, 997 at a time", echo, opcode, byte * 65536, pieces=997)
for opcode, sections in (TEXT, ("9.1", "9.3", "9.5", "9.7")), (BINARY, ("9.2", "9.4", "9.6", "9.8")):
    for i, size in enumerate([64 << 10, 256 << 10, 1 << 20, 4 << 20, 8 << 20, 16 << 20]):
        add("%s.%d %d KiB" % (sections[0], i + 1, size >> 10), echo, opcode, text_of(size))
    for i, size in enumerate([64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20]):
        add("%s.%d 4 MiB in fragments of %d" % (sections[1], i + 1, size), echo, opcode, text_of(4 << 20),
            fragment=size)
    for i, size in enumerate([64, 128, 256, 512, 1024, 2048]):
        add("%s.%d 1 MiB, %d at a time" % (sections[2], i + 1, size), echo, opcode, text_of(1 << 20), pieces=size)


def send_meanwhile(peer, parts):
    def send():
        try:
            for part in parts:
                peer.send_bytes(part)
        except OSError:
            pass  # who reads will see that
    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


def echo_many(peer, opcode, count, size, pipelined):
    payloads = [struct.pack("!I", i).hex().encode().ljust(size, b"*")[:size] for i in range(count)]
    if pipelined:
        send_meanwhile(peer, [b"".join(peer.frame(opcode, payload) for payload in payloads)])
    for payload in payloads:
        if not pipelined:
            peer.send(opcode, payload)
        peer.expect(opcode, payload)
    close_normally(peer)


for opcode, section in (TEXT, "9.7"), (BINARY, "9.8"):
    for i, size in enumerate([0, 16, 64, 256, 1024, 4096]):
        add("%s.%d 1000 times %d bytes" % (section, i + 1, size), echo_many, opcode, 1000, size, False)
        add("%s.%d 1000 times %d bytes, pipelined" % (section, i + 11, size), echo_many, opcode, 1000, size, True)


def read_late(peer, count, size):
    """The other side has to hold us back; what it keeps has a limit."""
    payload = b"*" * size
    sender = send_meanwhile(peer, [peer.frame(TEXT, payload)] * count)
    sender.join(0.3)
    if not sender.is_alive():
        raise Wrong("we are not held back")
    for _ in range(count):
        peer.expect(TEXT, payload)
    close_normally(peer)


add("9.9.1 120 MiB that are read late", read_late, 120, 1 << 20)
add("10.1.1 65536 bytes in fragments of 1300", echo, TEXT, text_of(65536), fragment=1300)


# 2: pings and pongs.

def ping(peer, payload, pieces=None):
    peer.send(PING, payload, pieces=pieces)
    peer.expect(PONG, payload)
    close_normally(peer)


def too_long_ping(peer):
    peer.send(PING, b"\xfe" * 126)
    see_failed(peer, 1002)


def unsolicited_pong(peer, payload, then=None):
    peer.send(PONG, payload)
    if then is not None:
        peer.send(PING, then)
        peer.expect(PONG, then)
    close_normally(peer)


def ten_pings(peer, how):
    frames = [peer.frame(PING, b"payload-%d" % i) for i in range(10)]
    for part in frames if how == "each" else [b"".join(frames)]:
        peer.send_bytes(part, 1 if how == "bytes" else None)
    for i in range(10):
        peer.expect(PONG, b"payload-%d" % i)
    close_normally(peer)


def pings_of_all_lengths(peer):
    for length in range(126):
        payload = os.urandom(length)
        peer.send(PING, payload)
        peer.expect(PONG, payload)
    close_normally(peer)


add("2.1 an empty ping", ping, b"")
add("2.2 a ping with a text", ping, b"Hello, world!")
add("2.3 a ping with no text", ping, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")
add("2.4 a ping of 125 bytes", ping, b"\xfe" * 125)
add("2.5 a ping of 126 bytes", too_long_ping)
add("2.6 a ping of 125 bytes, one at a time", ping, b"\xfe" * 125, pieces=1)
add("2.7 an empty pong", unsolicited_pong, b"")
add("2.8 a pong with a text", unsolicited_pong, b"unsolicited")
add("2.9 a pong, then a ping", unsolicited_pong, b"unsolicited", b"ping")
add("2.10 ten pings", ten_pings, "each")
add("2.11 ten pings, a byte at a time", ten_pings, "bytes")
add("2.12 ten pings at once", ten_pings, "once")
add("2.13 pings of all lengths", pings_of_all_lengths)


# 3: reserved bits. 4: reserved opcodes. Of both: alone, behind a message, in one write with it, and byte by byte.

def refuse(peer, code, before, how, *frames, **each):
    bad = peer.frame(*frames, **each)
    if before == 0:
        peer.send_bytes(bad, how)
    elif before == 1:
        peer.send(TEXT, b"Hello, world!")
        peer.expect(TEXT, b"Hello, world!")
        peer.send_bytes(bad, how)
    else:
        peer.send_bytes(peer.frame(TEXT, b"Hello, world!") + bad + peer.frame(PING), how)
        peer.expect(TEXT, b"Hello, world!")
    see_failed(peer, code)


for rsv in range(1, 8):
    for opcode, payload in (TEXT, b"a text"), (BINARY, b"\x00"), (PING, b"ping"), (CLOSE, b"\x03\xe8"), (PONG, b""):
        for before in range(3):
            add("3.%d.%d.%d reserved bits %d of opcode %d" % (rsv, opcode, before, rsv, opcode), refuse, 1002, before,
                [None, 1, None][before], opcode, payload, rsv=rsv)
for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
    for before in range(3):
        for payload in b"", b"reserved opcode":
            add("4.%d.%d opcode %d, %d bytes" % (opcode, before, opcode, len(payload)), refuse, 1002, before,
                [None, 1, None][before], opcode, payload)


# 5: fragments. A step: (opcode, payload, is it final); what is expected is a list of (opcode, payload), then the end.

def play(peer, steps, wanted, code=1000, pieces=None, together=False):
    data = [peer.frame(opcode, payload, fin=fin) for opcode, payload, fin in steps]
    for part in [b"".join(data)] if together else data:
        peer.send_bytes(part, pieces)
    for opcode, payload in wanted:
        peer.expect(opcode, payload)
    if code == 1000:
        close_normally(peer)
    else:
        see_failed(peer, code)


C, one, two = CONTINUATION, b"fragment1", b"fragment2"
both = one + two
sequences = [
    ("a ping in two fragments", [(PING, one, 0), (C, two, 1)], [], 1002),
    ("a pong in two fragments", [(PONG, one, 0), (C, two, 1)], [], 1002),
    ("a text in two fragments", [(TEXT, one, 0), (C, two, 1)], [(TEXT, both)], 1000),
    ("a ping between them", [(TEXT, one, 0), (PING, b"ping", 1), (C, two, 1)], [(PONG, b"ping"), (TEXT, both)], 1000),
    ("a pong between them", [(TEXT, one, 0), (PONG, b"pong", 1), (C, two, 1)], [(TEXT, both)], 1000),
    ("a final continuation of nothing, then a text", [(C, one, 1), (TEXT, b"Hello", 1)], [], 1002),
    ("a continuation of nothing, then a text", [(C, one, 0), (TEXT, b"Hello", 1)], [], 1002),
    ("a text, then a continuation of nothing", [(TEXT, b"Hello", 1), (C, one, 1)], [(TEXT, b"Hello")], 1002),
    ("a text, then one that never ends, of nothing", [(TEXT, b"Hello", 1), (C, one, 0)], [(TEXT, b"Hello")], 1002),
    ("a text inside a text", [(TEXT, one, 0), (TEXT, two, 1)], [], 1002),
    ("a binary inside a text", [(TEXT, one, 0), (BINARY, two, 0)], [], 1002),
    ("a text inside a binary", [(BINARY, one, 0), (TEXT, two, 1)], [], 1002),
    ("five fragments, pings between", [(TEXT, b"fragment1", 0), (C, b"fragment2", 0), (PING, b"ping1", 1),
                                       (C, b"fragment3", 0), (C, b"fragment4", 0), (PING, b"ping2", 1),
                                       (C, b"fragment5", 1)],
     [(PONG, b"ping1"), (PONG, b"ping2"), (TEXT, b"fragment1fragment2fragment3fragment4fragment5")], 1000),
    ("two messages, and a continuation of nothing", [(TEXT, one, 0), (C, two, 1), (C, b"fragment3", 0), (TEXT, one, 1)],
     [(TEXT, both)], 1002),
    ("a close in two fragments", [(CLOSE, b"\x03", 0), (C, b"\xe8", 1)], [], 1002),
    ("a ping that never ends", [(PING, b"", 0)], [], 1002),
    ("empty fragments", [(TEXT, b"", 0), (C, b"", 0), (C, b"", 1)], [(TEXT, b"")], 1000),
    ("empty fragments around a text", [(TEXT, b"", 0), (C, b"middle", 0), (C, b"", 1)], [(TEXT, b"middle")], 1000),
    ("fragments of a binary", [(BINARY, b"\xff", 0), (C, b"\xfe", 1)], [(BINARY, b"\xff\xfe")], 1000),
    ("two fragmented ones", [(TEXT, one, 0), (C, two, 1), (BINARY, two, 0), (C, one, 1)],
     [(TEXT, both), (BINARY, two + one)], 1000),
]
for number, (name, steps, wanted, code) in enumerate(sequences, 1):
    add("5.%d %s" % (number, name), play, steps, wanted, code)
    add("5.%d %s, at once" % (number, name), play, steps, wanted, code, together=True)
    add("5.%d %s, byte by byte" % (number, name), play, steps, wanted, code, pieces=1, together=True)
add("5.30 a thousand fragments", echo, TEXT, b"a" * 1000, fragment=1)


# 6: UTF-8, whole, in fragments of one byte, and cut as early as can be.

def invalid_text(peer, payload, fragment=None, opcode=TEXT):
    size = fragment or max(len(payload), 1)
    parts = [payload[i:i + size] for i in range(0, len(payload), size)]
    peer.send_bytes(b"".join(peer.frame(opcode if i == 0 else CONTINUATION, part, fin=i == len(parts) - 1)
                             for i, part in enumerate(parts)))
    see_failed(peer, 1007)


def invalid_soon(peer, good, bad, in_frames):
    """The rest of the message is never sent."""
    if in_frames:
        peer.send(TEXT, good, fin=False)
        peer.send(CONTINUATION, bad, fin=False)
    else:
        peer.send_bytes(peer.frame(TEXT, good + bad + b"edited")[:-6])
    see_failed(peer, 1007)


VALID = [
    "Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!".encode(), "\u03ba\u1f79\u03c3\u03bc\u03b5".encode(),
    b"\x00", b"\x7f", b"\xc2\x80", b"\xdf\xbf", b"\xe0\xa0\x80", b"\xef\xbf\xbf", b"\xf0\x90\x80\x80",
    b"\xf4\x8f\xbf\xbf", b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbf\xbd", b"\xef\xbf\xbe", b"\xf0\x9f\xbf\xbe",
    b"\xf3\xbf\xbf\xbf", b"\xe2\x80\xa8", b"\xef\xb7\x90", b"\xef\xbb\xbf",
]
INVALID = [
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce",
    b"\xce", b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80", b"\xf7\xbf\xbf\xbf", b"\xfb\xbf\xbf\xbf\xbf",
    b"\xfd\xbf\xbf\xbf\xbf\xbf", b"\xf4\x90\x80\x80", b"\x80", b"\xbf", b"\x80\xbf", b"\x80\xbf\x80\xbf\x80\xbf",
    bytes(range(0x80, 0xc0)), b" ".join(bytes([i]) for i in range(0xc0, 0xe0)),
    b" ".join(bytes([i]) for i in range(0xe0, 0xf0)), b"\xf0 \xf1 \xf2 \xf3 ", b"\xfe", b"\xff", b"\xfe\xfe\xff\xff",
    b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xdf", b"\xef\xbf", b"\xf7\xbf\xbf", b"\xe0\xa0", b"\xc0\xaf",
    b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xf8\x80\x80\x80\xaf", b"\xfc\x80\x80\x80\x80\xaf", b"\xc1\xbf",
    b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf", b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80", b"\xed\xa0\x80",
    b"\xed\xad\xbf", b"\xed\xae\x80", b"\xed\xaf\xbf", b"\xed\xb0\x80", b"\xed\xbe\x80", b"\xed\xbf\xbf",
    b"\xed\xa0\x80\xed\xb0\x80", b"\xed\xaf\xbf\xed\xbf\xbf", b"\xf5\x80\x80\x80",
]
for number, text in enumerate(VALID):
    add("6.2.%d %r" % (number, text), echo, TEXT, text)
    add("6.2.%d %r, by byte" % (number, text), echo, TEXT, text, fragment=1)
    add("6.2.%d %r, inside" % (number, text), echo, TEXT, b"a" * 100 + text * 50 + b"z" * 100, pieces=7)
for number, text in enumerate(INVALID):
    add("6.3.%d %r" % (number, text), invalid_text, text)
    add("6.3.%d %r, by byte" % (number, text), invalid_text, text, fragment=1)
    add("6.3.%d %r, inside" % (number, text), invalid_text, b"a" * 100 + text + b"z" * 100)
    add("6.3.%d %r is binary" % (number, text), echo, BINARY, text)
for in_frames in False, True:
    for number, bad in enumerate([b"\xf4\x90", b"\xed\xa0", b"\xc0", b"\xff", b"\xe0\x80", b"\xf0\x80", b"\xf5"]):
        add("6.4.%d.%d %r is refused at once" % (in_frames, number, bad), invalid_soon, VALID[1], bad, in_frames)


# 7: closing.

def messages_then_close(peer):
    for i in range(3):
        peer.send(TEXT, b"message %d" % i)
    peer.send_close(1000)
    for i in range(3):
        peer.expect(TEXT, b"message %d" % i)
    see_closed(peer, 1000)


def close_then(peer, *frames, fragment=None):
    if fragment is not None:
        peer.send(TEXT, fragment, fin=False)
    peer.send_bytes(peer.frame(CLOSE, b"\x03\xe8") + b"".join(peer.frame(*each) for each in frames))
    see_closed(peer, 1000)


def large_then_close(peer):
    payload = b"*" * (256 << 10)
    peer.send_bytes(peer.frame(TEXT, payload) + peer.frame(CLOSE, b"\x03\xe8") + peer.frame(PING, b"late"))
    peer.expect(TEXT, payload)
    see_closed(peer, 1000)


def bare_close(peer):
    peer.send_close()
    see_closed(peer, None)


def bad_close(peer, payload, code=1002, **how):
    peer.send(CLOSE, payload, **how)
    see_failed(peer, code)


def no_close(peer):
    """FIN without a close frame: the other side ends too, with or without a word."""
    peer.socket.shutdown(1)
    try:
        if peer.next_frame()[1] != CLOSE:
            raise Wrong("it goes on talking")
        peer.expect_end()
    except Wrong as wrong:
        if str(wrong) != "the connection ends":
            raise


add("7.1.1 messages, then close", messages_then_close)
add("7.1.2 two closes", close_then, (CLOSE, b"\x03\xe8"))
add("7.1.3 a ping behind the close", close_then, (PING, b"late"))
add("7.1.4 a text behind the close", close_then, (TEXT, b"late"))
add("7.1.5 a close between fragments", close_then, (CONTINUATION, b"late"), fragment=b"fragment1")
add("7.1.6 256 KiB, close, ping", large_then_close)
add("7.1.7 garbage behind the close", close_then, (TEXT, b"\xff"), (3, b""))
add("7.1.8 no close", no_close)
add("7.3.1 no payload", bare_close)
add("7.3.2 one byte", bad_close, b"a")
add("7.3.3 a code", close_normally, 1000)
add("7.3.4 a code and a reason", close_normally, 1000, b"Hello World!")
add("7.3.5 the longest reason", close_normally, 1000, b"*" * 123)
add("7.3.6 a reason that is too long", bad_close, b"\x03\xe8" + b"*" * 124)
add("7.5.1 a reason that is no UTF-8", bad_close, b"\x03\xe8" + INVALID[0], code=1007)
for number, text in enumerate(INVALID):
    add("7.5.%d a reason of %r" % (number + 2, text[:100]), bad_close, b"\x03\xe8" + text[:100], code=1007)
for number, code in enumerate([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]):
    add("7.7.%d code %d" % (number + 1, code), close_normally, code)
for number, code in enumerate([0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 32768, 65535]):
    add("7.9.%d code %d" % (number + 1, code), bad_close, struct.pack("!H", code))


# 11: what the suite has not: the mask, lengths that lie, and a peer that goes.

def wrong_mask(peer, opcode, payload):
    peer.send(opcode, payload, mask=None if peer.is_client else b"mask")
    see_failed(peer, 1002)


def no_mask_at_all(peer):
    peer.send(TEXT, b"Hello", mask=b"\0\0\0\0" if peer.is_client else None)
    peer.expect(TEXT, b"Hello")
    close_normally(peer)


def raw_frame(peer, code, **how):
    peer.send(BINARY, b"", **how)
    see_failed(peer, code)


def reset(peer, data):
    peer.send_bytes(data)
    peer.socket.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER: close is a reset
    peer.socket.close()


for opcode in TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG:
    add("11.1.%d opcode %d with the wrong mask" % (opcode, opcode), wrong_mask, opcode, b"")
    add("11.1.%d opcode %d with the wrong mask, not empty" % (opcode, opcode), wrong_mask, opcode, b"\x03\xe8")
for number, (form, length, code) in enumerate([
        (2, 0, 1002), (2, 125, 1002), (8, 0, 1002), (8, 125, 1002), (8, 65535, 1002), (8, 1 << 63, 1002),
        (8, (1 << 64) - 1, 1002), (8, (1 << 63) - 1, 1009), (8, 1 << 40, 1009)]):
    add("11.2.%d the length %d in %d bytes" % (number, length, form), raw_frame, code, declared=length, form=form)
add("11.3.1 a mask of nulls", no_mask_at_all)
add("11.4.1 a reset", reset, b"")
add("11.4.2 a reset inside a head", reset, b"\x81")
add("11.4.3 a reset inside a message", reset, frame(TEXT, b"Hello", mask=None)[:-1])


# Running them.

class Verdicts:
    def __init__(self):
        self.failed = self.passed = 0
        self.begun = time.monotonic()

    def fail(self, what):
        print("FAILED %s" % what, flush=True)
        self.failed += 1

    def run(self, name, function, peer):
        try:
            with peer:
                function(peer)
            self.passed += 1
        except (Wrong, OSError, ValueError) as error:
            self.fail("%s: %s" % (name, error or type(error).__name__))

    def is_enough(self):
        return self.failed >= 10 or (self.failed > 0 and time.monotonic() - self.begun > 30)

    def conclude(self, count):
        print("%d of %d cases passed, %.1f s" % (self.passed, count, time.monotonic() - self.begun))
        sys.exit(0 if self.passed == count > 0 and not self.failed else 1)


def serve(chosen, program):
    """The fuzzing server, for one program."""
    verdicts = Verdicts()
    with listen() as listener:
        url = "ws://127.0.0.1:%d" % listener.getsockname()[1]
        client = subprocess.Popen(program + [url], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            while not verdicts.is_enough():
                peer = accept(listener)
                path, _, query = peer.target.partition("?")
                arguments = dict(each.split("=", 1) for each in query.split("&") if each)
                if path == "/getCaseCount":
                    with peer:
                        peer.send(TEXT, b"%d" % len(chosen))
                        close_normally(peer)
                elif path == "/runCase" and arguments.get("agent"):
                    verdicts.run(*chosen[int(arguments["case"]) - 1], peer)
                elif path == "/updateReports" and arguments.get("agent"):
                    with peer:
                        close_normally(peer)
                    break
                else:
                    raise Wrong("it asks for %s" % peer.target)
            if not verdicts.is_enough() and client.wait(10) != 0:
                verdicts.fail("the program's status is %d" % client.returncode)
            if len(set(Peer.masks)) < len(Peer.masks) * 0.999:  # chance makes one or two the same
                verdicts.fail("%d masks of %d frames" % (len(set(Peer.masks)), len(Peer.masks)))
        except (Wrong, OSError, subprocess.TimeoutExpired) as error:
            verdicts.fail("the program: %s" % (error or type(error).__name__))
        finally:
            if client.poll() is None:
                client.kill()
                client.wait()
    verdicts.conclude(len(chosen))


def attack(chosen, port, path):
    verdicts = Verdicts()
    for name, function in chosen:
        if not verdicts.is_enough():
            verdicts.run(name, function, connect(port, path))
    verdicts.conclude(len(chosen))


if __name__ == "__main__":
    chosen = [each for each in cases if each[0].startswith(os.environ.get("CASES", ""))]
    if sys.argv[1] == "server":
        serve(chosen, sys.argv[2:])
    attack(chosen, int(sys.argv[2]), sys.argv[3])
