"""ws_tornado.py: a WebSocket server on Tornado. /ws: a message comes back. /broadcast: it goes to all of /broadcast."""
import asyncio
import logging

import tornado.httpserver
import tornado.netutil
import tornado.web
import tornado.websocket


class Echo(tornado.websocket.WebSocketHandler):
    def open(self):
        self.set_nodelay(True)

    def on_message(self, message):
        self.write_message(message, binary=isinstance(message, bytes))


class Broadcast(tornado.websocket.WebSocketHandler):
    all = set()

    def open(self):
        self.set_nodelay(True)
        self.all.add(self)

    def on_close(self):
        self.all.discard(self)

    def on_message(self, message):
        for each in self.all:
            each.write_message(message, binary=isinstance(message, bytes))


async def main():
    logging.disable()  # of requests, and of clients that leave without a word
    application = tornado.web.Application([("/ws", Echo), ("/broadcast", Broadcast)])
    server = tornado.httpserver.HTTPServer(application)
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1", backlog=4096)
    server.add_sockets(sockets)
    print("listening on 127.0.0.1:%d" % sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
