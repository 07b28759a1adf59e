"""uvicorn's HTTP/1.1 protocol with the bounds a public door needs: head size, slow senders, too many connections.

Nothing here runs while nothing happens: each connection has at most one timer, and an idle server has none.
This module loads uvicorn, so it is itself imported late, by `server`.
"""

import asyncio
import logging
import math
import socket
import traceback
from collections.abc import Callable
from email.utils import formatdate
from typing import NoReturn, cast
from urllib.parse import unquote

import httptools
from uvicorn._types import ASGI3Application, HTTPScope  # noqa: TID253
from uvicorn.config import Config  # noqa: TID253
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT  # noqa: TID253
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle  # noqa: TID253
from uvicorn.server import ServerState  # noqa: TID253

from legion_core.kernel.clock import Clock
from legion_core.kernel.redact import redact
from legion_core.surfaces.rest.beyond import BEYOND
from legion_core.surfaces.rest.failures import body_of, fault
from legion_core.surfaces.rest.guard import SECURITY_HEADERS
from legion_core.surfaces.rest.head import Head, head_of
from legion_core.surfaces.rest.limits import Limits
from legion_core.surfaces.rest.way import Dated, Way

log = logging.getLogger("legion.rest")

_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}
KEPT_HEAD_BYTES_MAX = 8192
_CODES = {408: "timed_out", 414: "limit_reached", 431: "limit_reached", 503: "limit_reached"}


class Door:
    """What the connections of one server share. `waiting` are those that wait for their client, longest first."""

    def __init__(self, config: Config, limits: Limits, clock: Clock) -> None:
        self.config = config
        self.state = ServerState()
        self.limits = limits
        self.waiting: dict[BoundedProtocol, None] = {}
        self._clock = clock
        self._dated = Dated(0, b"")
        self.log = logging.getLogger("legion.rest.wire")
        if not self.log.filters:
            self.log.addFilter(_wanted)

    def factory(self) -> "Callable[[], BoundedProtocol]":
        """Makes the protocol of each new connection."""
        return lambda: BoundedProtocol(self)

    def dated(self) -> Dated:
        """What every answer of this second says: uvicorn's own date is set by a timer that we do not run."""
        second = int(self._clock.unix_s())
        if self._dated.second != second:
            self._dated = Dated(second, formatdate(second, usegmt=True).encode())
        return self._dated


def _wanted(record: logging.LogRecord) -> bool:
    """Drop what uvicorn reports of answers we cut off on purpose; mask secrets in what is left."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None or isinstance(error, asyncio.CancelledError):
        return False
    record.msg = redact("".join(traceback.format_exception(error)))
    record.args, record.exc_info = (), None
    return True


class _Refused(Exception):
    """Stops the parser; the status and the sentence are already noted."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, door: Door) -> None:
        super().__init__(door.config, door.state, {}, asyncio.get_running_loop())
        self.logger = door.log
        self._door = door
        self._app = cast("ASGI3Application", self.app)
        self._limits = door.limits
        self._timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_until_s = math.inf  # while it is not idle
        self._is_in_head = True
        self._is_in_body = False
        self._is_lingering = False
        self._has_begun = False
        self._has_ended = False
        self.url, self.headers = b"", []
        self._unread_bytes = 0  # since a head began, or since a piece of a body was read
        # Of the last request, for clients repeat it: the head, and the target with its parts.
        self._head: Head | None = None
        self._target = (b"", "", b"", b"")
        self._refusal = (400, "The request is not valid HTTP/1.1.")
        self._watchers: dict[int, Callable[[], None]] = {}
        self._watchers_so_far = 0

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Bound the time to the first request, and the number of connections."""
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            # A token of an answer must not wait for the next one (Nagle).
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._door.waiting[self] = None
        self._arm(self._limits.head_s)
        if len(self.connections) > self._limits.connections_max:
            longest = next(iter(self._door.waiting))
            if longest is not self:
                longest.transport.abort()
            else:
                self._refuse(503, "Too many connections are open.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave nothing behind."""
        self._disarm()
        self._idle_until_s = math.inf
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        self._door.waiting.pop(self, None)
        super().connection_lost(exc)
        self._tell_gone()

    def data_received(self, data: bytes) -> None:
        """Parse, within the bounds."""
        if self._is_lingering:
            return
        self._idle_until_s = math.inf
        parser = self.parser
        assert parser is not None
        self._unread_bytes += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return  # the guard answers it; what follows is no longer HTTP and is not read
        except httptools.HttpParserError:
            self._refuse(*self._refusal)
            return
        if self._has_ended:
            self._has_ended, self._unread_bytes = False, 0
            return
        # Between the pieces of a body, and behind the last, there is room for as much as before it.
        if self._unread_bytes > self._limits.head_bytes_max or len(self.headers) > self._limits.headers_max:
            self._refuse(431, "The request's headers are larger than the limit.")
        elif self._is_in_head:
            self._expect_head()
        elif self._is_in_body and self._timer is None:  # most requests come whole, and need no time-out
            self._arm(self._limits.body_s)

    def on_message_begin(self) -> None:
        """A request line has begun."""
        self.url = b""
        self.headers = []
        self._is_in_head = self._has_begun = True

    def on_url(self, url: bytes) -> None:
        """Part of the request's target."""
        self.url += url
        if len(self.url) > self._limits.url_bytes_max:
            self._stop_parsing(414, "The request's address is longer than the limit.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One whole header. How much of them there may be is judged when they are all there."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Hand the request on: what it named as its target is part of what the guard judges."""
        self._is_in_head = False
        self._is_in_body = True
        self._disarm()
        headers, self.headers = self.headers, []  # what comes behind the body is none of them
        size_bytes = self._unread_bytes
        if size_bytes > KEPT_HEAD_BYTES_MAX:  # or part of it is body
            size_bytes = sum(len(name) + len(value) for name, value in headers)
        if size_bytes > self._limits.head_bytes_max or len(headers) > self._limits.headers_max:
            self._stop_parsing(431, "The request's headers are larger than the limit.")
        self._unread_bytes = 0
        head, length = head_of(headers, self._head)
        self._head = head if size_bytes <= KEPT_HEAD_BYTES_MAX else None
        dated, parser, app = self._door.dated(), self.parser, self._app
        assert parser is not None
        if self._target[0] != self.url:
            self._target = (self.url, *_parsed(self.url))
        target, path, raw_path, query = self._target
        version = parser.get_http_version()
        scope: dict[str, object] = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": "http",
            "method": parser.get_method().decode("ascii"),
            "root_path": "",
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": headers,
            "state": {},
        }
        self.scope = cast("HTTPScope", scope)
        before = cast("RequestResponseCycle | None", self.cycle)
        self.cycle = cycle = RequestResponseCycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=dated.pairs,
            message_event=asyncio.Event(),
            expect_100_continue=head.texts.get("expect", "").lower() == "100-continue",
            keep_alive=version != "1.0" and parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        scope[BEYOND] = Way(self, cycle, head, length, target, dated)
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, app)
        else:
            self.flow.pause_reading()  # until the one before is answered
            self.pipeline.appendleft((cycle, app))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """As uvicorn does. Scope and cycle hold each other: parted, a request's body is freed with its answer."""

        def over(task: asyncio.Task[None]) -> None:
            self.tasks.discard(task)
            cast("dict[str, object]", cycle.scope).clear()

        task = self.loop.create_task(cycle.run_asgi(app))
        task.add_done_callback(over)
        self.tasks.add(task)

    def on_body(self, body: bytes) -> None:
        """Part of the body; while much of it waits, no more is read."""
        self._unread_bytes = 0
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """The body is here; from now on the client waits for us."""
        self._is_in_body = False
        self._is_in_head = True
        self._has_begun = False
        self._has_ended = True
        self._disarm()
        if self.cycle.response_complete:
            # It was refused early, and more data ended the time-out of its idle connection.
            self._arm(self._limits.keep_alive_s)
        else:
            self._door.waiting.pop(self, None)
            self.cycle.more_body = False
            self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        """The answer is out; the client may ask again, and one that has done so already is next."""
        if self._is_in_body:
            # Refused before its end: read on for a while, or the client gets a reset instead of the reason.
            self._arm(self._limits.linger_s)
        else:
            self._door.waiting[self] = None
            if self._has_begun:
                self._expect_head()
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._is_idle()

    def _is_idle(self) -> None:
        """From now on it is, until something comes. A timer that runs already looks again by itself."""
        self._idle_until_s = self.loop.time() + self._limits.keep_alive_s
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_at(self._idle_until_s, self._idle_too_long)

    def _idle_too_long(self) -> None:
        self._idle_timer = None
        if self._idle_until_s == math.inf:
            return
        if self.loop.time() < self._idle_until_s:
            self._idle_timer = self.loop.call_at(self._idle_until_s, self._idle_too_long)
        elif not self.transport.is_closing():
            self.transport.close()

    def watch(self, on_gone: Callable[[], None]) -> Callable[[], None]:
        """See `Beyond.watch`."""
        self._watchers_so_far += 1
        number = self._watchers_so_far
        self._watchers[number] = on_gone
        if self.transport.is_closing():
            self.loop.call_soon(self._tell_gone)
        return lambda: self._forget_watcher(number)

    def _forget_watcher(self, number: int) -> None:
        self._watchers.pop(number, None)

    def _tell_gone(self) -> None:
        watchers, self._watchers = self._watchers, {}
        for on_gone in watchers.values():
            on_gone()

    def _stop_parsing(self, status: int, why: str) -> NoReturn:
        self._refusal = (status, why)
        raise _Refused(why)

    def _expect_head(self) -> None:
        """Bound the time to the end of the headers, unless it runs already or we still owe an answer."""
        is_owing = self.cycle is not None and not self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison]
        if self._timer is None and not is_owing:
            self._arm(self._limits.head_s)

    def _arm(self, delay_s: float) -> None:
        self._disarm()
        self._timer = self.loop.call_later(delay_s, self._time_is_up)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_is_up(self) -> None:
        self._timer = None
        is_silent = self._is_in_head and not self._has_begun
        if self._is_lingering or is_silent or (self._is_in_body and self.cycle.response_complete):
            self.transport.close()
        else:
            self._refuse(408, "The request did not arrive in time.")

    def _refuse(self, status: int, why: str) -> None:
        """Answer without an application, stop reading requests, and close once the client had time to read."""
        has_started = self._abandon_cycle()
        if self.transport.is_closing():
            return
        if has_started:
            self.transport.abort()
            return
        log.debug("refused before routing: %d %s", status, why)
        self.transport.write(_raw_answer(status, why))
        self._is_lingering = True
        self._arm(self._limits.linger_s)
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _abandon_cycle(self) -> bool:
        """Tell a request under way that its client is gone; whether its answer had begun."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:  # pyright: ignore[reportUnnecessaryComparison]
            return False
        cycle.disconnected = True
        cycle.message_event.set()
        self._tell_gone()
        return cycle.response_started


def _parsed(target: bytes) -> tuple[str, bytes, bytes]:
    """The path, once as it reads and once as it came, and the query."""
    parsed = httptools.parse_url(target)
    path = parsed.path.decode("ascii")
    return unquote(path) if "%" in path else path, parsed.path, parsed.query or b""


def _raw_answer(status: int, why: str) -> bytes:
    body = body_of(fault(status, _CODES.get(status, "invalid_input"), why))
    headers = (
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        *SECURITY_HEADERS,
    )
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    return f"HTTP/1.1 {status} {_REASONS[status]}\r\n".encode() + lines + b"\r\n" + body
