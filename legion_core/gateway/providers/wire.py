"""The one HTTP client of all wires: time-outs, bounds, no redirections, and errors told apart.

Two kinds of silence are told apart: before the first event (`first_event_s`, a model may be loading or reading a long
prompt) and after it (`idle_s`). Only whole events end a silence: a byte now and then does not.
"""

import asyncio
import ipaddress
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Any, Final, Generic, Protocol, TypeVar, cast
from urllib.parse import quote as percent
from urllib.parse import urlsplit

import msgspec

from legion_core.gateway.providers.chunks import Chunks, Parser, Reader
from legion_core.gateway.providers.line import Exchange, LineError, Undecodable
from legion_core.gateway.providers.lines import AllTaken, Carrier, ConnectTooSlow, Lines
from legion_core.gateway.providers.refusal import in_band, quote, refusal
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

BODY_BYTES_MAX: Final = 64 * 1024 * 1024  # of an answer that is not a stream
ERROR_BYTES_MAX: Final = 64 * 1024

_URL_SAFE: Final = "/:?#[]@!$&'()*+,;=%~-._"
_USUAL: Final = {
    "content-type": "application/json",
    "accept": "*/*",
    "accept-encoding": "identity",
    "user-agent": "legion-workbench",
}

T = TypeVar("T")
E = TypeVar("E")


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
        self._headers = {**_USUAL, **(headers or {})}
        self._secrets = secrets
        self._limits = limits
        self._sign = sign
        self._carrier: Carrier | None = None
        # The loop's clock, by which waits end; kept, for to ask which loop runs is a system call.
        self.loop_s: Callable[[], float] = self._opened_s
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
        limit_s = self._limits.answer_s
        until_s = self.loop_s() + limit_s
        exchange = await self.send(method, path, body, until_s, limit_s)
        try:
            raw = await self._bounded(exchange, BODY_BYTES_MAX, until_s)
        except TimeoutError as error:
            raise TimedOut(f"{self.name} gave no whole answer within {limit_s:g} s.") from error
        finally:
            await exchange.aclose()
        try:
            return msgspec.json.decode(raw, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise self._malformed(raw) from error

    def chunks(self, path: str, body: bytes, parser: Parser[E], reader: Reader[E]) -> "Streaming[E]":
        """POST and read the streamed answer; see `Provider.stream` for what may be raised and when."""
        return Streaming(self, path, body, parser, reader, self._limits)

    def broke(self, error: LineError, seen: int) -> StreamBroken:
        """A connection that was lost in the middle of an answer, or a body that cannot be read."""
        if isinstance(error, Undecodable):
            return StreamBroken(
                f"{self.name} sent a compressed stream that cannot be read.", chunks_seen=seen
            )
        return StreamBroken(f"The connection to {self.name} broke: {self._why(error)}.", chunks_seen=seen)

    def not_a_stream(self, head: bytes) -> ProviderError:
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
            hint="Check the address (base_url) and the kind of this instance.",
        )

    async def send(self, method: str, path: str, body: bytes, until_s: float, limit_s: float) -> Exchange:
        """An answer with status 2xx, to be closed; anything else raises what it stands for."""
        carrier = self._open()
        url = _url(self.base_url, path)
        headers = self._headers
        if self._sign is not None:
            async with self._deadline(self._limits.answer_s, "could not be signed in to"):
                signed = await self._sign(method, url, body)
            headers = {**headers, **{name.lower(): value for name, value in signed.items()}}
        try:
            fault("providers.connect")
            exchange = await carrier.send(method, url, headers, body, until_s)
        except TimeoutError as error:
            raise TimedOut(f"{self.name} did not answer within {limit_s:g} s.") from error
        except ConnectTooSlow as error:
            raise TimedOut(f"{self.name} at {self.base_url} could not be reached in time.") from error
        except AllTaken as error:
            raise Unavailable(f"All connections to {self.name} are in use.") from error
        except Undecodable as error:
            raise self.broke(error, 0) from error
        except LineError as error:
            raise ConnectionLost(
                f"{self.name} at {self.base_url} could not be reached: {self._why(error)}.",
                hint="Is it running, and is the address right?" if self.is_loopback else "",
            ) from error
        if 200 <= exchange.status < 300:
            return exchange
        try:
            raise await self._refusal(exchange)
        finally:
            await exchange.aclose()

    async def _refusal(self, exchange: Exchange) -> Exception:
        try:
            until_s = self.loop_s() + self._limits.idle_s
            body = await self._bounded(exchange, ERROR_BYTES_MAX, until_s, is_cut=True)
        except (TimeoutError, ConnectionLost, Malformed):
            body = b""
        return refusal(
            exchange.status,
            exchange.headers,
            body,
            who=self.name,
            now=self._clock.utc_now(),
            secrets=self._secrets,
        )

    async def _bounded(
        self, exchange: Exchange, limit: int, until_s: float, *, is_cut: bool = False
    ) -> bytes:
        held = bytearray()
        try:
            while (piece := await exchange.next(until_s)) is not None:
                held += piece
                if len(held) > limit:
                    if is_cut:
                        return bytes(held[:limit])
                    raise Malformed(f"{self.name} answered with more than {limit} bytes.")
        except Undecodable as error:
            raise Malformed(f"{self.name} sent a compressed answer that cannot be read.") from error
        except LineError as error:
            raise ConnectionLost(f"The connection to {self.name} broke: {self._why(error)}.") from error
        return bytes(held)

    @asynccontextmanager
    async def _deadline(self, seconds: float, what: str) -> AsyncGenerator[None, None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            raise TimedOut(f"{self.name} {what} within {seconds:g} s.") from error

    def _open(self) -> Carrier:
        if self._is_closed:
            raise ConnectionLost(f"{self.name} is closed.")
        if self._carrier is None:
            self.loop_s = asyncio.get_running_loop().time
            self._carrier = Lines(self.base_url, self._limits.connect_s, self.name)
            # Nothing on this machine is ever reached through a proxy of the environment.
            if not self.is_loopback:
                from legion_core.gateway.providers.proxied import Proxied, has_proxy

                if has_proxy(urlsplit(self.base_url).scheme, self.host):
                    self._carrier = Proxied(self._limits.connect_s, self.name)
        return self._carrier

    def _opened_s(self) -> float:
        self._open()
        return self.loop_s()

    def _why(self, error: Exception) -> str:
        return quote(str(error), self._secrets) or type(error).__name__

    async def aclose(self) -> None:
        """Close every connection; idempotent."""
        self._is_closed = True
        carrier, self._carrier = self._carrier, None
        if carrier is not None:
            await carrier.aclose()


class Streaming(Generic[E]):
    """The context of one streamed answer: within it are its chunks, behind it its connection is free or closed.

    A class of its own, as a generator for each request costs as much as several of its chunks.
    """

    def __init__(
        self, wire: Wire, path: str, body: bytes, parser: Parser[E], reader: Reader[E], limits: Limits
    ) -> None:
        self._wire = wire
        self._path = path
        self._body = body
        self._parser = parser
        self._reader = reader
        self._limits = limits
        self._exchange: Exchange | None = None
        self._chunks: Chunks[E] | None = None

    async def __aenter__(self) -> Chunks[E]:
        limit_s, wire = self._limits.first_event_s, self._wire
        exchange = await wire.send("POST", self._path, self._body, wire.loop_s() + limit_s, limit_s)
        self._exchange = exchange
        self._chunks = Chunks(
            wire,
            exchange,
            self._parser,
            self._reader,
            wire.loop_s,
            first_event_s=limit_s,
            idle_s=self._limits.idle_s,
        )
        return self._chunks

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._exchange is not None
        assert self._chunks is not None
        try:
            if kind is None:
                await self._chunks.drain()
        finally:
            await self._exchange.aclose()


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=256)
def _url(base_url: str, path: str) -> str:
    """The whole address. What a path may hold stays as it is; what no request line may carry is quoted."""
    return percent(base_url + path, safe=_URL_SAFE)
