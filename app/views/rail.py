# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The icon rail at the window's left edge: one button a page, the chosen one marked by a bar."""

from collections.abc import Callable

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QEnterEvent, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QButtonGroup, QFrame, QWidget

from app.commands import spoken
from app.theme.apply import look
from app.theme.focus import has_keyboard_focus
from app.theme.icons import pixmap
from app.theme.paint import focus_ring, rounded, text
from app.views.parts import bind, column

WIDTH, ITEM, ICON = 48, 36, 20


class RailButton(QAbstractButton):
    """A page's button, painted: states are surfaces, and the chosen one has the accent bar."""

    def __init__(self, page: str, title: str, icon: str, shortcut: str) -> None:
        super().__init__()
        self.page = page
        self._icon = icon
        self._count = 0
        self._is_hovered = False
        self.setObjectName(f"rail.{page}")
        self.setCheckable(True)
        self.setAccessibleName(title)
        self.setToolTip(f"{title}  {spoken(shortcut)}")
        self.setFixedSize(WIDTH, ITEM)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        look().theme_changed.connect(self.update)

    def set_count(self, count: int) -> None:
        """A badge with a number; 0 takes it away."""
        if count != self._count:
            self._count = count
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(WIDTH, ITEM)

    def enterEvent(self, event: QEnterEvent) -> None:
        self._is_hovered = True
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._is_hovered = False
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            event.ignore()  # a button of a group would open the next page at once: the rail only walks
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        box = QRectF((WIDTH - ITEM) / 2, 0, ITEM, ITEM)
        if self.isChecked() or self.isDown():
            rounded(painter, box, 7, fill="bg.pressed")
        elif self._is_hovered:
            rounded(painter, box, 7, fill="bg.hover")
        if self.isChecked():
            rounded(painter, QRectF(0, 9, 3, 18), 1.5, fill="accent.fill")
        ink = "text.primary" if self.isChecked() else "text.tertiary"
        place = QPointF(box.center().x() - ICON / 2, box.center().y() - ICON / 2)
        painter.drawPixmap(place, pixmap(self._icon, ink, ICON, self.devicePixelRatioF()))
        if self._count:
            words = str(min(self._count, 99))
            width = max(14.0, look().metrics("caption").horizontalAdvance(words) + 6)
            badge = QRectF(box.right() - 2 - width, box.top() + 2, width, 14)
            rounded(painter, badge, 7, fill="accent.fill")
            text(painter, badge, words, "caption", "text.onAccent", align=Qt.AlignmentFlag.AlignCenter)
        if has_keyboard_focus(self):
            focus_ring(painter, box, 7, inside=True)
        painter.end()


class Rail(QFrame):
    """All page buttons; Settings stands at the bottom. Arrow keys walk, Enter and Space open."""

    def __init__(self, go: Callable[[str], object], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("rail")
        self.setProperty("role", "rail")
        self.setFixedWidth(WIDTH)
        self.setAccessibleName("Pages")
        self._go = go
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        self.buttons: dict[str, RailButton] = {}
        self._column = column(self, (0, 8, 0, 8), 4)
        self._column.addStretch(1)

    def add(self, page: str, title: str, icon: str, shortcut: str, *, at_bottom: bool = False) -> RailButton:
        """A button for a page, in the order of the calls."""
        made = RailButton(page, title, icon, shortcut)
        made.clicked.connect(bind(self._go, page))
        self._group.addButton(made)
        self.buttons[page] = made
        if at_bottom:
            self._column.addWidget(made)
        else:
            self._column.insertWidget(self._column.count() - 1, made)
        return made

    def choose(self, page: str) -> None:
        """Mark the page that is shown."""
        if page in self.buttons:
            self.buttons[page].setChecked(True)

    def focus(self, reason: Qt.FocusReason) -> None:
        """Take the focus to the chosen page's button."""
        chosen = self._group.checkedButton()
        if chosen is not None:
            chosen.setFocus(reason)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps: dict[int, int] = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}
        step = steps.get(event.key())
        if step is None:
            super().keyPressEvent(event)
            return
        order = list(self.buttons.values())
        focused = next((at for at, made in enumerate(order) if made.hasFocus()), 0)
        order[(focused + step) % len(order)].setFocus(Qt.FocusReason.TabFocusReason)
