"""What would be written for the chosen program, line by line, with what can be copied instead."""

from collections.abc import Callable
from typing import Any

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QCheckBox, QFrame

from app.viewmodels.connect import ConnectViewModel
from app.viewmodels.connect_words import CardWords
from app.views.connect.cards import StateMark
from app.views.connect.diff import DiffView
from app.views.parts import ElidedLabel, button, column, fill, label, line, row, taking


class PreviewPanel(QFrame):
    """What would be written for the chosen program: a diff, or the reason why nothing can be."""

    def __init__(self, connect: ConnectViewModel, act: Callable[[str, str], None]) -> None:
        super().__init__()
        self.setObjectName("connect.preview")
        self.setProperty("role", "well")
        self._connect = connect
        self._act = act
        self.glyph = StateMark()
        self.title = ElidedLabel("", "small", "secondary", "connect.preview.title")
        self.path = ElidedLabel("", "small", "tertiary", "connect.preview.path")
        self.added, self.removed = label("", "small", "ok"), label("", "small", "error")
        head = row(margins=(12, 6, 12, 6), spacing=8)
        fill(head, self.glyph, self.title, self.path, None, self.added, self.removed)
        self.problem = label(
            "", "small", "error", wraps=True, name="connect.preview.problem", selectable=True
        )
        self.problem.setContentsMargins(12, 8, 12, 8)
        self._diffs = column()
        self.diffs: list[DiffView] = []
        self.models = QCheckBox("Also answer its models")
        self.models.setObjectName("connect.preview.models")
        self.models.clicked.connect(taking(bool, connect.set_models))
        self.note = label("", "small", "tertiary", wraps=True, name="connect.preview.note")
        self.link = button("Copy link", "connect.preview.link", self._copy_link, small=True, kind="ghost",
                           tip="An address at which the program installs our entry itself, after asking")  # fmt: skip
        self.key = button("Copy key", "connect.preview.key", self._copy_key, small=True, kind="ghost",
                          tip="The key of this program, for its own settings")  # fmt: skip
        self.copy = button(
            "Copy JSON", "connect.preview.copy", lambda: act(connect.selected, "copy"), small=True
        )
        self.apply = button(
            "Apply",
            "connect.preview.apply",
            lambda: act(connect.selected, "apply"),
            small=True,
            kind="primary",
        )
        foot = row(margins=(12, 8, 12, 8), spacing=6)
        fill(foot, self.note, self.models, self.link, self.key, self.copy, self.apply)
        foot.setStretch(0, 1)
        fill(column(self, (1, 1, 1, 1)), head, line(), self._diffs, self.problem, line(), foot)

    def show_preview(self) -> None:
        """Show what the view-model holds."""
        connect, card = self._connect, self._connect.current
        self.setVisible(card is not None)
        if card is None:
            return
        change = connect.preview
        files = change.files if change is not None and change.client == card.name else ()
        moving = [each for each in files if each.added or each.removed]
        self.glyph.show_state("file-diff", "text.secondary", "preview")
        self.title.set_words(f"Preview for {card.title}")
        self.path.set_words(files[0].shown if files else "")
        self.added.setText(f"+{sum(each.added for each in files)}" if moving else "")
        self.removed.setText(f"−{sum(each.removed for each in files)}" if moving else "")
        self.problem.setText(connect.problem or card.problem)
        self.problem.setVisible(bool(connect.problem or card.problem))
        self._show_diffs(moving)
        self.note.setText(self._note(card, has_change=bool(moving)))
        self.models.setVisible(card.models != "none" and card.state != "missing")
        wanted = connect.with_models
        self.models.setChecked(card.models == "written" if wanted is None else wanted)
        self.link.setVisible(bool(card.link))
        self.key.setVisible(card.state in ("connected", "changed"))
        self.apply.setVisible(bool(moving) and card.state != "missing")

    def _show_diffs(self, files: list[Any]) -> None:
        for old in self.diffs:
            old.hide()
            old.deleteLater()
        self.diffs = []
        while self._diffs.count():
            item = self._diffs.takeAt(0)
            held = item.widget() if item is not None else None
            if held is not None:
                held.hide()
                held.deleteLater()
        for at, change in enumerate(files):
            if at:
                name = ElidedLabel(change.shown, "small", "tertiary")
                name.setContentsMargins(12, 4, 12, 4)
                fill(self._diffs, line(), name)
            made = DiffView(f"connect.diff.{at}")
            made.show_lines(change.lines)
            self._diffs.addWidget(made)
            self.diffs.append(made)

    def _note(self, card: CardWords, *, has_change: bool) -> str:
        if card.state == "missing":
            return f"{card.title} is not installed here. The entry can be copied for another computer's file."
        if not has_change and card.state == "connected":
            return "Our entry stands in its file as it should."
        if self._connect.problem:
            return "The file was left as it is."
        return "A backup is kept once. Undo restores the file byte for byte."

    def _copy_link(self) -> None:
        card = self._connect.current
        if card is not None:
            QGuiApplication.clipboard().setText(card.link)
            self._connect.told.emit(f"Copied: open it and {card.title} asks to install the entry", "copy")

    def _copy_key(self) -> None:
        card = self._connect.current
        if card is None:
            return

        def done(secret: str) -> None:
            QGuiApplication.clipboard().setText(secret)
            self._connect.told.emit(f"Copied the key of {card.title}", "key-round")

        self._connect.key(card.name, done)
