"""The peers of ws_examples.sh.

    python3 ws_examples.py prime|chat|stop PORT    clients of an example
    python3 ws_examples.py slow PROGRAM FILE       a server that is slow to read the lines that PROGRAM sends
"""
import json
import subprocess
import sys
import time
from urllib.parse import quote

from wsraw import BINARY, TEXT, PING, PONG, Wrong, accept, connect, listen, status_of

PRIME, COMPOSITE, INVALID = b"is a prime number", b"is not a prime number", b"Invalid input"


def prime(port):
    answers = [
        ("2", PRIME), ("3", PRIME), ("7", PRIME), ("97", PRIME), ("7919", PRIME), ("+7", PRIME), (" 7\r\n", PRIME),
        ("007", PRIME),
        ("2147483647", PRIME), ("4294967291", PRIME), ("1000000007", PRIME), ("9223372036854775783", PRIME),
        ("18446744073709551557", PRIME),
        ("-7", COMPOSITE), ("-2", COMPOSITE), ("0", COMPOSITE), ("1", COMPOSITE), ("4", COMPOSITE), ("9", COMPOSITE),
        ("561", COMPOSITE), ("1369", COMPOSITE), ("41041", COMPOSITE), ("825265", COMPOSITE), ("3215031751", COMPOSITE),
        ("3825123056546413051", COMPOSITE), ("9223372036854775807", COMPOSITE), ("18446744073709551615", COMPOSITE),
        ("", INVALID), (" ", INVALID), ("seven", INVALID), ("7.0", INVALID), ("7 7", INVALID), ("1e3", INVALID),
        ("0x7", INVALID), ("--7", INVALID), ("+-7", INVALID), ("-", INVALID), ("7\0", INVALID), ("\u0667", INVALID),
        ("18446744073709551616", INVALID), ("9" * 1000, INVALID),
    ]
    primes = [n for n in range(2000) if n > 1 and all(n % i for i in range(2, int(n ** 0.5) + 1))]
    clients = [connect(int(port), "/chatsocket") for _ in range(5)]
    for text, answer in answers:
        for client in clients:  # each is told of its own alone
            client.send(TEXT, text.encode())
            client.expect(TEXT, answer)
    clients[0].send(BINARY, b"7")
    clients[0].expect(TEXT, INVALID)
    clients.pop(2).socket.close()
    for n in range(2000):
        client = clients[n % len(clients)]
        client.send(TEXT, b"%d" % n)
    for n in range(2000):
        clients[n % len(clients)].expect(TEXT, PRIME if n in primes else COMPOSITE)
    for client in clients:
        client.send_close(1000)
        client.expect_close(1000)
        client.expect_end()
    with connect(int(port), "/chatsocket") as client:
        client.send(TEXT, b"7" * 1025)
        client.expect_close(1009)


class Person:
    def __init__(self, port, name, after=None):
        target = "/chat?name=" + quote(name) + ("" if after is None else "&after=%s" % after)
        self.name, self.peer, self.last = name, connect(int(port), target), 0

    def next(self):
        fin, opcode, payload = self.peer.next_frame()
        if (fin, opcode) != (True, TEXT):
            raise Wrong("%s is told %r" % (self.name, payload))
        return json.loads(payload)

    def hears(self, sender, text):
        got = self.next()
        assert (got.get("from"), got.get("text")) == (sender, text), got
        assert abs(got["time"] - time.time()) < 60 and got["id"] > self.last, got
        self.last = got["id"]

    def news(self, text, people):
        got = self.next()
        assert got == {"text": text, "people": people}, got

    def says(self, text):
        self.peer.send(TEXT, text.encode())


def chat(port):
    for name, status in [
            (None, 400), ("", 400), ("%20", 400), ("%ff", 400), ("x" * 129, 400), ("%C3%A4" * 65, 400),
            ("x" * 128, 101),
            ("%F0%9F%98%80" * 32, 101), ("a&after=%ff", 400), ("a&after=x", 101), ("a&after=-1", 101),
            ("a&after=99999999999999999999999", 101)]:
        got, _ = status_of(int(port), "/chat" if name is None else "/chat?name=" + name)
        assert got == status, (name, got)
    assert status_of(int(port), "/chat?name=a", {"Origin": "http://evil"})[0] == 403

    ann = Person(port, "Ann")
    while ann.next()["people"] != 1:  # until all of those have left
        pass
    ann.says("first")
    ann.hears("Ann", "first")
    first = ann.last
    bob = Person(port, " B\"ob</script> ")
    bob.hears("Ann", "first")
    for each in bob, ann:
        each.news("B\"ob</script> has come", 2)
    odd = "<b>\"\\/\u2028\u00e4\U0001f600\0\x7f\n\t"
    bob.says(odd)
    for each in ann, bob:
        each.hears("B\"ob</script>", odd)
    ann.says("")
    for each in ann, bob:
        each.hears("Ann", "")

    # Who comes back is told what was missed, and nothing twice.
    comings = [(first, [odd, ""]), (ann.last - 1, [""]), (ann.last, []), (ann.last + 5, []), (0, ["first", odd, ""])]
    for after, missed in comings:
        eve = Person(port, "Eve", after)
        for text in missed:
            assert eve.next()["text"] == text
        for each in eve, ann, bob:
            each.news("Eve has come", 3)
        eve.peer.socket.close()
        for each in ann, bob:
            each.news("Eve has left", 2)
    for i in range(150):
        ann.says("message %d" % i)
        ann.hears("Ann", "message %d" % i)
        bob.hears("Ann", "message %d" % i)
    eve = Person(port, "Eve", 0)
    for i in range(50, 150):
        eve.hears("Ann", "message %d" % i)
    for each in eve, ann, bob:
        each.news("Eve has come", 3)

    # What has no place in a chat.
    eve.peer.send(BINARY, b"binary")
    eve.peer.expect_close(1003)
    eve.peer.send_close(1003)
    eve.peer.expect_end()
    eve.peer.socket.close()
    for each in ann, bob:
        each.news("Eve has left", 2)
    eve = Person(port, "Eve", ann.last)
    for each in eve, ann, bob:
        each.news("Eve has come", 3)
    eve.peer.send(TEXT, b"x" * 8000)
    for each in eve, ann, bob:
        each.hears("Eve", "x" * 8000)
    eve.peer.send(TEXT, b"x" * 8001)
    eve.peer.expect_close(1009)
    eve.peer.socket.close()
    for each in ann, bob:
        each.news("Eve has left", 2)
    ann.peer.send(PING, b"ping")
    ann.peer.expect(PONG, b"ping")
    for each in ann, bob:
        each.peer.socket.close()


def stop(port):
    """Says when it is there; then the server is stopped."""
    peers = [connect(int(port), "/chat?name=%d" % i) for i in range(3)]
    for i, peer in enumerate(peers):
        for later in range(i, 3):
            peer.expect(TEXT, b'{"text":"%d has come","people":%d}' % (later, later + 1))
    print("there", flush=True)
    for peer in peers:
        while True:  # that others leave
            got = peer.next_frame()
            if got[1] != TEXT:
                break
        assert got[2][:2] == b"\x03\xe9", got
        peer.send_close(1001)
        peer.expect_end()
        peer.socket.close()


def slow(program, name):
    with listen() as listener, open(name, "rb") as lines, open(name, "rb") as wanted:
        url = "ws://127.0.0.1:%d" % listener.getsockname()[1]
        process = subprocess.Popen([program, url], stdin=lines, stdout=subprocess.DEVNULL)
        try:
            with accept(listener) as peer:
                time.sleep(0.5)  # in which it could read all of its input
                for line in wanted:
                    peer.expect(TEXT, line.rstrip(b"\n"))
                peer.expect_close(1000)
                peer.send_close(1000)
            assert process.wait(10) == 0, process.returncode
        finally:
            process.kill()


{"prime": prime, "chat": chat, "stop": stop, "slow": slow}[sys.argv[1]](*sys.argv[2:])
