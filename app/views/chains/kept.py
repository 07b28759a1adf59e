"""What a person wrote of chains and the engine does not hold, kept in private files of the data directory.

`chain`: drafts that were not saved, until they are. `input`: what each chain was last run with.
"""

import contextlib
import os
from pathlib import Path
from urllib.parse import quote, unquote

BYTES_MAX = 8 << 20
KEPT_MAX = 200


class KeptTexts:
    """One file for each chain. A place that cannot be read or written costs the text, never the window."""

    def __init__(self, home: Path, kind: str) -> None:
        self._folder = home / "drafts"
        self._end = f".{kind}.json"

    def names(self) -> tuple[str, ...]:
        """The chains of which something is kept."""
        try:
            found = sorted(self._folder.glob(f"*{self._end}"))[:KEPT_MAX]
        except OSError:
            return ()
        return tuple(unquote(path.name.removesuffix(self._end)) for path in found)

    def read(self, name: str) -> str:
        """What was kept of a chain, or nothing."""
        try:
            with self._path(name).open("rb") as file:
                return file.read(BYTES_MAX).decode("utf-8", "ignore")
        except OSError:
            return ""

    def keep(self, name: str, words: str) -> None:
        """Keep this instead; an empty text removes the file."""
        path = self._path(name)
        with contextlib.suppress(OSError):
            if not words:
                path.unlink(missing_ok=True)
                return
            if len(content := words.encode("utf-8")) > BYTES_MAX:
                return
            self._folder.mkdir(mode=0o700, exist_ok=True)
            beside = path.with_suffix(".tmp")
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            beside.replace(path)

    def _path(self, name: str) -> Path:
        return self._folder / f"{quote(name, safe='')}{self._end}"
