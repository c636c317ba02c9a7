"""Tornado's own HTTP client against the server at PORT: what it finds wrong, it raises."""
import asyncio
import sys

from tornado.httpclient import AsyncHTTPClient, HTTPClientError

port = int(sys.argv[1])
url = f"http://127.0.0.1:{port}"


async def fails_with(code, fetch):
    try:
        await fetch
    except HTTPClientError as error:
        assert error.code == code, error
    else:
        raise AssertionError(f"no {code}")


async def main():
    client = AsyncHTTPClient(max_clients=100)
    answer = await client.fetch(url + "/")
    assert answer.body == b"Hello, World!" and answer.headers["Content-Type"] == "text/plain"
    assert "Date" in answer.headers and answer.headers["Server"] == "ioloop"
    head = await client.fetch(url + "/bytes/1000", method="HEAD", raise_error=False)
    assert head.code in (200, 405) and head.body == b""
    body = bytes(range(256)) * 1000
    assert (await client.fetch(url + "/echo", method="POST", body=body)).body == body
    assert (await client.fetch(url + "/echo", method="POST", body=body, expect_100_continue=True)).body == body

    async def produce(write):
        for i in range(100):
            await write(b"%d," % i)

    numbers = b"".join(b"%d," % i for i in range(100))
    assert (await client.fetch(url + "/echo", method="POST", body_producer=produce)).body == numbers
    assert (await client.fetch(url + "/upload", method="PUT", body_producer=produce)).body == b"%d\n" % len(numbers)
    pieces = []
    await client.fetch(url + "/chunked/300000", streaming_callback=pieces.append)
    assert sum(map(len, pieces)) == 300000
    answer = await client.fetch(url + "/redirect/4")
    assert answer.effective_url == url + "/" and answer.body == b"Hello, World!"
    await fails_with(404, client.fetch(url + "/nothing"))
    await fails_with(405, client.fetch(url + "/", method="DELETE"))
    # It asks first: while it sends, this client does not read.
    await fails_with(413, client.fetch(url + "/echo", method="POST", body=b"x" * 2000000, expect_100_continue=True))
    static = await client.fetch(url + "/static/a.txt")
    await fails_with(304, client.fetch(url + "/static/a.txt", headers={"If-None-Match": static.headers["Etag"]}))
    part = await client.fetch(url + "/static/a.txt", headers={"Range": "bytes=1-2"})
    assert part.code == 206 and part.body == static.body[1:3]
    answers = await asyncio.gather(*[client.fetch(url + "/slow?seconds=0.2") for _ in range(100)])
    assert all(answer.body == b"slept\n" for answer in answers)


asyncio.run(main())
