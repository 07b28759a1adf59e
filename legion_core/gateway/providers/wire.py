"""The one HTTP client of all wires: time-outs, bounds, no redirections, and errors told apart.

Two kinds of silence are told apart: before the first event (`first_event_s`, a model may be loading or reading a long
prompt) and after it (`idle_s`). Only whole events end a silence: a byte now and then does not.
"""

import asyncio
import ipaddress
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast
from urllib.parse import urlsplit

import msgspec

from legion_core.gateway.providers.refusal import in_band, quote, refusal
from legion_core.gateway.types import Chunk, Finished, Usage
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import (
    ConfigError,
    ConnectionLost,
    Malformed,
    ProviderError,
    StreamBroken,
    TimedOut,
    Unavailable,
)
from legion_core.kernel.faults import fault

if TYPE_CHECKING:
    import httpx

CLOSE_S: Final = 1.0  # leaving a stream cancels it upstream within this time
DRAIN_S: Final = 0.02  # for the rest of a body whose answer is complete
CLOSING_TURNS: Final = 16  # two for each of six nested generators, and some to spare
BODY_BYTES_MAX: Final = 64 * 1024 * 1024  # of an answer that is not a stream
ERROR_BYTES_MAX: Final = 64 * 1024
STREAM_BYTES_MAX: Final = 512 * 1024 * 1024

T = TypeVar("T")
E = TypeVar("E")
E_contra = TypeVar("E_contra", contravariant=True)
E_co = TypeVar("E_co", covariant=True)


class Parser(Protocol[E_co]):
    """Bytes in, events out: `SseParser` or `JsonLines`."""

    def feed(self, chunk: bytes, /) -> Sequence[E_co]: ...  # noqa: D102
    def close(self) -> Sequence[E_co]: ...  # noqa: D102


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


class Chunks:
    """One answer's chunks; see `Counting` for what they know beside."""

    def __init__(self, chunks: AsyncGenerator[Chunk, None], so_far: Callable[[], Usage | None]) -> None:
        self.counted = so_far
        self._chunks = chunks

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self

    def __anext__(self) -> Awaitable[Chunk]:
        return self._chunks.__anext__()


@dataclass(frozen=True, slots=True)
class Limits:
    """Every wait of a wire, in seconds."""

    connect_s: float = 10.0
    first_event_s: float = 120.0
    idle_s: float = 30.0  # source: the catalogue of faults, F50
    answer_s: float = 60.0  # a whole answer that is not a stream


DEFAULT_LIMITS: Final = Limits()


class Sign(Protocol):
    """What a request needs beside fixed headers: a token that has to be fresh, or a signature over its bytes."""

    async def __call__(self, method: str, url: str, body: bytes) -> Mapping[str, str]:
        """Headers for this one request; raises ProviderError where there is no credential to be had."""
        ...


class Wire:
    """One instance's HTTP side; the connection pool lives until `aclose`."""

    def __init__(
        self,
        name: str,
        base_url: str,
        clock: Clock,
        *,
        headers: Mapping[str, str] | None = None,
        secrets: tuple[str, ...] = (),
        limits: Limits = DEFAULT_LIMITS,
        sign: Sign | None = None,
    ) -> None:
        """`headers` go with every request, and only ever to `base_url`'s own host; `secrets` never leave in a message.

        `sign` is asked for each request's own headers.
        """
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                f"The base_url {base_url!r} of {name} is not an http(s) address.",
                hint="It looks like http://127.0.0.1:11434 or https://api.example.com/v1.",
            )
        if not all(value.isascii() and value.isprintable() for value in (headers or {}).values()):
            raise ConfigError(
                f"The key of {name} holds characters no HTTP header can carry.", hint="Enter the key again."
            )
        self.name = name
        self.base_url = base_url.rstrip("/")
        self.host = parts.hostname
        self._clock = clock
        self._headers = dict(headers or {})
        self._secrets = secrets
        self._limits = limits
        self._sign = sign
        self._client: httpx.AsyncClient | None = None
        self._is_closed = False
        self._opening = asyncio.Lock()

    @property
    def is_loopback(self) -> bool:
        """Whether it runs on this machine."""
        return is_loopback(self.host)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must be masked in whatever this provider says."""
        return self._secrets

    def now_s(self) -> float:
        """The clock's monotonic reading, for latencies."""
        return self._clock.monotonic_s()

    async def get(self, path: str, kind: type[T]) -> T:
        """The JSON answer to a GET."""
        return await self._whole("GET", path, b"", kind)

    async def post(self, path: str, body: bytes, kind: type[T]) -> T:
        """The JSON answer to a POST of JSON."""
        return await self._whole("POST", path, body, kind)

    async def _whole(self, method: str, path: str, body: bytes, kind: type[T]) -> T:
        async with (
            self._deadline(self._limits.answer_s, "gave no whole answer"),
            self._response(method, path, body) as response,
        ):
            raw = await self._bounded(response, BODY_BYTES_MAX)
        try:
            return msgspec.json.decode(raw, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise self._malformed(raw) from error

    @asynccontextmanager
    async def chunks(
        self, path: str, body: bytes, parser: Parser[E], reader: Reader[E]
    ) -> AsyncGenerator[AsyncIterator[Chunk], None]:
        """POST and read the streamed answer; see `Provider.stream` for what may be raised and when."""
        async with (
            self._response("POST", path, body, is_stream=True) as response,
            aclosing(self._chunks(response, parser, reader)) as chunks,
        ):
            yield Chunks(chunks, reader.so_far)

    async def _chunks(
        self, response: "httpx.Response", parser: Parser[E], reader: Reader[E]
    ) -> AsyncGenerator[Chunk, None]:
        seen = 0
        try:
            async with aclosing(self._events(response, parser)) as events:
                async for event in events:
                    fault("providers.stream")
                    for chunk in reader.read(event):
                        if isinstance(chunk, Finished):
                            try:
                                yield chunk
                            finally:  # also where the caller stops at this chunk, as it may
                                await _drain(events)
                            return
                        yield chunk
                        seen += 1
        except (StreamBroken, TimedOut) as error:
            # The connection broke, but the wire's own end may have been there already.
            if (finished := reader.at_end()) is None:
                if isinstance(error, StreamBroken):
                    raise StreamBroken(error.message, hint=error.hint, chunks_seen=seen) from error
                raise
        else:
            finished = reader.at_end()
        if finished is None:
            raise StreamBroken(f"{self.name} ended its stream before the answer's end.", chunks_seen=seen)
        yield finished

    async def _events(self, response: "httpx.Response", parser: Parser[E]) -> AsyncGenerator[E, None]:
        limit_s, size = self._limits.first_event_s, 0
        head: bytes | None = b""  # what came before the first event; None once there was one
        loop = asyncio.get_running_loop()
        silent_until = loop.time() + limit_s
        async with aclosing(_pieces(response)) as pieces:
            while (piece := await self._next(pieces, silent_until, limit_s)) is not None:
                size += len(piece)
                if size > STREAM_BYTES_MAX:
                    raise Malformed(f"{self.name} sent more than {STREAM_BYTES_MAX} bytes in one answer.")
                if events := parser.feed(piece):
                    for event in events:
                        yield event
                    head, limit_s = None, self._limits.idle_s
                    silent_until = loop.time() + limit_s
                elif head is not None and len(head) < ERROR_BYTES_MAX:
                    head += piece
        for event in parser.close():
            head = None
            yield event
        if head:
            raise self._not_a_stream(head)

    async def _next(self, pieces: AsyncIterator[bytes], silent_until: float, limit_s: float) -> bytes | None:
        import httpx

        try:
            async with asyncio.timeout_at(silent_until):
                return await anext(pieces, None)
        except TimeoutError as error:
            raise TimedOut(f"{self.name} sent nothing for {limit_s:g} s.") from error
        except httpx.DecodingError as error:
            raise StreamBroken(f"{self.name} sent a compressed stream that cannot be read.") from error
        except httpx.HTTPError as error:
            raise StreamBroken(f"The connection to {self.name} broke: {self._why(error)}.") from error

    def _not_a_stream(self, head: bytes) -> ProviderError:
        """Another program on that port, a login page, or an error with status 200."""
        with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            answer = msgspec.json.decode(head)
            if isinstance(answer, dict) and (error := cast("dict[str, Any]", answer).get("error")):
                return in_band(error, who=self.name, secrets=self._secrets)
        return self._malformed(head)

    def _malformed(self, body: bytes) -> Malformed:
        said = quote(body[:2000].decode("utf-8", "replace"), self._secrets) or "an empty body"
        return Malformed(
            f"{self.name} did not answer as its protocol says: {said}",
            hint="Check the base_url and the kind of this instance.",
        )

    @asynccontextmanager
    async def _response(
        self, method: str, path: str, body: bytes, *, is_stream: bool = False
    ) -> AsyncGenerator["httpx.Response", None]:
        """An answer with status 2xx; anything else raises what it stands for."""
        client = await self._open_client()
        import httpx

        request = client.build_request(
            method, self.base_url + path, content=body or None, headers={"content-type": "application/json"}
        )
        if self._sign is not None:
            async with self._deadline(self._limits.answer_s, "could not be signed in to"):
                request.headers.update(await self._sign(method, str(request.url), body))
        limit_s = self._limits.first_event_s if is_stream else self._limits.answer_s
        try:
            fault("providers.connect")
            async with self._deadline(limit_s, "did not answer"):
                response = await client.send(request, stream=True)
        except httpx.ConnectTimeout as error:
            raise TimedOut(f"{self.name} at {self.base_url} could not be reached in time.") from error
        except httpx.PoolTimeout as error:
            raise Unavailable(f"All connections to {self.name} are in use.") from error
        except httpx.HTTPError as error:
            raise ConnectionLost(
                f"{self.name} at {self.base_url} could not be reached: {self._why(error)}.",
                hint="Is it running, and is the address right?" if self.is_loopback else "",
            ) from error
        try:
            if not response.is_success:
                raise await self._refusal(response)
            yield response
        finally:
            is_whole = response.is_closed
            with suppress(TimeoutError, httpx.HTTPError):
                async with asyncio.timeout(CLOSE_S):
                    await response.aclose()
            if not is_whole:
                # The library leaves the closing of its own nested generators to the loop: give it its turns, so
                # that nothing of this request outlives it. Seen with httpx 0.28.
                for _ in range(CLOSING_TURNS):
                    await asyncio.sleep(0)

    async def _refusal(self, response: "httpx.Response") -> Exception:
        try:
            async with self._deadline(self._limits.idle_s, "did not finish its error"):
                body = await self._bounded(response, ERROR_BYTES_MAX, is_cut=True)
        except (TimedOut, ConnectionLost, Malformed):
            body = b""
        return refusal(
            response.status_code,
            {name.lower(): value for name, value in response.headers.items()},
            body,
            who=self.name,
            now=self._clock.utc_now(),
            secrets=self._secrets,
        )

    async def _bounded(self, response: "httpx.Response", limit: int, *, is_cut: bool = False) -> bytes:
        import httpx

        held = bytearray()
        try:
            async with aclosing(_pieces(response)) as pieces:
                async for piece in pieces:
                    held += piece
                    if len(held) > limit:
                        if is_cut:
                            return bytes(held[:limit])
                        raise Malformed(f"{self.name} answered with more than {limit} bytes.")
        except httpx.DecodingError as error:
            raise Malformed(f"{self.name} sent a compressed answer that cannot be read.") from error
        except httpx.HTTPError as error:
            raise ConnectionLost(f"The connection to {self.name} broke: {self._why(error)}.") from error
        return bytes(held)

    @asynccontextmanager
    async def _deadline(self, seconds: float, what: str) -> AsyncGenerator[None, None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            raise TimedOut(f"{self.name} {what} within {seconds:g} s.") from error

    async def _open_client(self) -> "httpx.AsyncClient":
        async with self._opening:
            if self._is_closed:
                raise ConnectionLost(f"{self.name} is closed.")
            if self._client is None:
                # Importing the library and loading the certificates takes a tenth of a second the loop cannot give.
                self._client = await asyncio.to_thread(self._make_client)
            return self._client

    def _make_client(self) -> "httpx.AsyncClient":
        import httpx

        waits = self._limits
        return httpx.AsyncClient(
            # Reads are bounded by our own deadlines, which know what a silence means.
            timeout=httpx.Timeout(
                connect=waits.connect_s, write=waits.idle_s, read=None, pool=waits.connect_s
            ),
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=30.0),
            # Nothing on this machine is ever reached through a proxy of the environment.
            trust_env=not self.is_loopback,
            verify=self.base_url.startswith("https:"),
            follow_redirects=False,
            headers={"accept-encoding": "identity", "user-agent": "legion-workbench", **self._headers},
        )

    def _why(self, error: Exception) -> str:
        return quote(str(error), self._secrets) or type(error).__name__

    async def aclose(self) -> None:
        """Close every connection; idempotent."""
        self._is_closed = True
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


async def _drain(events: AsyncGenerator[object, None]) -> None:
    """Read on to the body's end, which has mostly arrived: only then can the connection serve again."""
    with suppress(ProviderError, TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            async for _ in events:
                pass


def _pieces(response: "httpx.Response") -> AsyncGenerator[bytes, None]:
    return cast("AsyncGenerator[bytes, None]", response.aiter_bytes())
