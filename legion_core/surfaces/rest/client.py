"""The far end of one request, over ASGI; see `calls.Client`."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from legion_core.surfaces.rest.beyond import beyond
from legion_core.surfaces.rest.calls import Client, Desk, Headers, Raw
from legion_core.surfaces.rest.presence import ClientStuck, Presence

if TYPE_CHECKING:
    from starlette.types import Scope, Send

Pairs = list[tuple[bytes, bytes]]


class AsgiClient(Client):
    """Writes one answer; `close` when it is over, however it ended."""

    def __init__(self, scope: "Scope", send: "Send", desk: Desk) -> None:
        self._send = send
        self._desk = desk
        self._wire = beyond(scope)
        self._flow = self._wire.flow if self._wire is not None else None
        self._is_finished = False
        self._now_s = desk.clock.monotonic_s
        self._last_sent_s = 0.0
        self._comment: Callable[[], bytes] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._saying: asyncio.Task[None] | None = None
        self.presence: Presence | None = None
        self.status = 0

    @property
    def has_started(self) -> bool:
        """Whether the head is out."""
        return self.status != 0

    async def whole(self, raw: Raw) -> None:
        """See `calls.Client`."""
        self.close()
        if self.presence is not None:
            self.presence.settle()
        self.status = raw.status
        wire = self._wire
        if wire is not None and not wire.flow.write_paused:
            lines = _lines(raw.media_type, raw.headers, len(raw.body))
            if wire.answer(raw.status, lines, raw.body):
                self._is_finished = True
                return
        pairs = _pairs(raw.media_type, raw.headers, len(raw.body))
        await self._send({"type": "http.response.start", "status": raw.status, "headers": pairs})
        self._is_finished = True
        await self._write(raw.body, more=False)

    async def start(self, status: int, media_type: str, headers: Headers = ()) -> None:
        """See `calls.Client`."""
        self.status = status
        pairs = _pairs(media_type, headers, None)
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    async def send(self, chunk: bytes) -> None:
        """See `calls.Client`; ClientStuck if the client stops reading."""
        self._last_sent_s = self._desk.clock.monotonic_s()
        await self._write(chunk, more=True)

    @property
    def takes_at_once(self) -> bool:
        """See `calls.Client`."""
        flow = self._flow  # asked for each delta: no further call
        return flow is not None and not flow.write_paused and not self._is_finished

    def send_at_once(self, chunk: bytes) -> None:
        """See `calls.Client`."""
        assert self._wire is not None
        self._last_sent_s = self._now_s()
        self._wire.push(chunk)

    async def _write(self, chunk: bytes, *, more: bool) -> None:
        if self._flow is not None and not self._flow.write_paused:
            await self._send({"type": "http.response.body", "body": chunk, "more_body": more})
            return
        try:
            async with asyncio.timeout(self._desk.limits.write_s):
                await self._send({"type": "http.response.body", "body": chunk, "more_body": more})
        except TimeoutError as error:
            raise ClientStuck("The client stopped reading.") from error

    def say_when_quiet(self, comment: Callable[[], bytes]) -> None:
        """See `calls.Client`."""
        self._comment = comment
        self._look_again(self._desk.limits.quiet_s)

    def _look_again(self, in_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(in_s, self._look)

    def _look(self) -> None:
        """One timer looks now and then whether it was quiet: nothing is set or unset for a chunk."""
        self._timer = None
        quiet_s = self._desk.limits.quiet_s
        waited_s = self._desk.clock.monotonic_s() - self._last_sent_s
        if waited_s < quiet_s:
            self._look_again(quiet_s - waited_s)
            return
        self._saying = self._desk.supervisor.spawn("rest.quiet", self._say())

    async def _say(self) -> None:
        if self._comment is not None and not self._is_finished:
            await self.send(self._comment())
            self._look_again(self._desk.limits.quiet_s)

    async def finish(self, last: bytes = b"") -> None:
        """See `calls.Client`."""
        if self._is_finished:
            return
        self._is_finished = True
        self.close()
        if self.presence is not None:
            self.presence.settle()
        await self._write(last, more=False)

    def close(self) -> None:
        """End the comments; idempotent."""
        self._comment = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._saying is not None:
            self._saying.cancel()
            self._saying = None


def _pairs(media_type: str, headers: Headers, length: int | None) -> Pairs:
    pairs = [(b"content-type", _header_value(media_type))]
    if length is not None:
        pairs.append((b"content-length", b"%d" % length))
    pairs += [(name.encode("ascii"), _header_value(value)) for name, value in headers]
    return pairs


def _lines(media_type: str, headers: Headers, length: int) -> bytes:
    """As `_pairs`, each with its end."""
    if not "".join([media_type, *[value for _, value in headers]]).isprintable():
        media_type, headers = _shown(media_type), tuple((name, _shown(value)) for name, value in headers)
    told = "".join([f"{name}: {value}\r\n" for name, value in headers])
    lines = f"content-type: {media_type}\r\ncontent-length: {length}\r\n{told}"
    return lines.encode("latin-1", "replace")


def _header_value(text: str) -> bytes:
    return _shown(text).encode("latin-1", "replace")


def _shown(text: str) -> str:
    """Printable, on one line: names of models and instances come from configuration files."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)
