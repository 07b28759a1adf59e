# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The timeline of a run: one row a node, a bar for each time it ran; walked by arrows, Enter opens the node."""

from datetime import datetime
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QRectF,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from app.theme.apply import look
from app.theme.focus import has_keyboard_focus
from app.theme.paint import focus_ring, rounded, text
from app.viewmodels import wording
from app.viewmodels.chain_editor import ChainEditor
from app.viewmodels.chain_run import TimeRow, timeline
from app.views.parts import Head, icon_button, label
from app.widgets.canvas.looks import STATES

Index = QModelIndex | QPersistentModelIndex
ROW_ROLE = Qt.ItemDataRole.UserRole + 1
ROW, BAR, NAMES, AXIS = 22, 14, 124, 20
TICK_MS = 250
STEPS = (
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2,
    5,
    10,
    30,
    60,
    120,
    300,
    600,
    1800,
    3600,
)


class _Rows(QAbstractListModel):
    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[TimeRow, ...] = ()
        self.span_s = 1.0

    def show(self, rows: tuple[TimeRow, ...], span_s: float) -> None:
        self.span_s = max(0.001, span_s)
        if [row.node for row in rows] == [row.node for row in self.rows]:
            self.rows = rows
            if rows:
                self.dataChanged.emit(self.index(0), self.index(len(rows) - 1))
            return
        self.beginResetModel()
        self.rows = rows
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row = self.rows[index.row()]
        if role == ROW_ROLE:
            return row
        if role == Qt.ItemDataRole.DisplayRole:
            return row.node
        if role in (Qt.ItemDataRole.AccessibleTextRole, Qt.ItemDataRole.ToolTipRole):
            begin = f", from {wording.duration(row.bars[0].start_s)}" if row.bars else ""
            return f"{row.node}, {row.word}{begin}"
        return None


class _Delegate(QStyledItemDelegate):
    def __init__(self, rows: _Rows, parent: QWidget) -> None:
        super().__init__(parent)
        self._rows = rows

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(100, look().px(ROW))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row: TimeRow = index.data(ROW_ROLE)
        box = QRectF(option.rect)
        state: QStyle.StateFlag = option.state
        if state & QStyle.StateFlag.State_Selected:
            rounded(painter, box.adjusted(6, 0, -6, 0), 3, fill="bg.selected")
        elif state & QStyle.StateFlag.State_MouseOver:
            rounded(painter, box.adjusted(6, 0, -6, 0), 3, fill="bg.hover")
        names = look().px(NAMES)
        text(
            painter,
            QRectF(box.left() + 16, box.top(), names - 20, box.height()),
            row.node,
            "small",
            "text.secondary",
        )
        left, right = box.left() + names, box.right() - 24
        per_s = (right - left) / self._rows.span_s
        for x in ticks(self._rows.span_s):
            painter.fillRect(
                QRectF(left + x * per_s, box.top(), 1, box.height()), look().colour("line.subtle")
            )
        last = left
        tall = look().px(BAR)
        for bar in row.bars:
            end_s = bar.end_s if bar.end_s is not None else self._rows.span_s
            start = left + bar.start_s * per_s
            width = max(3.0, (end_s - bar.start_s) * per_s)
            place = QRectF(start, box.center().y() - tall / 2, width, tall)
            rounded(painter, place, 3, fill=STATES[bar.state].bar)
            last = max(last, place.right())
        room = right - last
        words_width = look().metrics("small").horizontalAdvance(row.word)
        words = row.word
        if room > words_width + 12 or not row.bars:
            text(
                painter,
                QRectF(last + 6, box.top(), max(0.0, right - last), box.height()),
                words,
                "small",
                "text.tertiary",
            )
        elif row.bars and (row.bars[-1].start_s * per_s) > words_width + 12:
            start = left + row.bars[-1].start_s * per_s
            text(
                painter, QRectF(start - words_width - 6, box.top(), words_width + 2, box.height()), words, "small",
                "text.tertiary",
            )  # fmt: skip
        else:
            first = row.bars[-1]
            ink = "text.onAccent" if first.state == "running" else "bg.content"
            text(
                painter,
                QRectF(left + first.start_s * per_s + 6, box.top(), words_width + 2, box.height()),
                words,
                "small",
                ink,
            )
        if state & QStyle.StateFlag.State_HasFocus and has_keyboard_focus(option.widget):
            focus_ring(painter, box.adjusted(6, 0, -6, 0), 3, inside=True)


class TimeList(QListView):
    """The rows."""

    opened = Signal(str)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self.opened.emit(str(self.currentIndex().data()))
            return
        super().keyPressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        index = self.indexAt(event.position().toPoint())
        if index.isValid() and event.button() == Qt.MouseButton.LeftButton:
            self.opened.emit(str(index.data()))


class _Axis(QWidget):
    """The seconds under the rows."""

    def __init__(self, rows: _Rows) -> None:
        super().__init__()
        self._rows = rows
        self._resize()
        look().theme_changed.connect(self._resize)

    def _resize(self) -> None:
        self.setFixedHeight(look().px(AXIS))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        left, right = look().px(NAMES), self.width() - 24
        per_s = (right - left) / self._rows.span_s
        for x in ticks(self._rows.span_s):
            place = QRectF(left + x * per_s - 40, 0, 80, self.height())
            text(
                painter,
                place,
                seconds(x, self._rows.span_s),
                "caption",
                "text.tertiary",
                align=Qt.AlignmentFlag.AlignCenter,
            )
        painter.end()


class Timeline(QFrame):
    """Under the graph, while a run is shown. `closed` when a person shuts it."""

    opened = Signal(str)
    closed = Signal()
    ticked = Signal()
    """Time went on while the run runs."""

    def __init__(self, editor: ChainEditor) -> None:
        super().__init__()
        self.setObjectName("chains.timeline")
        self.setProperty("role", "page")
        self.setAccessibleName("Timeline of the run")
        self._editor = editor
        from app.views.parts import column, line

        layout = column(self)
        layout.addWidget(line("lineNormal"))
        head = Head(left=16, right=12, has_line=False)
        self.title = label("Timeline", "section")
        self.words = label("", "small", "tertiary", name="chains.timeline.words")
        self.close_button = icon_button(
            "x", "chains.timeline.close", "Close the timeline", self.closed.emit, small=True
        )
        head.add(self.title, 4, self.words, None, self.close_button)
        head.setFixedHeight(look().px(32))
        layout.addWidget(head)
        self.rows = _Rows()
        self.list = TimeList()
        self.list.setObjectName("chains.timeline.rows")
        self.list.setAccessibleName("Timeline of the run")
        self.list.setModel(self.rows)
        self.list.setItemDelegate(_Delegate(self.rows, self.list))
        self.list.setMouseTracking(True)
        self.list.setUniformItemSizes(True)
        self.list.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.opened.connect(self.opened)
        layout.addWidget(self.list, 1)
        self.axis = _Axis(self.rows)
        layout.addWidget(self.axis)
        self._tick = QTimer(self)
        self._tick.setObjectName("chains.timeline.tick")
        self._tick.setInterval(TICK_MS)
        self._tick.timeout.connect(self.refresh)
        self._tick.timeout.connect(self.ticked)
        editor.runs.changed.connect(self.refresh)

    def refresh(self) -> None:
        """Show the run as it is now; while it runs the bars grow, a few times a second."""
        run = self._editor.runs.run
        if run is None or not self.isVisible():
            self._tick.stop()
            return
        now: datetime = self._editor.now()
        rows, span_s = timeline(run.view, now)
        self.rows.show(rows, span_s * 1.02 if span_s else 0.1)
        self.words.setText(self._told(now))
        self.axis.update()
        if run.is_running and run.view.created_at is not None:
            if not self._tick.isActive():
                self._tick.start()
        else:
            self._tick.stop()

    def _told(self, now: datetime) -> str:
        run = self._editor.runs.run
        if run is None:
            return ""
        view = run.view
        if view.is_dry:
            return "Dry run: nothing was really done"
        parts = (
            [f"Started {wording.list_time(view.created_at.astimezone(now.tzinfo), now)}"]
            if view.created_at
            else []
        )
        if view.replay_of:
            parts.append(f"again from {view.replay_from}")
        if view.parent_run:
            parts.append("by another chain")
        if view.reason is not None:
            parts.append(view.reason.sentence)
        return ", ".join(parts)

    def showEvent(self, event: object) -> None:
        super().showEvent(event)  # type: ignore[arg-type]
        self.refresh()

    def hideEvent(self, event: object) -> None:
        super().hideEvent(event)  # type: ignore[arg-type]
        self._tick.stop()


def ticks(span_s: float) -> list[float]:
    """Round moments along the axis, at most eight."""
    step = next((step for step in STEPS if span_s / step <= 8), span_s / 8)
    found: list[float] = []
    at = 0.0
    while at <= span_s:
        found.append(at)
        at += step
    return found


def seconds(at: float, span_s: float) -> str:
    """A moment of the axis in words."""
    if span_s < 1:
        return f"{at * 1000:.0f} ms"
    if span_s < 120:
        return f"{at:.2f} s" if span_s < 2 else f"{at:.1f} s"
    return f"{at / 60:.0f} min"
