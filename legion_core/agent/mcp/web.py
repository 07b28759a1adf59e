"""A server at an address: streamable HTTP by the SDK, with bounds on what it may send and, where wanted, its own sign-in.

No redirect leaves the address, no token of ours goes there, and what it says of where to sign in is opened only if it
is http or https, by whoever opens addresses here.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import msgspec

from legion_core.agent.mcp.pipe import FRAME_BYTES_MAX
from legion_core.agent.mcp.types import ServerSpec
from legion_core.kernel.errors import Denied, LimitReached

if TYPE_CHECKING:
    import httpx2
    from mcp.client._transport import TransportStreams
    from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthToken

CONNECT_S = 15.0
SILENCE_S = 300.0
NAME = "Legion Workbench"


class SignIn(Protocol):
    """Takes the user to a server's sign-in and brings back what the server says in the end."""

    @property
    def redirect_uri(self) -> str:
        """Where the server sends the user back to."""
        ...

    async def go(self, url: str) -> None:
        """Open the address, which is http or https."""
        ...

    async def back(self) -> "AuthorizationCodeResult":
        """What came back."""
        ...


class Kept(Protocol):
    """Where the tokens of a sign-in are kept; as text, empty if there are none."""

    async def read(self) -> str:
        """What was kept."""
        ...

    async def write(self, text: str) -> None:
        """Keep it instead."""
        ...


@asynccontextmanager
async def webbed(
    spec: ServerSpec,
    headers: Mapping[str, str],
    *,
    sign_in: SignIn | None = None,
    kept: Kept | None = None,
    metadata_url: str | None = None,
) -> "AsyncGenerator[TransportStreams]":
    """Talk with the server at `spec.url`. `metadata_url` is where servers read about us, if anywhere."""
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    auth = _auth(spec, sign_in, kept, metadata_url) if sign_in is not None and kept is not None else None
    client = httpx2.AsyncClient(
        headers=dict(headers),
        timeout=httpx2.Timeout(CONNECT_S, read=SILENCE_S),
        follow_redirects=False,
        auth=auth,
        transport=_bounded(),
        trust_env=False,
    )
    async with (
        client,
        streamable_http_client(spec.url, http_client=client, max_sse_event_size=FRAME_BYTES_MAX) as streams,
    ):
        yield streams


def checked_url(url: str) -> str:
    """An address a user may be sent to: http or https, with a host and no credentials in it. Denied otherwise."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise Denied(
            f"The server asks to open {url[:120]!r}, which is no web address.",
            hint="Do not trust this server.",
        )
    if any(ord(char) < 33 or ord(char) == 127 for char in url):
        raise Denied("The server asks to open an address with characters no address has.")
    return url


def _bounded() -> "httpx2.AsyncBaseTransport":
    """A transport that gives up an answer larger than the bound; streams are bounded for each event instead."""
    import httpx2

    class Counted(httpx2.AsyncByteStream):
        def __init__(self, inner: httpx2.AsyncByteStream) -> None:
            self._inner = inner

        async def __aiter__(self) -> AsyncIterator[bytes]:
            count = 0
            async for chunk in self._inner:
                count += len(chunk)
                if count > FRAME_BYTES_MAX:
                    raise LimitReached(f"The server sent an answer larger than {FRAME_BYTES_MAX >> 20} MB.")
                yield chunk

        async def aclose(self) -> None:
            await self._inner.aclose()

    class Bounded(httpx2.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            answer = await super().handle_async_request(request)
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                assert isinstance(answer.stream, httpx2.AsyncByteStream)
                answer.stream = Counted(answer.stream)
            return answer

    return Bounded(retries=0)


class _Tokens(msgspec.Struct, frozen=True, kw_only=True):
    token: str = ""
    client: str = ""


class _Storage:
    """The SDK's storage of tokens over `Kept`."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    async def get_tokens(self) -> "OAuthToken | None":
        """The tokens of the last sign-in."""
        from mcp.shared.auth import OAuthToken

        found = await self._read()
        return OAuthToken.model_validate_json(found.token) if found.token else None

    async def set_tokens(self, tokens: "OAuthToken") -> None:
        """Keep them."""
        found = await self._read()
        await self._write(msgspec.structs.replace(found, token=tokens.model_dump_json()))

    async def get_client_info(self) -> "OAuthClientInformationFull | None":
        """Who we are to the server."""
        from mcp.shared.auth import OAuthClientInformationFull

        found = await self._read()
        return OAuthClientInformationFull.model_validate_json(found.client) if found.client else None

    async def set_client_info(self, client_info: "OAuthClientInformationFull") -> None:
        """Keep it."""
        found = await self._read()
        await self._write(
            msgspec.structs.replace(found, client=client_info.model_dump_json(exclude_none=True))
        )

    async def _read(self) -> _Tokens:
        text = await self._kept.read()
        return msgspec.json.decode(text, type=_Tokens) if text else _Tokens()

    async def _write(self, tokens: _Tokens) -> None:
        await self._kept.write(msgspec.json.encode(tokens).decode())


def _auth(spec: ServerSpec, sign_in: SignIn, kept: Kept, metadata_url: str | None) -> "httpx2.Auth":
    from mcp.client.auth import OAuthClientProvider
    from mcp.shared.auth import OAuthClientMetadata
    from pydantic import AnyUrl

    async def go(url: str) -> None:
        await sign_in.go(checked_url(url))

    return OAuthClientProvider(
        server_url=spec.url,
        client_metadata=OAuthClientMetadata(
            client_name=NAME,
            redirect_uris=[AnyUrl(sign_in.redirect_uri)],
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
        ),
        storage=_Storage(kept),
        redirect_handler=go,
        callback_handler=sign_in.back,
        client_metadata_url=metadata_url,
    )
