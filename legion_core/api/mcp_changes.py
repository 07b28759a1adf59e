"""What a call that waits for a yes would change: where the tool would find a file, and how that file is now."""

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from legion_core.agent.change_types import Change
from legion_core.agent.changes import changes_of

if TYPE_CHECKING:
    from legion_core.agent.mcp.service import Servers


class Lookout:
    """See the module. `files` is where our own `file.*` works; `known` gives secrets to mask."""

    def __init__(
        self, files: Path, servers: "Callable[[], Servers]", known: Callable[[], tuple[str, ...]]
    ) -> None:
        self._files = files
        self._servers = servers
        self._known = known

    async def of(self, target: str, args: Mapping[str, Any]) -> tuple[Change, ...]:
        """What a call of the function `target` would change, as far as that can be known beforehand."""
        place = await self._place(target)
        return await asyncio.to_thread(changes_of, target, args, place=place, known=self._known())

    async def _place(self, target: str) -> Callable[[str], Path | None]:
        extension, _, rest = target.partition(".")
        if extension == "file":
            return lambda path: _real(self._files / path)
        if extension != "mcp":
            return _absolute
        spec = (await self._servers().get(rest.partition(".")[0])).spec
        if spec.url:
            return lambda _: None  # its files are on another machine
        folder = spec.cwd
        return lambda path: _absolute(path) or (_real(Path(folder) / path) if folder else None)


def _absolute(path: str) -> Path | None:
    """The file an absolute path, or a `file:` address, names."""
    if path.startswith("file:"):
        path = unquote(urlsplit(path).path)
    return _real(Path(path)) if Path(path).is_absolute() else None


def _real(path: Path) -> Path | None:
    """Every link followed, so that the file that is shown is the one that would be written."""
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError):
        return None
