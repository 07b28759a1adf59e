"""Who asks Vertex: a service account's file, or the login Google's tools find on this machine.

The official library signs and renews the tokens; its requests go over our own HTTP client, so that it brings none.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from legion_core.gateway.providers.extras import official
from legion_core.kernel.errors import BadCredentials, ConnectionLost, LegionError, ProviderError
from legion_core.kernel.fetch.client import Fetched, Fetcher
from legion_core.kernel.fetch.reach import ANYWHERE
from legion_core.kernel.fetch.transport import Use

SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
TOKEN_WAIT_S: Final = 20.0


class GoogleSign:
    """See `wire.Sign`. The token is kept until shortly before its end and renewed off the loop."""

    def __init__(self, who: str, account: str) -> None:
        """`account` is a service account's key as JSON, or the path of its file; empty: what Google's tools find."""
        self._who = who
        self._account = account
        self._credentials: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._renewing = asyncio.Lock()

    async def __call__(self, method: str, url: str, body: bytes) -> Mapping[str, str]:
        """See `wire.Sign`."""
        async with self._renewing:
            if self._credentials is None or not self._credentials.valid:
                self._loop = asyncio.get_running_loop()
                await asyncio.to_thread(self._renew)
        headers: dict[str, str] = {}
        credentials: Any = self._credentials
        credentials.apply(headers)
        return headers

    def _renew(self) -> None:
        exceptions: Any = official("google.auth.exceptions", "vertex", self._who)
        try:
            if self._credentials is None:
                self._credentials = self._found()
            if not self._credentials.valid:
                self._credentials.refresh(self._transport(exceptions))
        except exceptions.TransportError as error:
            raise ConnectionLost(f"{self._who} could not reach Google to sign in: {error}.") from error
        except (exceptions.GoogleAuthError, ValueError) as error:
            raise self._no_login(str(error).partition("\n")[0][:200]) from error

    def _found(self) -> Any:
        if not self._account:
            auth: Any = official("google.auth", "vertex", f"{self._who} without an API key")
            exceptions: Any = official("google.auth.exceptions", "vertex", self._who)
            credentials, _ = auth.default(scopes=SCOPES, request=self._transport(exceptions))
            return credentials
        service_account: Any = official("google.oauth2.service_account", "vertex", self._who)
        return service_account.Credentials.from_service_account_info(self._key(), scopes=SCOPES)

    def _transport(self, exceptions: Any) -> "_Transport":
        assert self._loop is not None
        return _Transport(exceptions.TransportError, self._loop, self._who)

    def _key(self) -> dict[str, Any]:
        try:
            raw = (
                self._account
                if is_key(self._account)
                else Path(self._account).expanduser().read_text("utf-8")
            )
            return msgspec.json.decode(raw, type=dict[str, Any])
        except OSError as error:
            raise self._no_login(f"the file cannot be read ({error.strerror})") from error
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise self._no_login("the service account's key is no JSON") from error

    def _no_login(self, why: str) -> ProviderError:
        return BadCredentials(
            f"{self._who} has no Google login: {why}.",
            hint="Enter a service account's file, or sign in with `gcloud auth application-default login`.",
        )


def is_key(account: str) -> bool:
    """Whether that is a service account's key itself."""
    return account.lstrip().startswith("{")


def is_account(secret: str) -> bool:
    """Whether a secret is a service account, as JSON or as its file, and not an API key."""
    return is_key(secret) or secret.endswith(".json")


@dataclass(frozen=True, slots=True)
class _Response:
    """What the library wants an answer to look like."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class _Transport:
    """The library's idea of an HTTP client, on ours, which runs on the loop. Blocks."""

    def __init__(self, failure: type[Exception], loop: asyncio.AbstractEventLoop, who: str) -> None:
        self._failure = failure
        self._loop = loop
        self._who = who

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: object,
    ) -> _Response:
        content = body.encode() if isinstance(body, str) else body or b""
        asking = self._ask(method, url, content, headers or {}, timeout or TOKEN_WAIT_S)
        try:
            found = asyncio.run_coroutine_threadsafe(asking, self._loop).result()
        except LegionError as error:
            raise self._failure(error.sentence()) from error
        return _Response(found.status, found.headers, found.body)

    async def _ask(
        self, method: str, url: str, content: bytes, headers: Mapping[str, str], timeout_s: float
    ) -> Fetched:
        # Google's tools may have written down any address, that of a cloud's own machine too.
        fetcher = Fetcher(Use(purpose="sign-in", by=self._who, reach=lambda _: ANYWHERE), redirects_max=0)
        try:
            return await fetcher.send(method, url, headers=headers, content=content, timeout_s=timeout_s)
        finally:
            await fetcher.aclose()
