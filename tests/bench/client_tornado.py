"""client_tornado.py [-c REQUESTS] -k -n REQUESTS | -d SECONDS PORT: as client.h says, with Tornado's
simple_httpclient, which never keeps a connection."""
import asyncio
import getopt
import os
import sys
import time

import tornado.simple_httpclient

FIRST_PART = 0.2


class Client:
    def __init__(self, port, at_once, requests, duration):
        self.url = "http://127.0.0.1:%d/plain" % port
        self.at_once, self.requests, self.duration = at_once, requests, duration
        self.started = self.answered = self.before = 0

    def count_from_now(self, now):
        self.before, self.start, self.cpu = self.answered, now, time.process_time()

    def next(self):
        if self.requests and self.started >= self.requests:
            return False
        self.started += 1
        return True

    def end(self, now):
        count = self.answered - self.before
        print("client cpu\tus/request\t%.6g" % ((time.process_time() - self.cpu) * 1e6 / count))
        print("requests\tk/s\t%.6g" % (count / (now - self.start) / 1e3), flush=True)
        os._exit(0)

    def on_answer(self, response):
        if response.code != 200 or len(response.body) != 12:
            sys.exit("this is not the answer")
        self.answered += 1
        now = time.monotonic()
        if self.answered == self.requests:
            self.end(now)
        if self.requests:
            return
        if not self.before and now - self.start >= self.duration * FIRST_PART:
            self.count_from_now(now)
        elif self.before and now - self.start >= self.duration * (1 - FIRST_PART):
            self.end(now)

    async def ask(self, http):
        while self.next():
            self.on_answer(await http.fetch(self.url))

    async def run(self):
        http = tornado.simple_httpclient.SimpleAsyncHTTPClient(max_clients=self.at_once, force_instance=True)
        self.count_from_now(time.monotonic())
        await asyncio.gather(*(self.ask(http) for _ in range(self.at_once)))


def main():
    options, arguments = getopt.gnu_getopt(sys.argv[1:], "c:kn:d:")
    options = dict(options)
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, processors[1:2] or processors)
    client = Client(int(arguments[0]), int(options.get("-c", 64)), int(options.get("-n", 0)),
                    float(options.get("-d", 0)))
    asyncio.run(client.run())


main()
