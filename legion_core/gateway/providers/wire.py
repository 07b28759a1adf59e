"""The one HTTP client of all wires: time-outs, bounds, no redirections, and errors told apart.

Two kinds of silence are told apart: before the first event (`first_event_s`, a model may be loading or reading a long
prompt) and after it (`idle_s`). Only whole events end a silence: a byte now and then does not.
"""

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeVar
from urllib.parse import urlsplit

import msgspec

from legion_core.gateway.providers.refusal import quote, refusal
from legion_core.gateway.types import Chunk, Finished
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import (
    ConfigError,
    ConnectionLost,
    Malformed,
    StreamBroken,
    TimedOut,
    Unavailable,
)
from legion_core.kernel.faults import fault

if TYPE_CHECKING:
    import httpx

CLOSE_S: Final = 1.0  # leaving a stream cancels it upstream within this time
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


@dataclass(frozen=True, slots=True)
class Limits:
    """Every wait of a wire, in seconds."""

    connect_s: float = 10.0
    first_event_s: float = 120.0
    idle_s: float = 30.0  # source: the catalogue of faults, F50
    answer_s: float = 60.0  # a whole answer that is not a stream


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
        limits: Limits = Limits(),
    ) -> None:
        """`headers` go with every request, and only ever to `base_url`'s own host; `secrets` never leave in a message."""
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                f"The base_url {base_url!r} of {name} is not an http(s) address.",
                hint="It looks like http://127.0.0.1:11434 or https://api.example.com/v1.",
            )
        self.name = name
        self.base_url = base_url.rstrip("/")
        self.host = parts.hostname
        self._clock = clock
        self._headers = dict(headers or {})
        self._secrets = secrets
        self._limits = limits
        self._client: httpx.AsyncClient | None = None
        self._is_closed = False

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
            raise Malformed(
                f"{self.name} did not answer as its protocol says: {quote(raw[:2000].decode('utf-8', 'replace'), self._secrets)}",
                hint="Check the base_url and the kind of this instance.",
            ) from error

    @asynccontextmanager
    async def chunks(
        self, path: str, body: bytes, parser: Parser[E], reader: Reader[E]
    ) -> AsyncGenerator[AsyncIterator[Chunk], None]:
        """POST and read the streamed answer; see `Provider.stream` for what may be raised and when."""
        async with self._response("POST", path, body, is_stream=True) as response:
            async with aclosing(self._chunks(response, parser, reader)) as chunks:
                yield chunks

    async def _chunks(
        self, response: "httpx.Response", parser: Parser[E], reader: Reader[E]
    ) -> AsyncGenerator[Chunk, None]:
        seen = 0
        try:
            async with aclosing(self._events(response, parser)) as events:
                async for event in events:
                    fault("providers.stream")
                    for chunk in reader.read(event):
                        yield chunk
                        if isinstance(chunk, Finished):
                            return
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
        import httpx

        loop = asyncio.get_running_loop()
        limit_s, size = self._limits.first_event_s, 0
        silent_until = loop.time() + limit_s
        pieces = response.aiter_bytes()
        while True:
            try:
                async with asyncio.timeout_at(silent_until):
                    piece = await anext(pieces, None)
            except TimeoutError as error:
                raise TimedOut(f"{self.name} sent nothing for {limit_s:g} s.") from error
            except httpx.DecodingError as error:
                raise StreamBroken(f"{self.name} sent a compressed stream that cannot be read.") from error
            except httpx.HTTPError as error:
                raise StreamBroken(f"The connection to {self.name} broke: {_why(error)}.") from error
            if piece is None:
                break
            size += len(piece)
            if size > STREAM_BYTES_MAX:
                raise Malformed(f"{self.name} sent more than {STREAM_BYTES_MAX} bytes in one answer.")
            if events := parser.feed(piece):
                for event in events:
                    yield event
                limit_s = self._limits.idle_s
                silent_until = loop.time() + limit_s
        for event in parser.close():
            yield event

    @asynccontextmanager
    async def _response(
        self, method: str, path: str, body: bytes, *, is_stream: bool = False
    ) -> AsyncGenerator["httpx.Response", None]:
        """An answer with status 2xx; anything else raises what it stands for."""
        import httpx

        client = self._open_client()
        request = client.build_request(
            method, self.base_url + path, content=body or None, headers={"content-type": "application/json"}
        )
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
                f"{self.name} at {self.base_url} could not be reached: {_why(error)}.",
                hint="Is it running, and is the address right?" if self.is_loopback else "",
            ) from error
        try:
            if not response.is_success:
                raise await self._refusal(response)
            yield response
        finally:
            with suppress(TimeoutError, httpx.HTTPError):
                async with asyncio.timeout(CLOSE_S):
                    await response.aclose()

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
            async for piece in response.aiter_bytes():
                held += piece
                if len(held) > limit:
                    if is_cut:
                        return bytes(held[:limit])
                    raise Malformed(f"{self.name} answered with more than {limit} bytes.")
        except httpx.DecodingError as error:
            raise Malformed(f"{self.name} sent a compressed answer that cannot be read.") from error
        except httpx.HTTPError as error:
            raise ConnectionLost(f"The connection to {self.name} broke: {_why(error)}.") from error
        return bytes(held)

    @asynccontextmanager
    async def _deadline(self, seconds: float, what: str) -> AsyncGenerator[None, None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            raise TimedOut(f"{self.name} {what} within {seconds:g} s.") from error

    def _open_client(self) -> "httpx.AsyncClient":
        import httpx

        if self._is_closed:
            raise ConnectionLost(f"{self.name} is closed.")
        if self._client is None:
            self._client = httpx.AsyncClient(
                # Reads are bounded by our own deadlines, which know what a silence means.
                timeout=httpx.Timeout(
                    connect=self._limits.connect_s,
                    write=self._limits.idle_s,
                    read=None,
                    pool=self._limits.connect_s,
                ),
                limits=httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=30.0),
                # Nothing on this machine is ever reached through a proxy of the environment.
                trust_env=not self.is_loopback,
                verify=ssl.create_default_context() if self.base_url.startswith("https:") else False,
                follow_redirects=False,
                headers={"accept-encoding": "identity", "user-agent": "legion-workbench", **self._headers},
            )
        return self._client

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


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
