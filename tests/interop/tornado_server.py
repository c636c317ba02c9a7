"""A server of Tornado for our client: says "listening on 127.0.0.1:N", and ends with SIGTERM."""
import asyncio
import base64
import signal

import tornado.httpserver
import tornado.netutil
import tornado.web


class Root(tornado.web.RequestHandler):
    def get(self):
        self.write("Hello, World!")


class Echo(tornado.web.RequestHandler):
    def post(self):
        self.set_header("Content-Type", self.request.headers.get("Content-Type", "application/octet-stream"))
        self.write(self.request.body)

    put = post


class Method(tornado.web.RequestHandler):
    SUPPORTED_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "OTHER")

    def answer(self):
        self.write(self.request.method)

    get = post = put = patch = delete = options = other = answer


class Chunked(tornado.web.RequestHandler):
    async def get(self, count):
        for i in range(int(count)):
            self.write(b"%05d" % i)
            await self.flush()


class Redirect(tornado.web.RequestHandler):
    def get(self, hops):
        hops = int(hops)
        self.redirect(f"/redirect/{hops - 1}" if hops > 1 else "/", status=int(self.get_argument("status", "302")))

    def post(self, hops):
        self.redirect("/method", status=int(self.get_argument("status", "302")))


class Loop(tornado.web.RequestHandler):
    def get(self):
        self.redirect("/loop")


class Status(tornado.web.RequestHandler):
    def get(self, status):
        self.set_status(int(status), self.get_argument("reason", None))


class Slow(tornado.web.RequestHandler):
    async def get(self):
        await asyncio.sleep(float(self.get_argument("seconds")))
        self.write("slept")


class Auth(tornado.web.RequestHandler):
    def get(self):
        kind, _, text = self.request.headers.get("Authorization", "").partition(" ")
        if kind != "Basic":
            self.set_status(401)
        else:
            self.write(base64.b64decode(text))


class Headers(tornado.web.RequestHandler):
    def get(self):
        self.write("|".join(f"{name}: {value}" for name, value in sorted(self.request.headers.get_all())))


@tornado.web.stream_request_body
class Upload(tornado.web.RequestHandler):
    def prepare(self):
        self.count = 0
        self.request.connection.set_max_body_size(1 << 40)

    def data_received(self, data):
        self.count += len(data)

    def post(self):
        self.write(str(self.count))


class Cut(tornado.web.RequestHandler):
    def get(self):
        stream = self.detach()
        stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        stream.close()


async def main():
    app = tornado.web.Application([
        (r"/", Root), (r"/echo", Echo), (r"/method", Method), (r"/chunked/([0-9]+)", Chunked),
        (r"/redirect/([0-9]+)", Redirect), (r"/loop", Loop), (r"/status/([0-9]+)", Status), (r"/slow", Slow),
        (r"/auth", Auth), (r"/headers", Headers), (r"/upload", Upload), (r"/cut", Cut)])
    server = tornado.httpserver.HTTPServer(app)
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    print(f"listening on 127.0.0.1:{sockets[0].getsockname()[1]}", flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()


asyncio.run(main())
