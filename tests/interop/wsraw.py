"""WebSocket frames over plain sockets, for peers that do what no library would let them do.

Nothing but Python's own library. What comes is judged strictly: the mask where it has to be, the shortest form of the
length, no reserved bit, no control frame in pieces. What goes is whatever the caller says.
"""
import base64
import hashlib
import os
import socket
import struct

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PATIENCE = 5  # seconds, for one byte


class Wrong(Exception):
    """The other side has not done what it should."""


def mask_bytes(mask, data):
    if not data:
        return b""
    repeated = (mask * (len(data) // 4 + 1))[:len(data)]
    return (int.from_bytes(data, "little") ^ int.from_bytes(repeated, "little")).to_bytes(len(data), "little")


def frame(opcode, payload=b"", fin=True, rsv=0, mask=None, declared=None, form=None):
    """declared: the length that it says it has; form: of the length, in bytes: 0, 2 or 8."""
    length = len(payload) if declared is None else declared
    if form is None:
        form = 0 if length < 126 else 2 if length < 65536 else 8
    head = bytes([fin << 7 | rsv << 4 | opcode, (mask is not None) << 7 | {0: length, 2: 126, 8: 127}[form]])
    head += {0: b"", 2: struct.pack("!H", length & 0xffff), 8: struct.pack("!Q", length)}[form]
    return head + payload if mask is None else head + mask + mask_bytes(mask, payload)


class Peer:
    """One end of a connection whose handshake is over."""

    masks = []  # all that clients have used

    def __init__(self, sock, rest, is_client):
        self.socket, self.buffer, self.is_client = sock, rest, is_client

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def frame(self, opcode, payload=b"", **how):
        how.setdefault("mask", os.urandom(4) if self.is_client else None)
        return frame(opcode, payload, **how)

    def send_bytes(self, data, pieces=None):
        """pieces: so many bytes at a time."""
        if pieces is None:
            self.socket.sendall(data)
        for i in range(0, len(data) if pieces else 0, pieces or 1):
            self.socket.sendall(data[i:i + pieces])

    def send(self, opcode, payload=b"", pieces=None, **how):
        self.send_bytes(self.frame(opcode, payload, **how), pieces)

    def send_close(self, code=None, reason=b""):
        self.send(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)

    def read(self, count):
        parts, length = [self.buffer], len(self.buffer)
        while length < count:
            part = self.socket.recv(1 << 20)
            if not part:
                raise Wrong("the connection ends inside a frame" if length else "the connection ends")
            parts.append(part)
            length += len(part)
        data = b"".join(parts)
        self.buffer = data[count:]
        return data[:count]

    def next_frame(self):
        """(is it final, opcode, payload)"""
        try:
            first, second = self.read(2)
            length = second & 127
            if length == 126:
                length, = struct.unpack("!H", self.read(2))
                if length < 126:
                    raise Wrong("the length %d in two bytes" % length)
            elif length == 127:
                length, = struct.unpack("!Q", self.read(8))
                if length < 65536 or length >> 63:
                    raise Wrong("the length %d in eight bytes" % length)
            if first & 0x70:
                raise Wrong("reserved bits")
            if (second >> 7) == self.is_client:
                raise Wrong("a mask from the server" if self.is_client else "no mask from the client")
            opcode, fin = first & 15, bool(first & 128)
            if opcode >= 8 and (not fin or length > 125):
                raise Wrong("a control frame in pieces, or too long")
            mask = self.read(4) if second & 128 else None
            if mask:
                self.masks.append(mask)
            payload = self.read(length)
            return fin, opcode, mask_bytes(mask, payload) if mask else payload
        except socket.timeout:
            raise Wrong("nothing comes")
        except ConnectionError as error:
            raise Wrong("the connection ends: %s" % error)

    def expect(self, opcode, payload):
        got = self.next_frame()
        if got != (True, opcode, payload):
            raise Wrong("frame %r instead of %r" % (show(got), show((True, opcode, payload))))

    def expect_close(self, code=None, reason=None):
        """The close frame; with no reason wanted, any will do. code: None: none is sent; a set: one of them."""
        fin, opcode, payload = self.next_frame()
        if opcode != CLOSE:
            raise Wrong("frame %r instead of the close frame with %s" % (show((fin, opcode, payload)), code))
        got = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else None
        payload[2:].decode("utf-8")
        if len(payload) == 1 or got not in (code if isinstance(code, (set, tuple)) else {code}):
            raise Wrong("closed with %s instead of %s" % (got, code))
        if reason is not None and payload[2:] != reason:
            raise Wrong("closed with %r instead of %r" % (payload[2:], reason))
        return got

    def expect_end(self):
        """The connection ends, by FIN, and nothing comes before that."""
        try:
            data = self.buffer or self.socket.recv(65536)
        except socket.timeout:
            raise Wrong("the connection does not end")
        except ConnectionError as error:
            raise Wrong("the connection ends by %s" % error)
        if data:
            raise Wrong("%r instead of the end" % show((True, 0, data)))

    def expect_silence(self, seconds):
        self.socket.settimeout(seconds)
        try:
            data = self.buffer or self.socket.recv(1)
            raise Wrong("%r instead of silence" % data if data else "the end instead of silence")
        except socket.timeout:
            pass
        finally:
            self.socket.settimeout(PATIENCE)


def show(got):
    fin, opcode, payload = got
    return (fin, opcode, payload if len(payload) < 80 else b"%s... (%d bytes)" % (payload[:60], len(payload)))


def read_head(sock):
    data = b""
    while b"\r\n\r\n" not in data:
        part = sock.recv(65536)
        if not part:
            break
        data += part
        if len(data) > 65536:
            raise Wrong("an endless head")
    head, _, rest = data.partition(b"\r\n\r\n")
    return head.decode("latin-1").split("\r\n"), rest


def fields_of(lines):
    return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}


def accept_of(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


def open_socket(port):
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def request_head(port, path, fields, key="dGhlIHNhbXBsZSBub25jZQ=="):
    wanted = {"Host": "127.0.0.1:%d" % port, "Connection": "Upgrade", "Upgrade": "websocket",
              "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}
    wanted.update(fields)
    lines = ["%s: %s" % each for each in wanted.items() if each[1] is not None]
    return "\r\n".join(["GET %s HTTP/1.1" % path] + lines + ["", ""]).encode("latin-1")


def connect(port, path="/ws", behind=b"", **fields):
    """A client. behind: bytes that leave together with the handshake."""
    sock, key = open_socket(port), base64.b64encode(os.urandom(16)).decode()
    fields = {name.replace("_", "-"): value for name, value in fields.items()}
    sock.sendall(request_head(port, path, fields, key) + behind)
    lines, rest = read_head(sock)
    if not lines[0].startswith("HTTP/1.1 101 "):
        raise Wrong("the answer is %r" % lines[0])
    got = fields_of(lines)
    if got.get("sec-websocket-accept") != accept_of(key) or got.get("upgrade", "").lower() != "websocket":
        raise Wrong("the answer is %r" % lines)
    peer = Peer(sock, rest, True)
    peer.answer = got
    return peer


def status_of(port, path="/ws", fields={}, head=None):
    """What a handshake is answered with; (status, fields)."""
    with open_socket(port) as sock:
        sock.sendall(request_head(port, path, fields) if head is None else head)
        lines, _ = read_head(sock)
    return int(lines[0].split()[1]) if lines[0] else 0, fields_of(lines)


def accept(listener):
    """A server: the next client; its request's target is target."""
    sock, _ = listener.accept()
    sock.settimeout(PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    lines, rest = read_head(sock)
    fields = fields_of(lines)
    if fields.get("sec-websocket-version") != "13" or len(base64.b64decode(fields.get("sec-websocket-key", ""))) != 16:
        raise Wrong("the request is %r" % lines)
    sock.sendall(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Accept: %s\r\n\r\n" % accept_of(fields["sec-websocket-key"])).encode())
    peer = Peer(sock, rest, False)
    peer.target, peer.fields = lines[0].split()[1], fields
    return peer


def listen():
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(PATIENCE)
    return listener
