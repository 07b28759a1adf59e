"""The one function by which the workbench fetches something from an address.

Every address, those of redirects included, goes through the way out (`transport`): gate, judgement, pinned address,
count. There are no cookies, nothing of the caller's but a few harmless headers follows a redirect to another origin,
and what comes back is bounded however it is compressed.
"""

import asyncio
import zlib
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urljoin

from legion_core.kernel.errors import ConnectionLost, InvalidInput, LimitReached, TimedOut
from legion_core.kernel.fetch.transport import Use, way_out

if TYPE_CHECKING:
    import httpx

BODY_BYTES_MAX: Final = 512 * 1024
REDIRECTS_MAX: Final = 5
URL_CHARS_MAX: Final = 8_000
TOTAL_FACTOR: Final = 10  # a whole exchange may take so many times what each step of it may
AGENT: Final = "legion-workbench"
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
# All that goes along to another origin: any other header of the caller's may be a key under some name.
_FOR_ANYBODY: Final = frozenset({"accept", "accept-language", "content-type", "idempotency-key"})
_OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole answer: its body without its compression, `url` where it came from in the end, without a password."""

    status: int
    url: str
    headers: Mapping[str, str]
    body: bytes
    charset: str = ""


@dataclass(frozen=True, slots=True)
class Errand:
    """One request as it is sent to one address."""

    method: str
    url: "httpx.URL"
    headers: dict[str, str]
    content: bytes

    def onward(self, status: int, location: str) -> "Errand":
        """The request that a redirect asks for, as RFC 9110 says; to another origin only what anybody may see."""
        target = read(urljoin(str(self.url), location))
        made = replace(self, url=target)
        if status == 303 or (status in (301, 302) and self.method == "POST"):
            kept = {name: value for name, value in self.headers.items() if name != "content-type"}
            made = replace(made, method="HEAD" if self.method == "HEAD" else "GET", content=b"", headers=kept)
        if _origin(target) != _origin(self.url):
            kept = {name: value for name, value in made.headers.items() if name in _FOR_ANYBODY}
            made = replace(made, headers=kept)
        return made


class Fetcher:
    """Fetches for one part of the workbench (`use`); bounded, without a memory of what it met."""

    def __init__(
        self,
        use: Use,
        *,
        body_bytes_max: int = BODY_BYTES_MAX,
        redirects_max: int = REDIRECTS_MAX,
        is_downgrade_refused: bool = False,
    ) -> None:
        """`is_downgrade_refused`: no redirect leads from https to http."""
        self._use = use
        self._body_bytes_max = body_bytes_max
        self._redirects_max = redirects_max
        self._is_downgrade_refused = is_downgrade_refused
        self._out: Any = None

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        content: bytes = b"",
        timeout_s: float = 30.0,
    ) -> Fetched:
        """The answer at the end of the redirects; `timeout_s` is for each step of the exchange.

        Raises Blocked, PrivateAddress, InvalidInput (no http address, a redirect that leads from https to http),
        LimitReached (too large, too many redirects), TimedOut, ConnectionLost.
        """
        import httpx

        if self._out is None:
            self._out = way_out(httpx, self._use)
        sent = {name.lower(): value for name, value in (headers or {}).items() if name.lower() not in _OURS}
        # Only what is unpacked here under a bound is asked for.
        sent = {"user-agent": AGENT, "accept": "*/*", **sent, "accept-encoding": "gzip, deflate"}
        try:
            async with asyncio.timeout(timeout_s * TOTAL_FACTOR):
                target = read(url, query)
                return await self._led(Errand(method, target, sent, content), timeout_s, url)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise TimedOut(f"{shown(url)} did not answer within {timeout_s:g} s.") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
            raise InvalidInput(f"{shown(url)} is not an address that can be asked: {error}.") from error
        except httpx.TransportError as error:
            raise ConnectionLost(
                f"{shown(url)} could not be fetched: {error or type(error).__name__}."
            ) from error

    async def aclose(self) -> None:
        """Close what connections are kept; idempotent."""
        out, self._out = self._out, None
        if out is not None:
            await out.aclose()

    async def _led(self, errand: Errand, timeout_s: float, url: str) -> Fetched:
        for _ in range(self._redirects_max + 1):
            found = await self._exchange(errand, timeout_s)
            if isinstance(found, Fetched):
                return found
            onward = errand.onward(*found)
            if self._is_downgrade_refused and errand.url.scheme == "https" and onward.url.scheme != "https":
                raise InvalidInput(f"{shown(url)} redirects from https to http; that is refused.")
            errand = onward
        raise LimitReached(f"{shown(url)} leads on and on: {self._redirects_max} redirects were followed.")

    async def _exchange(self, errand: Errand, timeout_s: float) -> Fetched | tuple[int, str]:
        """The answer, or the status and place of a redirect."""
        import httpx

        if errand.url.scheme not in ("http", "https") or not errand.url.host:
            raise InvalidInput(f"{shown(str(errand.url))} is not an http or https address.")
        auth = _basic(errand.url)
        request = httpx.Request(
            errand.method,
            errand.url,
            headers={**auth, **errand.headers},
            content=errand.content or None,
            extensions={"timeout": httpx.Timeout(timeout_s).as_dict()},
        )
        if errand.method in ("POST", "PUT", "PATCH") and not errand.content:
            request.headers["content-length"] = "0"
        answer = await self._out.handle_async_request(request)
        try:
            location = answer.headers.get("location") if answer.status_code in _REDIRECTS else None
            if location is not None:
                return answer.status_code, location
            body = b"" if errand.method == "HEAD" else await self._body(answer)
        finally:
            await answer.stream.aclose()
        return Fetched(
            status=answer.status_code,
            url=str(errand.url.copy_with(userinfo=b"") if errand.url.userinfo else errand.url),
            headers=dict(answer.headers.items()),
            body=body,
            charset=answer.charset_encoding or "",
        )

    async def _body(self, answer: "httpx.Response") -> bytes:
        unpack = Unpacked(answer.headers.get("content-encoding", ""), self._body_bytes_max)
        assert isinstance(answer.stream, AsyncIterable)
        async for part in cast("AsyncIterable[bytes]", answer.stream):
            unpack.take(part)
        return unpack.end()


class Unpacked:
    """A body without its compression. A few bytes that stand for gigabytes cost no more than the bound."""

    def __init__(self, coding: str, bytes_max: int) -> None:
        word = coding.strip().lower()
        if word not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise ConnectionLost(
                f"The answer is compressed in a way that was not asked for: {coding[:40]!r}."
            )
        self._inflate = (
            zlib.decompressobj(wbits=zlib.MAX_WBITS | 32) if word not in ("", "identity") else None
        )
        self._is_deflate = word == "deflate"
        self._bytes_max = bytes_max
        self._parts = bytearray()

    def take(self, part: bytes) -> None:
        """Some of what came; LimitReached as soon as it is too much."""
        if self._inflate is not None:
            part = self._inflated(part)
        self._parts += part
        if len(self._parts) > self._bytes_max:
            raise LimitReached(
                f"The answer is larger than {self._bytes_max // 1024} kB, the most that is taken."
            )

    def end(self) -> bytes:
        """All of it; ConnectionLost if it ends too early."""
        if self._inflate is not None and self._parts and not self._inflate.eof:
            raise ConnectionLost("The compressed answer ends too early.")
        return bytes(self._parts)

    def _inflated(self, part: bytes) -> bytes:
        assert self._inflate is not None
        room = self._bytes_max - len(self._parts) + 1
        try:
            return self._inflate.decompress(part, room)
        except zlib.error as error:
            if self._is_deflate and not self._parts:
                # Half of the servers that say deflate send it without the header it has.
                self._inflate, self._is_deflate = zlib.decompressobj(wbits=-zlib.MAX_WBITS), False
                return self._inflated(part)
            raise ConnectionLost(f"The compressed answer cannot be read: {error}.") from error


def read(url: str, query: Mapping[str, str] | None = None) -> "httpx.URL":
    """An address, if all programs read it in the same way; InvalidInput, or httpx's InvalidURL."""
    import httpx

    place = url.partition("?")[0].partition("#")[0]
    if (
        len(url) > URL_CHARS_MAX
        or "\\" in place
        or any(ord(char) <= 32 or ord(char) == 127 for char in place)
    ):
        raise InvalidInput(f"{shown(url)!r} is not an address: it is too long, or has a character none has.")
    return httpx.URL(url, params=dict(query)) if query else httpx.URL(url)


def shown(url: str) -> str:
    """An address in a sentence: short, without a password."""
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"[:200]


def _origin(url: "httpx.URL") -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


def _basic(url: "httpx.URL") -> dict[str, str]:
    """A name and password written into an address, as the header they stand for; they never reach another origin."""
    from base64 import b64encode

    if not url.userinfo:
        return {}
    pair = f"{url.username}:{url.password}".encode()
    return {"authorization": f"Basic {b64encode(pair).decode('ascii')}"}
