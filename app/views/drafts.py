"""The question begun in a new chat, kept in a private file of the data directory until it is sent."""

import contextlib
import os
from pathlib import Path

BYTES_MAX = 256 * 1024


class NewDraft:
    """One text. A place that cannot be read or written costs the draft, never the window."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / "draft.txt" if folder is not None else None

    def read(self) -> str:
        """What was kept, or nothing."""
        if self._path is None:
            return ""
        try:
            with self._path.open("rb") as file:
                return file.read(BYTES_MAX).decode("utf-8", "ignore")
        except OSError:
            return ""

    def keep(self, words: str) -> None:
        """Keep this instead; an empty text removes the file."""
        if self._path is None:
            return
        with contextlib.suppress(OSError):
            if not words.strip():
                self._path.unlink(missing_ok=True)
                return
            beside = self._path.with_suffix(".tmp")
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(words.encode("utf-8")[:BYTES_MAX])
            beside.replace(self._path)
