# ruff: noqa: D102  (Qt overrides do what Qt says)
"""Painted parts of a schedule's inspector: its coming moments, a note about clocks, its last runs as bars."""

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QHelpEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QSizePolicy, QToolTip, QWidget

from app.theme.apply import look
from app.theme.icons import pixmap
from app.theme.paint import RIGHT, rounded, text
from app.viewmodels import wording
from app.viewmodels.schedule_reading import Run
from app.viewmodels.schedule_words import run_pill
from app.views.parts import column, label

BAR_COLOURS = {"ok": "data.4", "failed": "err.mark", "missed": "warn.mark", "running": "accent.fill"}


class NextTimes(QWidget):
    """The coming moments: day, local time, UTC."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("schedules.next")
        self._times: tuple[tuple[str, str, str], ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        look().theme_changed.connect(self.updateGeometry)

    def show_times(self, times: Sequence[tuple[str, str, str]]) -> None:
        """Show these."""
        self._times = tuple(times)
        said = "; ".join(f"{day} {clock}, {utc} UTC" for day, clock, utc in times)
        self.setAccessibleName(f"Next times: {said or 'none'}")
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(200, len(self._times) * look().px(21))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        height = look().px(21)
        for at, (day, clock, utc) in enumerate(self._times):
            box = QRectF(12, at * height, self.width() - 24, height)
            text(painter, box, day, "small")
            text(painter, box.adjusted(look().px(92), 0, 0, 0), clock, "small")
            text(painter, box, utc, "small", "text.secondary", align=RIGHT)
        painter.end()


class ClockNote(QFrame):
    """What a change of clocks does, on the warning's ground."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("schedules.clockNote")
        self.words = label("", "small", wraps=True)
        column(self, (34, 8, 12, 8)).addWidget(self.words)

    def show_notes(self, notes: Sequence[str]) -> None:
        """Say these, or vanish."""
        self.words.setText("\n".join(notes))
        self.setAccessibleName(" ".join(notes))
        self.setVisible(bool(notes))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), look().colour("warn.soft"))
        painter.drawPixmap(12, 9, pixmap("triangle-alert", "warn.mark", 14, self.devicePixelRatioF()))
        painter.end()


class RunBars(QWidget):
    """The last runs, oldest left: height is how long each took, colour and shape how it went. A click chooses."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("schedules.runs")
        self._runs: tuple[Run, ...] = ()
        self._words: tuple[str, ...] = ()
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        look().theme_changed.connect(self.updateGeometry)

    def show_runs(self, runs: Sequence[Run], words: Sequence[str]) -> None:
        """Draw these, oldest first, each with what its tooltip says."""
        self._runs, self._words = tuple(runs), tuple(words)
        told = ", ".join(f"{run_pill(run)[0]} {wording.duration(run.took_s)}" for run in runs)
        self.setAccessibleName(f"Last runs: {told or 'none'}")
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(200, look().px(40))

    def _step(self) -> float:
        return (self.width() - 24) / max(20, len(self._runs))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        longest = max([run.took_s or 0.0 for run in self._runs] + [0.001])
        step, floor = self._step(), self.height() - 2.0
        for at, run in enumerate(self._runs):
            share = (run.took_s or 0.0) / longest
            # Even the quickest is seen; what has no length is a mark of its own.
            tall = (self.height() - 4) * (0.25 + 0.75 * share) if run.took_s is not None else 6.0
            box = QRectF(12 + at * step, floor - tall, max(3.0, step - 4), tall)
            rounded(painter, box, 2, fill=BAR_COLOURS.get(run.state, "line.strong"))
            if run.state == "failed":
                cross = QRectF(box.left(), box.top() - 3, box.width(), 2)
                rounded(painter, cross, 1, fill="err.mark")
        painter.end()

    def _place(self, at: QPointF) -> int:
        place = int((at.x() - 12) // self._step()) if at.x() >= 12 else -1
        return place if 0 <= place < len(self._runs) else -1

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        over = self._place(event.position()) >= 0
        self.setCursor(Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        place = self._place(event.position())
        if place >= 0 and event.button() == Qt.MouseButton.LeftButton:
            self.chosen.emit(place)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            place = self._place(QPointF(event.pos()))
            if place >= 0:
                QToolTip.showText(event.globalPos(), self._words[place], self)
            return True
        return super().event(event)
