# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The dialog that takes in chats from a file: how far it is, Stop, and at the end what came."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QFileDialog, QProgressBar, QWidget

from app.bridge import Bridge
from app.theme.apply import look
from app.theme.icons import set_icon
from app.viewmodels.chat_import import ChatImportViewModel
from app.views.parts import button, column, fill, label, row, taking

STEPS = 1000


def ask_which(parent: QWidget, bridge: Bridge, open_chat: Callable[[str], None]) -> None:
    """Ask for the file, then take it in; `open_chat` shows what came, by its id."""
    dialog = QFileDialog(parent, "Import chats")
    dialog.setObjectName("chat.importDialog")
    dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
    dialog.setNameFilters(["Exports of ChatGPT, Claude or Legion (*.zip *.json *.jsonl)", "All files (*)"])
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.fileSelected.connect(taking(str, _opener(parent, bridge, open_chat)))
    dialog.open()


def _opener(parent: QWidget, bridge: Bridge, open_chat: Callable[[str], None]) -> Callable[[str], None]:
    def take(path: str) -> None:
        ImportDialog(parent, bridge, Path(path), open_chat).open()

    return take


class ImportDialog(QDialog):
    """Starts at once; Escape stops it, and closes it when it has ended."""

    def __init__(self, parent: QWidget, bridge: Bridge, path: Path, open_chat: Callable[[str], None]) -> None:
        super().__init__(parent)
        self._open_chat = open_chat
        self.setObjectName("chat.import")
        self.setWindowTitle("Import chats")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(look().px(440))
        self.model = ChatImportViewModel(bridge)
        self.model.setParent(self)
        layout = column(self, (16, 14, 16, 14), 10)
        layout.addWidget(label(path.name, "section"))
        self.bar = QProgressBar()
        self.bar.setObjectName("chat.importBar")
        self.bar.setAccessibleName("How far the import is")
        self.bar.setRange(0, STEPS)
        self.bar.setTextVisible(False)
        self.words = label("", "small", "secondary", wraps=True, name="chat.importWords", selectable=True)
        self.stop_button = button("Stop", "chat.importStop", self.reject, icon="square")
        self.show_button = button("Open it", "chat.importOpen", self._open_it, kind="primary")
        self.show_button.hide()
        foot = row(spacing=8)
        fill(foot, None, self.stop_button, self.show_button)
        fill(layout, self.bar, self.words)
        layout.addLayout(foot)
        self.model.changed.connect(self._say)
        self.model.ended.connect(self._end)
        self.model.start(path)

    def reject(self) -> None:
        if self.model.is_running:
            self.model.stop()
            self.words.setText("Stopping. What came so far stays; import it again to go on.")
            return
        super().reject()

    def _say(self) -> None:
        self.bar.setValue(round(STEPS * self.model.share))
        self.words.setText(self.model.words)

    def _end(self, said: str) -> None:
        self.bar.hide()
        self.words.setText(said or "Stopped. What came so far stays; import it again to go on.")
        self.stop_button.setText("Close")
        self.stop_button.setAccessibleName("Close")
        set_icon(self.stop_button, "x", "text.primary")
        self.show_button.setVisible(bool(self.model.only))
        first = self.show_button if self.model.only else self.stop_button
        first.setDefault(True)
        first.setFocus()
        self.adjustSize()

    def _open_it(self) -> None:
        self.accept()
        self._open_chat(self.model.only)
