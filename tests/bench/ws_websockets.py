"""ws_websockets.py: a WebSocket server on Python's websockets. /ws: a message comes back. /broadcast: it goes to all of
/broadcast."""
import asyncio
import logging

import websockets

everyone = set()


async def serve(socket, path):
    if path != "/broadcast":
        async for message in socket:
            await socket.send(message)
        return
    everyone.add(socket)
    try:
        async for message in socket:
            websockets.broadcast(everyone, message)
    finally:
        everyone.discard(socket)


async def main():
    logging.disable()  # of clients that leave without a word
    async with websockets.serve(serve, "127.0.0.1", 0, compression=None, max_size=None, backlog=4096) as server:
        print("listening on 127.0.0.1:%d" % server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Event().wait()


asyncio.run(main())
