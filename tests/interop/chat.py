"""Chromium with the page of build/examples/chat in two windows: python3 chat.py CHROMIUM FOLDER.

The windows are driven over the DevTools protocol. FOLDER is for the browser's profile and for what is logged.
"""
import asyncio
import ctypes
import json
import os
import signal
import subprocess
import sys

from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import websocket_connect

PATIENCE = 15  # seconds, for each thing that is waited for
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


class Chat:
    """The server, which can be started again on the same port."""

    def __init__(self, folder):
        self.log = os.path.join(folder, "chat.log")
        self.port = 0
        self.process = None

    def start(self):
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(["build/examples/chat", "--port=%d" % self.port],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening on 127.0.0.1:"), line
        self.port = int(line.rsplit(":", 1)[1])

    def stop(self):
        self.process.terminate()
        status = self.process.wait(PATIENCE)
        assert status == 0, "SIGTERM ended it with status %d" % status

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def descendants(parents):
    """Of processes, by what /proc says: the browser's helpers leave its group and its session."""
    children = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % name) as stat:
                parent = int(stat.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(name))
    found = []
    while parents:
        parents = [child for parent in parents for child in children.get(parent, [])]
        found += parents
    return found


class Browser:
    def __init__(self, program, folder):
        self.profile = os.path.join(folder, "profile")
        # Whose parent has died becomes our child, and cannot get away.
        prctl = ctypes.CDLL(None).prctl
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        with open(os.path.join(folder, "browser.log"), "w") as log:
            self.process = subprocess.Popen(
                [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-breakpad", "--no-first-run",
                 "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows",
                 "--disable-renderer-backgrounding", "--remote-debugging-port=0", "--user-data-dir=" + self.profile,
                 "about:blank"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0),  # should we be killed
                env=dict(os.environ, HOME=folder))

    async def port(self):
        """Where it is driven; it writes that into its profile."""
        while self.process.poll() is None:
            try:
                with open(os.path.join(self.profile, "DevToolsActivePort")) as file:
                    return int(file.readline())
            except (OSError, ValueError):
                await asyncio.sleep(0.05)
        raise SystemExit("chromium does not start")

    def kill(self):
        """All that it has started, however it is found."""
        while True:
            left = descendants([os.getpid()])
            for each in left:
                try:
                    os.kill(each, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            for _ in left:
                try:
                    os.waitpid(-1, 0)
                except ChildProcessError:
                    return
            if not left:
                return


class Window:
    """A page that a browser has open."""

    def __init__(self, name):
        self.name = name
        self.last = 0
        self.waiting = {}  # the number of a call, or an event's name, to the future of its answer
        self.socket = None

    def on_message(self, text):
        message = json.loads(text) if text is not None else {}
        future = self.waiting.pop(message.get("id", message.get("method")), None)
        if future is not None and not future.done():
            future.set_result(message)

    def expect(self, key):
        self.waiting[key] = asyncio.get_running_loop().create_future()
        return asyncio.wait_for(self.waiting[key], PATIENCE)

    async def call(self, method, **parameters):
        self.last += 1
        answer = self.expect(self.last)
        await self.socket.write_message(json.dumps({"id": self.last, "method": method, "params": parameters}))
        message = await answer
        assert "error" not in message, message
        return message["result"]

    async def open(self, devtools, url):
        answer = await AsyncHTTPClient().fetch("http://127.0.0.1:%d/json/new" % devtools, method="PUT", body="")
        self.socket = await websocket_connect(json.loads(answer.body)["webSocketDebuggerUrl"],
                                              on_message_callback=self.on_message, max_message_size=1 << 26)
        await self.call("Page.enable")
        loaded = self.expect("Page.loadEventFired")
        await self.call("Page.navigate", url=url)
        await loaded

    async def ask(self, script):
        result = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def wait_for(self, script, what):
        """Until the script's value is true: what changes the page is an observer's business, not that of a clock."""
        promise = """new Promise(resolve => {
            const look = () => (%s) && resolve(true);
            new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
            look();
        })""" % script
        try:
            await self.ask(promise)
        except asyncio.TimeoutError:
            raise SystemExit("%s, %s: the page has %r" % (self.name, what, await self.ask("document.body.innerText")))

    async def has(self, text, what):
        await self.wait_for("[...document.querySelectorAll('#messages li')].some(item => item.textContent === %s)"
                            % json.dumps(text), what)

    async def is_connected(self, what):
        await self.wait_for("document.getElementById('state').textContent === 'connected'", what)

    async def counts(self, people):
        await self.wait_for("document.getElementById('people').textContent === '%d here'" % people, "how many are here")

    async def say(self, text):
        await self.ask("document.getElementById('text').value = %s; document.getElementById('form').requestSubmit()"
                       % json.dumps(text))

    async def texts(self):
        return await self.ask("[...document.querySelectorAll('#messages li:not(.news)')].map(item => item.textContent)")


async def look_at_chat(devtools, chat):
    page = "http://127.0.0.1:%d/?name=" % chat.port
    ann, bob = Window("Ann"), Window("Bob")
    await ann.open(devtools, page + "Ann")
    await ann.is_connected("the first")
    await ann.say("first")
    await ann.has("Annfirst", "her own message")

    await bob.open(devtools, page + "Bob")
    await bob.has("Annfirst", "what was said before he came")
    await ann.has("Bob has come", "that he has come")
    await ann.counts(2)

    odd = "<b onclick='x'>\"&amp;\" \u00e4 \U0001f600"
    await bob.say(odd)
    await ann.has("Bob" + odd, "a text with everything in it")
    said = [each.say("%s %d" % (each.name, i)) for i in range(20) for each in (ann, bob)]
    await asyncio.gather(*said)
    for each in ann, bob:
        await each.wait_for("document.querySelectorAll('#messages li:not(.news)').length >= 42", "forty messages")
    assert await ann.texts() == await bob.texts(), "they see different things"

    # The server goes, and comes back with no memory of what was said: what is said now is new.
    chat.stop()
    for each in ann, bob:
        await each.wait_for("document.getElementById('state').textContent !== 'connected'", "that the server has gone")
    chat.start()
    for each in ann, bob:
        await each.is_connected("after the server was started again")
        await each.counts(2)
    await ann.say("again")
    await bob.has("Annagain", "what is said after that")
    assert len(await bob.texts()) == 43

    await bob.ask("""{ const name = document.getElementById('name'); name.value = 'Rob';
                       name.dispatchEvent(new Event('change')); }""")
    await ann.has("Bob has left", "that nobody has this name any more")
    await ann.has("Rob has come", "that he has another name")
    await bob.is_connected("under another name")
    await bob.say("the same")
    await ann.has("Robthe same", "what he says under another name")
    assert len(await bob.texts()) == 44, "he sees again what he has seen"

    await bob.call("Page.close")
    await ann.has("Rob has left", "that he has left")
    await ann.counts(1)


async def drive(browser, chat):
    devtools = await asyncio.wait_for(browser.port(), PATIENCE)
    await look_at_chat(devtools, chat)


def main(program, folder):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("it takes too long"))
    chat, browser = Chat(folder), Browser(program, folder)
    try:
        chat.start()
        asyncio.run(drive(browser, chat))
        chat.stop()
    finally:
        chat.kill()
        browser.kill()


main(*sys.argv[1:])
