"""The line of the ladder with its stations, and the requests that travel it as dots.

A dot moves only when its request moved, for at most 180 ms; standing still it costs nothing. In calm mode, and with
reduced motion, numbers stand where the dots would be.
"""

from collections import Counter
from collections.abc import Callable

from PySide6.QtCore import QEasingCurve, QPointF, QRectF, QVariantAnimation
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QWidget

from app.theme.apply import look
from app.theme.paint import text

DOTS_MAX = 60
MOVE_MS = 180
DOT_RADIUS, STATION_RADIUS = 3.5, 5.0
DOT_STEP, DOTS_IN_SIGHT = 9, 6


class Travel:
    """Where every dot stands or goes; paints on the ladder's own surface, `stations` gives each tier's height."""

    def __init__(
        self, owner: QWidget, stations: Callable[[], dict[str, float]], changed: Callable[[], None]
    ) -> None:
        self._stations = stations
        self._changed = changed
        self.is_calm = False
        self.counts: Counter[str] = Counter()
        self._dots: dict[str, tuple[str, str]] = {}
        """By request: the tiers it comes from and stands at."""
        self._progress = 1.0
        self._animation = QVariantAnimation(owner)
        self._animation.setObjectName("routing.travel")
        self._animation.setStartValue(0.0)
        self._animation.setEndValue(1.0)
        self._animation.setDuration(MOVE_MS)
        self._animation.setEasingCurve(QEasingCurve.Type.OutCubic)
        self._animation.valueChanged.connect(self._step)

    def set_counts(self, counts: Counter[str]) -> None:
        """How many run on each tier."""
        self.counts = counts
        self._changed()

    def keep(self, running: dict[str, str]) -> None:
        """These run, each on its tier: dots of others are taken away, and what ran before it was seen gets one."""
        kept = {request: place for request, place in self._dots.items() if request in running}
        for request, tier in running.items():
            if request not in kept and len(kept) < DOTS_MAX:
                kept[request] = (tier, tier)
        self._dots = kept

    def move(self, request: str, was: str, now: str, *, is_seen: bool) -> None:
        """A request went from tier to tier; from nothing it enters at the ladder's foot, to nothing it leaves."""
        if not now:
            self._dots.pop(request, None)
        elif request in self._dots or len(self._dots) < DOTS_MAX:
            self._dots[request] = (was, now)
        if is_seen and not self.is_calm and now:
            self._progress = 0.0
            self._animation.stop()
            self._animation.start()
        self._changed()

    def set_calm(self, is_calm: bool) -> None:
        """Numbers instead of dots."""
        self.is_calm = is_calm
        self.rest()

    def rest(self) -> None:
        """Everything stands where it belongs."""
        self._animation.stop()
        self._progress = 1.0
        self._changed()

    @property
    def dots(self) -> dict[str, str]:
        """Where each dot stands or goes to, by request."""
        return {request: now for request, (_, now) in self._dots.items()}

    @property
    def is_moving(self) -> bool:
        """Whether a dot is on its way."""
        return self._animation.state() == QVariantAnimation.State.Running

    def paint(self, painter: QPainter, x: float, top: float, bottom: float, reach: float) -> None:
        """The line at `x` from `top` to `bottom`; `reach` is where the cards begin."""
        stations = self._stations()
        live = [stations[tier] for tier, count in self.counts.items() if count and tier in stations]
        painter.setPen(QPen(look().colour("line.normal"), 2))
        painter.drawLine(QPointF(x, top), QPointF(x, bottom))
        if live:
            painter.setPen(QPen(look().colour("accent.fill"), 2))
            painter.drawLine(QPointF(x, min(live)), QPointF(x, bottom))
        for tier, y in stations.items():
            self._paint_station(painter, x, y, reach, self.counts.get(tier, 0))
        if not self.is_calm:
            self._paint_dots(painter, x, stations, bottom)

    def _paint_station(self, painter: QPainter, x: float, y: float, reach: float, count: int) -> None:
        painter.setPen(QPen(look().colour("line.strong"), 1))
        painter.drawLine(QPointF(x + STATION_RADIUS, y), QPointF(reach - 2, y))
        painter.setPen(QPen(look().colour("accent.fill" if count else "line.strong"), 1.4))
        painter.setBrush(look().colour("accent.fill" if count else "bg.content"))
        painter.drawEllipse(QPointF(x, y), STATION_RADIUS, STATION_RADIUS)
        if count and (self.is_calm or count > DOTS_IN_SIGHT):
            words = str(count)
            width = look().metrics("caption").horizontalAdvance(words) + 2
            text(painter, QRectF(x - width - 9, y - 9, width, 18), words, "caption", "accent.text")

    def _paint_dots(self, painter: QPainter, x: float, stations: dict[str, float], bottom: float) -> None:
        painter.setPen(QPen(look().colour("bg.content"), 1))
        painter.setBrush(look().colour("accent.fill"))
        seen: Counter[str] = Counter()
        for was, now in self._dots.values():
            at = seen[now]
            seen[now] += 1
            if at >= DOTS_IN_SIGHT or now not in stations:
                continue
            # They queue below their station, the way they came.
            end = stations[now] + STATION_RADIUS + DOT_RADIUS + 3 + at * DOT_STEP
            start = stations.get(was, bottom)
            y = start + (end - start) * self._progress if was != now else end
            painter.drawEllipse(QPointF(x, y), DOT_RADIUS, DOT_RADIUS)

    def _step(self, value: object) -> None:
        self._progress = float(value) if isinstance(value, float) else 1.0
        if self._progress >= 1.0:
            # Arrived: a later move of another request does not send these on their way again.
            self._dots = {request: (now, now) for request, (_, now) in self._dots.items()}
        self._changed()
