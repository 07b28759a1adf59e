# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The scrolling surface of a transcript: lays out what is seen, paints it, takes the stream, follows its end.

No timer runs while nothing comes: the frame timer is armed by arriving text and exists only while a message grows, the
stepping glyph only while it is on screen.
"""

from collections import OrderedDict
from collections.abc import Callable

from PySide6.QtCore import QElapsedTimer, QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAccessibleInterface,
    QHideEvent,
    QPainter,
    QPaintEvent,
    QPixmap,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QPushButton, QScrollBar, QWidget

from app.theme.apply import look
from app.theme.icons import set_icon
from app.theme.paint import rounded
from app.widgets.transcript.estimate import Metrics, message_height
from app.widgets.transcript.find import ranges
from app.widgets.transcript.laid import OWN_INDENT_PX, OWN_PAD_X, Laid, Paint, Spot
from app.widgets.transcript.laid_code import CodeLaid
from app.widgets.transcript.lexers import lexers
from app.widgets.transcript.model import Message, TranscriptModel
from app.widgets.transcript.pacing import FrameGovernor
from app.widgets.transcript.rows import GAP_MESSAGE, MessageRows, Row
from app.widgets.transcript.selection import Selection
from app.widgets.transcript.stack import Place, Seen, Stack

MARGIN_PX = 24
BAR_PX = 10
LAID_MAX = 192
COLOUR_SLICE_MS = 3
STEP_MS = 250
SCROLL_STEP_PX = 20


class TranscriptCanvas(QAbstractScrollArea):
    """Shows a `TranscriptModel`; `TranscriptView` adds mouse, keyboard and find."""

    follow_changed = Signal(bool)
    """Whether the end of a growing answer is kept in view."""

    def __init__(self, model: TranscriptModel | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("transcript")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.model = model or TranscriptModel(self)
        self.selection = Selection()
        self._items: dict[int, MessageRows] = {}
        self._stack = Stack(self._open_item, self._measure, self._close_item)
        self._kept: OrderedDict[int, Row] = OrderedDict()
        self._seen: list[Seen] = []
        self._seen_rows: list[Row] = []
        self._unfolded: set[str] = set()
        self._pending: dict[int, list[str]] = {}
        self._sizes: dict[int, tuple[int, int]] = {}
        self._frame: QTimer | None = None
        self._governor = FrameGovernor()
        self._tick_ms = 0.0
        self._thought: set[int] = set()
        """Messages whose reasoning grew since the last frame."""
        self._stepper = QTimer(self)
        self._stepper.setInterval(STEP_MS)
        self._stepper.timeout.connect(self._step_glyphs)
        self._step = 0
        self._colouring = False
        self._follow = True
        self._missed_px = 0
        self._syncing = False
        self._value = 0
        self._hover: tuple[Place, Spot] | None = None
        self.picture_of: Callable[[str, int], QPixmap | None] | None = None
        """Gives the small pictures of a message; asked while painting, so it must not wait."""
        self._copied: Place | None = None
        self._query = ""
        self._current: tuple[Place, int] | None = None
        self._reading = -1
        self.voice: QAccessibleInterface | None = None
        """What screen readers are given, once one asked; Qt owns it, this keeps Python from letting go of it."""
        self._bar = QScrollBar(Qt.Orientation.Vertical, self)
        self._bar.valueChanged.connect(self._bar_moved)
        self._bar.sliderReleased.connect(self._sync_bars)
        self._pill = QPushButton(self)
        self._pill.setObjectName("followPill")
        self._pill.setProperty("small", True)
        self._pill.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._pill.clicked.connect(self.follow_end)
        self._pill.hide()
        set_icon(self._pill, "arrow-down", "text.secondary", 12)
        self.verticalScrollBar().setSingleStep(SCROLL_STEP_PX)
        look().theme_changed.connect(self._restyle)
        lexers().loaded.connect(self._lexer_loaded)
        self._connect_model()

    # ---- the model ----------------------------------------------------------------------------------------------

    def _connect_model(self) -> None:
        model = self.model
        model.was_reset.connect(self._model_reset)
        model.message_added.connect(self._message_added)
        model.message_changed.connect(self._message_changed)
        model.text_grown.connect(self._text_grown)
        model.thinking_grown.connect(self._thinking_grown)
        model.stream_began.connect(self._stream_began)
        model.stream_ended.connect(self._stream_ended)
        model.messages_dropped.connect(self._messages_dropped)

    def _model_reset(self) -> None:
        self._pending.clear()
        self._thought.clear()
        self._sizes.clear()
        self._unfolded.clear()
        self._hover = self._copied = self._current = None
        self._reading = -1
        self.selection.clear()
        self._stack.reset(self._estimates())
        self._set_follow(True)
        self._stack.to_bottom()
        self._refresh()
        if not self.model.is_streaming:
            self._drop_frame_timer()

    def _message_added(self, place: int) -> None:
        message = self.model.at(place)
        before = self._stack.total
        self._stack.append(self._estimate(message, self._metrics()))
        if message.role == "user":
            self._set_follow(True)
        self._moved_on(before)

    def _message_changed(self, place: int) -> None:
        """Status, badge, note or another text; only the rows that changed are built again."""
        self._flush(place)
        message = self.model.at(place)
        rows = self._items.get(place)
        before = self._stack.total
        if rows is None:
            self._stack.reestimate(place, self._estimate(message, self._metrics()))
        else:
            same = message is rows.message and message.role == "assistant"
            if same:
                first = rows.refresh()
            else:
                rows = self._items[place] = MessageRows(message, self._column_width(), self._is_unfolded)
                self.selection.forget_from(place)
                first = 0
            self._rows_changed(place, rows, first)
        self._moved_on(before)

    def _stream_began(self, place: int) -> None:
        if self._frame is None:
            self._frame = QTimer(self)
            self._frame.setSingleShot(True)
            self._frame.setTimerType(Qt.TimerType.PreciseTimer)
            self._frame.timeout.connect(self._tick)
        self._governor = FrameGovernor()

    def _text_grown(self, place: int, delta: str) -> None:
        self._pending.setdefault(place, []).append(delta)
        if self._frame is None:
            self._stream_began(place)
        assert self._frame is not None
        if not self._frame.isActive():
            self._frame.start(self._governor.interval_ms)

    def _thinking_grown(self, place: int) -> None:
        self._thought.add(place)
        self._text_grown(place, "")

    def _stream_ended(self, place: int) -> None:
        self._flush(place)
        rows = self._items.get(place)
        before = self._stack.total
        if rows is not None:
            self._rows_changed(place, rows, rows.finish())
        self._sizes.pop(place, None)
        self._moved_on(before)
        if not self.model.is_streaming:
            self._drop_frame_timer()

    def _messages_dropped(self, place: int) -> None:
        for gone in [item for item in self._pending if item >= place]:
            del self._pending[gone]
        self.selection.forget_from(place)
        self._stack.truncate(place)
        self._refresh()

    def _drop_frame_timer(self) -> None:
        if self._frame is not None:
            self._frame.stop()
            self._frame.deleteLater()
            self._frame = None

    def _tick(self) -> None:
        """One frame of a stream: everything that came since the last goes in at once."""
        timer = QElapsedTimer()
        timer.start()
        before = self._stack.total
        for place in list(self._pending):
            self._flush(place)
        self._moved_on(before)
        self._tick_ms = timer.nsecsElapsed() / 1e6

    def _flush(self, place: int) -> None:
        deltas = self._pending.pop(place, None)
        if deltas is None:
            return
        delta = "".join(deltas)
        rows = self._items.get(place)
        if place in self._thought:
            self._thought.discard(place)
            if rows is not None:
                self._rows_changed(place, rows, rows.think())
        if rows is None:
            letters, breaks = self._sizes.get(place, (0, 0))
            letters, breaks = letters + len(delta), breaks + delta.count("\n")
            self._sizes[place] = (letters, breaks)
            self._stack.reestimate(place, message_height(letters, breaks, self._metrics(), own=False))
        elif delta:
            self._rows_changed(place, rows, rows.grow(delta))

    def _rows_changed(self, place: int, rows: MessageRows, first: int) -> None:
        self._stack.reopen(place, first, [row.estimate for row in rows.rows[first:]])
        if self._hover is not None and self._hover[0].item == place and self._hover[0].row >= first:
            self._hover = None

    def _moved_on(self, total_before: int) -> None:
        """After growth at the end: follow it, or count what the reader has not seen."""
        anchor = self._stack.anchor
        if self._follow:
            self._stack.to_bottom()
        seen, rows = self._seen, self._seen_rows
        self._settle()
        if not self._follow and not self._stack.is_at_bottom:
            self._missed_px += max(0, self._stack.total - total_before)
        if self._stack.anchor == anchor and seen and self._seen:
            self._update_from_first_change(seen, rows)
        else:
            self.viewport().update()
        self._after_settle()

    def _update_from_first_change(self, before: list[Seen], rows: list[Row]) -> None:
        """Repaints from the first row that is not what and where it was."""
        same = 0
        limit = min(len(before), len(self._seen))
        while same < limit and before[same] == self._seen[same] and rows[same] is self._seen_rows[same]:
            same += 1
        if same < len(self._seen) or len(before) != len(self._seen):
            y = self._seen[same].y if same < len(self._seen) else 0
            self.viewport().update(QRect(0, y, self.viewport().width(), self.viewport().height() - y))

    # ---- geometry -----------------------------------------------------------------------------------------------

    def _column_width(self) -> int:
        widest = look().px(680)
        return max(120, min(widest, self.viewport().width() - 2 * MARGIN_PX))

    def _column_left(self) -> int:
        return max(MARGIN_PX, (self.viewport().width() - self._column_width()) // 2)

    def _metrics(self) -> Metrics:
        appearance = look()
        line = appearance.line("body")
        return Metrics(
            width=self._column_width(),
            letter=appearance.metrics("body").averageCharWidth(),
            line=line,
            code_line=appearance.line("code"),
            own_indent=OWN_INDENT_PX + 2 * OWN_PAD_X,
            chrome_answer=7 + 8 + appearance.px(20) + GAP_MESSAGE,
            chrome_own=7 + 16 + 10,
        )

    def _estimates(self) -> list[int]:
        metrics = self._metrics()
        return [self._estimate(message, metrics) for message in self.model.messages()]

    def _estimate(self, message: Message, metrics: Metrics) -> int:
        text = message.text
        return message_height(len(text), text.count("\n"), metrics, own=message.role == "user")

    def _is_unfolded(self, key: str) -> bool:
        return key in self._unfolded

    def _open_item(self, item: int) -> list[int]:
        # What is pending is in the message's text already.
        self._pending.pop(item, None)
        rows = self._items[item] = MessageRows(self.model.at(item), self._column_width(), self._is_unfolded)
        return [row.estimate for row in rows.rows]

    def _close_item(self, item: int) -> None:
        rows = self._items.pop(item, None)
        if rows is not None:
            for row in rows.rows:
                self._kept.pop(id(row), None)
            if rows.message.is_streaming:
                text = rows.message.whole_text()
                self._sizes[item] = (len(text), text.count("\n"))

    def _measure(self, item: int, index: int) -> int:
        row = self._items[item].rows[index]
        return row.gap + self._laid(item, row).height + row.below

    def _laid(self, item: int, row: Row) -> Laid:
        laid = row.laid
        if laid is None:
            laid = row.laid = self._items[item].lay(row)
        self._kept[id(row)] = row
        self._kept.move_to_end(id(row))
        if len(self._kept) > LAID_MAX:
            _, oldest = self._kept.popitem(last=False)
            oldest.laid = None
        return laid

    def _row(self, place: Place) -> Row:
        return self._items[place.item].rows[place.row]

    def _settle(self) -> None:
        self._stack.viewport = self.viewport().height()
        self._seen = self._stack.settle()
        self._seen_rows = [self._row(Place(seen.item, seen.row)) for seen in self._seen]
        self._sync_bars()

    def _refresh(self) -> None:
        """Lays out what is seen now and repaints all of it."""
        self._settle()
        self.viewport().update()
        self._after_settle()

    def _after_settle(self) -> None:
        if self._stack.is_at_bottom:
            self._missed_px = 0
        lines = self._missed_px // look().line("body")
        self._pill.setVisible(lines > 0)
        if lines > 0:
            self._pill.setText(f"{lines:,} new line{'s' if lines != 1 else ''}")
            self._pill.adjustSize()
            self._place_pill()
        waits = self.isVisible() and any(self._row(Place(s.item, s.row)).kind == "wait" for s in self._seen)
        if waits and not self._stepper.isActive():
            self._stepper.start()
        elif not waits:
            self._stepper.stop()
        self._lexer_loaded()

    def _lexer_loaded(self) -> None:
        if not self._colouring and self._next_uncoloured() is not None:
            self._colouring = True
            QTimer.singleShot(0, self, self._colour_slice)

    def _next_uncoloured(self) -> tuple[Seen, CodeLaid] | None:
        for seen in self._seen:
            laid = self._row(Place(seen.item, seen.row)).laid
            if isinstance(laid, CodeLaid) and laid.needs_colour and lexers().ask(laid.language):
                return seen, laid
        return None

    def _colour_slice(self) -> None:
        found = self._next_uncoloured()
        if found is None:
            self._colouring = False
            return
        seen, laid = found
        laid.colour(COLOUR_SLICE_MS)
        self.viewport().update(QRect(0, seen.y, self.viewport().width(), seen.height))
        QTimer.singleShot(0, self, self._colour_slice)

    def _step_glyphs(self) -> None:
        self._step = (self._step + 1) % 8
        for seen in self._seen:
            if self._row(Place(seen.item, seen.row)).kind == "wait":
                self.viewport().update(QRect(self._column_left(), seen.y, 40, seen.height))

    def _restyle(self) -> None:
        self._kept.clear()
        self._relayout()

    def _relayout(self) -> None:
        """All rows anew after a change of width, type or colours; what is read stays where it is."""
        self._hover = None
        self._stack.viewport = self.viewport().height()
        self._stack.resize(self._estimates())
        if self._follow:
            self._stack.to_bottom()
        self._refresh()

    @property
    def reading(self) -> str:
        """The id of the message the keyboard is on, or empty."""
        return self.model.at(self._reading).id if 0 <= self._reading < len(self.model) else ""

    def message_rect(self, message_id: str) -> QRect:
        """Where a message is on the screen; empty while it is out of view."""
        if message_id not in self.model:
            return QRect()
        rows = [seen for seen in self._seen if seen.item == self.model.place(message_id)]
        if not rows:
            return QRect()
        top, bottom = max(0, rows[0].y), min(self.viewport().height(), rows[-1].y + rows[-1].height)
        corner = self.viewport().mapToGlobal(QPoint(self._column_left(), top))
        return QRect(corner, QSize(self._column_width(), bottom - top))

    # ---- scrolling ----------------------------------------------------------------------------------------------

    @property
    def follows(self) -> bool:
        """Whether the end is kept in view while it grows."""
        return self._follow

    def follow_end(self) -> None:
        """Goes to the end and stays there while it grows."""
        self._set_follow(True)
        self._stack.to_bottom()
        self._refresh()

    def scroll_by(self, delta_px: int) -> None:
        """Moves by so many px as the reader's own act: up ends following, reaching the end begins it."""
        if delta_px < 0:
            self._set_follow(False)
        self._stack.scroll_by(delta_px)
        self._refresh()
        if delta_px > 0 and self._stack.is_at_bottom:
            self._set_follow(True)

    def show_message(self, message_id: str) -> None:
        """Puts the top of a message near the top of the view."""
        self._set_follow(False)
        self._stack.show(Place(self.model.place(message_id), 0), MARGIN_PX // 2)
        self._refresh()

    def _set_follow(self, on: bool) -> None:
        if self._follow != on:
            self._follow = on
            self.follow_changed.emit(on)

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        if self._syncing:
            return
        bar = self.verticalScrollBar()
        delta = bar.value() - self._value
        self._value = bar.value()
        if delta > 0 and bar.value() >= bar.maximum():
            self.follow_end()
        elif delta:
            self.scroll_by(delta)

    def _bar_moved(self, value: int) -> None:
        if not self._syncing:
            self.verticalScrollBar().setValue(value)

    def _sync_bars(self) -> None:
        """Makes the bars say where the anchor is."""
        self._syncing = True
        page = self.viewport().height()
        reach = max(0, self._stack.total - page)
        self._value = min(max(0, self._stack.value), reach)
        own = self.verticalScrollBar()
        own.setRange(0, reach)
        own.setPageStep(page)
        own.setValue(self._value)
        if not self._bar.isSliderDown():  # a thumb in the hand must not be moved or resized
            self._bar.setRange(0, reach)
            self._bar.setPageStep(page)
            self._bar.setValue(self._value)
            self._bar.setVisible(reach > 0)
        self._syncing = False

    # ---- Qt -----------------------------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._bar.setGeometry(self.width() - BAR_PX, 0, BAR_PX, self.height())
        if event.oldSize().width() != event.size().width():
            self._relayout()
        else:
            if self._follow:
                self._stack.viewport = self.viewport().height()
                self._stack.to_bottom()
            self._refresh()
        self._place_pill()

    def _place_pill(self) -> None:
        size = self._pill.sizeHint()
        self._pill.setGeometry(
            (self.width() - size.width()) // 2,
            self.height() - size.height() - 12,
            size.width(),
            size.height(),
        )

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._after_settle()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._stepper.stop()

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Paint:
            assert isinstance(event, QPaintEvent)
            self._paint(event)
            return True
        return super().viewportEvent(event)

    def _paint(self, event: QPaintEvent) -> None:
        timer = QElapsedTimer()
        timer.start()
        viewport = self.viewport()
        painter = QPainter(viewport)
        painter.fillRect(event.rect(), look().colour("bg.content"))
        left, dirty = self._column_left(), event.rect()
        for seen in self._seen:
            if seen.y + seen.height <= dirty.top() or seen.y > dirty.bottom():
                continue
            self._paint_row(painter, seen, left, QRectF(dirty))
        painter.end()
        if self._frame is not None and self._tick_ms:
            self._governor.frame(self._tick_ms + timer.nsecsElapsed() / 1e6)
            self._tick_ms = 0.0

    def _paint_row(self, painter: QPainter, seen: Seen, left: int, dirty: QRectF) -> None:
        place = Place(seen.item, seen.row)
        row = self._row(place)
        laid = self._laid(seen.item, row)
        top = seen.y + row.gap
        if seen.item == self._reading and self.hasFocus():
            start = seen.y + (row.gap if seen.row == 0 else 0)
            line = QRectF(left - 12, start, 2, seen.y + seen.height - row.below - start)
            rounded(painter, line, 1, fill="focus.ring")
        hover = self._hover[1] if self._hover is not None and self._hover[0] == place else None
        paint = Paint(
            painter,
            dirty.translated(-left, -top),
            selected=self.selection.within(seen.item, seen.row, laid.letters) if laid.letters else None,
            found=self._found_in(place, laid) if self._query else (),
            hover=hover,
            dpr=self.devicePixelRatioF(),
            step=self._step,
            copied=self._copied == place,
            joined=self._joined(place, row),
            gap=row.gap,
            picture_of=self.picture_of,
        )
        painter.save()
        painter.translate(QPointF(left, top))
        laid.paint(paint)
        painter.restore()

    def _joined(self, place: Place, row: Row) -> int:
        """How many quotes a row shares with the one above it."""
        if row.block is None or not row.block.quote or not place.row:
            return 0
        above = self._row(Place(place.item, place.row - 1)).block
        return min(above.quote, row.block.quote) if above is not None else 0

    def _found_in(self, place: Place, laid: Laid) -> list[tuple[int, int, bool]]:
        current = self._current[1] if self._current is not None and self._current[0] == place else -1
        return [(a, b, i == current) for i, (a, b) in enumerate(ranges(laid.words, self._query))]
