"""Tornado's WebSockets: its client and build/tests/conformance_server /ws, its server and build/tests/ws_echo_client.

    python3 ws_tornado.py client PORT PID    PID: is sent SIGTERM at the end
    python3 ws_tornado.py server PROGRAM...
"""
import asyncio
import os
import signal
import sys
import time

from tornado import httpclient, httpserver, netutil, web, websocket

from wssamples import SIZES, TEXTS, soon, visit


# Their client, our server.

async def connect(url, **how):
    how.setdefault("max_message_size", 1 << 26)
    return await soon(websocket.websocket_connect(url, **how))


async def echoes(connection, message):
    await connection.write_message(message, binary=isinstance(message, bytes))
    got = await soon(connection.read_message())
    assert got == message, (message[:50], got if got is None else got[:50])


async def messages(url):
    connection = await connect(url)
    for size in SIZES:
        await echoes(connection, os.urandom(size))
        await echoes(connection, "z" * size)
    for text in TEXTS:
        await echoes(connection, text)
    connection.close(1000, "enough")
    assert await soon(connection.read_message()) is None
    closed = connection.close_code, connection.close_reason
    assert closed == (1000, None), closed


async def pipelined(url, count, size):
    """All are sent before the first is read."""
    connection = await connect(url)
    for i in range(count):
        await connection.write_message(("%d " % i).ljust(size, "*"))
    for i in range(count):
        assert await soon(connection.read_message()) == ("%d " % i).ljust(size, "*"), i
    connection.close()


async def many_at_a_time(url):
    async def one(i):
        connection = await connect(url)
        for j in range(20):
            await echoes(connection, "%d %d" % (i, j))
        connection.close()
        assert await soon(connection.read_message()) is None
    await asyncio.gather(*[one(i) for i in range(100)])


async def pings(url):
    connection = await connect(url)
    got = asyncio.get_running_loop().create_future()
    connection.on_pong = lambda data: got.done() or got.set_result(data)
    connection.ping(b"p" * 125)
    assert await soon(got) == b"p" * 125
    connection.close()
    pongs, heard = [], []
    connection = await connect(url, ping_interval=0.05, ping_timeout=10)  # theirs
    connection.on_pong = pongs.append
    while len(pongs) < 5:
        await echoes(connection, "still here")
        await asyncio.sleep(0.05)
    connection.close()
    begun = time.monotonic()
    connection = await connect(url)  # ours: the interval is 0.3 s
    connection.on_ping = heard.append
    while len(heard) < 3:
        await asyncio.sleep(0.05)
    await echoes(connection, "still here")
    assert len(heard) <= (time.monotonic() - begun) / 0.3, heard
    connection.close()


async def closes(url):
    for code, reason in [(None, None), (1000, None), (1001, "going"), (3000, "\u00e4" * 61), (4999, "z" * 123)]:
        connection = await connect(url)
        connection.close(code, reason)
        assert await soon(connection.read_message()) is None
        assert connection.close_code == code, (connection.close_code, code)
    connection = await connect(url)  # messages before the close frame are answered
    for i in range(100):
        connection.write_message(str(i))
    connection.close(1000)
    for i in range(100):
        assert await soon(connection.read_message()) == str(i)
    assert await soon(connection.read_message()) is None


async def limits(url):
    """The server's is 16 MiB."""
    connection = await connect(url)
    await echoes(connection, b"x" * (16 << 20))
    try:
        await connection.write_message(b"x" * ((16 << 20) + 1), binary=True)
    except websocket.WebSocketClosedError:  # it has the close frame before all was sent
        pass
    assert await soon(connection.read_message()) is None
    assert connection.close_code == 1009, connection.close_code


async def handshakes(url):
    connection = await connect(url, subprotocols=["one", "two"])
    assert connection.selected_subprotocol is None
    await echoes(connection, "none of them")
    connection.close()
    connection = await connect(url, compression_options={})
    await echoes(connection, "compressed, if it likes " * 100)
    connection.close()
    origin = url.replace("ws://", "http://").rsplit("/", 1)[0]
    connection = await connect(httpclient.HTTPRequest(url, headers={"Origin": origin}))
    connection.close()
    for request, status in [
            (httpclient.HTTPRequest(url, headers={"Origin": "http://evil"}), 403),
            (httpclient.HTTPRequest(url + "/nothing"), 404),
            (httpclient.HTTPRequest(url.rsplit("/", 1)[0] + "/"), 200)]:
        try:
            await connect(request)
            raise SystemExit("%s is no WebSocket" % request.url)
        except websocket.WebSocketError:
            assert status == 200
        except httpclient.HTTPClientError as error:
            assert error.code == status, (error.code, status)


async def stop(url, pid):
    connections = [await connect(url) for _ in range(10)]
    for connection in connections:
        await connection.write_message("last words")
    os.kill(pid, signal.SIGTERM)
    for connection in connections:
        got = await soon(connection.read_message())
        assert got in ("last words", None), got
        assert got is None or await soon(connection.read_message()) is None
        assert connection.close_code == 1001, connection.close_code


async def client(port, pid):
    url = "ws://127.0.0.1:%s/ws" % port
    await messages(url)
    await pipelined(url, 1000, 64)
    await pipelined(url, 1000, 16384)
    await pipelined(url, 20, 1 << 20)
    await many_at_a_time(url)
    await pings(url)
    await closes(url)
    await limits(url)
    await handshakes(url)
    await stop(url, int(pid))


# Their server, our client: each connection is a scene of its own.

class Scene(websocket.WebSocketHandler):
    def open(self):
        self.queue = asyncio.Queue()
        scene = scenes[self.request.path]
        self.task = asyncio.ensure_future(scene(self))
        self.task.add_done_callback(lambda task: done.put_nowait(task))

    def on_message(self, message):
        self.queue.put_nowait(message)

    def on_pong(self, data):
        self.queue.put_nowait(("pong", data))

    def on_close(self):
        self.queue.put_nowait(("close", self.close_code, self.close_reason))

    async def next(self):
        return await soon(self.queue.get())


async def scene_messages(handler):
    for size in SIZES:
        for message in os.urandom(size), "z" * size:
            await handler.write_message(message, binary=isinstance(message, bytes))
            assert await handler.next() == message
    for text in TEXTS:
        await handler.write_message(text)
        assert await handler.next() == text
    handler.ping(b"p" * 125)
    assert await handler.next() == ("pong", b"p" * 125)
    for i in range(1000):
        handler.write_message("%d" % i)
    for i in range(1000):
        assert await handler.next() == "%d" % i
    for i in range(20):
        handler.write_message(b"%02d" % i * (1 << 19), binary=True)
    for i in range(20):
        assert await handler.next() == b"%02d" % i * (1 << 19)
    handler.close(1000, "enough")
    assert await handler.next() == ("close", 1000, None)


async def scene_code(handler):
    handler.close(4321, "mine")
    assert await handler.next() == ("close", 4321, None)


async def scene_nothing(handler):
    handler.close()
    assert (await handler.next())[0] == "close"


async def scene_gone(handler):
    handler.write_message("last words")
    assert await handler.next() == "last words"
    handler.ws_connection.stream.close()


scenes = {"/messages": scene_messages, "/code": scene_code, "/nothing": scene_nothing, "/gone": scene_gone}
wanted = {"/messages": (0, "closed 1000 enough"), "/code": (0, "closed 4321 mine"), "/nothing": (0, "closed 1005 "),
          "/gone": (1, "closed 1006 "), "/refused": (1, "closed 1006 ")}
done = None


async def server(*program):
    global done
    done = asyncio.Queue()
    sockets = netutil.bind_sockets(0, "127.0.0.1")
    app = web.Application([("/(?:messages|code|nothing|gone)", Scene)], websocket_max_message_size=1 << 26,
                          log_function=lambda _: None)
    httpserver.HTTPServer(app).add_sockets(sockets)
    await visit(program, sockets[0].getsockname()[1], scenes, wanted, done)


asyncio.run({"client": client, "server": server}[sys.argv[1]](*sys.argv[2:]))
