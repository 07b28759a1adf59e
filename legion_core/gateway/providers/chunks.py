"""One streamed answer's chunks, read from the pieces of its body: asked for one after another, or passed on as they come.

Whoever reads an answer asks for its next chunk and sleeps until one is there. To wake a sleeper costs more than a chunk
does; so while it sleeps, what comes may be passed on from the very callback that read it (`pass_on`).
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Final, Generic, Protocol, TypeVar

from legion_core.gateway.providers.base import Counted, Take
from legion_core.gateway.providers.line import Exchange, LineError
from legion_core.gateway.types import Chunk, Finished, Usage
from legion_core.kernel.errors import Malformed, ProviderError, StreamBroken, TimedOut
from legion_core.kernel.faults import fault

READY_MAX: Final = 32  # chunks taken at once: other streams want a turn
PLAIN_MIN: Final = 4  # events that are worth to be read as one
ENDING: Final = 3  # events an answer ends with: the reason, the usage, the end
PASSED_BYTES_MAX: Final = 4096  # of a piece that is passed on in its own callback, for the same reason
ENDING_S: Final = 2.0  # behind a finish reason, for the counts and the mark of the end
DRAIN_S: Final = 0.02  # for the rest of a body whose answer is complete
HEAD_BYTES_MAX: Final = 1024 * 1024  # kept of a body that has no event, to tell what it is
STREAM_BYTES_MAX: Final = 512 * 1024 * 1024

E = TypeVar("E")
E_contra = TypeVar("E_contra", contravariant=True)
E_co = TypeVar("E_co", covariant=True)


class Parser(Protocol[E_co]):
    """Bytes in, events out: `SseParser` or `JsonLines`."""

    def feed(self, chunk: bytes, /) -> Sequence[E_co]: ...  # noqa: D102
    def close(self) -> Sequence[E_co]: ...  # noqa: D102

    @property
    def is_between(self) -> bool:
        """Whether nothing waits from before: what comes next begins an event."""
        ...


# A reader may have it as `quick`: the one chunk of a piece that is like earlier ones but for its text, without decoding
# it; None for any other.
Quick = Callable[[bytes], Chunk | None]
# And as `read_plain`: the chunks of events that are text and nothing else, read as one; None if any is not, and then
# nothing was read.
ReadPlain = Callable[[Sequence[E]], Sequence[Chunk] | None]
# And as `read_whole`: the chunks of a body that is the answer in one piece, though a stream was asked for; None if it is not.
ReadWhole = Callable[[bytes], Sequence[Chunk] | None]


class Reader(Protocol[E_contra]):
    """A wire's own meaning of its events; pure, one for each stream."""

    def read(self, event: E_contra, /) -> Sequence[Chunk]:
        """The chunks this event gives; the last may be `Finished`. Raises ProviderError for an error in band."""
        ...

    def at_end(self) -> Finished | None:
        """What the wire's rules allow to conclude when the stream ends here; None if it is broken."""
        ...

    def so_far(self) -> Usage | None:
        """What the provider has counted before the end; None where its wire tells only at the end."""
        ...


class Teller(Protocol):
    """Whose answer it is, and the words for what may go wrong with it."""

    name: str

    def broke(self, error: LineError, seen: int) -> StreamBroken:
        """A connection that was lost after so many chunks, or a body that cannot be read."""
        ...

    def not_a_stream(self, head: bytes) -> ProviderError:
        """A body without any event."""
        ...


class Chunks(Generic[E]):
    """One answer's chunks as they come; see `Counted` for what it knows beside."""

    def __init__(
        self,
        teller: Teller,
        exchange: Exchange,
        parser: Parser[E],
        reader: Reader[E],
        now_s: Callable[[], float],
        *,
        first_event_s: float,
        idle_s: float,
    ) -> None:
        """The first event is waited for no longer than `first_event_s` by `now_s`, the loop's clock; a further one `idle_s`."""
        self.counted: Counted = reader.so_far
        self._teller = teller
        self._exchange = exchange
        self._parser = parser
        self._reader = reader
        self._limit_s = first_event_s
        self._idle_s = idle_s
        self._now_s = now_s
        self._silent_until_s = now_s() + first_event_s
        self._ready: deque[Chunk] = deque()
        self._events: deque[E] = deque()
        self._head: bytes | None = b""  # what came before the first event; None once there was one
        self._size = 0
        self._seen = 0
        self._is_closed = False  # the body's end was read
        self._is_over = False
        self._failed: Exception | None = None  # raised once everything before it was taken
        self._take: Take | None = None
        self._quick: Quick = getattr(reader, "quick", _not_quick)
        self._read_plain: ReadPlain[E] | None = getattr(reader, "read_plain", None)

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self

    async def __anext__(self) -> Chunk:
        while not self._ready:
            if self._is_over:
                raise StopAsyncIteration
            if self._failed is not None:
                raise self._failed
            if not self._events and not self._is_closed:
                await self._read()
            if not self._ready and self._failed is None:
                self._interpret()
            if not self._ready:  # most begin with an event that says nothing
                self._ready.extend(self._plain())
        chunk = self._ready.popleft()
        if type(chunk) is Finished:
            self._is_over = True
            self._ready.clear()
        else:
            self._seen += 1
        return chunk

    def ready(self) -> Sequence[Chunk]:
        """What else has come already, without waiting; may be nothing. Told after it is what follows."""
        if self._is_over:
            return ()
        taken = list(self._ready)
        self._ready.clear()
        taken += self._plain()
        events, read = self._events, self._reader.read
        while not (taken and type(taken[-1]) is Finished):
            if not events or self._failed is not None or len(taken) >= READY_MAX:
                self._seen += len(taken)
                return taken
            try:
                fault("providers.stream")
                taken += read(events.popleft())
            except ProviderError as error:
                self._failed = error
        self._is_over = True
        self._seen += len(taken) - 1
        return taken

    def _plain(self) -> Sequence[Chunk]:
        """The chunks of many events at once, where all of them but the last few are plain text."""
        count = min(READY_MAX, len(self._events) - ENDING)
        if count < PLAIN_MIN or self._failed is not None or self._read_plain is None:
            return ()
        events = list(self._events)
        chunks = self._read_plain(events[:count])
        if chunks is None:
            self._read_plain = None
            return ()
        self._events = deque(events[count:])
        return chunks

    def pass_on(self, take: Take) -> None:
        """See `PassOn`."""
        self._take = take

    async def drain(self) -> None:
        """Read on to the body's end, which has mostly arrived: only then can the connection serve again."""
        if not self._is_over:
            return
        with suppress(LineError, TimeoutError):
            until_s = self._now_s() + DRAIN_S
            while await self._exchange.next(until_s) is not None:
                pass

    async def _read(self) -> None:
        """The next piece of the body, as events."""
        try:
            piece = await self._exchange.next(self._until_s(), self._passed if self._take else None)
        except TimeoutError as error:
            told = TimedOut(f"{self._teller.name} sent nothing for {self._limit_s:g} s.")
            self._conclude(told, error)
            return
        except LineError as error:
            self._conclude(self._teller.broke(error, self._seen), error)
            return
        if piece is None:
            self._is_closed = True
            self._events.extend(self._parser.close())
            if not self._events and self._head:
                self._take_whole(self._head)
            return
        if piece:
            self._feed(piece)

    def _take_whole(self, body: bytes) -> None:
        read_whole: ReadWhole = getattr(self._reader, "read_whole", _not_whole)
        if (chunks := read_whole(body)) is None:
            raise self._teller.not_a_stream(body)
        self._ready.extend(chunks)

    def _until_s(self) -> float:
        """How long a silence may last now: some servers keep the connection open behind an answer and say no more."""
        if self._reader.at_end() is None:
            return self._silent_until_s
        return min(self._silent_until_s, self._now_s() + ENDING_S)

    def _count(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > STREAM_BYTES_MAX:
            raise Malformed(f"{self._teller.name} sent more than {STREAM_BYTES_MAX} bytes in one answer.")

    def _feed(self, piece: bytes) -> None:
        self._count(piece)
        if events := self._parser.feed(piece):
            self._events.extend(events)
            self._head, self._limit_s = None, self._idle_s
            self._silent_until_s = self._now_s() + self._idle_s
        elif self._head is not None and len(self._head) < HEAD_BYTES_MAX:
            self._head += piece

    def _passed(self, piece: bytes) -> float | None:
        """Pass on what a piece holds, in the callback that read it; see `line.Tap`.

        The first chunk that is not taken, and all behind it, is kept for the reader, who is woken.
        """
        take, events = self._take, self._events
        try:
            if take is not None and self._parser.is_between and (chunk := self._quick(piece)) is not None:
                fault("providers.stream")
                self._count(piece)
                self._silent_until_s = self._now_s() + self._idle_s
                if not take(chunk):
                    self._ready.append(chunk)
                    return None
                self._seen += 1
                return self._silent_until_s
            self._feed(piece)
            if take is None or len(piece) > PASSED_BYTES_MAX:
                return None
            while events:
                fault("providers.stream")
                chunks = self._reader.read(events.popleft())
                for at, chunk in enumerate(chunks):
                    if not take(chunk):
                        self._ready.extend(chunks[at:])
                        return None
                    self._seen += 1
        except Exception as error:  # noqa: BLE001  # the transport's callback is no place for it: its reader is
            self._failed = error
            return None
        return self._until_s()

    def _interpret(self) -> None:
        """The chunks of one event; behind the last event the answer is concluded."""
        if self._events:
            fault("providers.stream")
            self._ready.extend(self._reader.read(self._events.popleft()))
        elif self._is_closed and not self._is_over:
            name = self._teller.name
            told = StreamBroken(f"{name} ended its stream before the answer's end.", chunks_seen=self._seen)
            self._conclude(told, None)

    def _conclude(self, error: ProviderError, cause: Exception | None) -> None:
        """The connection broke, but the wire's own end may have been there already."""
        finished = self._reader.at_end()
        if finished is None:
            raise error from cause
        self._ready.append(finished)


def _not_quick(_: bytes) -> None:
    return None


def _not_whole(_: bytes) -> None:
    return None
