# ruff: noqa: D102  (Qt overrides do what Qt says)
"""A card of the ladder: one instance with its state in shape and word, its pips, and what runs there."""

from collections.abc import Callable

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QContextMenuEvent, QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QWidget

from app.theme.apply import look
from app.theme.focus import has_keyboard_focus
from app.theme.icons import pixmap
from app.theme.paint import CENTRE, RIGHT, focus_ring, pill, pill_size, rounded, text
from app.viewmodels.routing_cards import FAILURES_TO_OPEN, Card
from app.views.parts import bind

HEIGHT, WIDTH_MIN = 98, 200
PIP_RADIUS, PIP_STEP = 3.2, 10
PAD = 11

ARROWS = (
    Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_End,
)  # fmt: skip
Walk = Callable[[QWidget, int], None]


class InstanceCard(QAbstractButton):
    """Painted. Arrows walk between cards, T trips, D drains, R resets, Enter tests."""

    def __init__(
        self,
        card: Card,
        running: int,
        pill_of: Callable[[Card], str],
        walk: Walk,
        wish: Callable[[str, str], None],
    ) -> None:
        """`walk` is told arrow keys; `wish` the instance's name and `trip`, `drain`, `reset`, `test` or `menu`."""
        super().__init__()
        self._walk, self._wish = walk, wish
        self.setObjectName(f"routing.card.{card.name}")
        self.setCheckable(True)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._pill_of = pill_of
        self.show_card(card, running)
        look().theme_changed.connect(self.updateGeometry)

    def show_card(self, card: Card, running: int) -> None:
        """Its latest state."""
        self.card, self.running = card, running
        self.say()

    def say(self) -> None:
        """Read again what counts down."""
        words = self._pill_of(self.card)
        parts = [self.card.name, words, self.card.models, self.card.figures, self.card.pips]
        self.setAccessibleName(", ".join((*parts, f"{self.running} running")))
        self.setToolTip(f"{self.card.name}\n{words}. {self.card.sentence}\n{self.card.models}")
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(WIDTH_MIN, look().px(HEIGHT))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, look().px(HEIGHT))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        card = self.card
        box = QRectF(self.rect())
        ground = "bg.hover" if self.underMouse() and not self.isChecked() else "bg.raised"
        has_focus = has_keyboard_focus(self)
        if self.isChecked() and not has_focus:
            rounded(painter, box, 7, fill=ground, line="accent.fill", width=2)
        else:
            rounded(painter, box, 7, fill=ground, line="line.normal")
        line = look().px(20)
        right = self.width() - PAD
        top = look().px(8)
        words = self._pill_of(card)
        width, _ = pill_size(words, icon=card.icon)
        dpr = self.devicePixelRatioF()
        pill(painter, right - width, top + line / 2, words, card.tone, icon=card.icon, dpr=dpr)  # type: ignore[arg-type]
        text(painter, QRectF(PAD, top, right - width - PAD - 8, line), card.name, "uiStrong")
        text(painter, QRectF(PAD, top + line, right - PAD, line), card.models, "small", "text.tertiary")
        text(
            painter,
            QRectF(PAD, top + 2 * line - 1, right - PAD, line),
            card.figures,
            "small",
            "text.secondary",
        )
        self._paint_foot(painter, QRectF(PAD, top + 3 * line + look().px(3), right - PAD, line))
        if has_focus:  # one ring, not two: that of the focus says more
            focus_ring(painter, box, 7, inside=True)
        painter.end()

    def _paint_foot(self, painter: QPainter, box: QRectF) -> None:
        card = self.card
        for at in range(FAILURES_TO_OPEN):
            is_on = at < card.failures
            painter.setPen(QPen(look().colour("err.mark" if is_on else "line.strong"), 1))
            painter.setBrush(look().colour("err.mark") if is_on else Qt.BrushStyle.NoBrush)
            centre = QPointF(box.left() + PIP_RADIUS + 1 + at * PIP_STEP, box.center().y() + 0.5)
            painter.drawEllipse(centre, PIP_RADIUS, PIP_RADIUS)
        running = f"{self.running} running"
        left = box.left() + FAILURES_TO_OPEN * PIP_STEP + 8
        room = look().metrics("small").horizontalAdvance(running) + 2
        ink = "text.primary" if self.running else "text.secondary"
        text(
            painter,
            QRectF(box.right() - room, box.top(), room, box.height()),
            running,
            "small",
            ink,
            align=RIGHT,
        )
        text(
            painter, QRectF(left, box.top(), box.right() - room - left - 8, box.height()), card.pips, "small",
            "text.secondary",
        )  # fmt: skip

    def nextCheckState(self) -> None:
        # Which card is chosen says the ladder: a press on the chosen one must not put it out.
        self.setChecked(True)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        self._wish(self.card.name, "menu")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        wishes: dict[int, str] = {Qt.Key.Key_T: "trip", Qt.Key.Key_R: "reset", Qt.Key.Key_D: "drain"}
        if event.key() in ARROWS:
            self._walk(self, event.key())
        elif event.key() in wishes and not event.modifiers():
            self._wish(self.card.name, wishes[event.key()])
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._wish(self.card.name, "test")
        else:
            super().keyPressEvent(event)


class EmptySlot(QAbstractButton):
    """A dashed place: add an instance to this tier."""

    def __init__(self, tier: str, title: str, run: Callable[[], None], walk: Walk) -> None:
        super().__init__()
        self._walk = walk
        self.setObjectName(f"routing.add.{tier}")
        self.setText("Add an instance")
        self.setAccessibleName(f"Add an instance to {title}")
        self.setToolTip(f"Add a provider to {title}")
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.clicked.connect(bind(run))
        look().theme_changed.connect(self.updateGeometry)

    def sizeHint(self) -> QSize:
        return QSize(WIDTH_MIN, look().px(HEIGHT))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, look().px(HEIGHT))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect())
        if self.underMouse():
            rounded(painter, box, 7, fill="bg.hover")
        pen = QPen(look().colour("line.strong" if self.underMouse() else "line.normal"), 1)
        pen.setDashPattern([3, 3])
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), 6.5, 6.5)
        words = look().metrics("ui").horizontalAdvance(self.text())
        left = (self.width() - words - 20) / 2
        dpr = self.devicePixelRatioF()
        painter.drawPixmap(
            QPointF(left, round(self.height() / 2 - 7)), pixmap("plus", "text.tertiary", 14, dpr)
        )
        text(
            painter,
            QRectF(left + 20, 0, words + 4, self.height()),
            self.text(),
            "ui",
            "text.tertiary",
            align=CENTRE,
        )
        if has_keyboard_focus(self):
            focus_ring(painter, box.adjusted(3, 3, -3, -3), 6, inside=True)
        painter.end()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in ARROWS:
            self._walk(self, event.key())
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
        else:
            super().keyPressEvent(event)
