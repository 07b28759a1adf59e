"""The user's servers on disk: LEGION_HOME/mcp-servers.json. Written by this workbench for the user, and by nobody else."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from legion_core.agent.mcp.types import ServerSpec
from legion_core.kernel.errors import Corrupt
from legion_core.kernel.files import write_atomically
from legion_core.storage.calls import in_thread
from legion_core.storage.failures import from_os


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A server and what the user said yes to: `launch` and `tools` are prints, `raw` the tools as they were."""

    spec: ServerSpec
    launch: str = ""
    tools: dict[str, str] = {}
    raw: tuple[dict[str, Any], ...] = ()
    said_yes_to: ServerSpec | None = None  # the launch as it was then
    approved_at: datetime | None = None


class _Content(msgspec.Struct, frozen=True, kw_only=True):
    servers: tuple[Entry, ...] = ()


class Book:
    """Read once, kept in memory, written whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[str, Entry] | None = None
        self._writing = asyncio.Lock()  # two that change it at a time would each lose what the other wrote

    async def all(self) -> dict[str, Entry]:
        """By name."""
        if self._entries is None:
            content = await in_thread("mcp servers", self._read)
            try:
                found = msgspec.json.decode(content, type=_Content) if content else _Content()
            except msgspec.DecodeError as error:
                raise Corrupt(
                    f"{self._path} cannot be read: {error}.",
                    hint="Mend it, or take it away and register anew.",
                ) from error
            self._entries = {entry.spec.name: entry for entry in found.servers}
        return self._entries

    async def put(self, entry: Entry) -> None:
        """Keep it, in place of one of the same name."""
        async with self._writing:
            await self._write({**await self.all(), entry.spec.name: entry})

    async def remove(self, name: str) -> None:
        """Forget it."""
        async with self._writing:
            await self._write({key: entry for key, entry in (await self.all()).items() if key != name})

    async def _write(self, entries: dict[str, Entry]) -> None:
        ordered = tuple(entries[name] for name in sorted(entries))
        content = msgspec.json.format(msgspec.json.encode(_Content(servers=ordered)), indent=2)
        try:
            await in_thread("mcp servers", lambda: write_atomically(self._path, content))
        except OSError as error:
            raise from_os(error, self._path) from error
        self._entries = entries

    def _read(self) -> bytes:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise from_os(error, self._path) from error
