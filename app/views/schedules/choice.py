# ruff: noqa: D102  (Qt overrides do what Qt says)
"""A choice among many words: a combo box that is typed into, finds anywhere in a word, and takes only what there is."""

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QComboBox, QCompleter, QSizePolicy

from app.theme.focus import has_keyboard_focus


class Choice(QComboBox):
    """`picked` is told what a person chose; `choose` says nothing. The wheel scrolls the form, not the choice."""

    picked = Signal(str)

    def __init__(self, name: str, title: str, tip: str = "", *, typed: bool = False) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(title)
        self.setToolTip(tip or title)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumContentsLength(8)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._keys: tuple[str, ...] = ()
        if typed:
            self.setEditable(True)
            self.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
            line = self.lineEdit()
            assert line is not None
            line.setObjectName(f"{name}.line")
            line.setAccessibleName(title)
            line.setToolTip(tip or title)
            line.editingFinished.connect(self._typed)
            line.textEdited.connect(self._typing)
            completer = QCompleter(self.model(), self)
            completer.setFilterMode(Qt.MatchFlag.MatchContains)
            completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
            completer.setCompletionMode(QCompleter.CompletionMode.PopupCompletion)
            found = completer.popup()
            assert found is not None
            found.setProperty("role", "found")
            found.setObjectName(f"{name}.found")
            found.setAccessibleName(title)
            self.setCompleter(completer)
        self.activated.connect(self._activated)

    def show_choices(self, choices: Sequence[tuple[str, str]]) -> None:
        """`(key, words)` of all there are; what is chosen stays."""
        if tuple(key for key, _ in choices) == self._keys:
            return
        held = self.key
        self.blockSignals(True)
        self.clear()
        self._keys = tuple(key for key, _ in choices)
        self.addItems([words for _, words in choices])
        self.blockSignals(False)
        self.choose(held)

    def say_hint(self, words: str) -> None:
        """What stands there while nothing is chosen."""
        line = self.lineEdit()
        if line is not None:
            line.setPlaceholderText(words)

    @property
    def key(self) -> str:
        """What is chosen; empty where nothing is."""
        at = self.currentIndex()
        return self._keys[at] if 0 <= at < len(self._keys) else ""

    def choose(self, key: str) -> None:
        """Choose without telling; what is not there is added, so that it is not lost."""
        if key and key not in self._keys:
            self._keys = (*self._keys, key)
            self.blockSignals(True)
            self.addItem(key)
            self.blockSignals(False)
        self.blockSignals(True)
        self.setCurrentIndex(self._keys.index(key) if key in self._keys else -1)
        self.blockSignals(False)

    def _activated(self, at: int) -> None:
        if 0 <= at < len(self._keys):
            self.picked.emit(self._keys[at])

    def _typing(self, words: str) -> None:
        """A whole name is a choice at once; nobody need leave the field first."""
        at = self.findText(words.strip(), Qt.MatchFlag.MatchFixedString)
        if at >= 0 and at != self.currentIndex():
            typed = self.currentText()
            self.setCurrentIndex(at)
            self.setEditText(typed)
            self.picked.emit(self._keys[at])

    def _typed(self) -> None:
        words = self.currentText().strip().lower()
        found = [at for at in range(self.count()) if self.itemText(at).lower() == words]
        found = found or [at for at in range(self.count()) if words and words in self.itemText(at).lower()]
        before = self.currentIndex()
        at = found[0] if found else before
        self.setCurrentIndex(at)
        self.setEditText(self.itemText(at) if at >= 0 else "")
        if found and self._keys[at]:
            self.picked.emit(self._keys[at])

    def wheelEvent(self, event: QWheelEvent) -> None:
        if has_keyboard_focus(self):
            super().wheelEvent(event)
        else:
            event.ignore()
