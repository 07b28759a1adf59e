# ruff: noqa: D102  (Qt overrides do what Qt says)
"""Tabs in a page's head: flat buttons, the chosen one with a line on the head's border. Ctrl PgUp and PgDn walk."""

from collections.abc import Callable

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QButtonGroup, QSizePolicy, QWidget

from app.theme.apply import look
from app.theme.focus import has_keyboard_focus
from app.theme.paint import focus_ring, text
from app.views.parts import bind, row


class Tab(QAbstractButton):
    """One tab."""

    def __init__(self, key: str, title: str, name: str) -> None:
        super().__init__()
        self.key = key
        self.setText(title)
        self.setObjectName(name)
        self.setAccessibleName(title)
        self.setToolTip(title)
        self.setCheckable(True)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        look().theme_changed.connect(self.updateGeometry)

    def sizeHint(self) -> QSize:
        return QSize(round(look().metrics("uiStrong").horizontalAdvance(self.text())) + 1, look().px(44))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        is_on = self.isChecked()
        ink = "text.primary" if is_on or self.underMouse() else "text.secondary"
        text(painter, QRectF(self.rect()), self.text(), "uiStrong" if is_on else "ui", ink)
        if is_on:
            painter.fillRect(0, self.height() - 2, self.width(), 2, look().colour("text.primary"))
        if has_keyboard_focus(self):
            focus_ring(painter, QRectF(self.rect()).adjusted(-3, 9, 3, -9), 5, inside=True)
        painter.end()


class Tabs(QWidget):
    """A row of tabs; one of them is chosen. `chosen` is told each change, the first included."""

    def __init__(
        self, name: str, title: str, tabs: tuple[tuple[str, str], ...], chosen: Callable[[str], None]
    ) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(title)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._chosen = chosen
        self._group = QButtonGroup(self)
        layout = row(self, (3, 0, 3, 0), 16)
        self.tabs: dict[str, Tab] = {}
        for key, words in tabs:
            made = Tab(key, words, f"{name}.{key}")
            self._group.addButton(made)
            layout.addWidget(made)
            self.tabs[key] = made
            made.clicked.connect(bind(self._chosen, key))
        next(iter(self.tabs.values())).setChecked(True)

    @property
    def current(self) -> str:
        """The chosen tab's key."""
        return next(key for key, tab in self.tabs.items() if tab.isChecked())

    def choose(self, key: str) -> None:
        """Choose a tab and tell it."""
        self.tabs[key].setChecked(True)
        self._chosen(key)

    def step(self, by: int) -> None:
        """The next or previous tab."""
        keys = list(self.tabs)
        self.choose(keys[(keys.index(self.current) + by) % len(keys)])

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        if event.key() in steps:
            self.step(steps[Qt.Key(event.key())])
            self.tabs[self.current].setFocus(Qt.FocusReason.TabFocusReason)
            return
        super().keyPressEvent(event)
