"""`http.request.*`: fetches an address, and cannot be turned against this computer or its network.

The one fetch function does it (`kernel.fetch`): what a name stands for is judged and is what is connected to, and each
redirect is judged anew. A private address is asked only if the configuration lists it.
"""

import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from legion_core.engine.builtin.addresses import listed
from legion_core.engine.extension import Context, function
from legion_core.engine.reasons import because
from legion_core.engine.types import Reason
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import Denied, InvalidInput
from legion_core.kernel.fetch import client as fetched
from legion_core.kernel.fetch.client import Fetcher
from legion_core.kernel.fetch.reach import PrivateAddress, Reach
from legion_core.kernel.fetch.transport import Use

BODY_BYTES_MAX = 512 * 1024
REDIRECTS_MAX = 5

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
        self._resolve = _off_loop(resolve) if resolve is not None else None
        self._fetcher: Fetcher | None = None

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
        if self._fetcher is not None:
            await self._fetcher.aclose()

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
        started_s = self._clock.monotonic_s()
        try:
            found = await self._ready().send(
                method, url, headers=headers, query=query, content=content, timeout_s=timeout_s
            )
        except PrivateAddress as error:
            raise AddressRefused(listed(error.host, error.port)) from error
        return _fetched(found, self._clock.monotonic_s() - started_s)

    def _ready(self) -> Fetcher:
        if self._fetcher is None:
            use = Use(
                purpose="task",
                by="http.request",
                reach=lambda _: Reach(allow=self._allow()),
                resolve=self._resolve,
            )
            self._fetcher = Fetcher(use, body_bytes_max=BODY_BYTES_MAX, redirects_max=REDIRECTS_MAX)
        return self._fetcher


def _off_loop(resolve: Resolve) -> Callable[[str, int], Awaitable[list[str]]]:
    async def asked(host: str, port: int) -> list[str]:
        return resolve(host, port)

    return asked


def _fetched(found: fetched.Fetched, elapsed_s: float) -> Fetched:
    headers = dict(found.headers)
    try:
        text = found.body.decode(found.charset or "utf-8")
    except (UnicodeDecodeError, LookupError):
        encoded = base64.b64encode(found.body).decode("ascii")
        return Fetched(
            status=found.status, url=found.url, headers=headers, body_base64=encoded, elapsed_s=elapsed_s
        )
    parsed: Any = None
    if "json" in headers.get("content-type", ""):
        try:
            parsed = msgspec.json.decode(found.body)
        except (msgspec.DecodeError, RecursionError):
            parsed = None
    return Fetched(
        status=found.status, url=found.url, headers=headers, body=text, json=parsed, elapsed_s=elapsed_s
    )
