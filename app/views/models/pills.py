# ruff: noqa: D102  (Qt overrides do what Qt says)
"""Filter pills: small exclusive buttons that narrow a table."""

from collections.abc import Callable

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QButtonGroup, QSizePolicy, QWidget

from app.theme.apply import look
from app.theme.focus import has_keyboard_focus
from app.theme.paint import focus_ring, pill, pill_size
from app.views.parts import bind, row

HEIGHT = 22


class FilterPill(QAbstractButton):
    """Outlined when off, accent.soft when on."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setCheckable(True)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.set_words(words)
        look().theme_changed.connect(self.updateGeometry)

    def set_words(self, words: str) -> None:
        """Say this."""
        self.setText(words)
        self.setAccessibleName(words)
        self.setToolTip(words)
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        return QSize(round(pill_size(self.text())[0]) + 4, look().px(HEIGHT) + 4)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        pill(
            painter,
            2,
            self.height() / 2,
            self.text(),
            "accent" if self.isChecked() else "outline",
            height=HEIGHT,
        )
        if has_keyboard_focus(self):
            focus_ring(painter, QRectF(self.rect()), self.height() / 2, inside=True)
        painter.end()


class FilterPills(QWidget):
    """A row of them; one is on."""

    def __init__(
        self, name: str, title: str, pills: tuple[tuple[str, str], ...], chosen: Callable[[str], None]
    ) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(title)
        self._group = QButtonGroup(self)
        self._titles = dict(pills)
        layout = row(self, spacing=2)
        self.pills: dict[str, FilterPill] = {}
        for key, words in pills:
            made = FilterPill(f"{name}.{key}", words)
            made.clicked.connect(bind(chosen, key))
            self._group.addButton(made)
            layout.addWidget(made)
            self.pills[key] = made
        next(iter(self.pills.values())).setChecked(True)

    def show_counts(self, counts: dict[str, int]) -> None:
        """A number behind each."""
        for key, made in self.pills.items():
            made.set_words(f"{self._titles[key]} {counts.get(key, 0)}")
