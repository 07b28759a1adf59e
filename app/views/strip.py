# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The status strip: engine, model, speed, context and spend, each a button to the page that explains it."""

from collections.abc import Callable

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QFrame, QSizePolicy, QWidget

from app.theme.apply import look
from app.theme.focus import has_keyboard_focus
from app.theme.icons import paint_tier, pixmap
from app.theme.paint import focus_ring, rounded, text
from app.views.parts import bind, column, line, row

HEIGHT = 24
PADDING, GAP = 8, 5


class StripButton(QAbstractButton):
    """A word of the strip with a dot, a tier's mark or an icon before it."""

    def __init__(self, name: str, title: str, run: Callable[[], None]) -> None:
        super().__init__()
        self.setObjectName(name)
        self._title = title
        self._dot = self._tier = self._icon = ""
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.clicked.connect(bind(run))
        self.setToolTip(title)
        self.setAccessibleName(title)
        look().theme_changed.connect(self.updateGeometry)

    def show_words(self, words: str, *, dot: str = "", tier: str = "", icon: str = "", tip: str = "") -> None:
        """What it says; empty words take it off the strip. `dot` and the icon's ink are colour tokens."""
        self._dot, self._tier, self._icon = dot, tier, icon
        spoken = f"{tier} tier, {words}" if tier else words
        self.setAccessibleName(f"{self._title}: {spoken}")
        self.setToolTip(tip or self._title)
        self.setVisible(bool(words))
        if words != self.text():
            self.setText(words)
            self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        mark = 7 + GAP if self._dot else 12 + GAP if self._tier or self._icon else 0
        width = look().metrics("small").horizontalAdvance(self.text()) + mark + 2 * PADDING + 1
        return QSize(round(width), look().px(HEIGHT) - 1)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        box = QRectF(self.rect())
        if self.isDown():
            rounded(painter, box, 3, fill="bg.pressed")
        elif self.underMouse():
            rounded(painter, box, 3, fill="bg.hover")
        left = float(PADDING)
        middle = box.center().y()
        if self._dot:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(look().colour(self._dot))
            painter.drawEllipse(QPointF(left + 4, middle), 4, 4)
            left += 8 + GAP
        elif self._tier:
            paint_tier(painter, self._tier, left, middle - 6)
            left += 12 + GAP
        elif self._icon:
            painter.drawPixmap(
                QPointF(left, middle - 6), pixmap(self._icon, "text.secondary", 12, self.devicePixelRatioF())
            )
            left += 12 + GAP
        ink = "text.primary" if self.underMouse() else "text.secondary"
        text(painter, QRectF(left, 0, box.width() - left, box.height()), self.text(), "small", ink)
        if has_keyboard_focus(self):
            focus_ring(painter, box, 3, inside=True)
        painter.end()


class Strip(QFrame):
    """Left: what answers and what it costs. Right: what waits for the person."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("strip")
        self.setProperty("role", "side")
        self.setAccessibleName("Status")
        outer = column(self)
        outer.addWidget(line("lineNormal"))
        self._row = row(margins=(6, 0, 6, 0))
        outer.addLayout(self._row)
        self._row.addStretch(1)
        self.buttons: dict[str, StripButton] = {}
        self._left = 0
        self._resize()
        look().theme_changed.connect(self._resize)

    def add(self, name: str, title: str, run: Callable[[], None], *, on_right: bool = False) -> StripButton:
        """A button; those on the left come in the order of the calls."""
        made = StripButton(f"strip.{name}", title, run)
        self.buttons[name] = made
        if on_right:
            self._row.addWidget(made)
        else:
            self._row.insertWidget(self._left, made)
            self._left += 1
        made.hide()
        return made

    def focus(self, reason: Qt.FocusReason) -> None:
        """Take the focus to the first word."""
        for made in self.buttons.values():
            if made.isVisible():
                made.setFocus(reason)
                return

    def _resize(self) -> None:
        self.setFixedHeight(look().px(HEIGHT))
