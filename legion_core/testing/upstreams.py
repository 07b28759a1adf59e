"""Providers that do as they are told: real HTTP servers on loopback, one class for every wire.

    async with Upstream("openai") as upstream:
        upstream.will(Answer(("Hello ", "world")), Answer(("Hel",), fault=Die(at_event=2)))
        provider = OpenAICompatible("box", upstream.base_url, clock)

Each question takes the next plan; the last one serves all after it. `requests` is what was asked, byte for byte;
`billed_tokens` is this provider's own bill: output tokens it wrote, whether or not anyone read them.
"""

import asyncio
import fcntl
import json
import os
import signal
import socket
import struct
import sys
import termios
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self, cast

from legion_core.testing import upstream_bedrock, upstream_gemini, upstream_wires
from legion_core.testing.upstream_listings import Served, other
from legion_core.testing.upstream_wires import Answer, Call, Die, Event, Insert, Say, Stall, Tear, WireName

__all__ = [
    "Answer",
    "Call",
    "Die",
    "Event",
    "Insert",
    "NoAnswer",
    "Plan",
    "Raw",
    "Recorded",
    "Say",
    "Served",
    "Stall",
    "Tear",
    "Upstream",
    "error",
    "events_of",
    "in_thread",
]


STREAMS: dict[WireName, Callable[[Answer, dict[str, Any]], list[Event]]] = {
    "openai": upstream_wires.openai_stream,
    "anthropic": upstream_wires.anthropic_stream,
    "ollama": upstream_wires.ollama_stream,
    "gemini": upstream_gemini.stream,
    "bedrock": upstream_bedrock.stream,
}
WHOLE: dict[WireName, Callable[[Answer, dict[str, Any]], bytes]] = {
    "openai": upstream_wires.openai_whole,
    "anthropic": upstream_wires.anthropic_whole,
    "ollama": upstream_wires.ollama_whole,
    "gemini": upstream_gemini.whole,
    "bedrock": upstream_bedrock.whole,
}
# An answer's path ends so, whatever door it stands behind: a server's root, a version, a deployment, a project.
_ANSWERS: dict[WireName, tuple[str, ...]] = {
    "openai": ("/completions",),  # of a chat, and of a text
    "anthropic": ("/v1/messages", ":streamRawPredict"),
    "ollama": ("/api/chat", "/api/generate"),
    "gemini": (":streamGenerateContent", ":generateContent"),
    "bedrock": ("/converse-stream", "/converse"),
}
_TYPES: dict[WireName, str] = {
    "openai": "text/event-stream",
    "anthropic": "text/event-stream",
    "ollama": "application/x-ndjson",
    "gemini": "text/event-stream",
    "bedrock": "application/vnd.amazon.eventstream",
}


def events_of(wire: WireName, answer: Answer) -> list[Event]:
    """The events an upstream would write for `answer`; for choosing where to break it."""
    return STREAMS[wire](answer, {"model": "m1", "stream_options": {"include_usage": True}})


@dataclass(frozen=True, slots=True)
class Raw:
    """A whole HTTP answer, good or bad."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The connection is taken and the request read; then nothing (`hangs`), or the connection is closed."""

    hangs: bool = False


Plan = Answer | Raw | NoAnswer | Callable[["Recorded"], "Answer | Raw | NoAnswer"]


@dataclass(slots=True)
class Recorded:
    """One request as it came over the wire. `headers` have lower-case names."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    tokens_written: int = 0
    was_left: bool = False  # the client went away before the answer's end
    is_done: bool = False

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@dataclass(slots=True)
class Upstream:
    """See the module. `base_url` is what a user would configure for this wire."""

    wire: WireName = "openai"
    key: str = ""  # if set, asked of every request
    check: Callable[["Recorded"], bool] | None = None  # whether a request's own credential is good
    models: Sequence[Served] = (Served(),)
    port: int = 0
    requests: list[Recorded] = field(default_factory=list[Recorded])
    _plans: list[Plan] = field(default_factory=lambda: [Answer()])
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """As a user would enter it."""
        return self.origin + {"openai": "/v1", "gemini": "/v1beta"}.get(self.wire, "")

    @property
    def questions(self) -> list[Recorded]:
        """The requests for an answer, without listings and probes."""
        return [request for request in self.requests if self._is_question(request)]

    def _is_question(self, request: Recorded) -> bool:
        return request.path.partition("?")[0].endswith(_ANSWERS[self.wire])

    @property
    def billed_tokens(self) -> int:
        """Output tokens over all answers."""
        return sum(request.tokens_written for request in self.requests)

    @property
    def open_answers(self) -> int:
        """Answers begun and neither finished nor left by the client."""
        return sum(not request.is_done for request in self.requests)

    def will(self, *plans: Plan) -> None:
        """Replace what is still to come."""
        self._plans = list(plans)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        # Whoever was accepted a moment ago has no writer yet: that takes some turns, and a server that was closed
        # meanwhile would drop the connection without closing it. The others' tasks end at their next step.
        turns_without = 0
        for _ in range(1000):
            for writer in list(self._writers):
                writer.transport.abort()
            turns_without = 0 if self._writers else turns_without + 1
            if turns_without == 10:
                break
            await asyncio.sleep(0)
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while (request := await _read_request(reader)) is not None:
                self.requests.append(request)
                try:
                    if not await self._answer(request, reader, writer):
                        break
                finally:
                    request.is_done = True
        except (ConnectionError, asyncio.IncompleteReadError, _ClientLeft):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            self._writers.discard(writer)

    async def _answer(
        self, request: Recorded, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Whether the connection may serve another request."""
        plan = self._plan(request)
        match plan:
            case NoAnswer(hangs=hangs):
                if hangs:
                    await _until_left(request, reader)
                return False
            case Raw():
                await asyncio.sleep(plan.delay_s)
                head = [f"HTTP/1.1 {plan.status} X", f"content-type: {plan.content_type}"]
                head += [f"{name}: {value}" for name, value in plan.headers]
                head.append(f"content-length: {len(plan.body)}")
                writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + plan.body)
                await writer.drain()
                return True
            case Answer():
                return await self._stream(plan, request, reader, writer)

    def _plan(self, request: Recorded) -> Answer | Raw | NoAnswer:
        if (self.check and not self.check(request)) or (
            self.key
            and self.key
            not in (
                request.headers.get("x-api-key"),
                request.headers.get("api-key"),
                request.headers.get("x-goog-api-key"),
                request.headers.get("authorization", "").removeprefix("Bearer "),
            )
        ):
            return _error(
                self.wire, 401, "authentication_error", f"invalid key: {request.headers.get('x-api-key', '')}"
            )
        path = request.path.partition("?")[0]
        if not self._is_question(request):
            asked = cast("dict[str, Any]", request.json) if request.body else {}
            if (told := other(self.wire, path, asked, self.models)) is not None:
                return Raw(200, json.dumps(told).encode())
            return _error(self.wire, 404, "not_found_error", f"no such path or model: {path}")
        plan = self._plans.pop(0) if len(self._plans) > 1 else self._plans[0]
        return plan(request) if callable(plan) else plan

    async def _stream(
        self, answer: Answer, request: Recorded, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        asked = cast("dict[str, Any]", request.json)
        if not _is_streamed(self.wire, request, asked):
            events = WHOLE[self.wire](answer, asked)
            request.tokens_written = answer.output_tokens
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
                % (len(events), events)
            )
            await writer.drain()
            return True
        writer.write(
            f"HTTP/1.1 200 OK\r\ncontent-type: {_TYPES[self.wire]}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
        )
        can_go_on = False
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(_until_left(request, reader))
                events = STREAMS[self.wire](answer, asked)
                try:
                    can_go_on = await self._write_events(answer, events, request, writer)
                finally:
                    watch.cancel()
        except* (_ClientLeft, ConnectionError):
            can_go_on = False
        if can_go_on:
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        return can_go_on and not request.was_left

    async def _write_events(
        self, answer: Answer, events: list[Event], request: Recorded, writer: asyncio.StreamWriter
    ) -> bool:
        """Whether the stream came to its end in good order."""
        fault = answer.fault
        for at, event in enumerate([*events, None]):
            if fault is not None and at == min(fault.at_event, len(events)):
                ended = await _break(fault, event, answer.split, request, writer)
                if ended is not None:
                    return ended
            if event is None:
                return True
            if answer.delay_s:
                await asyncio.sleep(answer.delay_s)
            if request.was_left:
                return False
            await _write(writer, event.data, answer.split)
            request.tokens_written += event.tokens
        return True


async def _break(
    fault: Die | Stall | Say | Tear | Insert,
    event: Event | None,
    split: int | None,
    request: Recorded,
    writer: asyncio.StreamWriter,
) -> bool | None:
    """Do what goes wrong here: whether the stream then ended in good order, None if it goes on."""
    match fault:
        case Insert(data=data):
            await _write(writer, data, split)
            return None
        case Stall(drip_s=drip_s):
            await _stall(drip_s, writer)
            return None
        case Say(data=data, tokens=tokens):
            await _write(writer, data, split)
            request.tokens_written += tokens
            return True
        case Tear(by="chunk"):
            data = fault.half(event.data if event else b"")
            writer.write(b"%x\r\n%s" % (len(data) + 9, data))
        case Tear():
            await _write(writer, fault.half(event.data if event else b""), split)
        case Die():
            pass
    await writer.drain()
    if fault.by == "kill":
        await _arrived(writer)
        os.kill(os.getpid(), signal.SIGKILL)
    if fault.by == "rst":
        await _arrived(writer)
        _reset(writer)
    return fault.by == "end"


class _ClientLeft(Exception):
    pass


async def _read_request(reader: asyncio.StreamReader) -> Recorded | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = dict[str, str]()
    for line in rest:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Recorded(method, path, headers, body)


async def _until_left(request: Recorded, reader: asyncio.StreamReader) -> None:
    """Returns when the client closes the connection; a client of ours sends nothing while it is being answered."""
    with suppress(ConnectionError):
        await reader.read(1)
    request.was_left = True
    raise _ClientLeft


async def _stall(drip_s: float | None, writer: asyncio.StreamWriter) -> None:
    while drip_s is not None:
        await asyncio.sleep(drip_s)
        await _write(writer, b":", None)
    await asyncio.Event().wait()


async def _write(writer: asyncio.StreamWriter, data: bytes, split: int | None) -> None:
    """One HTTP chunk for each piece, and each piece its own write."""
    size = split or max(1, len(data))
    for at in range(0, len(data), size):
        piece = data[at : at + size]
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        await writer.drain()
        if split is not None:
            await asyncio.sleep(0)


async def _arrived(writer: asyncio.StreamWriter) -> None:
    """Wait until the other machine has what was written: a reset throws away what has not left yet, and its bill."""
    raw, left = writer.get_extra_info("socket"), bytearray(4)
    for _ in range(1000):
        with suppress(OSError):
            fcntl.ioctl(raw.fileno(), termios.TIOCOUTQ, left)
        if not int.from_bytes(left, sys.byteorder):
            return
        await asyncio.sleep(0.001)


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _is_streamed(wire: WireName, request: Recorded, asked: dict[str, Any]) -> bool:
    """Two wires say it in the path, the others in the body."""
    if wire in ("gemini", "bedrock"):
        return "stream" in request.path.rpartition("/")[2].lower()
    return asked.get("stream", wire == "ollama") is not False


def _error(wire: WireName, status: int, kind: str, message: str) -> Raw:
    match wire:
        case "openai":
            body: dict[str, Any] = {"error": {"message": message, "type": kind, "param": None, "code": None}}
        case "anthropic":
            body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_up"}
        case "ollama":
            body = {"error": message}
        case "gemini":
            body = upstream_gemini.error_body(status, kind, message)
        case "bedrock":
            name = upstream_bedrock.error_name(status)
            return Raw(status, json.dumps({"message": message}).encode(), (("x-amzn-errortype", name),))
    return Raw(status, json.dumps(body).encode())


def error(wire: WireName, status: int, kind: str, message: str, *headers: tuple[str, str]) -> Raw:
    """A refusal in the wire's own words."""
    plain = _error(wire, status, kind, message)
    return replace(plain, headers=(*plain.headers, *headers))


@contextmanager
def in_thread(upstream: Upstream) -> Generator[Upstream, None, None]:
    """Serve from a thread of its own, for tests whose client is another process or not asynchronous."""
    started, stop = threading.Event(), asyncio.Event()
    loops = list[asyncio.AbstractEventLoop]()

    async def serve() -> None:
        async with upstream:
            loops.append(asyncio.get_running_loop())
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="upstream", daemon=True)
    thread.start()
    if not started.wait(10.0):
        raise RuntimeError("the upstream did not start")
    try:
        yield upstream
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(10.0)
