"""python3-websockets: its client and build/tests/conformance_server /ws, its server and build/tests/ws_echo_client.

    python3 ws_python.py client PORT PID    PID: is sent SIGTERM at the end
    python3 ws_python.py server PROGRAM...
"""
import asyncio
import os
import signal
import sys

import websockets.legacy.client as client_side  # what it was before version 14, and still has
import websockets.legacy.server as server_side
from websockets.exceptions import ConnectionClosed, InvalidStatusCode

from wssamples import SIZES, TEXTS, soon, visit


async def echoes(socket, message, whole=None):
    await soon(socket.send(message))
    got = await soon(socket.recv())
    assert got == (message if whole is None else whole), (message[:50], got[:50])


async def all_messages(socket):
    """Of all sizes, in fragments too."""
    for size in SIZES:
        await echoes(socket, os.urandom(size))
        await echoes(socket, "z" * size)
    for text in TEXTS:
        await echoes(socket, text)
        await echoes(socket, [text[i:i + 1000] for i in range(0, len(text), 1000)] or [""], text)
    await echoes(socket, [b"%d " % i for i in range(1000)], b"".join(b"%d " % i for i in range(1000)))
    await soon(await socket.ping(b"p" * 125))
    await soon(await socket.ping(b""))


async def pipelined(socket, count, size):
    async def send():
        for i in range(count):
            await socket.send(("%d " % i).ljust(size, "*"))

    async def receive():
        for i in range(count):
            assert await soon(socket.recv()) == ("%d " % i).ljust(size, "*"), i
    await asyncio.gather(send(), receive())


async def expect_close(socket, code, reason=""):
    try:
        got = await soon(socket.recv())
        raise SystemExit("%r instead of the end" % got[:50])
    except ConnectionClosed as closed:
        assert closed.rcvd is not None and (closed.rcvd.code, closed.rcvd.reason or "") == (code, reason), closed


def connect(url, **how):
    how.setdefault("max_size", 1 << 26)
    how.setdefault("compression", None)
    return client_side.connect(url, **how)


async def client(port, pid):
    url = "ws://127.0.0.1:%s/ws" % port
    for compression in None, "deflate":
        async with connect(url, compression=compression) as socket:
            await all_messages(socket)
    async with connect(url) as socket:
        for count, size in (1000, 64), (1000, 16384), (20, 1 << 20):
            await pipelined(socket, count, size)
    async with connect(url, subprotocols=["one", "two"]) as socket:
        assert socket.subprotocol is None
    async with connect(url, ping_interval=0.05, ping_timeout=10) as socket:
        for _ in range(10):  # pings of both sides
            await asyncio.sleep(0.1)
            await echoes(socket, "still here")
        await soon(await socket.ping())
    for code, reason in [(1000, ""), (1001, "going"), (3000, "\u00e4" * 61), (4999, "z" * 123)]:
        async with connect(url) as socket:
            await soon(socket.close(code, reason))
            assert socket.close_code == code, (socket.close_code, code)
    async with connect(url) as socket:
        await echoes(socket, b"x" * (16 << 20))
        try:
            await socket.send(b"x" * ((16 << 20) + 1))
        except ConnectionClosed:
            pass
        try:
            await soon(socket.recv())
        except ConnectionClosed as closed:
            assert closed.rcvd is not None and closed.rcvd.code == 1009, closed
    for path, headers, status in ("/nothing", {}, 404), ("/", {}, 200), ("/ws", {"Origin": "http://evil"}, 403):
        try:
            async with connect("ws://127.0.0.1:%s%s" % (port, path), extra_headers=headers):
                raise SystemExit("%s is no WebSocket" % path)
        except InvalidStatusCode as error:
            assert error.status_code == status, (path, error)
    sockets = [await connect(url) for _ in range(10)]
    os.kill(int(pid), signal.SIGTERM)
    for socket in sockets:
        try:
            await soon(socket.recv())
        except ConnectionClosed as closed:
            assert closed.rcvd is not None and closed.rcvd.code == 1001, closed


async def serve_messages(socket):
    await all_messages(socket)
    for count, size in (1000, 64), (1000, 16384), (20, 1 << 20):
        await pipelined(socket, count, size)
    await socket.close(1000, "enough")
    assert socket.close_code == 1000


async def serve_code(socket):
    await socket.close(4321, "\u00e4" * 61)
    assert socket.close_code == 4321


async def serve_nothing(socket):
    await echoes(socket, "something")


async def serve_gone(socket):
    await echoes(socket, "last words")
    socket.transport.abort()


scenes = {"/messages": serve_messages, "/code": serve_code, "/nothing": serve_nothing, "/gone": serve_gone}
wanted = {"/messages": (0, "closed 1000 enough"), "/code": (0, "closed 4321 " + "\u00e4" * 61),
          "/nothing": (0, "closed 1000 "), "/gone": (1, "closed 1006 "), "/refused": (1, "closed 1006 ")}


async def server(*program):
    done = asyncio.Queue()

    async def handle(socket):
        task = asyncio.ensure_future(scenes[socket.path](socket))
        task.add_done_callback(done.put_nowait)
        await asyncio.wait([task])

    async def refuse(path, headers):
        return None if path in scenes else (503, {}, b"not here")

    async with server_side.serve(handle, "127.0.0.1", 0, max_size=1 << 26, process_request=refuse,
                                compression="deflate") as listening:
        await visit(program, listening.sockets[0].getsockname()[1], scenes, wanted, done)


asyncio.run({"client": client, "server": server}[sys.argv[1]](*sys.argv[2:]))
