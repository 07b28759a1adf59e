"""The client of `benchmarks.gateway`: raw sockets kept alive, the same for every arm.

One after another on one blocking connection for latencies; several connections at once for processor time, where what
the client itself costs does not matter.
"""

import json
import math
import selectors
import socket
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

LIMIT_S = 120.0
PATH = "/v1/chat/completions"


def question(model: str, tokens: int, *, is_stream: bool, has_usage: bool = False) -> bytes:
    """The body of one request."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "Tell me what the harbour looks like at seven in the morning."},
        ],
        "max_tokens": tokens,
        "temperature": 0.2,
    }
    if is_stream:
        body["stream"] = True
    if has_usage:
        body["stream_options"] = {"include_usage": True}
    return json.dumps(body).encode()


def request(port: int, key: str, body: bytes, path: str = PATH) -> bytes:
    """The whole request as bytes."""
    return (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\naccept: */*\r\nuser-agent: bench/1.0\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body


@dataclass(slots=True)
class Reply:
    """One answer as it came."""

    status: int
    head: str
    body: bytes
    is_whole: bool = True
    first_s: float = 0.0  # until the first word of the answer
    total_s: float = 0.0

    @property
    def events(self) -> list[Any]:
        """The JSON of each server-sent event."""
        found = [line[6:] for line in self.body.split(b"\n") if line.startswith(b"data: ")]
        return [json.loads(each) for each in found if each != b"[DONE]"]

    @property
    def is_done(self) -> bool:
        """Whether a stream was ended as its protocol says."""
        return b"data: [DONE]" in self.body

    @property
    def text(self) -> str:
        """The answer's words, streamed or not."""
        if not self.body.lstrip().startswith(b"data:") and b"\ndata: " not in self.body:
            return json.loads(self.body)["choices"][0]["message"]["content"] or ""
        deltas = [choice.get("delta") or {} for each in self.events for choice in each.get("choices") or ()]
        return "".join(delta.get("content") or "" for delta in deltas)


class Incoming:
    """Takes an answer's bytes until it is whole."""

    def __init__(self) -> None:
        self._raw = bytearray()
        self._body_at = -1
        self._length: int | None = None  # None: the body comes in chunks
        self._head = ""
        self.begun_s = time.perf_counter()
        self.first_s = 0.0

    def feed(self, data: bytes) -> bool:
        """Whether the answer is whole now."""
        self._raw += data
        if self._body_at < 0:
            end = self._raw.find(b"\r\n\r\n")
            if end < 0:
                return False
            self._head = self._raw[:end].decode("latin-1").lower()
            self._body_at = end + 4
            at = self._head.find("content-length:")
            self._length = int(self._head[at + 15 :].split("\r\n", 1)[0]) if at >= 0 else None
        if not self.first_s and b"tok0 " in data:
            self.first_s = time.perf_counter() - self.begun_s
        if self._length is not None:
            return len(self._raw) - self._body_at >= self._length
        return self._raw.endswith(b"0\r\n\r\n")

    def reply(self, *, is_whole: bool = True) -> Reply:
        """What came."""
        raw = bytes(self._raw[self._body_at :]) if self._body_at >= 0 else b""
        status = int(self._head.split(" ", 2)[1]) if self._head else 0
        body = raw if self._length is not None else _joined(raw)
        return Reply(status, self._head, body, is_whole, self.first_s, time.perf_counter() - self.begun_s)


def _joined(raw: bytes) -> bytes:
    out, at = bytearray(), 0
    while at < len(raw):
        end = raw.find(b"\r\n", at)
        if end < 0:
            break
        size = int(raw[at:end].split(b";")[0] or b"0", 16)
        if not size:
            break
        out += raw[end + 2 : end + 2 + size]
        at = end + 2 + size + 2
    return bytes(out)


@dataclass(slots=True)
class Line:
    """One connection that asks one question after another."""

    port: int
    _socket: socket.socket | None = field(default=None)

    def ask(self, raw: bytes) -> Reply:
        """The whole answer, or what there was of it when the connection ended."""
        connection = self._open()
        incoming = Incoming()
        connection.sendall(raw)
        while True:
            try:
                data = connection.recv(1 << 18)
            except OSError:
                data = b""
            if not data:
                self.close()
                return incoming.reply(is_whole=False)
            if incoming.feed(data):
                return incoming.reply()

    def _open(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def close(self) -> None:
        """Harmless the second time."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def together(port: int, raw: bytes, count: int, connections: int) -> list[Reply]:
    """The answers to `count` requests over so many connections at once."""
    return list(rolling(port, raw, count, connections))


def rolling(
    port: int, raw: bytes, count: int, connections: int, seconds: float = math.inf
) -> Generator[Reply]:
    """As `together`, each answer as it comes; after `seconds` no more is asked, and what was asked is waited for.

    A connection that ends in the middle gives what there was, and another one is opened for the next question.
    """
    selector, asked, until_s = selectors.DefaultSelector(), 0, time.monotonic() + seconds
    lines = set[socket.socket]()

    def ask(line: socket.socket | None) -> None:
        nonlocal asked
        if asked == count or time.monotonic() > until_s:
            return
        if line is None:
            line = socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            lines.add(line)
        line.sendall(raw)
        asked += 1
        selector.register(line, selectors.EVENT_READ, Incoming())

    try:
        for _ in range(min(count, connections)):
            ask(None)
        while selector.get_map():
            ready = selector.select(LIMIT_S)
            if not ready:
                raise TimeoutError(f"no answer within {LIMIT_S:g} s")
            for key, _ in ready:
                line: Any = key.fileobj
                incoming: Incoming = key.data
                data = _received(line)
                if data and not incoming.feed(data):
                    continue
                selector.unregister(line)
                if not data:
                    lines.discard(line)
                    line.close()
                yield incoming.reply(is_whole=bool(data))
                ask(line if data else None)
    finally:
        for line in lines:
            line.close()
        selector.close()


def _received(line: socket.socket) -> bytes:
    try:
        return line.recv(1 << 18)
    except ConnectionError:
        return b""


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]
