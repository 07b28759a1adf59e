"""One request's way out over a connection of ours; see `beyond.Beyond`."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, cast

from uvicorn.protocols.http.flow_control import FlowControl  # noqa: TID253
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle  # noqa: TID253

from legion_core.surfaces.rest.beyond import Flow
from legion_core.surfaces.rest.guard import SECURITY_HEADERS
from legion_core.surfaces.rest.head import Head

_HARDENING: Final = b"".join(name + b": " + value + b"\r\n" for name, value in SECURITY_HEADERS)


class Dated:
    """What all answers of one second say, as pairs for ASGI and as the lines that any answer begins with."""

    __slots__ = ("lines", "pairs", "second")

    def __init__(self, second: int, date: bytes) -> None:
        self.second = second
        self.pairs = [(b"date", date)]
        self.lines = b"date: " + date + b"\r\n" + _HARDENING


class Connection(Protocol):
    """What a request shares with those before and after it."""

    loop: asyncio.AbstractEventLoop
    flow: FlowControl

    def watch(self, on_gone: Callable[[], None]) -> Callable[[], None]:
        """See `Beyond.watch`."""
        ...


class Way:
    """Stands in for the connection's transport until the answer's head is out.

    So that a head goes with the first bytes of its body, in one write, if they come at once.
    """

    __slots__ = (
        "_connection",
        "_cycle",
        "_dated",
        "_held",
        "_is_first",
        "_transport",
        "body_bytes_max",
        "flow",
        "head",
        "length",
        "target",
    )

    def __init__(
        self,
        connection: Connection,
        cycle: RequestResponseCycle,
        head: Head,
        length: int,
        target: bytes,
        dated: Dated,
    ) -> None:
        self.head = head
        self.length = length
        self.target = target
        self.flow: Flow = connection.flow
        self.body_bytes_max = -1
        self._connection = connection
        self._cycle = cycle
        self._dated = dated
        self._transport = cycle.transport
        self._held: bytes | None = None
        self._is_first = True
        cycle.transport = cast("asyncio.Transport", self)

    # For uvicorn, as `asyncio.Transport`.

    def write(self, data: bytes) -> None:
        """See `asyncio.Transport`."""
        if self._is_first:
            self._is_first = False
            self._held = data
            self._connection.loop.call_soon(self._flush)
        elif self._held is not None:
            held, self._held = self._held, None
            self._cycle.transport = self._transport
            self._transport.write(held + data)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """See `asyncio.Transport`."""
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """See `asyncio.Transport`."""
        return self._transport.is_closing()

    def _flush(self) -> None:
        if self._held is not None:
            held, self._held = self._held, None
            self._cycle.transport = self._transport
            if not self._transport.is_closing():
                self._transport.write(held)

    # For us.

    def abort(self) -> None:
        """See `Beyond`."""
        self._transport.abort()

    def watch(self, on_gone: Callable[[], None]) -> Callable[[], None]:
        """See `Beyond`."""
        return self._connection.watch(on_gone)

    def body(self) -> bytes | None:
        """See `Beyond`; a client that waits for `100 Continue` is answered by `receive`."""
        cycle = self._cycle
        if cycle.more_body or cycle.waiting_for_100_continue or cycle.disconnected or cycle.response_complete:
            return None
        if len(cycle.body) > self.body_bytes_max:
            return None
        self._connection.flow.resume_reading()  # the end of the connection has to be noticed
        body, cycle.body = bytes(cycle.body), bytearray()
        return body

    def push(self, body: bytes) -> None:
        """See `Beyond`; as `cycle.send` writes it, without a coroutine."""
        cycle = self._cycle
        if not cycle.disconnected:
            cycle.transport.write(b"%x\r\n%b\r\n" % (len(body), body))

    def answer(self, status: int, lines: bytes, body: bytes) -> bool:
        """See `Beyond`; as the guard and `cycle.send` write it, in one piece and without a coroutine."""
        cycle = self._cycle
        if cycle.response_started or cycle.scope["method"] == "HEAD":
            return False
        if cycle.disconnected:
            return True
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        self._is_first = False
        cycle.transport = self._transport
        # What is held comes before it: it is `100 Continue`.
        held, self._held = self._held or b"", None
        end = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        self._transport.write(b"".join((held, STATUS_LINE[status], self._dated.lines, lines, end, body)))
        cycle.message_event.set()
        if not cycle.keep_alive:
            self._transport.close()
        cycle.on_response()
        return True
