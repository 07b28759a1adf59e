# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The Spend tab: thirty days as bars, and the ledger added up by day, tier or model. Unknown prices are said, not drawn as 0."""

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QHelpEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QVBoxLayout, QWidget

from app.theme.apply import look
from app.theme.focus import has_keyboard_focus
from app.theme.paint import RIGHT, focus_ring, hairline, meter, rounded, text
from app.viewmodels import wording
from app.viewmodels.routing_spend import BYS, Day, Limit, SpendViewModel
from app.views.parts import ElidedLabel, column, fill, label, row
from app.views.routing.figures import Figures
from app.views.rows import Cell, Column, Line, Lines
from app.widgets.segmented import Segmented

CHART_HEIGHT = 148
COLUMNS = (
    Column("Attempts", 70, True),
    Column("Tokens in", 90, True),
    Column("Tokens out", 90, True),
    Column("Cost", 96, True),
    Column("", 150),
)


class DayChart(QWidget):
    """A bar a day: its height is money where any was spent in these days, else tokens; the axis says which."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("spend.chart")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self._days: tuple[Day, ...] = ()
        self._at = -1
        look().theme_changed.connect(self.updateGeometry)

    def show_days(self, days: tuple[Day, ...]) -> None:
        """Draw these."""
        self._days = days
        self._at = min(self._at, len(days) - 1)
        self._say()
        self.update()

    @property
    def shows_money(self) -> bool:
        """Whether the bars are money; else tokens."""
        return any(day.usd for day in self._days)

    @property
    def words(self) -> str:
        """What the day that is looked at says."""
        return self._days[self._at].words if 0 <= self._at < len(self._days) else ""

    def sizeHint(self) -> QSize:
        return QSize(300, look().px(CHART_HEIGHT))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self._days:
            painter.end()
            return
        box = self._box()
        values = [self._value(day) for day in self._days]
        largest = max(values) or 1.0
        hairline(painter, box.left(), round(box.top()), box.right())
        hairline(painter, box.left(), round(box.bottom()), box.right(), "line.normal")
        top = wording.money(largest) if self.shows_money else f"{wording.short_count(round(largest))} tok"
        if any(values):
            text(
                painter,
                QRectF(0, box.top() - 8, box.left() - 8, 16),
                top,
                "caption",
                "text.tertiary",
                weight=400,
                align=RIGHT,
            )
        step = box.width() / len(self._days)
        for at, (day, value) in enumerate(zip(self._days, values, strict=True)):
            self._paint_day(
                painter,
                QRectF(box.left() + at * step, box.top(), step, box.height()),
                day,
                value / largest,
                at,
            )
        painter.end()

    def _paint_day(self, painter: QPainter, box: QRectF, day: Day, share: float, at: int) -> None:
        if at == self._at:
            painter.fillRect(box.adjusted(0, -4, 0, 0), look().colour("bg.hover"))
            if has_keyboard_focus(self):
                focus_ring(painter, box.adjusted(0, -4, 0, 20), 3, inside=True)
        width = min(18.0, box.width() - 3)
        x = box.center().x() - width / 2
        if share > 0:
            tall = max(2.0, (box.height() - 6) * share)
            rounded(painter, QRectF(x, box.bottom() - tall, width, tall), 2, fill="data.3")
        if day.unpriced:
            # What has no known price is a mark above the bar, open as it is unknown.
            painter.setPen(QPen(look().colour("warn.mark"), 1.4))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            tall = (box.height() - 6) * share
            painter.drawEllipse(QPointF(box.center().x(), box.bottom() - tall - 7), 3, 3)
        if at % 7 == (len(self._days) - 1) % 7:
            words = "today" if at == len(self._days) - 1 else day.label
            half = look().px(34)
            place = QRectF(box.center().x() - half, box.bottom() + 4, 2 * half, look().px(14))
            text(
                painter,
                place,
                words,
                "caption",
                "text.tertiary",
                weight=400,
                align=Qt.AlignmentFlag.AlignHCenter,
            )

    def _box(self) -> QRectF:
        left, right = look().px(72), look().px(24)
        return QRectF(left, 14, self.width() - left - right, self.height() - 14 - look().px(24))

    def _value(self, day: Day) -> float:
        return day.usd if self.shows_money else float(day.tokens)

    def _place(self, x: float) -> int:
        box = self._box()
        if not self._days or not box.left() <= x <= box.right():
            return -1
        return min(len(self._days) - 1, int((x - box.left()) / (box.width() / len(self._days))))

    def _stand(self, at: int) -> None:
        if at != self._at:
            self._at = at
            self._say()
            self.update()

    def _say(self) -> None:
        what = "Spend" if self.shows_money else "Tokens"
        self.setAccessibleName(f"{what} by day, last {len(self._days)} days")
        self.setAccessibleDescription(self.words)
        self.chosen.emit(self.words)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._stand(self._place(event.position().x()))

    def leaveEvent(self, event: object) -> None:
        self._stand(-1)

    def event(self, event: object) -> bool:
        if isinstance(event, QHelpEvent) and self.words:
            QToolTip.showText(event.globalPos(), self.words, self)
            return True
        return super().event(event)  # type: ignore[arg-type]

    def keyPressEvent(self, event: QKeyEvent) -> None:
        last = len(self._days) - 1
        match event.key():
            case Qt.Key.Key_Left:
                self._stand(max(0, (last + 1 if self._at < 0 else self._at) - 1))
            case Qt.Key.Key_Right:
                self._stand(min(last, self._at + 1))
            case Qt.Key.Key_Home:
                self._stand(0)
            case Qt.Key.Key_End:
                self._stand(last)
            case _:
                super().keyPressEvent(event)


class Limits(QWidget):
    """The budgets there are: a bar each, what is held for running requests hatched; hidden where there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("spend.limits")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._limits: tuple[Limit, ...] = ()
        look().theme_changed.connect(self.updateGeometry)

    def show_limits(self, limits: tuple[Limit, ...]) -> None:
        """Draw these."""
        self._limits = limits
        self.setVisible(bool(limits))
        told = "; ".join(f"{limit.title}: {limit.words}" for limit in limits)
        self.setAccessibleName(f"Budgets. {told}")
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(300, len(self._limits) * look().px(24) + 8)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        height = look().px(24)
        for at, limit in enumerate(self._limits):
            top = at * height
            text(painter, QRectF(16, top, 150, height), limit.title, "small", weight=500)
            wide = look().metrics("small").horizontalAdvance(limit.words) + 2
            bar = QRectF(176, top + height / 2 - 3, max(40.0, self.width() - 176 - wide - 40), 6)
            colour = "err.mark" if limit.is_used_up else "data.3"
            meter(painter, bar, [(limit.spent, colour), (limit.held, "hatch")])
            ink = "err.text" if limit.is_used_up else "text.secondary"
            text(painter, QRectF(bar.right() + 12, top, wide, height), limit.words, "small", ink)
        painter.end()


class SpendTab(QWidget):
    """Figures, chart and table."""

    def __init__(self, spend: SpendViewModel) -> None:
        super().__init__()
        self.setObjectName("routing.spend")
        self._spend = spend
        layout: QVBoxLayout = column(self)
        self.figures = Figures("spend.figures", "Spend")
        self.chart = DayChart()
        self.said = ElidedLabel("", "small", "tertiary", "spend.said")
        chart_head = row(margins=(16, 10, 16, 0), spacing=8)
        self._chart_title = label("", "section")
        fill(chart_head, self._chart_title, None, self.said)
        self.chart.chosen.connect(self.said.set_words)
        self.by = Segmented(list(BYS), "Add up by", small=True)
        self.by.setObjectName("spend.by")
        self.by.changed.connect(spend.choose)
        bar = row(margins=(16, 8, 16, 8), spacing=8)
        note = label("Days are UTC. Every attempt is counted, also those that failed.", "small", "tertiary")
        fill(bar, self.by, None, note)
        self.table = Lines("spend.table", "Spend added up", COLUMNS, height=32)
        self._head = self.table.head("")
        self.empty = label("Nothing was asked yet. What answers cost is added up here.", "", "tertiary")
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.limits = Limits()
        fill(layout, self.figures, chart_head, self.chart, self.limits, bar, self._head)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.empty, 1)
        spend.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """As the ledger has it."""
        spend = self._spend
        self.figures.show_figures(spend.figures)
        self.chart.show_days(spend.days)
        self.limits.show_limits(spend.limits)
        self._chart_title.setText("Spend by day" if self.chart.shows_money else "Tokens by day")
        lines = spend.lines
        self.table.lines.show_rows(
            [
                Line(
                    key=line.key or "-",
                    title=line.title,
                    tier=line.tier,
                    cells=(
                        Cell(line.requests, colour="text.secondary"),
                        Cell(line.tokens_in, colour="text.secondary"),
                        Cell(line.tokens_out, colour="text.secondary"),
                        Cell(line.cost),
                        Cell(line.note, style="small", colour="warn.text"),
                    ),
                )
                for line in lines
            ]
        )
        is_empty = spend.is_loaded and not lines
        self.table.setVisible(not is_empty)
        self._head.setVisible(not is_empty)
        self.empty.setVisible(is_empty)

    def take_focus(self, reason: Qt.FocusReason) -> None:
        """The table."""
        self.table.setFocus(reason)
