"""Taking in chats that were exported elsewhere: how far it is, stopping it, and what is said at its end."""

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.bridge import Bridge
from app.viewmodels import wording

if TYPE_CHECKING:
    from legion_core.api.facade import Legion
    from legion_core.api.types import Imported, ImportProgress

NOTES_SHOWN = 6


class _StopRequestedError(Exception):
    """The person has enough; what came so far stays."""


class ChatImportViewModel(QObject):
    """One import at a time."""

    changed = Signal()
    ended = Signal(str)
    """What happened, in a sentence or some; empty where it was stopped."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.setObjectName("viewmodel.chatImport")
        self._bridge = bridge
        self._is_stopped = False
        self.is_running = False
        self.share = 0.0
        self.words = ""
        self.only = ""
        """The one chat that came, where it was one."""

    def start(self, path: Path) -> None:
        """Read the file, or the zip."""
        if self.is_running:
            return
        self.is_running, self._is_stopped, self.share = True, False, 0.0
        self.words = f"Reading {path.name}"
        self.changed.emit()

        async def ask(legion: "Legion") -> "Imported | None":
            try:
                return await legion.chat.import_file(path, self._on_progress)
            except _StopRequestedError:
                return None

        self._bridge.launch("chat.import", ask, self._on_done, self._on_failed)

    def stop(self) -> None:
        """No more of it; what came stays, and once more goes on from there."""
        self._is_stopped = True

    def _on_progress(self, progress: "ImportProgress") -> None:
        self.share = progress.read_bytes / progress.total_bytes if progress.total_bytes else 0.0
        read, total = wording.size(progress.read_bytes), wording.size(progress.total_bytes)
        self.words = f"{wording.plural(progress.conversations, 'chat')}, {read} of {total}"
        self.changed.emit()
        if self._is_stopped:
            raise _StopRequestedError

    def _on_done(self, found: "Imported | None") -> None:
        self.is_running = False
        came = (*found.conversations, *found.grown) if found is not None else ()
        self.only = came[0] if len(came) == 1 else ""
        self.changed.emit()
        self.ended.emit(said_of(found) if found is not None else "")

    def _on_failed(self, sentence: str) -> None:
        self.is_running = False
        self.changed.emit()
        self.ended.emit(sentence)


def said_of(found: "Imported") -> str:
    """`12 chats imported, 3 have grown, 40 were here already.` and what came otherwise."""
    parts = [f"{wording.plural(len(found.conversations), 'chat')} imported"]
    if found.grown:
        parts.append(f"{wording.count(len(found.grown))} {'has' if len(found.grown) == 1 else 'have'} grown")
    if found.known:
        parts.append(f"{wording.count(found.known)} {'was' if found.known == 1 else 'were'} here already")
    more = len(found.notes) - NOTES_SHOWN
    notes = [*found.notes[:NOTES_SHOWN], *([f"And {more:,} more like these."] if more > 0 else [])]
    return "\n".join([", ".join(parts) + ".", *notes])
