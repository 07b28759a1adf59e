# ruff: noqa: D102  (Qt overrides do what Qt says)
"""A search field whose finished parts become chips: `status:failed` typed and a blank, and it is a token.

Backspace at the beginning takes the last chip back into the text; a click takes a chip away.
"""

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QFrame, QHBoxLayout, QLineEdit, QSizePolicy

from app.theme.apply import look
from app.theme.icons import pixmap
from app.theme.paint import rounded, text

CHIP, PAD = 18, 7


class TokenChip(QAbstractButton):
    """One token, painted; a click removes it. The keyboard does it by Backspace in the field."""

    def __init__(self, words: str, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setText(words)
        self.setAccessibleName(f"Filter {words}, a press removes it")
        self.setToolTip(f"Remove {words}")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(round(look().metrics("caption").horizontalAdvance(self.text())) + 13, look().px(CHIP))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        ground = "bg.selected" if self.underMouse() else "accent.soft"
        rounded(painter, QRectF(self.rect()), 3, fill=ground)
        text(painter, QRectF(self.rect()).adjusted(6, 0, 0, 0), self.text(), "caption", "accent.text")
        painter.end()


class TokenField(QFrame):
    """Shows what it is told: what of the typed words becomes a chip is decided by who owns the filter."""

    typed = Signal(str)
    """The words beside the chips."""
    finished = Signal()
    """Enter."""
    left = Signal()
    """Down: on to the list below."""
    chip_removed = Signal(str)
    chip_taken_back = Signal(str)

    def __init__(self, name: str, placeholder: str, keys: str = "") -> None:
        super().__init__()
        self.setObjectName(f"{name}.frame")
        self._name = name
        self._is_hinting = True
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(30, 0, 8, 0)
        self._layout.setSpacing(6)
        self.line = QLineEdit()
        self.line.setObjectName(name)
        self.line.setProperty("bare", True)
        self.line.setPlaceholderText(placeholder)
        self.line.setAccessibleName(placeholder)
        self.line.setToolTip(f"{placeholder}  {keys}" if keys else placeholder)
        self.line.textEdited.connect(self.typed)
        self.line.returnPressed.connect(self.finished)
        self.line.installEventFilter(self)
        self._layout.addWidget(self.line, 1)
        self._chips: list[TokenChip] = []
        self.setFocusProxy(self.line)
        self._resize()
        look().theme_changed.connect(self._resize)

    def show_filter(self, chips: Sequence[str], words: str) -> None:
        """Show these; the text is left alone where it says the same already."""
        if [chip.text() for chip in self._chips] != list(chips):
            for chip in self._chips:
                self._layout.removeWidget(chip)
                chip.hide()
                chip.deleteLater()
            self._chips = []
            for at, value in enumerate(chips):
                chip = TokenChip(value, f"{self._name}.chip.{at}")
                chip.clicked.connect(self._chip_clicked)
                self._layout.insertWidget(at, chip)
                self._chips.append(chip)
        if self.line.text() != words and self.line.text().strip() != words:
            self.line.setText(words)

    def chips(self) -> tuple[str, ...]:
        """The texts of the chips."""
        return tuple(chip.text() for chip in self._chips)

    def _chip_clicked(self) -> None:
        chip = self.sender()
        if isinstance(chip, TokenChip):
            self.chip_removed.emit(chip.text())

    def _resize(self) -> None:
        self.setFixedHeight(look().px(28))
        self.update()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.line:
            if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
                self.update()
            if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent) and self._key(event):
                return True
        return super().eventFilter(watched, event)

    def _key(self, event: QKeyEvent) -> bool:
        is_at_start = not self.line.cursorPosition() and not self.line.hasSelectedText()
        if event.key() == Qt.Key.Key_Backspace and self._chips and is_at_start:
            self.chip_taken_back.emit(self._chips[-1].text())
            return True
        if event.key() == Qt.Key.Key_Down:
            self.left.emit()
            return True
        return False

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.line.setFocus(Qt.FocusReason.MouseFocusReason)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        is_focused = self.line.hasFocus()
        rounded(
            painter,
            QRectF(self.rect()),
            5,
            fill="bg.raised",
            line="focus.ring" if is_focused else "line.normal",
            width=2 if is_focused else 1,
        )
        glass = pixmap("search", "text.tertiary", 14, self.devicePixelRatioF())
        painter.drawPixmap(QPointF(9, round((self.height() - 14) / 2)), glass)
        painter.end()
