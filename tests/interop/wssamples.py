"""What the interop tests of WebSockets send, and how long they wait."""
import asyncio

PATIENCE = 10
SIZES = [0, 1, 125, 126, 127, 65535, 65536, 1 << 20]
TEXTS = ["", "Hello", "\u00e4\u20ac\U0001f600", "a\0b", "\ufeff", "x" * 100000, "\u20ac" * 50000]


def soon(awaitable):
    return asyncio.wait_for(awaitable, PATIENCE)
