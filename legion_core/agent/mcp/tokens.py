"""The tokens of a sign-in: in the store of secrets and nowhere else, and only for the address they were got for."""

from typing import Protocol

import msgspec

from legion_core.agent.mcp.reaching import reach_of
from legion_core.kernel.errors import LegionError, NotFound
from legion_core.kernel.fetch.client import Fetcher
from legion_core.kernel.fetch.transport import Use

REFERENCE = "mcp-sign-in-"


class Store(Protocol):
    """The secrets of this home."""

    async def get(self, reference: str) -> str:
        """The value; NotFound."""
        ...

    async def set(self, name: str, value: str) -> str:
        """Keep it."""
        ...

    async def remove(self, name: str) -> None:
        """Forget it; NotFound."""
        ...

    def learn(self, name: str, value: str) -> None:
        """Have a value masked wherever it would be shown."""
        ...


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept: for which server, its tokens, who we are to it, and what was found of where it lets people in.

    `token`, `client`, `metadata` and `resource` are as the SDK writes them. Without the latter two a token would be
    renewed at the server itself, which has no business with it. `ends_at_s` is the access token's end in Unix time.
    """

    server: str = ""
    token: str = ""
    client: str = ""
    metadata: str = ""
    resource: str = ""
    ends_at_s: float = 0.0

    @property
    def revoke_at(self) -> str:
        """Where tokens are ended; empty if the server told no such place."""
        return _field(self.metadata, "revocation_endpoint")


class KeptTokens:
    """See `agent.mcp.web.Kept`: of the server `name` at `url`."""

    def __init__(self, store: Store, name: str, url: str) -> None:
        self._store = store
        self._name = f"{REFERENCE}{name}"
        self._url = url

    async def found(self) -> SignedIn:
        """What is kept; empty if there is nothing, or if it is of another address."""
        try:
            text = await self._store.get(f"keyring://{self._name}")
            kept = msgspec.json.decode(text, type=SignedIn)
        except (NotFound, msgspec.DecodeError):
            return SignedIn(server=self._url)
        if kept.server != self._url:
            return SignedIn(server=self._url)
        self._learn(kept)
        return kept

    async def keep(self, kept: SignedIn) -> None:
        """Keep this instead."""
        kept = msgspec.structs.replace(kept, server=self._url)
        self._learn(kept)
        await self._store.set(self._name, msgspec.json.encode(kept).decode())

    async def forget(self) -> None:
        """Keep nothing."""
        try:
            await self._store.remove(self._name)
        except NotFound:
            return

    def _learn(self, kept: SignedIn) -> None:
        for text in (kept.token, kept.client):
            for word in ("access_token", "refresh_token", "client_secret", "registration_access_token"):
                if value := _field(text, word):
                    self._store.learn(f"{self._name} {word}", value)


async def revoke(kept: SignedIn, by: str) -> bool:
    """Tell the server that its tokens are to be worth nothing (RFC 7009); whether it said yes. Never raises."""
    if not kept.revoke_at or not kept.revoke_at.startswith(
        ("https://", "http://127.0.0.1", "http://localhost", "http://[::1]")
    ):
        return False
    token = _field(kept.token, "refresh_token") or _field(kept.token, "access_token")
    if not token:
        return False
    from urllib.parse import urlencode

    form = {"token": token, "client_id": _field(kept.client, "client_id")}
    if secret := _field(kept.client, "client_secret"):
        form["client_secret"] = secret
    fetcher = Fetcher(_use(by, kept), redirects_max=0)
    try:
        answer = await fetcher.send(
            "POST",
            kept.revoke_at,
            headers={"content-type": "application/x-www-form-urlencoded"},
            content=urlencode(form).encode(),
            timeout_s=10.0,
        )
    except LegionError:
        return False
    finally:
        await fetcher.aclose()
    return answer.status < 300


def _use(by: str, kept: SignedIn) -> Use:
    return Use(purpose="sign-in", by=by, reach=reach_of(kept.server))


def _field(text: str, name: str) -> str:
    if not text:
        return ""
    try:
        found = msgspec.json.decode(text, type=dict[str, msgspec.Raw]).get(name)
        return msgspec.json.decode(found, type=str) if found is not None else ""
    except msgspec.MsgspecError:
        return ""
