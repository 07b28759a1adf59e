"""`http.request.*`: fetches an address, and cannot be turned against this computer or its network.

The name is resolved once, every address it stands for is judged, and the connection goes to the address that was
judged: a name that changes its mind in between gains nothing. Each redirect is judged anew.
"""

import asyncio
import base64
import socket
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urljoin

import msgspec

from legion_core.engine.builtin.addresses import is_address, is_allowed
from legion_core.engine.extension import Context, function
from legion_core.engine.reasons import because
from legion_core.engine.types import Reason
from legion_core.kernel.clock import Clock
from legion_core.kernel.contacts import CONTACTS
from legion_core.kernel.errors import ConnectionLost, Denied, InvalidInput, LimitReached, TimedOut
from legion_core.storage.calls import in_thread

if TYPE_CHECKING:
    import httpx

BODY_BYTES_MAX = 512 * 1024
REDIRECTS_MAX = 5
CONNECTIONS_MAX = 100
URL_CHARS_MAX = 8_000
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# All that goes along to another origin: any other header of the caller's may be a key under some name.
_FOR_ANYBODY = frozenset({"accept", "accept-language", "content-type", "idempotency-key"})
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})

Resolve = Callable[[str, int], "list[str]"]


class AddressRefused(Denied):
    """The address is private and not listed; `reason` says so to programs."""

    def __init__(self, address: str) -> None:
        self.reason: Reason = because("task.address_refused", address=address)
        super().__init__(self.reason.sentence)


class Fetched(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came back. `body` is text; `json` beside it if it is JSON, `body_base64` instead if it is no text."""

    status: int
    url: str
    headers: dict[str, str]
    body: str = ""
    json: Any = None
    body_base64: str = ""
    elapsed_s: float = 0.0


class HttpRequests:
    """The runner. `allow` gives the configured list as it is now."""

    def __init__(
        self, clock: Clock, allow: Callable[[], tuple[str, ...]], resolve: Resolve | None = None
    ) -> None:
        self._clock = clock
        self._allow = allow
        self._resolve = resolve or _resolve
        self._client: httpx.AsyncClient | None = None
        self._making = asyncio.Lock()

    @function(effect="pure")
    async def get(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> Fetched:
        """Fetch an address.

        Args:
            url: http or https
            headers: sent with it
            query: added to the address
            timeout_s: for each step of the exchange
        """
        return await self._send("GET", url, headers, query, b"", timeout_s)

    @function(effect="pure")
    async def head(self, url: str, headers: dict[str, str] | None = None, timeout_s: float = 30.0) -> Fetched:
        """Ask for the headers of an address."""
        return await self._send("HEAD", url, headers, None, b"", timeout_s)

    @function(effect="idempotent_key")
    async def post(
        self,
        context: Context,
        url: str,
        json: Any = None,
        body: str = "",
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> Fetched:
        """Send JSON or text; with an Idempotency-Key, by which the receiver knows a repetition."""
        return await self._write("POST", context, url, json, body, headers, query, timeout_s)

    @function(effect="idempotent_key")
    async def put(
        self,
        context: Context,
        url: str,
        json: Any = None,
        body: str = "",
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> Fetched:
        """Replace what is at an address."""
        return await self._write("PUT", context, url, json, body, headers, query, timeout_s)

    @function(effect="idempotent_key")
    async def patch(
        self,
        context: Context,
        url: str,
        json: Any = None,
        body: str = "",
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> Fetched:
        """Change what is at an address."""
        return await self._write("PATCH", context, url, json, body, headers, query, timeout_s)

    @function(effect="idempotent_key")
    async def delete(
        self, context: Context, url: str, headers: dict[str, str] | None = None, timeout_s: float = 30.0
    ) -> Fetched:
        """Delete what is at an address."""
        return await self._write("DELETE", context, url, None, "", headers, None, timeout_s)

    async def aclose(self) -> None:
        """Close what connections are kept."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    async def _write(
        self,
        method: str,
        context: Context,
        url: str,
        json: Any,
        body: str,
        headers: dict[str, str] | None,
        query: dict[str, str] | None,
        timeout_s: float,
    ) -> Fetched:
        if json is not None and body:
            raise InvalidInput("`json` and `body` exclude each other.")
        sent = {"Idempotency-Key": context.key(), **(headers or {})}
        content = body.encode()
        if json is not None:
            content = msgspec.json.encode(json)
            sent = {"Content-Type": "application/json", **sent}
        return await self._send(method, url, sent, query, content, timeout_s)

    async def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        query: Mapping[str, str] | None,
        content: bytes,
        timeout_s: float,
    ) -> Fetched:
        import httpx

        started_s = self._clock.monotonic_s()
        client = await self._ready()
        sent = {name.lower(): value for name, value in (headers or {}).items() if name.lower() not in _OURS}
        try:
            target = (
                httpx.URL(url[:URL_CHARS_MAX], params=dict(query))
                if query
                else httpx.URL(url[:URL_CHARS_MAX])
            )
            for _ in range(REDIRECTS_MAX + 1):
                async with client.stream(
                    **await self._judged(method, target, sent, content, timeout_s)
                ) as answer:
                    location = answer.headers.get("location") if answer.status_code in _REDIRECTS else None
                    if location is None:
                        body = await _read(answer)
                        return _fetched(answer, target, body, self._clock.monotonic_s() - started_s)
                    onward = httpx.URL(urljoin(str(target), location))
                    if answer.status_code == 303 or (answer.status_code in (301, 302) and method == "POST"):
                        method, content = "GET", b""
                        sent.pop("content-type", None)
                    if (onward.scheme, onward.host, onward.port) != (target.scheme, target.host, target.port):
                        sent = {name: value for name, value in sent.items() if name.lower() in _FOR_ANYBODY}
                    target = onward
        except httpx.TimeoutException as error:
            raise TimedOut(f"{_shown(url)} did not answer within {timeout_s:g} s.") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.CookieConflict) as error:
            raise InvalidInput(f"{_shown(url)} is not an address: {error}.") from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise ConnectionLost(
                f"{_shown(url)} could not be fetched: {error or type(error).__name__}."
            ) from error
        raise LimitReached(f"{_shown(url)} leads on and on: {REDIRECTS_MAX} redirects were followed.")

    async def _judged(
        self, method: str, url: "httpx.URL", headers: dict[str, str], content: bytes, timeout_s: float
    ) -> dict[str, Any]:
        """The request to the address that was judged; the name stays in Host and in the certificate check."""
        if url.scheme not in ("http", "https") or not url.host:
            raise InvalidInput(f"{_shown(str(url))} is not an http or https address.")
        port = url.port or (443 if url.scheme == "https" else 80)
        host = url.host
        try:
            addresses = await in_thread("resolve a name", lambda: self._resolve(host, port))
        except OSError as error:
            raise ConnectionLost(f"{host} is not known: {error}.") from error
        if not is_allowed(host, port, addresses, self._allow()):
            shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            raise AddressRefused(shown)
        CONTACTS.note(host, port, "task")
        return {
            "method": method,
            "url": url.copy_with(host=addresses[0]),
            "headers": {**headers, "host": url.netloc.decode("ascii").rpartition("@")[2]},
            "content": content,
            "timeout": timeout_s,
            "extensions": {"sni_hostname": host},
        }

    async def _ready(self) -> "httpx.AsyncClient":
        async with self._making:
            if self._client is None:
                # Made in a thread: it reads the certificates of all authorities, which takes long.
                self._client = await in_thread("http client", _make_client)
        return self._client


def _make_client() -> "httpx.AsyncClient":
    import httpx

    return httpx.AsyncClient(
        follow_redirects=False,
        trust_env=False,  # a proxy would resolve the name again, unjudged
        # None is kept: the pool knows a connection by its address, which another name may share unverified.
        limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=0),
        headers={"user-agent": "legion-workbench"},
    )


def _resolve(host: str, port: int) -> list[str]:
    if is_address(host):
        return [host]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise InvalidInput(
            f"{host[:80]!r} cannot be the name of a host.", hint="Check the address."
        ) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def _read(answer: "httpx.Response") -> bytes:
    parts: list[bytes] = []
    size_bytes = 0
    # Closed here and now: left to the collector, it would be closed by a task of its own.
    arriving = cast("AsyncGenerator[bytes]", answer.aiter_bytes(65_536))
    async with aclosing(arriving):
        async for part in arriving:
            size_bytes += len(part)
            if size_bytes > BODY_BYTES_MAX:
                raise LimitReached(
                    f"The answer is larger than {BODY_BYTES_MAX // 1024} kB, the most a task keeps."
                )
            parts.append(part)
    return b"".join(parts)


def _fetched(answer: "httpx.Response", url: "httpx.URL", body: bytes, elapsed_s: float) -> Fetched:
    headers = dict(answer.headers.items())
    shown = str(url.copy_with(userinfo=b"") if url.userinfo else url)
    is_json = "json" in headers.get("content-type", "")
    try:
        text = body.decode(answer.charset_encoding or "utf-8")
    except (UnicodeDecodeError, LookupError):
        encoded = base64.b64encode(body).decode("ascii")
        return Fetched(
            status=answer.status_code, url=shown, headers=headers, body_base64=encoded, elapsed_s=elapsed_s
        )
    parsed: Any = None
    if is_json:
        try:
            parsed = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError):
            parsed = None
    return Fetched(
        status=answer.status_code, url=shown, headers=headers, body=text, json=parsed, elapsed_s=elapsed_s
    )


def _shown(url: str) -> str:
    """An address in a sentence: short, without a password."""
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"[:200]
