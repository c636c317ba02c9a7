"""futures_asyncio.py COUNT: as futures_ioloop, of Python's asyncio, which Tornado runs on."""
import asyncio
import concurrent.futures
import sys
import time


async def futures(loop, left):
    while left[0] > 0:
        left[0] -= 1
        future = loop.create_future()
        loop.call_soon(future.set_result, None)
        await future


async def queue(loop, left):
    items = asyncio.Queue(100)

    async def put():
        while True:
            await items.put(None)

    putter = loop.create_task(put())
    while left[0] > 0:
        left[0] -= 1
        await items.get()
    putter.cancel()


async def jobs(loop, left):
    while left[0] > 0:
        left[0] -= 1
        await loop.run_in_executor(executor, int)


executor = concurrent.futures.ThreadPoolExecutor(1)


async def measure(name, chain, count, chains):
    loop = asyncio.get_running_loop()
    left = [count]
    start = time.monotonic()
    await asyncio.gather(*(chain(loop, left) for _ in range(chains)))
    print("%s\t1000/s\t%.1f" % (name, count / (time.monotonic() - start) / 1000))


async def main(count):
    await measure("future, one at a time", futures, count, 1)
    await measure("future, 100 at a time", futures, count, 100)
    await measure("queue, one pair", queue, count, 1)
    await measure("queue, 100 pairs", queue, count, 100)
    await measure("executor, one at a time", jobs, count // 10, 1)
    await measure("executor, 100 at a time", jobs, count // 10, 100)


asyncio.run(main(int(sys.argv[1])))
