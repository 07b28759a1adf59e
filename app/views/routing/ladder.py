# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The ladder: five rungs, frontier on top and this computer at the bottom, cards on each, and the line between them."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

from PySide6.QtCore import QEvent, QObject, QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QScrollArea, QSizePolicy, QWidget

from app.theme.apply import look
from app.theme.icons import paint_tier, pixmap
from app.theme.paint import hairline, text
from app.viewmodels.routing import RoutingViewModel
from app.viewmodels.routing_cards import Card, RungWords
from app.views.parts import bind
from app.views.routing.card import HEIGHT, WIDTH_MIN, EmptySlot, InstanceCard
from app.views.routing.travel import Travel

LINE_X, CARDS_X, RIGHT_PAD, GAP, PAD = 150, 166, 16, 10, 15
SLOT_COLUMNS = 3
WIDE_FROM = 460


class Ladder(QWidget):
    """Rungs of equal height that share the room; with more cards than fit in a line a rung grows."""

    def __init__(
        self, routing: RoutingViewModel, wished: Callable[[str, str], None], add: Callable[[str], None]
    ) -> None:
        super().__init__()
        self.setObjectName("routing.ladder")
        self.setAccessibleName("Ladder of tiers")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.MinimumExpanding)
        self._routing = routing
        self._wished = wished
        self._add = add
        self._rungs: tuple[RungWords, ...] = ()
        self._tops: list[tuple[float, float]] = []
        self._columns = SLOT_COLUMNS
        self.cards: dict[str, InstanceCard] = {}
        self.slots: dict[str, EmptySlot] = {}
        self.is_still = False
        self.travel = Travel(self, self._stations, self.update)
        routing.changed.connect(self.refresh)
        routing.traffic_changed.connect(self._show_traffic)
        routing.moved.connect(self._move)
        routing.ticked.connect(self._tick)
        routing.selected_changed.connect(self._show_selected)
        look().theme_changed.connect(self._restyle)
        self.refresh()

    # What is shown

    def refresh(self) -> None:
        """Cards as the view-model has them; those that stay keep the focus."""
        self._rungs = self._routing.rungs
        wanted = {card.name: card for rung in self._rungs for card in rung.cards}
        for name in [name for name in self.cards if name not in wanted]:
            self._drop(self.cards.pop(name))
        for name, card in wanted.items():
            if name in self.cards:
                self.cards[name].show_card(card, self._routing.running(name))
            else:
                self.cards[name] = self._make(card)
        for rung in self._rungs:
            if rung.tier not in self.slots:
                slot = EmptySlot(rung.tier, rung.title, partial(self._add, rung.tier), self._walk)
                slot.setParent(self)
                self.slots[rung.tier] = slot
        self.setAccessibleDescription(self._told())
        self._order_tabs()
        self._show_selected()
        self._arrange()
        self.updateGeometry()

    def _told(self) -> str:
        """The ladder as a sentence a tier, for who cannot see it."""
        told: list[str] = []
        for rung in self._rungs:
            cards = ", ".join(f"{card.name} {card.word.lower()}" for card in rung.cards) or "no instance"
            told.append(f"{rung.title}: {cards}" + (f"; {rung.closed}" if rung.closed else ""))
        return ". ".join(told)

    def take_focus(self, reason: Qt.FocusReason) -> None:
        """The selected card, or the first there is."""
        target = self.cards.get(self._routing.selected) or next(iter(self.cards.values()), None)
        (target or self).setFocus(reason)
        QTimer.singleShot(0, self, self._reveal_focused)  # its place is known once the page is laid out

    def _reveal_focused(self) -> None:
        held = next((card for card in self.cards.values() if card.hasFocus()), None)
        if held is not None:
            self._reveal(held)

    def _make(self, card: Card) -> InstanceCard:
        made = InstanceCard(
            card, self._routing.running(card.name), self._pill_words, self._walk, self._wished
        )
        made.setParent(self)
        made.clicked.connect(bind(self._routing.select, card.name))
        made.installEventFilter(self)
        made.show()
        return made

    def _pill_words(self, card: Card) -> str:
        return card.pill(self._routing.now())

    def _drop(self, card: QWidget) -> None:
        card.removeEventFilter(self)
        card.hide()
        card.deleteLater()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        # Where the keyboard stands is what the inspector shows.
        if event.type() == QEvent.Type.FocusIn and isinstance(watched, InstanceCard):
            self._routing.select(watched.card.name)
        return super().eventFilter(watched, event)

    def _show_selected(self) -> None:
        for name, card in self.cards.items():
            is_on = name == self._routing.selected
            if card.isChecked() != is_on:
                card.setChecked(is_on)
            # One tab stop: the selected card; arrows reach the others.
            card.setFocusPolicy(Qt.FocusPolicy.StrongFocus if is_on else Qt.FocusPolicy.ClickFocus)

    def _show_traffic(self) -> None:
        self.travel.set_counts(self._routing.running_by_tier())
        self.travel.keep(self._routing.requests())
        for name, card in self.cards.items():
            running = self._routing.running(name)
            if running != card.running:
                card.show_card(card.card, running)

    def _move(self, request: str, was: str, now: str) -> None:
        self.travel.move(request, was, now, is_seen=self.isVisible() and not self.is_still)

    def _tick(self) -> None:
        for card in self.cards.values():
            if card.card.until is not None:
                card.say()

    # Where things stand

    def sizeHint(self) -> QSize:
        return QSize(CARDS_X + SLOT_COLUMNS * (WIDTH_MIN + GAP) + RIGHT_PAD, self._height_needed())

    def minimumSizeHint(self) -> QSize:
        return QSize(320, self._height_needed())

    def _rung_height(self, rung: RungWords) -> float:
        lines = max(1, -(-len(rung.cards) // max(1, self._columns)))
        return lines * look().px(HEIGHT) + (lines - 1) * GAP + 2 * PAD

    def _height_needed(self) -> int:
        return round(sum(self._rung_height(rung) for rung in self._rungs)) or look().px(HEIGHT) * 5

    def _left(self) -> int:
        return CARDS_X if self.width() >= WIDE_FROM else 40

    def _arrange(self) -> None:
        left = self._left()
        room = self.width() - left - RIGHT_PAD
        scale = look().px(100) / 100
        self._columns = max(1, int((room + GAP) // (WIDTH_MIN * min(scale, 1.3) + GAP)))
        columns = min(
            self._columns, max(SLOT_COLUMNS, max((len(rung.cards) for rung in self._rungs), default=1))
        )
        self._columns = columns
        width = (room - (columns - 1) * GAP) / columns
        heights = [self._rung_height(rung) for rung in self._rungs]
        spare = max(0.0, self.height() - sum(heights)) / len(heights) if heights else 0.0
        self._tops = []
        top = 0.0
        for rung, height in zip(self._rungs, heights, strict=True):
            tall = height + spare
            self._tops.append((top, tall))
            first = top + (tall - height) / 2 + PAD
            for at, card in enumerate(rung.cards):
                self._put(self.cards[card.name], at, columns, left, width, first)
            slot = self.slots[rung.tier]
            at = len(rung.cards)
            has_room = at < columns
            slot.setVisible(has_room)
            if has_room:
                self._put(slot, at, columns, left, width, first)
            top += tall
        self.setMinimumHeight(self._height_needed())
        self.update()

    def _put(self, card: QWidget, at: int, columns: int, left: int, width: float, top: float) -> None:
        line, column = divmod(at, columns)
        x = round(left + column * (width + GAP))
        height = look().px(HEIGHT)
        card.setGeometry(x, round(top + line * (height + GAP)), round(width), height)

    def _stations(self) -> dict[str, float]:
        half = PAD + look().px(HEIGHT) / 2
        return {
            rung.tier: top + (tall - self._rung_height(rung)) / 2 + half
            for rung, (top, tall) in zip(self._rungs, self._tops, strict=True)
        }

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def _restyle(self) -> None:
        self._arrange()
        self.updateGeometry()

    # Paint

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._tops:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        is_wide = self._left() == CARDS_X
        for at, (rung, (top, tall)) in enumerate(zip(self._rungs, self._tops, strict=True)):
            if at:
                hairline(painter, 0, round(top), self.width(), "line.normal")
            self._paint_label(painter, rung, top + (tall - self._rung_height(rung)) / 2, is_wide)
        stations = self._stations()
        last = list(stations.values())[-1]
        first = self._tops[0][0] + 24
        bottom = min(self.height() - 24.0, last + 40)
        if is_wide:
            self.travel.paint(painter, LINE_X, first, bottom, CARDS_X)
        painter.end()

    def _paint_label(self, painter: QPainter, rung: RungWords, top: float, is_wide: bool) -> None:
        line = look().px(18)
        y = top + PAD
        if not is_wide:
            paint_tier(painter, rung.tier, 14, y + look().px(HEIGHT) / 2 - 7, 14)
            return
        paint_tier(painter, rung.tier, 16, y + (line - 14) / 2, 14)
        room = LINE_X - 10 - 38
        text(painter, QRectF(38, y, room, line), rung.title, "ui", weight=600)
        about = QRectF(38, y + line, room, 3 * look().px(16))
        if rung.closed:
            dpr = self.devicePixelRatioF()
            painter.drawPixmap(38, round(y + line + 2), pixmap("lock", "warn.text", 12, dpr))
            text(
                painter,
                QRectF(54, y + line, room - 16, look().px(16)),
                "closed by policy",
                "small",
                "warn.text",
            )
            return
        painter.setFont(look().font("small"))
        painter.setPen(look().colour("text.tertiary"))
        painter.drawText(about, int(Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignTop), rung.about)

    # The keyboard

    def _order_tabs(self) -> None:
        # By tab and by reading, as it is seen: from the top, each rung from its left.
        chain: list[QWidget] = []
        for rung in self._rungs:
            chain += [self.cards[card.name] for card in rung.cards]
            chain.append(self.slots[rung.tier])
        for before, after in pairwise(chain):
            QWidget.setTabOrder(before, after)

    def _walk(self, source: QWidget, key: int) -> None:
        stops = [part for part in (*self.cards.values(), *self.slots.values()) if part.isVisible()]
        here = source.geometry().center()
        if key in (Qt.Key.Key_Home, Qt.Key.Key_End):
            stops.sort(key=lambda part: (part.y(), part.x()))
            target: QWidget | None = stops[0 if key == Qt.Key.Key_Home else -1]
        else:
            target = self._nearest(stops, source, key, here.x(), here.y())
        if target is not None:
            target.setFocus(Qt.FocusReason.TabFocusReason)
            self._reveal(target)

    def _nearest(self, stops: Sequence[QWidget], source: QWidget, key: int, x: int, y: int) -> QWidget | None:
        sideways = key in (Qt.Key.Key_Left, Qt.Key.Key_Right)
        sign = 1 if key in (Qt.Key.Key_Right, Qt.Key.Key_Down) else -1
        best: tuple[int, QWidget] | None = None
        for part in stops:
            centre = part.geometry().center()
            along = (centre.x() - x if sideways else centre.y() - y) * sign
            aside = abs(centre.y() - y if sideways else centre.x() - x)
            if part is source or along <= 0 or (sideways and aside > 4):
                continue
            cost = along * 4 + aside
            if best is None or cost < best[0]:
                best = (cost, part)
        return best[1] if best else None

    def _reveal(self, target: QWidget) -> None:
        area = self.parentWidget()
        while area is not None and not isinstance(area, QScrollArea):
            area = area.parentWidget()
        if isinstance(area, QScrollArea):
            area.ensureWidgetVisible(target, 0, PAD)
