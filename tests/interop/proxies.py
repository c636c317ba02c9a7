"""Malformed requests through a real proxy to build/tests/conformance_server: python3 proxies.py PORT FOLDER SEED COUNT.

Between the two stands a relay: to each request that a proxy passes on there may be one answer, or the next client would
get what was made for another. The proxies are those of nginx, h2o, lighttpd and haproxy that are installed.
"""
import asyncio
import getpass
import os
import random
import re
import shutil
import socket
import sys

port, folder, seed, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

# What one mutation may put somewhere.
BYTES = [bytes([byte]) for byte in b" \t\r\n\0\v\f\x01\x7f\x80\xa0\xff:;,\"\\/?#%+-_=.(@[{|0x"] + [b"\r\n ", b"\r\r\n"]
ENDS = [b"\n", b"\r", b"\r\r\n", b"\r\n\n", b"\n\r", b"", b" \r\n", b"\0\r\n", b"\r\n ", b"\v\r\n", b";\r\n"]
GAPS = [b"", b"  ", b"\t", b"\v", b"\xa0", b"\r", b"\0"]
COLONS = [b"", b" :", b"\t:", b"::", b":\r\n ", b":\n ", b":\0", b":\v", b"=", b":\xa0"]
METHODS = [b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"FOO", b"get", b"TRACE", b"", b"POST/"]
TARGETS = [b"/", b"/echo", b"*", b"http://a/", b"http://b/", b"a:80", b"", b"/?", b"/#", b"//", b"/\x80", b"/a b",
           b"\\"]
VERSIONS = [b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.10", b"http/1.1", b"", b"HTTP/1", b"HTTP/1.1 x"]
LENGTHS = [b"5", b"05", b"+5", b"-5", b"5,5", b"5, 6", b"5 5", b"0x5", b"0", b"6", b"", b"5;", b"18446744073709551621"]
CODINGS = [b"chunked", b"Chunked", b"xchunked", b",chunked", b"chunked,", b"chunked, identity", b"identity", b"",
           b"gzip, chunked", b"chunked, chunked", b"chunked;a", b"\"chunked\"", b"\vchunked", b"chunked\0"]
SIZES = [b"05", b"0x5", b"+5", b"-5", b" 5", b"5 ", b"5;a=b", b"5;a\n", b"5\r", b"0_5", b"5z", b"", b"6", b"4", b"0",
         b"10000000000000005", b"100000005", b"5;a\rb", b"5;\0", b"fffffffffffffffff5"]
TRAILERS = [b"X: y\r\n", b"Content-Length: 5\r\n", b" X: y\r\n", b"X : y\r\n", b"X\r\n", b"X: y\n", b": y\r\n",
            b"X: y\r"]
MORE = [(b"Content-Length", LENGTHS), (b"Transfer-Encoding", CODINGS), (b"Content_Length", LENGTHS),
        (b"Transfer_Encoding", CODINGS), (b"Host", [b"a", b"b", b"", b"a b", b"a@b", b"a:x"]),
        (b"Connection", [b"close", b"Content-Length", b"Transfer-Encoding", b"Host", b"Upgrade", b",", b""]),
        (b"Expect", [b"100-continue", b"x", b""]), (b"Upgrade", [b"h2c", b"websocket", b""]), (b"TE", [b"chunked"])]


class Request:
    """A good one, in pieces that can be replaced."""

    def __init__(self, rand):
        body = rand.choice([None, b"hello", HIDDEN])
        self.line = [rand.choice([b"GET", b"POST"]), b" ", rand.choice([b"/", b"/echo"]), b" ", b"HTTP/1.1", b"\r\n"]
        self.fields = [[b"Host", b":", b" a", b"\r\n"]]
        self.rest = [b"\r\n"]
        if body is not None and rand.random() < 0.5:
            self.fields.append([b"Content-Length", b":", b" %d" % len(body), b"\r\n"])
            self.rest += [body]
        elif body is not None:
            self.fields.append([b"Transfer-Encoding", b":", b" chunked", b"\r\n"])
            self.rest += [b"%x" % len(body), b"\r\n", body, b"\r\n", b"0", b"\r\n", b"", b"\r\n"]

    def bytes(self):
        return b"".join(self.line) + b"".join(b"".join(field) for field in self.fields) + b"".join(self.rest)

    def mutate(self, rand):
        field = rand.choice(self.fields)
        kind = rand.randrange(12)
        if kind == 0:
            self.line[0] = rand.choice(METHODS)
        elif kind == 1:
            self.line[2] = rand.choice(TARGETS)
        elif kind == 2:
            self.line[4] = rand.choice(VERSIONS)
        elif kind == 3:
            self.line[rand.choice([1, 3])] = rand.choice(GAPS)
        elif kind == 4:
            rand.choice([self.line, field])[-1] = rand.choice(ENDS)
        elif kind == 5:
            field[1] = rand.choice(COLONS)
        elif kind == 6:
            part = rand.choice([0, 2])
            at = rand.randrange(len(field[part]) + 1)
            field[part] = field[part][:at] + rand.choice(BYTES) + field[part][at:]
        elif kind in (7, 8):
            name, values = rand.choice(MORE)
            self.fields.insert(rand.randrange(len(self.fields) + 1), [name, b":", b" " + rand.choice(values), b"\r\n"])
        elif kind == 9:
            self.rest[0] = rand.choice(ENDS)
        elif len(self.rest) > 2 and kind == 10:
            self.rest[1] = rand.choice(SIZES)
        elif len(self.rest) > 2:
            self.rest[rand.choice([2, 4, 6, 8])] = rand.choice(ENDS)
            self.rest[7] = rand.choice(TRAILERS + [b""])


def request(number):
    rand = random.Random(seed * 1000003 + number)
    made = Request(rand)
    for _ in range(rand.choice([1, 1, 1, 2, 2, 3])):
        made.mutate(rand)
    return made.bytes()


def answers(data, method):
    """How many final ones."""
    found = 0
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        assert end and head.startswith(b"HTTP/1.1 "), (head, data)
        status = int(head[9:12])
        if status < 200:
            continue
        found += 1
        length = re.search(rb"\r\nContent-Length: (\d+)", head)
        if method != b"HEAD" and status not in (204, 304):
            assert length, head
            data = data[int(length.group(1)):]
    return found


passed = relays = 0
wrong = []


def judge(turns):
    """What goes one way until something comes the other is a request, or an answer."""
    global passed
    for (is_request, sent), (_, got) in zip(turns, turns[1:]):
        passed += is_request
        try:
            if is_request and answers(got, sent.split(b" ", 1)[0]) > 1:
                wrong.append(("two answers", sent, got))
        except AssertionError:
            wrong.append(("no answer", sent, got))


async def relay(reader, writer):
    """From a proxy to the server."""
    global relays
    relays += 1
    there, to = await asyncio.open_connection("127.0.0.1", port)
    turns = []

    async def pump(source, sink, is_request):
        try:
            while data := await source.read(65536):
                if not turns or turns[-1][0] != is_request:
                    turns.append([is_request, b""])
                turns[-1][1] += data
                sink.write(data)
        except OSError:
            pass
        sink.close()

    await asyncio.gather(pump(reader, to, True), pump(there, writer, False))
    judge(turns)
    relays -= 1


async def ask(at, data):
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", at)
        writer.write(data + LAST)
        while await asyncio.wait_for(reader.read(65536), 0.3):
            pass
        writer.close()
    except (OSError, asyncio.TimeoutError):
        pass


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def configuration(name, at, to):
    if name == "nginx":
        paths = "".join("%s_temp_path %s/%s;" % (what, folder, what)
                        for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return """daemon off; master_process off; pid %s/pid; events { } http { access_log off; %s
            upstream one { server 127.0.0.1:%d; keepalive 4; } server { listen 127.0.0.1:%d; location / {
            proxy_pass http://one; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_request_buffering off;
            proxy_set_header Host $http_host; } } }""" % (folder, paths, to, at)
    if name == "h2o":
        return """%snum-threads: 1\nlisten: { host: 127.0.0.1, port: %d }\nproxy.preserve-host: ON
hosts: { default: { paths: { "/": { proxy.reverse.url: "http://127.0.0.1:%d/" } } } }
""" % ("" if os.getuid() else "user: %s\n" % getpass.getuser(), at, to)
    if name == "lighttpd":
        return """server.bind = "127.0.0.1"\nserver.port = %d\nserver.document-root = "%s"
server.stream-request-body = 1\nserver.modules = ( "mod_proxy" )
proxy.server = ( "/" => (( "host" => "127.0.0.1", "port" => %d )) )\n""" % (at, folder, to)
    return """defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\n http-reuse always
frontend f\n bind 127.0.0.1:%d\n default_backend b\nbackend b\n server s 127.0.0.1:%d\n""" % (at, to)


COMMANDS = {"nginx": ["-e", "stderr", "-p", folder, "-c"], "h2o": ["-c"], "lighttpd": ["-D", "-f"],
            "haproxy": ["-db", "-f"]}


async def run(name, program, to):
    global passed
    at, passed = free_port(), 0
    config = os.path.join(folder, name + ".conf")
    with open(config, "w") as file:
        file.write(configuration(name, at, to))
    with open(os.path.join(folder, name + ".log"), "wb") as log:
        proxy = await asyncio.create_subprocess_exec(program, *COMMANDS[name], config, stdout=log, stderr=log)
    for _ in range(200):
        try:
            (await asyncio.open_connection("127.0.0.1", at))[1].close()
            break
        except OSError:
            await asyncio.sleep(0.02)
    else:
        raise SystemExit("%s: %s" % (name, open(os.path.join(folder, name + ".log")).read()))
    few = asyncio.Semaphore(8)

    async def ask_one(number):
        async with few:
            await ask(at, request(number))

    await asyncio.gather(*(ask_one(number) for number in range(count)))
    proxy.terminate()
    await proxy.wait()
    while relays > 0:
        await asyncio.sleep(0.01)
    print("%s passed on %d of %d" % (name, passed, 2 * count))
    assert passed > count / 20, "%s passes nothing on" % name
    assert not wrong, "%s, seed %d: %s to %r: %r" % (name, seed, *wrong[0])


async def main():
    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    for name in COMMANDS:
        program = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
        if program:
            await run(name, program, server.sockets[0].getsockname()[1])


asyncio.run(main())
