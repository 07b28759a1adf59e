"""The whole of what the model will see, beside what was said: left out struck through, shortened in its place."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QDialog, QPlainTextEdit, QWidget

from app.theme.apply import look
from app.viewmodels.curation import CurationViewModel
from app.views.parts import button, column, fill, label, row

WORDS_MAX = 4_000  # of one part: a result may have megabytes, and nobody reads them here
STRUCK_MAX, STRUCK_LINES_MAX = 600, 8  # of what is left out, so that what stands in its place is in sight
PARTS_MAX = 2_000


class SeenDialog(QDialog):
    """Read-only; closes by Escape."""

    def __init__(self, model: CurationViewModel, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("curation.seen")
        self.setWindowTitle("What the model will see")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(look().px(760), look().px(560))
        layout = column(self, (16, 14, 16, 14), 10)
        layout.addWidget(label(model.headline, "heading", wraps=True))
        self.text = QPlainTextEdit()
        self.text.setObjectName("curation.seenText")
        self.text.setAccessibleName("What the model will see; what is left out is struck through")
        self.text.setReadOnly(True)
        self.text.setFont(look().font("body"))
        layout.addWidget(self.text, 1)
        foot = row()
        fill(
            foot,
            label("Struck through: left out. Blue: what stands in its place.", "small", "tertiary"),
            None,
        )
        done = button("Close", "curation.seenClose", self.accept)
        done.setDefault(True)
        foot.addWidget(done)
        layout.addLayout(foot)
        self._write(model)

    def _write(self, model: CurationViewModel) -> None:
        cursor = QTextCursor(self.text.document())
        cursor.beginEditBlock()
        parts = model.parts[-PARTS_MAX:]
        for at, part in enumerate(parts):
            if at:
                cursor.insertText("\n\n", _form("text.primary"))
            cursor.insertText(f"{part.who}\n", _form("text.tertiary", is_head=True))
            if part.is_same:
                cursor.insertText(_cut(part.before), _form("text.primary"))
                continue
            cursor.insertText(_folded(part.before), _form("text.tertiary", is_struck=True))
            if part.after:
                cursor.insertText(f"\n{_cut(part.after)}", _form("accent.text"))
        cursor.endEditBlock()
        self.text.moveCursor(QTextCursor.MoveOperation.Start)


def _form(colour: str, *, is_struck: bool = False, is_head: bool = False) -> QTextCharFormat:
    form = QTextCharFormat()
    form.setForeground(look().colour(colour))
    form.setFontStrikeOut(is_struck)
    form.setFontWeight(600 if is_head else 400)
    return form


def _folded(words: str) -> str:
    """The beginning of what is left out."""
    lines = words[:STRUCK_MAX].splitlines()[:STRUCK_LINES_MAX]
    shown = "\n".join(lines)
    return shown if len(shown) >= len(words.rstrip()) else f"{shown} …"


def _cut(words: str) -> str:
    if len(words) <= WORDS_MAX:
        return words
    return f"{words[:WORDS_MAX]}\n… {len(words) - WORDS_MAX:,} more characters"
