"""A streamed answer on its way to one client: where its events come from, and how its stream begins."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Final

import msgspec

from legion_core.api.types import Request, StreamEvent
from legion_core.gateway.answer import Answer
from legion_core.gateway.dedupe import Key, Running
from legion_core.gateway.dialects.base import StreamWriter
from legion_core.gateway.outlet import Outlet
from legion_core.gateway.reading import Ready
from legion_core.kernel.errors import InvalidInput
from legion_core.surfaces.rest.calls import Call, Client, Desk, Headers

KEY_MAX: Final = 200
RETRIES: Final = "x-stainless-retry-count"  # sent by the labs' own libraries with each request, from 0
# Programs that say who they are and are known to ask again without saying so.
ASK_AGAIN: Final = frozenset({RETRIES, "originator"})
ROUTING: Final = "x-legion-"


class Source(msgspec.Struct, frozen=True):
    """One answer's events. `request` is the one that is answered: an earlier one, where this one joined it."""

    desk: Desk
    call: Call
    request: Request
    running: Running | None = None
    key: Key = ()

    def listen(self, outlet: Outlet) -> AbstractAsyncContextManager[AsyncIterator[StreamEvent]]:
        """From the first event on, but for the deltas that go to `outlet`; leaving stops it unless others listen."""
        if self.running is None:
            return self.desk.legion.llm.stream(self.request, self.call.who, outlet)
        is_kept = self.key[-2] == "key"
        return self.desk.in_flight.listen(self.running, self.key, is_kept=is_kept, outlet=outlet)


def shared(desk: Desk, call: Call, request: Request) -> Source:
    """The answer of `request`, or of the same question that its client asked before and that is being answered.

    Joined are: the same Idempotency-Key; and the same body from a client that asks again by itself, if it says that
    this is a retry or if nobody listens to the first any more. Two equal questions at once stay two.
    """
    named = call.headers.get("idempotency-key")
    if named is None and ASK_AGAIN.isdisjoint(call.headers):
        return Source(desk, call, request)
    if named is not None and not (named.isascii() and named.isprintable() and 0 < len(named) <= KEY_MAX):
        raise InvalidInput(f"Idempotency-Key must be 1 to {KEY_MAX} printable ASCII characters.")
    pins = sorted((name, value) for name, value in call.headers.items() if name.startswith(ROUTING))
    place = (request.dialect, sorted(call.path.items()), sorted(call.query.items()), pins)
    fingerprint = hashlib.sha256(repr(place).encode("utf-8", "replace") + b"\0" + call.body).digest()
    who = (call.who.name, request.dialect)
    key = (*who, "key", named) if named is not None else (*who, "body", fingerprint.hex())
    is_retry = named is not None or call.headers.get(RETRIES, "0") != "0"
    running = desk.in_flight.find(key, fingerprint, is_retry=is_retry)
    if running is None:
        running = desk.in_flight.start(
            desk.supervisor,
            key,
            fingerprint,
            request,
            lambda outlet: desk.legion.llm.stream(request, call.who, outlet),
        )
        return Source(desk, call, request, running, key)
    return Source(desk, call, running.request, running, key)


class Written:
    """The short way of an answer that is streamed: each delta is written to the client's socket at once."""

    def __init__(self, client: Client, writer: StreamWriter) -> None:
        self._client = client
        self._writer = writer

    @property
    def is_open(self) -> bool:
        """See `Outlet`."""
        return self._client.takes_at_once

    def give(self, delta: Ready) -> None:
        """See `Outlet`."""
        if chunk := self._writer.write(delta):
            self._client.send_at_once(chunk)


class Gathered:
    """The short way of an answer that is told whole."""

    is_open = True

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def give(self, delta: Ready) -> None:
        """See `Outlet`."""
        self._answer.take(delta)


class Opening:
    """The head of a streamed answer, which names who answers, unless that takes too long to be known.

    A client and what stands between hear nothing while a model is loaded. After `opening_s` the stream begins without
    those names, so that it can be kept alive; an error is then told inside it.
    """

    def __init__(
        self, desk: Desk, client: Client, media_type: str, request_id: str, writer: StreamWriter
    ) -> None:
        self._desk = desk
        self._client = client
        self._media_type = media_type
        self._request_id = request_id
        self._writer = writer
        self._early: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = asyncio.get_running_loop().call_later(
            desk.limits.opening_s, self._begin_early
        )
        self.has_begun = False

    async def begin(self, headers: Headers) -> None:
        """Send the head, unless it is on its way already, and keep the stream alive from now on."""
        if self._early is not None:
            await self._early
        if self.has_begun:
            return
        self.has_begun = True
        self.close()
        await self._send(headers)

    async def _send(self, headers: Headers) -> None:
        await self._client.start(200, self._media_type, headers)
        self._client.say_when_quiet(self._writer.keep_alive)

    def close(self) -> None:
        """Nothing more is to be begun; idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin_early(self) -> None:
        self._timer = None
        self.has_begun = True
        self._early = self._desk.supervisor.spawn(
            "rest.opening", self._send((("x-legion-request", self._request_id),))
        )
