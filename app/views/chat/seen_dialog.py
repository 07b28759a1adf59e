"""The whole of what the model will see, beside what was said: left out with a minus and struck through, shortened in its place."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QTextCharFormat, QTextCursor, QTextDocument
from PySide6.QtWidgets import QDialog, QPlainTextEdit, QWidget

from app.theme.apply import look
from app.viewmodels.curation import CurationViewModel, Part
from app.views.parts import bind, button, column, fill, label, row, search_field
from app.widgets.switch import Switch

WORDS_MAX = 4_000  # of one part: a result may have megabytes, and nobody reads them here
STRUCK_MAX, STRUCK_LINES_MAX = 600, 8  # of what is left out, so that what stands in its place is in sight
PARTS_MAX = 2_000


class SeenDialog(QDialog):
    """Follows the view-model; Enter in the field goes to the next match, Escape closes."""

    def __init__(self, model: CurationViewModel, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("curation.seen")
        self.setWindowTitle("What the model will see")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(look().px(760), look().px(560))
        self._model = model
        self._places: list[tuple[int, Part]] = []  # where each part begins in the text
        layout = column(self, (16, 14, 16, 14), 10)
        self._headline = label("", "heading", wraps=True)
        self.only = Switch("Only what differs")
        self.only.setObjectName("curation.seenOnly")
        self.only.clicked.connect(bind(self._write))
        head = row(spacing=8)
        self._count = label("", "small", "secondary")
        fill(head, self._headline, None, self._count, self.only)
        layout.addLayout(head)
        self.text = QPlainTextEdit()
        self.text.setObjectName("curation.seenText")
        self.text.setAccessibleName("What the model will see; what is left out begins with a minus")
        self.text.setReadOnly(True)
        self.text.setTextInteractionFlags(  # with a cursor that walks by the arrows
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.text.setFont(look().font("body"))
        self.text.cursorPositionChanged.connect(self._say_part)
        layout.addWidget(self.text, 1)
        self.field = search_field("Find in it", "curation.seenFind", "")
        self.field.returnPressed.connect(self._find)
        self.keep_button = button(
            "Keep this", "curation.seenKeep", self._keep,
            tip="Send the message the cursor stands in as it was said, from the next question on",
        )  # fmt: skip
        done = button("Close", "curation.seenClose", self.accept)
        for each in (self.keep_button, done):
            each.setAutoDefault(False)  # Enter finds
        foot = row(spacing=8)
        foot.addWidget(self.field, 1)
        fill(foot, label("− left out   + stands in its place", "small", "tertiary"))
        fill(foot, self.keep_button, done)
        layout.addLayout(foot)
        model.seen_changed.connect(self._write_again)
        self._write()
        self.text.setFocus(Qt.FocusReason.OtherFocusReason)

    def _write_again(self) -> None:
        """What was kept shows in its place; the reader stays where they were."""
        place, down = self.text.textCursor().position(), self.text.verticalScrollBar().value()
        self._write()
        cursor = self.text.textCursor()
        cursor.setPosition(min(place, self.text.document().characterCount() - 1))
        self.text.setTextCursor(cursor)
        self.text.verticalScrollBar().setValue(down)

    def _write(self) -> None:
        parts = self._model.parts[-PARTS_MAX:]
        shown = [part for part in parts if not (self.only.isChecked() and part.is_same)]
        self._headline.setText(self._model.headline)
        self._count.setText(f"Only what differs, {len(self._model.curated):,} of {len(self._model.parts):,}")
        self.text.clear()
        cursor = QTextCursor(self.text.document())
        cursor.beginEditBlock()
        plain, head = _form("text.primary"), _form("text.tertiary", is_head=True)
        gone, instead = (
            _form("text.tertiary", tint="diff.delBg", is_struck=True),
            _form("text.primary", tint="diff.addBg"),
        )
        self._places = []
        for part in shown:
            if self._places:
                cursor.insertText("\n\n", plain)
            self._places.append((cursor.position(), part))
            cursor.insertText(f"{part.fate}\n", head)
            if part.is_same:
                cursor.insertText(_cut(part.before), plain)
                continue
            cursor.insertText(_signed("−", _folded(part.before)), gone)
            if part.after:
                cursor.insertText("\n", plain)
                cursor.insertText(_signed("+", _cut(part.after)), instead)
        cursor.endEditBlock()
        self.text.moveCursor(QTextCursor.MoveOperation.Start)
        self._say_part()

    def _part(self) -> Part | None:
        """The one the cursor stands in."""
        place = self.text.textCursor().position()
        return next((part for begins, part in reversed(self._places) if begins <= place), None)

    def _say_part(self) -> None:
        part = self._part()
        self.keep_button.setEnabled(part is not None and not part.is_same)
        self.keep_button.setAccessibleName(f"Keep this: {part.who}" if part is not None else "Keep this")

    def _keep(self) -> None:
        part = self._part()
        if part is not None and not part.is_same:
            self._model.keep(part.message_id)

    def _find(self) -> None:
        words = self.field.text()
        if words and not self.text.find(words):
            self.text.moveCursor(QTextCursor.MoveOperation.Start)
            is_found = self.text.find(words, QTextDocument.FindFlag(0))
            self.field.setProperty("error", not is_found)
            self.field.setAccessibleDescription("" if is_found else "Not found")


def _form(colour: str, *, tint: str = "", is_struck: bool = False, is_head: bool = False) -> QTextCharFormat:
    form = QTextCharFormat()
    form.setForeground(look().colour(colour))
    if tint:
        form.setBackground(look().colour(tint))
    form.setFontStrikeOut(is_struck)
    form.setFontWeight(600 if is_head else 400)
    return form


def _signed(sign: str, words: str) -> str:
    return "\n".join(f"{sign} {each}" for each in words.split("\n"))


def _folded(words: str) -> str:
    """The beginning of what is left out."""
    lines = words[:STRUCK_MAX].splitlines()[:STRUCK_LINES_MAX]
    shown = "\n".join(lines)
    return shown if len(shown) >= len(words.rstrip()) else f"{shown} …"


def _cut(words: str) -> str:
    if len(words) <= WORDS_MAX:
        return words
    return f"{words[:WORDS_MAX]}\n… {len(words) - WORDS_MAX:,} more characters"
