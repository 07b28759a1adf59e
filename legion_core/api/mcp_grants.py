"""What each MCP client may call beyond what only reads: LEGION_HOME/mcp-clients.json, the user's alone."""

import asyncio
from pathlib import Path

import msgspec

from legion_core.api.mcp_types import Grant
from legion_core.kernel.errors import Corrupt, InvalidInput, LimitReached
from legion_core.kernel.files import write_atomically
from legion_core.storage.calls import in_thread
from legion_core.storage.failures import from_os

CLIENTS_MAX = 200
PATTERNS_MAX = 1_000
EVERYBODY = "*"  # a grant to every client


class _Book(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    grants: tuple[Grant, ...] = ()


class Grants:
    """Read once, kept in memory, written whole. A file that cannot be read gives nobody anything."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._grants: dict[str, Grant] | None = None
        self._reading = asyncio.Lock()

    async def all(self) -> tuple[Grant, ...]:
        """By client."""
        grants = await self._read()
        return tuple(grants[name] for name in sorted(grants))

    async def of(self, client: str) -> Grant:
        """What this client may, with what everybody may."""
        grants = await self._read()
        own, shared = grants.get(client), grants.get(EVERYBODY)
        return Grant(
            client=client,
            allow=(*(own.allow if own else ()), *(shared.allow if shared else ())),
            deny=(*(own.deny if own else ()), *(shared.deny if shared else ())),
        )

    async def set(self, grant: Grant) -> Grant:
        """Keep it in place of the one before; an empty one is forgotten."""
        if not grant.client or len(grant.client) > 200:
            raise InvalidInput("A client has a name of 1 to 200 characters.")
        if len(grant.allow) + len(grant.deny) > PATTERNS_MAX:
            raise LimitReached(f"A client has at most {PATTERNS_MAX:,} tools listed; use a pattern with *.")
        grants = dict(await self._read())
        if grant.allow or grant.deny:
            grants[grant.client] = grant
        else:
            grants.pop(grant.client, None)
        if len(grants) > CLIENTS_MAX:
            raise LimitReached(f"{CLIENTS_MAX} clients are listed already, which is the limit.")
        content = msgspec.json.format(msgspec.json.encode(_Book(grants=tuple(grants.values()))), indent=2)
        try:
            await in_thread("mcp grants", lambda: write_atomically(self._path, content))
        except OSError as error:
            raise from_os(error, self._path) from error
        self._grants = grants
        return grant

    async def _read(self) -> dict[str, Grant]:
        async with self._reading:
            return await self._read_once()

    async def _read_once(self) -> dict[str, Grant]:
        if self._grants is None:
            content = await in_thread("mcp grants", self._content)
            try:
                book = msgspec.json.decode(content, type=_Book) if content else _Book()
            except msgspec.DecodeError as error:
                raise Corrupt(
                    f"{self._path} cannot be read: {error}.",
                    hint="Mend it, or take it away to allow nothing.",
                ) from error
            self._grants = {grant.client: grant for grant in book.grants}
        return self._grants

    def _content(self) -> bytes:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise from_os(error, self._path) from error
