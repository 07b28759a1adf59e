"""A server at an address: streamable HTTP by the SDK, with bounds on what it may send and, where wanted, its own sign-in.

No redirect leaves the address, no token of ours goes there, and what it says of where to sign in is opened only if it
is http or https, by whoever opens addresses here.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import msgspec

from legion_core.agent.mcp.pipe import FRAME_BYTES_MAX
from legion_core.agent.mcp.reaching import reach_of
from legion_core.agent.mcp.tokens import SignedIn
from legion_core.agent.mcp.types import ServerSpec
from legion_core.kernel.addresses import is_loopback
from legion_core.kernel.errors import Denied
from legion_core.kernel.fetch.transport import Use, way_out

if TYPE_CHECKING:
    import httpx2
    from mcp.client._transport import TransportStreams
    from mcp.client.auth.oauth2 import OAuthContext
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
    """Where the tokens of a sign-in are kept."""

    async def found(self) -> SignedIn:
        """What is kept."""
        ...

    async def keep(self, kept: SignedIn) -> None:
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
    on_refusal: Callable[[], None] | None = None,
    on_forgotten: Callable[[], None] = lambda: None,
) -> "AsyncGenerator[TransportStreams]":
    """Talk with the server at `spec.url`. `metadata_url` is where servers read about us, if anywhere.

    `on_refusal` is called, and may raise, where the server lets nobody in without a sign-in and there is none;
    `on_forgotten` where it takes a message no more because it does not know the session.
    """
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    auth = _auth(spec, sign_in, kept, metadata_url) if sign_in is not None and kept is not None else None

    async def asked(request: httpx2.Request) -> None:
        # What a server says of where to sign in and where to send codes: nowhere that others can read along.
        host = request.url.host
        if request.url.scheme != "https" and host != own and not is_loopback(host):
            raise Denied(f"{spec.name} leads to {host} over plain http; a sign-in goes over https alone.")

    async def answered(response: httpx2.Response) -> None:
        if response.status_code == 401 and auth is None and on_refusal is not None:
            on_refusal()
        status, asking = response.status_code, response.request
        is_refused = status in (400, 404) and "mcp-session-id" in asking.headers
        if is_refused and _is_forgotten(asking.content, status, await response.aread()):
            on_forgotten()

    own = httpx2.URL(spec.url).host
    use = Use(
        purpose="mcp server",
        by=spec.name,
        reach=reach_of(spec.url),
        keeps=True,
        raw_bytes_max=FRAME_BYTES_MAX,
    )
    client = httpx2.AsyncClient(
        headers=dict(headers),
        timeout=httpx2.Timeout(CONNECT_S, read=SILENCE_S),
        follow_redirects=False,
        auth=auth,
        transport=way_out(httpx2, use),
        trust_env=False,
        event_hooks={"request": [asked], "response": [answered]},
    )
    async with (
        client,
        streamable_http_client(spec.url, http_client=client, max_sse_event_size=FRAME_BYTES_MAX) as streams,
    ):
        yield streams


class _Frame(msgspec.Struct):
    id: int | str | None = None
    method: str = ""


def _frame(content: bytes) -> _Frame:
    try:
        return msgspec.json.decode(content, type=_Frame)
    except msgspec.DecodeError:
        return _Frame()


def _is_forgotten(request: bytes, status: int, answer: bytes) -> bool:
    """Whether a call was refused because its session is not known: then it may be made again.

    By the protocol the status is 404; servers that say 400 speak of the session. Another 400 may come when the tool has
    run, from a proxy too. What answers the call by its id comes from a server that knows the session.
    """
    asked = _frame(request)
    if asked.method != "tools/call" or asked.id == _frame(answer).id:
        return False
    return status == 404 or b"session" in answer.lower()


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


class _Storage:
    """The SDK's storage of tokens over `Kept`."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self.context: OAuthContext | None = None

    async def get_tokens(self) -> "OAuthToken | None":
        """The tokens of the last sign-in; where and when they are renewed goes into the context too."""
        from mcp.shared.auth import OAuthMetadata, OAuthToken, ProtectedResourceMetadata

        found, context = await self._kept.found(), self.context
        if context is not None and found.token:
            context.token_expiry_time = found.ends_at_s or None
            if found.metadata:
                context.oauth_metadata = OAuthMetadata.model_validate_json(found.metadata)
            if found.resource:
                told = ProtectedResourceMetadata.model_validate_json(found.resource)
                context.protected_resource_metadata = told
                context.auth_server_url = str(told.authorization_servers[0])
        return OAuthToken.model_validate_json(found.token) if found.token else None

    async def set_tokens(self, tokens: "OAuthToken") -> None:
        """Keep them."""
        found, context = await self._kept.found(), self.context
        assert context is not None
        server, resource = context.oauth_metadata, context.protected_resource_metadata
        await self._kept.keep(
            msgspec.structs.replace(
                found,
                token=tokens.model_dump_json(),
                metadata=server.model_dump_json(exclude_none=True) if server is not None else "",
                resource=resource.model_dump_json(exclude_none=True) if resource is not None else "",
                ends_at_s=context.token_expiry_time or 0.0,
            )
        )

    async def get_client_info(self) -> "OAuthClientInformationFull | None":
        """Who we are to the server."""
        from mcp.shared.auth import OAuthClientInformationFull

        found = await self._kept.found()
        return OAuthClientInformationFull.model_validate_json(found.client) if found.client else None

    async def set_client_info(self, client_info: "OAuthClientInformationFull") -> None:
        """Keep it."""
        found = await self._kept.found()
        told = client_info.model_dump_json(exclude_none=True)
        await self._kept.keep(msgspec.structs.replace(found, client=told))


def _auth(spec: ServerSpec, sign_in: SignIn, kept: Kept, metadata_url: str | None) -> "httpx2.Auth":
    from mcp.client.auth import OAuthClientProvider
    from mcp.shared.auth import OAuthClientMetadata
    from pydantic import AnyUrl

    async def go(url: str) -> None:
        await sign_in.go(checked_url(url))

    storage = _Storage(kept)
    made = OAuthClientProvider(
        server_url=spec.url,
        client_metadata=OAuthClientMetadata(
            client_name=NAME,
            redirect_uris=[AnyUrl(sign_in.redirect_uri)],
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
        ),
        storage=storage,
        redirect_handler=go,
        callback_handler=sign_in.back,
        client_metadata_url=metadata_url,
    )
    storage.context = made.context
    return made
