# ruff: noqa: D102  (Qt overrides do what Qt says)
"""A chip: something attached, with a cross to take it off again."""

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.theme.apply import look
from app.theme.focus import has_keyboard_focus
from app.theme.icons import pixmap
from app.theme.paint import focus_ring, rounded, text

PAD_PX = 8
ICON_PX = 12
WIDTH_MAX_PX = 260


class Chip(QWidget):
    """Painted, 22 high. Delete or Backspace takes it off as the cross does."""

    removed = Signal()
    activated = Signal()
    """A click beside the cross, Enter or Space."""

    def __init__(
        self, words: str, detail: str = "", icon: str = "file-text", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.words, self.detail, self._icon = words, detail, icon
        self._over_cross = False
        self.setObjectName("chip")
        self.setAccessibleName(f"{words}, {detail}" if detail else words)
        self.setAccessibleDescription("Delete removes it")
        self.setToolTip(words)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        look().theme_changed.connect(self.updateGeometry)

    def sizeHint(self) -> QSize:
        metrics = look().metrics("caption")
        words = metrics.horizontalAdvance(self.words)
        detail = metrics.horizontalAdvance(self.detail) + 4 if self.detail else 0
        wide = PAD_PX * 2 + ICON_PX * 2 + 8 + words + detail
        return QSize(min(round(wide) + 2, WIDTH_MAX_PX), look().px(22))

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def _cross(self) -> QRectF:
        return QRectF(self.width() - PAD_PX - ICON_PX - 2, 0, ICON_PX + PAD_PX + 2, self.height())

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        box = QRectF(self.rect())
        rounded(painter, box, box.height() / 2, fill="bg.pressed")
        middle = round((self.height() - ICON_PX) / 2)
        dpr = self.devicePixelRatioF()
        painter.drawPixmap(PAD_PX, middle, pixmap(self._icon, "text.secondary", ICON_PX, dpr))
        x = PAD_PX + ICON_PX + 4.0
        metrics = look().metrics("caption")
        detail = metrics.horizontalAdvance(self.detail) + 4 if self.detail else 0
        room = QRectF(x, 0, self._cross().x() - x - detail - 2, self.height())
        x += text(painter, room, self.words, "caption", "text.secondary") + 4
        if self.detail:
            text(
                painter,
                QRectF(x, 0, detail + 4, self.height()),
                self.detail,
                "caption",
                "text.secondary",
                weight=400,
            )
        ink = "text.primary" if self._over_cross else "text.secondary"
        painter.drawPixmap(round(self._cross().x()), middle, pixmap("x", ink, ICON_PX, dpr))
        if has_keyboard_focus(self):
            focus_ring(painter, box, box.height() / 2, inside=True)
        painter.end()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        over = self._cross().contains(event.position())
        if over != self._over_cross:
            self._over_cross = over
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            (self.removed if self._cross().contains(event.position()) else self.activated).emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        match event.key():
            case Qt.Key.Key_Delete | Qt.Key.Key_Backspace:
                self.removed.emit()
            case Qt.Key.Key_Return | Qt.Key.Key_Enter | Qt.Key.Key_Space:
                self.activated.emit()
            case _:
                event.ignore()
