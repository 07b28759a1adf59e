"""One connection to a provider, and the answer that is being read from it: HTTP/1.1 over asyncio, with httptools.

A line carries one exchange at a time and may carry the next one after an answer that was whole. Nothing here knows
what a status or a body means; what goes wrong is told as `LineError`, and `wire` makes an error of ours of it.
"""

import asyncio
import select
import socket
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NoReturn, Protocol, cast

HEAD_BYTES_MAX: Final = 256 * 1024  # of one answer
HELD_BYTES_MAX: Final = 1024 * 1024  # read ahead of who takes it
BURST_BYTES_MAX: Final = 16 * 1024 * 1024  # out of one piece of a compressed body
NO_BODY: Final = frozenset({204, 205, 304})

# Takes a piece of the body in the callback that read it, while its reader waits, and says until when the next silence
# may last. None: the reader is to be woken (`next` then gives an empty piece).
Tap = Callable[[bytes], float | None]


class LineError(Exception):
    """The exchange failed; the words are what the other end or the system did."""


class Undecodable(LineError):
    """The body is compressed in a way that cannot be read."""


class Exchange(Protocol):
    """An answer whose head is there."""

    status: int
    headers: Mapping[str, str]  # lower-case names; of repeated ones the last

    @property
    def is_whole(self) -> bool:
        """Whether the body's end has been read."""
        ...

    async def next(self, until_s: float, tap: Tap | None = None) -> bytes | None:
        """The body's bytes that have come, decompressed; None at its end. TimeoutError at `until_s` by the loop's clock.

        What comes while it waits may go to `tap` instead.
        """
        ...

    async def aclose(self) -> None:
        """End it: a body that is whole leaves the line for the next one, any other closes it. Idempotent."""
        ...


class Line(asyncio.Protocol):
    """One connection. `exchange` begins; then the line is itself the answer, until `aclose`."""

    def __init__(self, on_free: Callable[["Line", bool], None]) -> None:
        """`on_free` is told when an exchange is over, and whether another may follow."""
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.free_since_s = 0.0
        self._fields = dict[str, str]()
        self._on_free = on_free
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._http: Any = None  # the library of its parser
        self._parser: Any = None
        self._pieces = list[bytes]()
        self.on_body = self._pieces.append  # asked by the parser: there may be many, so nothing of ours runs
        self._held = 0
        self.read_bytes = 0  # since somebody took the count
        self._head_bytes = 0
        self._is_reading = True
        self._has_head = False
        self._is_whole = False
        self._is_busy = False
        self._keeps = False
        self._is_gone = False
        self._error: LineError | None = None
        self._unpack: Any = None
        self._unread: Any = None  # tells whether anything lies in the socket that nobody has read
        self._waiter: asyncio.Future[None] | None = None
        self._tap: Tap | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._until_s = 0.0
        self._room: asyncio.Future[None] | None = None

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A request must not wait for the acknowledgement of its own beginning (Nagle)."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are of its own family
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if connection is not None and hasattr(select, "poll"):
            self._unread = select.poll()
            self._unread.register(connection.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Part of an answer; anything behind a whole one makes the line useless."""
        self.read_bytes += len(data)
        if not self._is_busy or self._is_whole:
            self._drop()
            return
        if not self._has_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self._fail(LineError("its answer's head has no end"))
                return
        pieces, before, error = self._pieces, len(self._pieces), None
        self._held += len(data)
        try:
            self._parser.feed_data(data)
        except self._http.HttpParserUpgrade:
            error = LineError("it wants to speak another protocol")
        except self._http.HttpParserError as told:
            error = LineError(f"it does not speak HTTP: {told}")  # unless a callback knew more
        if self._unpack is not None:
            error = self._unpacked(before) or error
        if error is not None:
            self._fail(error)
            return
        tap, waiter = self._tap, self._waiter
        if tap is not None and pieces and not self._is_whole and waiter is not None and not waiter.done():
            # The reader goes on waiting, unless the tap says that it is to be woken.
            until_s = tap(self._take())
            if until_s is not None:
                self._until_s = until_s
                return
            pieces.append(b"")
        if self._held > HELD_BYTES_MAX and self._is_reading and self._transport is not None:
            self._is_reading = False
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """The other end writes no more."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Which is the end of an answer that named no length, and a failure in the middle of any other."""
        self._is_gone = True
        self._disarm()
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        if self._is_busy and not self._is_whole:
            if self._has_head and exc is None and self._ends_with_the_line:
                self._is_whole = True
            elif self._error is None:
                told = str(exc) if exc is not None else ""
                self._error = LineError(told or "it closed the connection before its answer was whole")
        self._wake()

    def pause_writing(self) -> None:
        """The request is longer than what the system takes at once."""
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """There is room again."""
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    # The parser's side.

    def on_message_begin(self) -> None:
        """A second answer to one question is none."""
        if self._has_head:
            self._refuse(LineError("it answered twice"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One whole header."""
        self._fields[name.decode("latin-1").lower()] = value.decode("latin-1").strip()

    def on_headers_complete(self) -> None:
        """An interim answer (1xx) is passed over."""
        self.status = self._parser.get_status_code()
        if self.status < 100:
            self._refuse(LineError(f"it does not speak HTTP: its status is {self.status}"))
        if self.status < 200:
            return
        self._has_head, self.headers = True, self._fields
        coding = self.headers.get("content-encoding", "identity").strip().lower()
        if coding in ("gzip", "x-gzip", "deflate"):
            self._unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        elif coding not in ("", "identity"):
            self._refuse(Undecodable(f"coding {coding[:40]}"))

    def on_message_complete(self) -> None:
        """The body's end, or that of an interim answer."""
        if self.status < 200:
            self._fields = {}
            return
        self._is_whole = True
        self._keeps = bool(self._parser.should_keep_alive())

    def _refuse(self, error: LineError) -> NoReturn:
        """Stop the parser, which tells of its callbacks' errors in words of its own."""
        self._error = self._error or error
        raise error

    def _unpacked(self, before: int) -> LineError | None:
        """Decompress the pieces behind the first `before`; what is wrong with them."""
        packed = b"".join(self._pieces[before:])
        del self._pieces[before:]
        why = ""
        try:
            body = self._unpack.decompress(packed, BURST_BYTES_MAX)
        except zlib.error as error:
            body, why = b"", str(error)
        if self._unpack.unconsumed_tail:
            why = "it unpacks to far more than it is"
        elif self._is_whole and not self._unpack.eof:
            why = why or "it ends too early"
        if why:
            self._is_whole = False
            return Undecodable(why)
        if body:
            self._pieces.append(body)
            self._held += len(body)
        return None

    # Our side.

    @property
    def is_usable(self) -> bool:
        """Whether the other end has neither closed the line nor said anything unasked."""
        transport = self._transport
        if self._is_gone or transport is None or transport.is_closing():
            return False
        return self._unread is None or not self._unread.poll(0)

    @property
    def is_unanswered(self) -> bool:
        """Whether not one byte came in the exchange that is under way, or was the last."""
        return not self._head_bytes

    @property
    def is_whole(self) -> bool:
        """See `Exchange`."""
        return self._is_whole and not self._pieces

    async def exchange(self, head: bytes, body: bytes, until_s: float) -> None:
        """Send a request and wait for the answer's head; TimeoutError at `until_s`."""
        transport = self._transport
        assert transport is not None
        assert not self._is_busy
        self._is_busy = True
        self._has_head = self._is_whole = self._keeps = False
        self._head_bytes = self._held = 0
        self.headers, self._fields = {}, {}
        self._unpack = None
        if self._http is None:
            import httptools  # not before there is something to read

            self._http = httptools
        try:
            transport.write(head + body)
            self._parser = self._http.HttpResponseParser(self)  # while the other end reads
            if self._room is not None:
                await asyncio.wait_for(asyncio.shield(self._room), max(0.0, until_s - self._loop.time()))
            while not self._has_head:
                self._check()
                await self._wait(until_s)
        except BaseException:
            await self.aclose()
            raise

    async def next(self, until_s: float, tap: Tap | None = None) -> bytes | None:
        """See `Exchange`."""
        while not self._pieces:
            if self._is_whole:
                return None
            self._check()
            self._tap = tap
            try:
                await self._wait(until_s)
            finally:
                self._tap = None
        return self._take()

    async def aclose(self) -> None:
        """See `Exchange`."""
        if not self._is_busy:
            return
        may_go_on = self._is_whole and self._keeps and self._error is None and not self._is_gone
        self._is_busy = False
        self._pieces.clear()
        self._parser = None
        if not self._is_reading and self._transport is not None and not self._is_gone:
            self._is_reading = True
            self._transport.resume_reading()
        if not may_go_on:
            self._drop()
        self.free_since_s = self._loop.time()
        self._on_free(self, may_go_on)

    def drop(self) -> None:
        """Close the line at once, whatever is under way."""
        self._drop()

    def _take(self) -> bytes:
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._held = 0
        if not self._is_reading and self._transport is not None:
            self._is_reading = True
            self._transport.resume_reading()
        return data

    @property
    def _ends_with_the_line(self) -> bool:
        """Whether the answer named neither a length nor chunks, so that its end is the connection's."""
        chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        return not chunked and "content-length" not in self.headers and self.status not in NO_BODY

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    async def _wait(self, until_s: float) -> None:
        """Until something came or `until_s`; one timer serves the waits of many answers, as most end long before it."""
        self._until_s = until_s
        if self._timer is None:
            self._timer = self._loop.call_at(until_s, self._look)
        elif until_s < self._timer.when():
            self._disarm()
            self._timer = self._loop.call_at(until_s, self._look)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._waiter is None:
            return  # the next wait sets it anew
        if self._loop.time() < self._until_s:
            self._timer = self._loop.call_at(self._until_s, self._look)
        elif not self._waiter.done():
            self._waiter.set_exception(TimeoutError())

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: LineError) -> None:
        self._error = self._error or error
        self._drop()
        self._wake()

    def _drop(self) -> None:
        self._is_gone = True
        self._disarm()
        if self._transport is not None:
            self._transport.abort()


def head_of(method: str, target: str, host: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """A request's head but for its length and its end. Every value is printable ASCII or Latin-1: `wire` has looked."""
    lines = [f"{method} {target} HTTP/1.1", f"host: {host}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n").encode("latin-1")
