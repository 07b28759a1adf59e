# ruff: noqa: D102  (Qt overrides do what Qt says)
"""One sentence at the bottom of a window, with Undo where there is something to undo; goes by itself after 10 s."""

from collections.abc import Callable

from PySide6.QtCore import QElapsedTimer, QEvent, QRectF, Qt, QTimer
from PySide6.QtGui import QEnterEvent, QFontMetrics, QKeySequence, QPainter, QPaintEvent, QShortcut
from PySide6.QtWidgets import QApplication, QHBoxLayout, QLabel, QWidget

from app.theme.apply import look
from app.theme.icons import pixmap, set_icon
from app.theme.paint import key_cap, key_cap_size, rounded
from app.widgets.push_button import PushButton

SHOWN_MS = 10_000
ABOVE_PX = 16
STRIP_PX = 24
WIDTH_MAX_PX = 560


class Toast(QWidget):
    """Child of a window; `tell` shows it, a second one takes the place of the first.

    The time stands still while the mouse is over it or the keyboard is in it. Undo also answers to the platform's undo
    keys while it is shown, unless a text field has the focus.
    """

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setObjectName("toast")
        self._icon = "info"
        self._undo: Callable[[], None] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.hide)
        self._clock = QElapsedTimer()
        self._left_ms = SHOWN_MS
        self._whole = ""
        self._words = QLabel(self)
        self._words.setTextFormat(Qt.TextFormat.PlainText)
        self._words.setObjectName("toast.words")
        self._button = PushButton("Undo", self)
        self._button.setObjectName("toast.undo")
        self._button.setProperty("kind", "link")
        self._button.setProperty("small", True)
        self._button.clicked.connect(self._take_back)
        self._keys = _UndoKeys(self)
        self._close = PushButton(self)
        self._close.setObjectName("toast.close")
        self._close.setAccessibleName("Close")
        self._close.setToolTip("Close")
        self._close.setProperty("kind", "ghost")
        self._close.setProperty("square", True)
        self._close.setProperty("small", True)
        self._close.clicked.connect(self.hide)
        set_icon(self._close, "x", "text.tertiary", 14)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(40, 0, 9, 0)
        layout.setSpacing(6)
        layout.addWidget(self._words, 1)
        layout.addSpacing(34)
        layout.addWidget(self._button)
        layout.addWidget(self._keys)
        layout.addSpacing(8)
        layout.addWidget(self._close)
        self._shortcut = QShortcut(QKeySequence(QKeySequence.StandardKey.Undo), window, self._take_back)
        self._shortcut.setEnabled(False)
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        app.focusChanged.connect(self._focus_moved)
        self.hide()

    def tell(
        self,
        words: str,
        *,
        icon: str = "info",
        undo: Callable[[], None] | None = None,
        shown_ms: int = SHOWN_MS,
    ) -> None:
        """Shows a sentence; with `undo` it offers to take back what was done."""
        self._icon, self._undo = icon, undo
        self._whole = " ".join(words.split())
        self._words.setText(self._whole)
        self.setAccessibleName(words)
        self._button.setVisible(undo is not None)
        self._keys.setVisible(undo is not None)
        self._shortcut.setEnabled(undo is not None)
        self._left_ms = shown_ms
        self.show()
        self.raise_()
        self.place()
        self._run()

    def place(self) -> None:
        """Puts it at the bottom centre; call when the window has another size."""
        window = self.parentWidget()
        if window is None or self.isHidden():
            return
        self._words.setText(self._whole)
        full = self.sizeHint().width()
        wide = min(full, WIDTH_MAX_PX, window.width() - 2 * ABOVE_PX)
        metrics = self._words.fontMetrics()
        room = metrics.horizontalAdvance(self._whole) - (full - wide)
        lines = two_lines(self._whole, metrics, max(60, room)) if full > wide else [self._whole]
        self._words.setText("\n".join(lines))
        self.setToolTip(self._whole if any(line.endswith("…") for line in lines) else "")
        tall = look().px(40) + (len(lines) - 1) * metrics.lineSpacing()
        bottom = window.height() - look().px(STRIP_PX) - ABOVE_PX
        self.setGeometry((window.width() - wide) // 2, bottom - tall, wide, tall)

    def _take_back(self) -> None:
        undo, self._undo = self._undo, None
        self.hide()
        if undo is not None:
            undo()

    def _run(self) -> None:
        self._clock.start()
        self._timer.start(max(1, self._left_ms))

    def _pause(self) -> None:
        if self._timer.isActive():
            self._left_ms -= self._clock.elapsed()
            self._timer.stop()

    def hideEvent(self, event: QEvent) -> None:
        self._timer.stop()
        self._shortcut.setEnabled(False)

    def enterEvent(self, event: QEnterEvent) -> None:
        self._pause()

    def leaveEvent(self, event: QEvent) -> None:
        self._focus_moved(None, QApplication.focusWidget())

    def _focus_moved(self, _: QWidget | None, new: QWidget | None) -> None:
        """The time stands still while the keyboard is in it."""
        if self.isHidden():
            return
        if new is not None and self.isAncestorOf(new):
            self._pause()
        elif not self.underMouse() and not self._timer.isActive():
            self._run()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        rounded(painter, QRectF(self.rect()), 7, fill="bg.raised", line="line.strong")
        y = round((self.height() - 16) / 2)
        painter.drawPixmap(14, y, pixmap(self._icon, "text.secondary", 16, self.devicePixelRatioF()))
        painter.end()


def two_lines(words: str, metrics: QFontMetrics, room_px: int) -> list[str]:
    """A sentence in at most two lines of `room_px`, broken at blanks; what does not fit ends in an ellipsis."""
    flat = " ".join(words.split())
    if metrics.horizontalAdvance(flat) <= room_px:
        return [flat]
    parts = flat.split(" ")
    count = 1
    while count < len(parts) and metrics.horizontalAdvance(" ".join(parts[: count + 1])) <= room_px:
        count += 1
    first, rest = " ".join(parts[:count]), " ".join(parts[count:])
    shown = (metrics.elidedText(part, Qt.TextElideMode.ElideRight, room_px) for part in (first, rest))
    return [part for part in shown if part]


class _UndoKeys(QWidget):
    """The key cap beside Undo."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._words = QKeySequence(QKeySequence.StandardKey.Undo).toString(
            QKeySequence.SequenceFormat.NativeText
        )
        wide, tall = key_cap_size(self._words.replace("+", " "))
        self.setFixedSize(round(wide) + 1, round(tall))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        key_cap(painter, QRectF(self.rect()), self._words.replace("+", " "))
        painter.end()
