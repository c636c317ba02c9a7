"""What the interop tests of WebSockets send, and how long they wait."""
import asyncio

PATIENCE = 10
SIZES = [0, 1, 125, 126, 127, 65535, 65536, 1 << 20]
TEXTS = ["", "Hello", "\u00e4\u20ac\U0001f600", "a\0b", "\ufeff", "x" * 100000, "\u20ac" * 50000]


def soon(awaitable):
    return asyncio.wait_for(awaitable, PATIENCE)


async def visit(program, port, scenes, wanted, done):
    """Runs a client for each path. wanted: what becomes of it, status and line; done: of each path that has a scene, the
    task that has played it, which may have failed."""
    for path, (status, line) in wanted.items():
        process = await asyncio.create_subprocess_exec(
            *program, "ws://127.0.0.1:%d%s" % (port, path), stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL)
        try:
            if path in scenes:
                (await soon(done.get())).result()
            output, _ = await soon(process.communicate())
        finally:
            if process.returncode is None:
                process.kill()
        assert (process.returncode, output.decode()) == (status, line + "\n"), (path, process.returncode, output)
