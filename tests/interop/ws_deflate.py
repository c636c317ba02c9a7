"""permessage-deflate of python3-websockets and of Tornado, against build/tests/conformance_server and build/tests/ws_echo_client.

    python3 ws_deflate.py (websockets|tornado) client PORT
    python3 ws_deflate.py (websockets|tornado) server PROGRAM
"""
import asyncio
import itertools
import os
import random
import sys

from wssamples import soon

generator = random.Random(7692)
WORDS = [bytes(generator.choices(b"abcdefghijklmnopqrstuvwxyz", k=generator.randint(2, 9))) for _ in range(300)]


def text(size):
    """Compresses as texts do."""
    words = b" ".join(generator.choices(WORDS, k=size // 3 + 1))
    return words[:size].decode()


MESSAGES = [text(size) for size in (0, 1, 63, 64, 65, 125, 500, 5000, 65536, 1 << 20)] + \
    [os.urandom(size) for size in (0, 1, 64, 100, 1000, 65536, 200000)] + \
    [b"\0" * (1 << 20), "\u20ac" * 100000, "\U0001f600\u00e4" * 1000] + [text(120) for _ in range(100)]


async def echoes(send, receive):
    """One by one, then all at once."""
    for message in MESSAGES:
        await soon(send(message))
        got = await soon(receive())
        assert got == message, (message[:50], got if got is None else got[:50])

    async def send_all():
        for message in MESSAGES:
            await send(message)

    async def receive_all():
        for message in MESSAGES:
            assert await soon(receive()) == message
    await asyncio.gather(send_all(), receive_all())


async def run_program(program, option, url, wanted):
    process = await asyncio.create_subprocess_exec(program, option, url, stdin=asyncio.subprocess.DEVNULL,
                                                   stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL)
    try:
        output, _ = await asyncio.wait_for(process.communicate(), 30)
    finally:
        if process.returncode is None:
            process.kill()
    assert (process.returncode, output.decode()) == (0, wanted), (process.returncode, output)


# python3-websockets: what it was before version 14, and still has; the other has other names for extensions and so on.

async def websockets_client(port):
    from websockets.legacy.client import connect
    from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
    windows = [(None, True), (15, 15), (9, 9), (12, None), (None, 10)]
    for path, (server_window, client_window), server_anew, client_anew in itertools.product(
            ("/ws-deflate", "/ws-deflate/anew"), windows, (False, True), (False, True)):
        if path.endswith("anew") and server_window != 15 or server_anew and client_anew and server_window:
            continue
        offer = ClientPerMessageDeflateFactory(server_no_context_takeover=server_anew, client_no_context_takeover=client_anew,
                                               server_max_window_bits=server_window, client_max_window_bits=client_window)
        async with connect("ws://127.0.0.1:%s%s" % (port, path), extensions=[offer], compression=None,
                                      max_size=1 << 26) as socket:
            assert len(socket.extensions) == 1, socket.extensions
            assert not path.endswith("anew") or socket.extensions[0].remote_no_context_takeover
            for message in MESSAGES[:8]:  # in fragments, with a ping between
                if isinstance(message, str) and message:
                    async def fragments():
                        yield message[:1]
                        await socket.ping()
                        yield message[1:]
                    await soon(socket.send(fragments()))
                    assert await soon(socket.recv()) == message
            await echoes(socket.send, socket.recv)


async def websockets_server(program):
    from websockets.legacy.server import serve
    from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
    outcome = []

    async def handle(socket):
        try:
            assert len(socket.extensions) == 1, socket.extensions
            await echoes(socket.send, socket.recv)
        except BaseException as problem:
            outcome.append(problem)
    for server_window, client_window, server_anew, client_anew in itertools.product((None, 9), (None, 9), (False, True), (False, True)):
        answer = ServerPerMessageDeflateFactory(server_no_context_takeover=server_anew, client_no_context_takeover=client_anew,
                                                server_max_window_bits=server_window, client_max_window_bits=client_window)
        async with serve(handle, "127.0.0.1", 0, max_size=1 << 26, extensions=[answer], compression=None) as listening:
            for option in "--compress", "--compress-anew":
                await run_program(program, option, "ws://127.0.0.1:%d/" % listening.sockets[0].getsockname()[1],
                                  "compressed\nclosed 1000 \n")
                assert not outcome, outcome


# Tornado, which overlooks parameters without a value, and so keeps its context whatever was agreed on.

async def tornado_client(port):
    from tornado import websocket
    for options in {}, {"compression_level": 9, "mem_level": 9}:
        connection = await soon(websocket.websocket_connect("ws://127.0.0.1:%s/ws-deflate" % port, compression_options=options,
                                                            max_message_size=1 << 26))
        assert "permessage-deflate" in connection.headers["Sec-WebSocket-Extensions"]
        await echoes(lambda message: connection.write_message(message, binary=isinstance(message, bytes)), connection.read_message)
        connection.close()
        assert await soon(connection.read_message()) is None


async def tornado_server(program):
    from tornado import httpserver, netutil, web, websocket
    outcome = []

    class Scene(websocket.WebSocketHandler):
        def get_compression_options(self):
            return {}

        def open(self):
            self.queue = asyncio.Queue()
            self.task = asyncio.ensure_future(self.play())

        async def play(self):
            try:
                await echoes(lambda message: self.write_message(message, binary=isinstance(message, bytes)), self.queue.get)
            except BaseException as problem:
                outcome.append(problem)
            self.close(1000, "enough")

        def on_message(self, message):
            self.queue.put_nowait(message)

    sockets = netutil.bind_sockets(0, "127.0.0.1")
    application = web.Application([("/", Scene)], websocket_max_message_size=1 << 26, log_function=lambda _: None)
    httpserver.HTTPServer(application).add_sockets(sockets)
    await run_program(program, "--compress", "ws://127.0.0.1:%d/" % sockets[0].getsockname()[1], "compressed\nclosed 1000 enough\n")
    assert not outcome, outcome


asyncio.run(globals()["%s_%s" % tuple(sys.argv[1:3])](sys.argv[3]))
