# ruff: noqa: D102  (Qt overrides do what Qt says)
"""Where a question is written: a field that grows, what is attached to it, and one button that sends or stops.

    composer = Composer()
    composer.submitted.connect(send)            # the text with everything pasted; the field is cleared first
    composer.stop_requested.connect(stop)       # the button or Escape while `set_running(True)`
    composer.draft_changed.connect(save_draft)  # 300 ms after the last change
    composer.add_tool(widget); composer.add_choice(widget)   # left and right in the row under the field

Enter sends and Shift+Enter breaks the line (`enter_sends = False` swaps: then Ctrl+Enter sends), Up in an empty field
brings `last_sent` back. A paste of more than 200 lines or 20 kB becomes a chip at once and is sent with the text.
"""

from PySide6.QtCore import QMimeData, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QDragEnterEvent,
    QDropEvent,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QTextBlockFormat,
    QTextCursor,
)
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QTextEdit, QVBoxLayout, QWidget

from app.theme.apply import look
from app.theme.icons import set_icon
from app.theme.paint import rounded
from app.theme.paint import text as paint_text
from app.widgets.chips import Chip
from app.widgets.flow import FlowLayout
from app.widgets.push_button import PushButton

PASTE_LINES_MAX = 200
PASTE_BYTES_MAX = 20_000
GROW_SHARE = 0.4
LINES_MIN = 1
DRAFT_MS = 300
LINE_PX = 20


class Composer(QWidget):
    """See the module."""

    submitted = Signal(str)
    stop_requested = Signal()
    draft_changed = Signal(str)
    """The typed text without what was pasted as chips."""
    files_dropped = Signal(list)
    """Local paths."""
    picture_pasted = Signal(object)
    """A `QImage` from the clipboard, or one dropped that is no file."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("composer")
        self.enter_sends = True
        self.last_sent = ""
        self.lines_min = LINES_MIN
        """The field is never lower than so many lines."""
        self._running = False
        self._sendable = True
        self._pasted: list[tuple[Chip, str]] = []
        self._attached: list[Chip] = []
        self._draft = QTimer(self)
        self._draft.setSingleShot(True)
        self._draft.setInterval(DRAFT_MS)
        self._draft.timeout.connect(self._tell_draft)
        self.field = _Field(self)
        self._chips = QWidget(self)
        self._chip_row = FlowLayout(self._chips)
        self._chips.hide()
        self.button = PushButton(self)
        self.button.setObjectName("composer.send")
        self.button.setProperty("kind", "primary")
        self.button.setProperty("square", True)
        self.button.clicked.connect(self._button_pressed)
        self._tools, self._choices = QHBoxLayout(), QHBoxLayout()
        self._lay_out()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.field.document().documentLayout().documentSizeChanged.connect(self._fit)
        self.field.textChanged.connect(self._changed)
        look().theme_changed.connect(self._restyle)
        self._restyle()

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.setContentsMargins(6, 4, 6, 6)
        row.setSpacing(4)
        for layout in (self._tools, self._choices):
            layout.setContentsMargins(0, 0, 0, 0)
            layout.setSpacing(4)
        row.addLayout(self._tools)
        row.addStretch(1)
        row.addLayout(self._choices)
        row.addSpacing(2)
        row.addWidget(self.button)
        column = QVBoxLayout(self)
        column.setContentsMargins(1, 1, 1, 1)
        column.setSpacing(0)
        column.addWidget(self.field)
        chips = QHBoxLayout()
        chips.setContentsMargins(10, 2, 10, 0)
        chips.addWidget(self._chips)
        column.addLayout(chips)
        column.addLayout(row)

    # ---- what it holds ------------------------------------------------------------------------------------------

    @property
    def placeholder(self) -> str:
        """What an empty field says."""
        return self.field.hint

    @placeholder.setter
    def placeholder(self, words: str) -> None:
        self.field.hint = words
        self.field.viewport().update()

    def text(self) -> str:
        """What was typed, without what was pasted as chips."""
        return self.field.toPlainText()

    def whole_text(self) -> str:
        """What would be sent: the typed text, then everything pasted, a blank line between."""
        parts = [self.text().strip(), *(words.strip("\n") for _, words in self._pasted)]
        return "\n\n".join(part for part in parts if part)

    def set_text(self, words: str) -> None:
        """Puts a draft or an example in the field, the caret at its end."""
        self.field.put(words)

    def clear(self) -> None:
        """Empties the field and takes all chips off."""
        for chip, _ in list(self._pasted):
            self._drop(chip)
        self.field.put("")

    def add_pasted(self, words: str) -> None:
        """Attaches a long text as a chip."""
        lines = words.strip("\n").count("\n") + 1
        chip = Chip(
            "Pasted text",
            f"{lines:,} lines" if lines > 1 else f"{len(words):,} characters",
            parent=self._chips,
        )
        chip.removed.connect(lambda: self._drop(chip))
        self._pasted.append((chip, words))
        self._chip_row.addWidget(chip)
        chip.show()
        self._chips.show()
        self._changed()
        self._fit()

    def add_chip(self, chip: Chip) -> None:
        """Attaches something of the caller's; the caller hears its `removed` and takes it off with `remove_chip`.

        What is attached can be sent without a word.
        """
        chip.setParent(self._chips)
        self._attached.append(chip)
        self._chip_row.addWidget(chip)
        chip.show()
        self._chips.show()
        self._show_button()
        self._fit()

    def remove_chip(self, chip: Chip) -> None:
        """Takes a chip off."""
        self._attached = [each for each in self._attached if each is not chip]
        self._chip_row.removeWidget(chip)
        chip.hide()
        chip.deleteLater()
        self._chips.setVisible(self._chip_row.count() > 0)
        self._show_button()
        self._fit()

    def _drop(self, chip: Chip) -> None:
        self._pasted = [pair for pair in self._pasted if pair[0] is not chip]
        self.remove_chip(chip)
        self._changed()
        self.field.setFocus()

    def add_tool(self, widget: QWidget) -> None:
        """Adds a small control at the left under the field."""
        self._tools.addWidget(widget)

    def add_choice(self, widget: QWidget) -> None:
        """Adds a small control at the right, before the button."""
        self._choices.addWidget(widget)

    # ---- what it does -------------------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether an answer is coming, so that the button stops it."""
        return self._running

    def set_running(self, running: bool) -> None:
        """Says whether an answer is coming: then the button and Escape stop it, and Enter does not send."""
        if self._running != running:
            self._running = running
            self._show_button()

    def set_sendable(self, sendable: bool, reason: str = "") -> None:
        """Says whether anything can be sent at all; `reason` is the button's tooltip while not."""
        self._sendable = sendable
        self._show_button()
        if not sendable:
            self.button.setToolTip(reason)

    def submit(self) -> None:
        """Sends what is there, unless there is nothing or an answer is still coming."""
        words = self.whole_text()
        if not (words or self._attached) or self._running or not self._sendable:
            return
        self.last_sent = self.text()
        self.clear()
        self._draft.stop()
        self.submitted.emit(words)
        self.draft_changed.emit("")

    def take_focus(self, reason: Qt.FocusReason = Qt.FocusReason.OtherFocusReason) -> None:
        """Puts the caret in the field."""
        self.field.setFocus(reason)

    def bring_back(self) -> bool:
        """Puts the last text sent in an empty field; False where there is none or the field is not empty."""
        if not self.last_sent or self.text():
            return False
        self.set_text(self.last_sent)
        return True

    def _button_pressed(self) -> None:
        if self._running:
            self.stop_requested.emit()
        else:
            self.submit()
        self.field.setFocus()

    def _changed(self) -> None:
        self._show_button()
        self._draft.start()

    def _tell_draft(self) -> None:
        self.draft_changed.emit(self.text())

    def _show_button(self) -> None:
        holds = bool(self._pasted or self._attached) or not self.field.is_blank()
        usable = self._running or (self._sendable and holds)
        wish = ("square" if self._running else "arrow-up", usable)
        if wish == self.button.property("wish"):
            return
        self.button.setProperty("wish", wish)
        self.button.setEnabled(usable)
        name = "Stop" if self._running else "Send"
        self.button.setAccessibleName(name)
        self.button.setToolTip("Stop  Esc" if self._running else "Send  Enter")
        set_icon(self.button, wish[0], "text.onAccent", 14 if self._running else 16)

    # ---- looks --------------------------------------------------------------------------------------------------

    def _restyle(self) -> None:
        self.field.restyle()
        self._fit()
        self.update()

    def _fit(self) -> None:
        """Gives the field the height of its text, up to a share of the window."""
        limit = round(self.window().height() * GROW_SHARE) if self.window() is not self else 400
        line = look().px(LINE_PX)
        wanted = max(self.lines_min * line, round(self.field.document().size().height())) + 13
        room = max(line + 13, limit - look().px(40))
        self.field.setVerticalScrollBarPolicy(
            Qt.ScrollBarPolicy.ScrollBarAsNeeded if wanted > room else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        )
        self.field.setFixedHeight(min(wanted, room))
        if not self._chips.isHidden():
            self._chips.setFixedHeight(max(22, self._chip_row.heightForWidth(max(60, self.width() - 22))))
        self.updateGeometry()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self._fit()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        focused = self.field.hasFocus()
        rounded(
            painter,
            QRectF(self.rect()),
            look().tokens.radius("l"),
            fill="bg.raised",
            line="focus.ring" if focused else "line.strong",
            width=2 if focused else 1,
        )
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.field.setFocus(Qt.FocusReason.MouseFocusReason)


class _Field(QTextEdit):
    """The text itself: plain, 20 px a line."""

    def __init__(self, composer: Composer) -> None:
        super().__init__(composer)
        self._composer = composer
        self.hint = "Reply"
        self.setObjectName("composer.field")
        self.setAccessibleName("Message")
        self.setProperty("bare", True)
        self.setAcceptRichText(False)
        self.setTabChangesFocus(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setViewportMargins(11, 9, 4, 4)
        self.document().setDocumentMargin(0)
        self.viewport().setAutoFillBackground(False)

    def restyle(self) -> None:
        """Takes the font and line height of the theme."""
        self.setFont(look().font("body"))
        self.document().setDefaultFont(look().font("body"))
        self._set_line_height()

    def _set_line_height(self) -> None:
        form = QTextBlockFormat()
        form.setLineHeight(look().px(LINE_PX), QTextBlockFormat.LineHeightTypes.FixedHeight.value)
        cursor = QTextCursor(self.document())
        cursor.select(QTextCursor.SelectionType.Document)
        cursor.mergeBlockFormat(form)

    def is_blank(self) -> bool:
        """Whether there is nothing but white space; looks at no more than the first lines that are."""
        block = self.document().begin()
        while block.isValid():
            if block.text().strip():
                return False
            block = block.next()
        return True

    def put(self, words: str) -> None:
        """Replaces everything, undo history included."""
        self.setPlainText(words)
        self._set_line_height()
        self.moveCursor(QTextCursor.MoveOperation.End)

    def sizeHint(self) -> QSize:
        return QSize(200, look().px(LINE_PX) + 13)

    def minimumSizeHint(self) -> QSize:
        return QSize(60, look().px(LINE_PX) + 13)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        composer = self._composer
        enter = event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if enter and (control or (composer.enter_sends and not shift)):
            composer.submit()
        elif enter:
            # A break by Shift would be a line separator inside the block: it is a new line like any other.
            self.textCursor().insertBlock()
            self.ensureCursorVisible()
        elif event.key() == Qt.Key.Key_Escape and composer.is_running:
            composer.stop_requested.emit()
        elif event.key() == Qt.Key.Key_Escape:
            event.ignore()
        elif event.key() == Qt.Key.Key_Up and self.document().isEmpty() and composer.bring_back():
            pass
        else:
            super().keyPressEvent(event)

    def insertFromMimeData(self, source: QMimeData) -> None:
        paths = [url.toLocalFile() for url in source.urls() if url.isLocalFile()]
        if paths:
            self._composer.files_dropped.emit(paths)
            return
        if source.hasImage() and not source.hasText():
            self._composer.picture_pasted.emit(source.imageData())
            return
        words = source.text()
        if len(words) > PASTE_BYTES_MAX or words.count("\n") > PASTE_LINES_MAX:
            self._composer.add_pasted(words)
            return
        self.textCursor().insertText(words)
        self.ensureCursorVisible()

    def canInsertFromMimeData(self, source: QMimeData) -> bool:
        return source.hasText() or source.hasUrls() or source.hasImage()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if self.canInsertFromMimeData(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        self.insertFromMimeData(event.mimeData())
        event.acceptProposedAction()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self._composer.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._composer.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self.document().isEmpty() and self.hint:
            painter = QPainter(self.viewport())
            line = self.cursorRect()
            room = QRectF(line.x(), line.y(), self.viewport().width() - line.x(), line.height())
            paint_text(painter, room, self.hint, "body", "text.tertiary")
            painter.end()
