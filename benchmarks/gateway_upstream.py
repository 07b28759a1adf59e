"""The upstream of `benchmarks.gateway`: the OpenAI wire from canned bytes, in a process of its own so that it is lean.

Behind `/a/v1` a model does what its name says (`dies-fin`, `stalls`, `flaky`, …), behind `/b/v1` it answers well
whatever it is called. An answer is `tok0 tok1 …`, 200 of them or as many as `max_tokens` says; where the last message is the
assistant's, it goes on behind that text. `GET /bill` tells how many answers and tokens were written, whoever read them.
It imports nothing of the project: any interpreter runs it. Prints its port.
"""

import argparse
import asyncio
import contextlib
import json
import random
import socket
import struct
import sys
from collections import Counter
from functools import lru_cache
from typing import Any, ClassVar

TOKENS_MAX = 200  # where an answer ends by itself
DIES_AT = 60  # tokens that a dying model writes first
PACE_S = 0.002  # between the events of a `paced` answer
STALL_S = 60.0
FLAKY_SHARE = 0.3
FLAKY = ("refuses", "dies-fin", "dies-rst", "dies-error", "stalls")
IN_BAND = b'data: {"error":{"message":"The server is overloaded.","type":"overloaded_error","code":503}}\n\n'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


def chunked(data: bytes) -> bytes:
    """One chunk of a body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(delta: str, finish: str = "null") -> bytes:
    """One `chat.completion.chunk`."""
    return (
        b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1773480413,"model":"m","choices":'
        b'[{"index":0,"delta":%s,"logprobs":null,"finish_reason":%s}]}\n\n'
        % (delta.encode(), finish.encode())
    )


@lru_cache(maxsize=512)
def pieces(first: int, count: int) -> tuple[bytes, ...]:
    """The events of the tokens from `first` up to `count`, the role before them, each as a chunk of the body."""
    tokens = (event(f'{{"content":"tok{at} "}}') for at in range(first, count))
    return tuple(chunked(each) for each in (event('{"role":"assistant","content":""}'), *tokens))


@lru_cache(maxsize=512)
def ending(first: int, count: int) -> bytes:
    """Finish reason, usage and `[DONE]`."""
    told = usage(first, count)
    return (
        chunked(event("{}", '"stop"'))
        + chunked(
            b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1773480413,"model":"m",'
            b'"choices":[],"usage":%s}\n\n' % told
        )
        + chunked(b"data: [DONE]\n\n")
        + LAST
    )


@lru_cache(maxsize=512)
def burst(first: int, count: int) -> bytes:
    """A whole streamed answer in one write."""
    return HEAD + b"".join(pieces(first, count)) + ending(first, count)


def usage(first: int, count: int) -> bytes:
    """What it is billed."""
    new = count - first
    return b'{"prompt_tokens":20,"completion_tokens":%d,"total_tokens":%d}' % (new, new + 20)


@lru_cache(maxsize=512)
def whole(first: int, count: int) -> bytes:
    """An answer that is not streamed."""
    text = "".join(f"tok{at} " for at in range(first, count))
    body = (
        b'{"id":"chatcmpl-1","object":"chat.completion","created":1773480413,"model":"m","choices":[{"index":0,'
        b'"message":{"role":"assistant","content":"%s"},"finish_reason":"stop"}],"usage":%s}'
        % (text.encode(), usage(first, count))
    )
    return reply(200, body)


def reply(status: int, body: bytes) -> bytes:
    """A whole JSON answer."""
    head = b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % (status, len(body)) + body


class Upstream(asyncio.Protocol):
    """One connection; requests on it come one after another."""

    bill: ClassVar[Counter[str]] = Counter()
    chance: ClassVar[random.Random] = random.Random(0)

    def __init__(self) -> None:
        self._held = b""
        self._transport: Any = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send at once."""
        self._transport = transport
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        """The reader went."""
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            head = self._held[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._held) < end + 4 + length:
                return
            body = self._held[end + 4 : end + 4 + length]
            path = self._held.split(b" ", 2)[1]
            self._held = self._held[end + 4 + length :]
            self._answer(path, body)

    def _answer(self, path: bytes, body: bytes) -> None:
        if path == b"/bill":
            self._transport.write(reply(200, json.dumps(self.bill).encode()))
            return
        if not body:
            self._transport.write(reply(200, b'{"object":"list","data":[]}'))
            return
        asked = json.loads(body)
        model, last = asked["model"].removesuffix("-cell"), asked["messages"][-1]
        first = _told(last["content"]) if last["role"] == "assistant" else 0
        bound = asked.get("max_tokens") or asked.get("max_completion_tokens") or TOKENS_MAX
        count = min(first + bound, TOKENS_MAX)
        dies_at = DIES_AT
        if not path.startswith(b"/a/"):
            model = "paced" if model == "paced" else "plain"
        elif model.startswith("flaky"):
            model, dies_at = self._flaky(), self.chance.randrange(first, count)
        self.bill["answers"] += 1
        if model == "refuses":
            self._transport.write(reply(503, b'{"error":{"message":"busy","type":"server_error"}}'))
            return
        is_stream = bool(asked.get("stream"))
        if model == "stalls" and is_stream:
            self.bill["tokens"] += max(0, dies_at - first)
            self._task = asyncio.get_running_loop().create_task(self._pace(first, max(first, dies_at), b""))
            return
        if model.startswith("dies") and is_stream:
            self._die(model, pieces(first, max(first, dies_at)), max(0, dies_at - first))
            return
        self.bill["tokens"] += count - first
        if not is_stream:
            self._transport.write(whole(first, count))
        elif model == "paced":
            self._task = asyncio.get_running_loop().create_task(
                self._pace(first, count, ending(first, count))
            )
        else:
            self._transport.write(burst(first, count))

    def _flaky(self) -> str:
        if self.chance.random() >= FLAKY_SHARE:
            return "paced"
        return self.chance.choice(FLAKY)

    def _die(self, model: str, written: tuple[bytes, ...], tokens: int) -> None:
        self.bill["tokens"] += tokens
        self._transport.write(HEAD + b"".join(written))
        loop = asyncio.get_running_loop()
        match model:
            case "dies-error":
                self._transport.write(chunked(IN_BAND) + LAST)
            case "dies-rst":  # later, or what was written is thrown away with the connection
                loop.call_later(0.02, self._reset)
            case _:
                self._transport.close()

    def _reset(self) -> None:
        connection = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError, AttributeError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    async def _pace(self, first: int, count: int, end: bytes) -> None:
        self._transport.write(HEAD)
        for each in pieces(first, count):
            self._transport.write(each)
            await asyncio.sleep(PACE_S)
        if not end:
            await asyncio.sleep(STALL_S)
            self._transport.abort()
        self._transport.write(end)


def _told(content: object) -> int:
    """How many tokens a given beginning holds."""
    text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)  # type: ignore[union-attr]
    return len(text.split())


async def serve(port: int) -> None:
    """Until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    Upstream.chance = random.Random(told.seed)
    with contextlib.suppress(ImportError):
        import uvloop

        uvloop.install()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(told.port))
    sys.exit(0)


if __name__ == "__main__":
    main()
