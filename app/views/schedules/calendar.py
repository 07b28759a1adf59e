# ruff: noqa: D102  (Qt overrides do what Qt says)
"""A week of fires, painted: chips, blocks and dots on seven columns of a day, the present hour as a line."""

from collections.abc import Callable
from datetime import datetime, timedelta

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.theme.apply import look
from app.theme.paint import RIGHT, rounded, text
from app.viewmodels.schedule_week import Mark, State, Week

LABELS, HEAD, EDGE, CHIP, HOURS = 56, 26, 14, 18, 24
MARK_COLOURS: dict[State, str] = {
    "ok": "ok.mark", "failed": "err.mark", "missed": "warn.mark", "running": "accent.fill", "coming": "line.strong",
}  # fmt: skip
STATE_WORDS: dict[State, str] = {
    "ok": "OK", "failed": "failed", "missed": "left out", "running": "running", "coming": "to come",
}  # fmt: skip


class WeekCalendar(QWidget):
    """`chosen` carries the schedule of a mark that was clicked. Its table twin is the accessible description."""

    chosen = Signal(str)

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__()
        self.setObjectName("schedules.week")
        self.setAccessibleName("Week")
        self._now = now
        self._week: Week | None = None
        self._selected = ""
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        look().theme_changed.connect(self.update)

    def show_week(self, week: Week, selected: str) -> None:
        """Draw this; the marks of the selected schedule stand out."""
        self._week, self._selected = week, selected
        lines: list[str] = []
        for at, marks in enumerate(week.days):
            day = week.monday + timedelta(days=at)
            told = [
                f"{_clock(mark.start_h)} {mark.schedule} {mark.detail or STATE_WORDS[mark.state]}"
                for mark in marks
            ]
            lines.append(f"{day:%A}: {'; '.join(told) or 'nothing'}")
        self.setAccessibleDescription("\n".join(lines))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(600, look().px(390))

    def minimumSizeHint(self) -> QSize:
        return QSize(300, look().px(150))

    # Places

    @property
    def _labels(self) -> float:
        return look().px(LABELS)

    @property
    def _head(self) -> float:
        return look().px(HEAD)

    def _day_width(self) -> float:
        return (self.width() - self._labels) / 7

    def _hour_height(self) -> float:
        return (self.height() - self._head - 10) / HOURS

    def _y(self, hour: float) -> float:
        return self._head + hour * self._hour_height()

    def _box(self, at: int, mark: Mark) -> QRectF:
        left = self._labels + at * self._day_width()
        if mark.kind == "dot":
            return QRectF(left + self._day_width() - 11, self._y(mark.start_h) - 4, 8, 8)
        room = self._day_width() - 6 - EDGE
        wide = room / mark.lanes
        top = self._y(mark.start_h)
        tall = max(look().px(CHIP), self._y(mark.end_h) - top) if mark.kind == "block" else look().px(CHIP)
        if mark.kind == "chip":
            top -= tall / 2 - 2
        top = max(self._head + 1, min(top, self.height() - tall - 2))
        return QRectF(left + 6 + mark.lane * wide, top, wide - (2 if mark.lanes > 1 else 0), tall)

    def _mark_at(self, place: QPointF) -> Mark | None:
        if self._week is None:
            return None
        for at, marks in enumerate(self._week.days):
            for mark in marks:
                if self._box(at, mark).adjusted(-2, -2, 2, 2).contains(place):
                    return mark
        return None

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._week is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        now, wide = self._now(), self._day_width()
        today = (now.date() - self._week.monday).days
        if 0 <= today < 7:
            column = QRectF(self._labels + today * wide, 0, wide, self.height())
            painter.fillRect(column, look().colour("accent.soft"))
        self._paint_grid(painter, today)
        for at, marks in enumerate(self._week.days):
            for mark in marks:
                self._paint_mark(painter, self._box(at, mark), mark)
        if 0 <= today < 7:
            y = round(self._y(now.hour + now.minute / 60)) + 0.5
            left = self._labels + today * wide
            painter.setPen(QPen(look().colour("accent.fill"), 1.6))
            painter.drawLine(QPointF(left, y), QPointF(left + wide, y))
            rounded(painter, QRectF(left - 3.5, y - 3.5, 7, 7), 3.5, fill="accent.fill")
        painter.end()

    def _paint_grid(self, painter: QPainter, today: int) -> None:
        assert self._week is not None
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        step = 4 if self._hour_height() >= 9 else 6 if self._hour_height() >= 6 else 12
        for hour in range(0, HOURS + 1, step):
            y = round(self._y(hour))
            painter.fillRect(QRectF(self._labels, y, self.width(), 1), look().colour("line.subtle"))
            box = QRectF(0, y - 8, self._labels - 10, 16)
            text(painter, box, f"{hour:02}:00", "caption", "text.tertiary", align=RIGHT, weight=400)
        for at in range(7):
            left = round(self._labels + at * self._day_width())
            painter.fillRect(QRectF(left, 0, 1, self.height()), look().colour("line.subtle"))
            day = self._week.monday + timedelta(days=at)
            ink = "accent.text" if at == today else "text.secondary"
            text(
                painter,
                QRectF(left + 8, 0, self._day_width() - 10, self._head),
                f"{day:%a} {day.day}",
                "caption",
                ink,
            )
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)

    def _paint_mark(self, painter: QPainter, box: QRectF, mark: Mark) -> None:
        colour = MARK_COLOURS[mark.state]
        if mark.kind == "dot":
            _dot(painter, box.center(), 3.6, mark.state)
            return
        is_selected = mark.schedule == self._selected
        rounded(painter, box, 3, fill="bg.raised", line="accent.fill" if is_selected else "line.normal")
        rounded(painter, QRectF(box.left(), box.top(), 3, box.height()), 1.5, fill=colour)
        words = QRectF(box.left() + 9, box.top() + 1, box.width() - 13, look().px(16))
        text(painter, words, mark.schedule, "caption", weight=400)
        if mark.kind == "block":
            ink = {"failed": "err.text", "missed": "warn.text"}.get(mark.state, "text.tertiary")
            room = words.adjusted(0, look().px(15), -8, look().px(15))
            if room.bottom() <= box.bottom():
                text(painter, room, mark.detail, "caption", ink, weight=400)
            for hour, state in mark.dots:
                y = min(max(self._y(hour), box.top() + 4), box.bottom() - 4)
                _dot(painter, QPointF(box.right() - 8, y), 2.6, state)

    # The mouse

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        over = self._mark_at(event.position()) is not None
        self.setCursor(Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        mark = self._mark_at(event.position())
        if mark is not None and event.button() == Qt.MouseButton.LeftButton:
            self.chosen.emit(mark.schedule)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            mark = self._mark_at(QPointF(event.pos()))
            if mark is not None:
                words = mark.detail or STATE_WORDS[mark.state]
                QToolTip.showText(
                    event.globalPos(), f"{mark.schedule}, {_clock(mark.start_h)}: {words}", self
                )
            else:
                QToolTip.hideText()
            return True
        return super().event(event)


def _dot(painter: QPainter, centre: QPointF, radius: float, state: State) -> None:
    box = QRectF(centre.x() - radius, centre.y() - radius, 2 * radius, 2 * radius)
    if state == "coming":
        rounded(painter, box, radius, line="line.strong", fill="bg.content")
    elif state in ("failed", "missed"):
        # A square, so that colour does not stand alone.
        rounded(painter, box, 1, fill=MARK_COLOURS[state])
    else:
        rounded(painter, box, radius, fill=MARK_COLOURS[state])


def _clock(hour: float) -> str:
    minutes = round(hour * 60)
    return f"{minutes // 60:02}:{minutes % 60:02}"
