"""The way out for HTTP libraries: every request of theirs is asked at the gate, judged, pinned to the judged address and counted.

`httpx` and the fork of it that the MCP SDK uses are served by the same lines. A host's connections are its own: a
pool that knows them by address could give one host a connection whose certificate was another's.
"""

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final

from legion_core.kernel.addresses import is_loopback
from legion_core.kernel.contacts import CONTACTS, Purpose
from legion_core.kernel.errors import ConnectionLost, LimitReached
from legion_core.kernel.fetch.gate import GATE
from legion_core.kernel.fetch.proxies import proxy_for
from legion_core.kernel.fetch.reach import ANYWHERE, PUBLIC, PrivateAddress, Reach, Resolve, find, resolved

HOSTS_MAX: Final = 16  # with connections of their own at a time, for one user of the way out
CONNECTIONS_MAX: Final = 100
TELL_BYTES: Final = 1 << 20  # how often a long answer is counted before its end
HEAD_LINE_BYTES: Final = 4  # of each header beside its name and value


@dataclass(frozen=True, slots=True)
class Use:
    """Who goes out and where to. `reach` is asked with the host for each request, so that settings count at once.

    `keeps` connections for the next request of the same host. `raw_bytes_max` is the most an answer may have, not
    counting event streams, which are bounded for each event by who reads them; 0 is no bound. With it no compressed
    answer is taken: its size would be another's choice.
    """

    purpose: Purpose
    by: str = ""
    reach: Callable[[str], Reach] = lambda _: PUBLIC
    resolve: Resolve | None = None
    keeps: bool = False
    raw_bytes_max: int = 0
    has_proxy: bool = True


def way_out(library: Any, use: Use) -> Any:
    """A transport for an `AsyncClient` of `library` (httpx, or a fork of it). Imports nothing by itself."""
    counted = type("Counted", (_Counted, library.AsyncByteStream), {})
    made: Any = type("WayOut", (_WayOut, library.AsyncBaseTransport), {})
    return made(library, use, counted)


class _WayOut:
    """See the module."""

    def __init__(self, library: Any, use: Use, counted: Any) -> None:
        self._library = library
        self._use = use
        self._counting = counted
        self._inner: OrderedDict[tuple[str, str], Any] = OrderedDict()
        self._tls: ssl.SSLContext | None = None
        self._making = asyncio.Lock()

    async def handle_async_request(self, request: Any) -> Any:
        """Ask, judge, pin, send, count."""
        use, host, port = self._use, str(request.url.host), _port(request.url)
        proxy = ""
        if use.has_proxy and not is_loopback(host):
            proxy = await asyncio.to_thread(proxy_for, request.url.scheme, host)
        if proxy:
            addresses = await _by_proxy(host, port, use)
        else:
            addresses = await find(host, port, use.purpose, use.by, use.reach(host), use.resolve)
        inner = await self._of(request.url.scheme, host, proxy)
        if use.raw_bytes_max:
            request.headers["accept-encoding"] = "identity"
        answer = await self._sent(inner, request, host, addresses)
        return await self._counted(answer, request, host, port)

    async def aclose(self) -> None:
        """Close every connection."""
        inner, self._inner = tuple(self._inner.values()), OrderedDict[tuple[str, str], Any]()
        for each in inner:
            await each.aclose()

    async def _sent(self, inner: Any, request: Any, host: str, addresses: tuple[str, ...]) -> Any:
        """The answer of the first address that takes the connection: only what was not sent is sent again."""
        library, last = self._library, None
        for address in addresses or ("",):
            try:
                return await inner.handle_async_request(_pinned(library, request, host, address))
            except (library.ConnectError, library.ConnectTimeout) as error:
                last = error
        assert last is not None
        raise last

    async def _counted(self, answer: Any, request: Any, host: str, port: int) -> Any:
        use = self._use
        if use.raw_bytes_max and answer.headers.get("content-encoding", "identity").lower() != "identity":
            await answer.stream.aclose()
            raise ConnectionLost("The answer is compressed although that was not asked for.")
        CONTACTS.carried(host, port, use.purpose, use.by, _size(request), _head(answer))
        is_stream = answer.headers.get("content-type", "").startswith("text/event-stream")

        def tell(count: int) -> None:
            CONTACTS.carried(host, port, use.purpose, use.by, 0, count)

        answer.stream = self._counting(answer.stream, tell, 0 if is_stream else use.raw_bytes_max)
        return answer

    async def _of(self, scheme: str, host: str, proxy: str) -> Any:
        library, old = self._library, None
        async with self._making:
            key = (f"{scheme}://{host}", proxy)
            inner = self._inner.pop(key, None)
            if inner is None:
                if self._tls is None and (scheme == "https" or proxy.startswith("https")):
                    # Reading the certificates of all authorities takes longer than the loop can give.
                    self._tls = await asyncio.to_thread(library.create_ssl_context)
                inner = library.AsyncHTTPTransport(
                    verify=self._tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),  # which trusts nobody
                    trust_env=False,
                    limits=library.Limits(
                        max_connections=CONNECTIONS_MAX,
                        max_keepalive_connections=20 if self._use.keeps else 0,
                        keepalive_expiry=30.0,
                    ),
                    proxy=proxy or None,
                )
            self._inner[key] = inner
            if len(self._inner) > HOSTS_MAX:
                _, old = self._inner.popitem(last=False)
        if old is not None:
            await old.aclose()
        return inner


class _Counted:
    """An answer's bytes, counted and bounded; no generator, which would have to be closed by somebody."""

    def __init__(self, inner: Any, tell: Callable[[int], None], bytes_max: int) -> None:
        self._inner = inner
        self._tell = tell
        self._bytes_max = bytes_max
        self._bytes = 0
        self._told = 0
        self._parts: AsyncIterator[bytes] | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._parts = aiter(self._inner)
        return self

    async def __anext__(self) -> bytes:
        assert self._parts is not None
        part = await anext(self._parts)
        self._bytes += len(part)
        if self._bytes - self._told > TELL_BYTES:
            self._say()
        if self._bytes_max and self._bytes > self._bytes_max:
            raise LimitReached(f"The answer is larger than {max(self._bytes_max >> 20, 1)} MB.")
        return part

    async def aclose(self) -> None:
        """Let go of the answer."""
        self._say()
        await self._inner.aclose()

    def _say(self) -> None:
        if self._bytes > self._told:
            self._tell(self._bytes - self._told)
            self._told = self._bytes


async def _by_proxy(host: str, port: int, use: Use) -> tuple[str, ...]:
    """Judge what is known here; the name stays, because the proxy looks it up, and what it may ask is its own rule.

    An address is judged however it is spelled. So is a name that is known here: only the names of the proxy's side are not.
    """
    GATE.check(host, port, use.purpose, use.by)
    reach = use.reach(host)
    if reach is not ANYWHERE:
        try:
            found = await (use.resolve or resolved)(host, port)
        except ConnectionLost:
            found = []
        if found and not reach.admits(host, port, found):
            raise PrivateAddress(host, port)
    CONTACTS.note(host, port, use.purpose, use.by)
    return ()


def _pinned(library: Any, request: Any, host: str, address: str) -> Any:
    """The request to the judged address; the name stays in Host and is what the certificate is held against."""
    if not address or address == host:
        return request
    return library.Request(
        request.method,
        request.url.copy_with(host=address.partition("%")[0] if address.startswith("fe80") else address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.raw_host.decode("ascii")},
    )


def _port(url: Any) -> int:
    return int(url.port or (443 if url.scheme == "https" else 80))


def _size(request: Any) -> int:
    length = request.headers.get("content-length", "0")
    return _head(request) + (int(length) if length.isdecimal() else 0)


def _head(message: Any) -> int:
    return sum(len(name) + len(value) + HEAD_LINE_BYTES for name, value in message.headers.raw)
