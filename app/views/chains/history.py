"""What was done to the open chain, on Qt's undo stack: each step puts a whole draft back, so nothing is lost on the way."""

from collections.abc import Callable

from PySide6.QtCore import QObject
from PySide6.QtGui import QUndoCommand, QUndoStack

from app.viewmodels.chain_draft import Draft

UNDO_MAX = 500
Put = Callable[[Draft], None]


class Step(QUndoCommand):
    """One act: the draft before and after it. Acts on the same thing in a row (`merge`) are one."""

    def __init__(self, put: Put, label: str, before: Draft, after: Draft, merge: str) -> None:
        super().__init__(label)
        self._put = put
        self.before, self.after, self.merge = before, after, merge

    def redo(self) -> None:
        """Do it."""
        self._put(self.after)

    def undo(self) -> None:
        """Take it back."""
        self._put(self.before)

    def id(self) -> int:
        """Steps that may be one have one number."""
        return (hash(self.merge) & 0x3FFFFFFF) if self.merge else -1

    def mergeWith(self, other: QUndoCommand) -> bool:  # Qt's name
        """The next step on the same thing becomes part of this one."""
        if not isinstance(other, Step) or other.merge != self.merge:
            return False
        self.after = other.after
        return True


class UndoHistory:
    """The stack of one editor; `put` sets its draft."""

    def __init__(self, parent: QObject, put: Put) -> None:
        self.stack = QUndoStack(parent)
        self.stack.setUndoLimit(UNDO_MAX)
        self._put = put

    def push(self, label: str, before: Draft, after: Draft, merge: str) -> None:
        """Do it, and remember how to take it back."""
        self.stack.push(Step(self._put, label, before, after, merge))

    def undo(self) -> None:
        """Take the last act back."""
        self.stack.undo()

    def redo(self) -> None:
        """Do it again."""
        self.stack.redo()

    def clear(self) -> None:
        """Forget all of it."""
        self.stack.clear()

    @property
    def undo_words(self) -> str:
        """What would be taken back; empty if nothing can be."""
        return self.stack.undoText() if self.stack.canUndo() else ""

    @property
    def redo_words(self) -> str:
        """What would be done again; empty if nothing can be."""
        return self.stack.redoText() if self.stack.canRedo() else ""
