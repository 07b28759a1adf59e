"""A client that sends exactly the bytes a test wants, and a server to send them to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from legion_core.api.types import NOBODY, OWNER, EventBus, Principal
from legion_core.engine.webhook_service import Unsigned
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.ids import Ids, system_rng
from legion_core.kernel.ports import OwnerOnly
from legion_core.kernel.supervise import Supervisor
from legion_core.surfaces.rest.calls import Operation
from legion_core.surfaces.rest.limits import Limits
from legion_core.surfaces.rest.server import RestServer

TOKEN = "lgn_test-token-0123456789"


class Ops:
    """The part of the facade the guard asks; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.authorised: list[tuple[Principal, str, str]] = []

    def principal(self, token: str) -> Principal:
        self.asked.append(token)
        return OWNER if token == TOKEN else NOBODY

    def on_token_end(self, drop: object) -> None:
        self.drop = drop

    def ends_in_s(self, who: Principal) -> float | None:
        return None

    def authorise(self, who: Principal, path: str, action: str) -> None:
        self.authorised.append((who, path, action))
        OwnerOnly().authorise(who, path, action)


class Hooks:
    """The part of the facade that deliveries come to: nobody here signs."""

    async def receive(self, *_: object) -> None:
        raise Unsigned("The delivery is not signed rightly.")


@dataclass
class Serving:
    server: RestServer
    legion: Any
    supervisor: Supervisor

    @property
    def port(self) -> int:
        return self.server.port


@asynccontextmanager
async def serving(
    *extra: Operation, limits: Limits | None = None, legion: Any = None, host: str | None = None
) -> AsyncIterator[Serving]:
    """A server on a free port; leaves nothing behind."""
    clock = SystemClock()
    supervisor = Supervisor()
    legion = legion or SimpleNamespace(events=EventBus(clock), ops=Ops(), hooks=Hooks())
    ids = Ids(clock, system_rng())
    server = RestServer(legion, clock=clock, ids=ids, supervisor=supervisor, limits=limits, extra=extra)
    await server.start(host, 0)
    try:
        yield Serving(server, legion, supervisor)
    finally:
        await server.stop(1.0)
        await supervisor.stop()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


async def exchange(port: int, data: bytes, host: str = "127.0.0.1") -> bytes:
    """Everything the server says to `data` until it closes."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(data)
    with suppress(ConnectionError):
        await writer.drain()
    parts = []
    with suppress(ConnectionError):
        while part := await reader.read(65536):
            parts.append(part)
    writer.close()
    return b"".join(parts)


def parse(answer: bytes) -> Answer:
    """The first response in `answer`."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = tuple(
        (name.strip().lower(), value.strip())
        for name, _, value in (line.partition(":") for line in lines[1:])
    )
    status = int(lines[0].split()[1]) if lines[0] else 0
    return Answer(status, headers, body)


def request(
    method: str = "GET",
    target: str = "/healthz",
    *headers: str,
    host: str | None = "127.0.0.1:{port}",
    token: str | None = TOKEN,
    body: bytes = b"",
    port: int = 0,
    version: str = "1.1",
) -> bytes:
    """The bytes of a request that asks for the connection to be closed after it."""
    lines = [f"{method} {target} HTTP/{version}", "Connection: close"]
    if host is not None:
        lines.append(f"Host: {host.format(port=port)}")
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if body and not any("content-length" in header.lower() for header in headers):
        lines.append(f"Content-Length: {len(body)}")
    lines += [header.format(port=port) for header in headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


async def ask(serving: Serving, *args: Any, **keywords: Any) -> Answer:
    """Send one request and parse the answer."""
    data = request(*args, port=serving.port, **keywords)
    return parse(await exchange(serving.port, data))
