# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The list of schedules: a switch, name and target, when, when next, how the last one went."""

from typing import Any, cast

from PySide6.QtCore import QModelIndex, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
)

from app.theme.apply import look
from app.theme.focus import has_keyboard_focus
from app.theme.paint import RIGHT, PillTone, focus_ring, pill, rounded, text
from app.viewmodels.schedule_words import ScheduleWords
from app.views.columns import Columns, ground
from app.views.keyed_rows import ROW_ROLE, Index, KeyedRows
from app.views.parts import bind

ROW = 44
SWITCH = (26, 16)
COLUMNS = Columns(
    {
        "switch": ("", 30, False),
        "name": ("Name", 0.25, False),
        "when": ("When", 0.46, False),
        "next": ("Next", 0.20, False),
        "last": ("Last run", 96, False),
        "took": ("Took", 64, True),
    },
    dropped=("took", "next", "when"),
    kept="name",
    kept_min=120,
)


class ScheduleModel(KeyedRows):
    """Schedules by name."""

    def key_of(self, row: ScheduleWords) -> str:
        return row.name

    def told(self, row: ScheduleWords, role: int) -> Any:
        if role == Qt.ItemDataRole.DisplayRole:
            return row.name
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.problem or row.name
        return row.spoken if role == Qt.ItemDataRole.AccessibleTextRole else None


class ScheduleDelegate(QStyledItemDelegate):
    """Paints a line over its whole width."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(100, look().px(ROW))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        box = QRectF(option.rect)
        state: QStyle.StateFlag = option.state
        ground(painter, box, state)
        words: ScheduleWords = index.data(ROW_ROLE)
        places = COLUMNS.places(box.width())

        def room(name: str) -> QRectF:
            left, width = places[name]
            return QRectF(box.left() + left, box.top(), width, box.height() - 1)

        _paint_switch(painter, switch_box(room("switch")), words.is_active)
        ink = "text.primary" if words.is_active else "text.secondary"
        _two(painter, room("name"), words.name, words.target, "uiStrong", "small", ink)
        if "when" in places:
            _two(painter, room("when"), words.when, words.rule, "ui", "codeSmall", ink)
        if "next" in places:
            _two(painter, room("next"), words.next, words.next_at, "ui", "small", ink)
        if words.pill is not None:
            shown, tone, glyph = words.pill
            at = room("last")
            pill(
                painter,
                at.left(),
                at.center().y(),
                shown,
                cast("PillTone", tone),
                icon=glyph,
                dpr=painter.device().devicePixelRatioF(),
            )
        else:
            text(painter, room("last"), "not yet", "small", "text.tertiary")
        if "took" in places:
            text(painter, room("took"), words.took, "ui", "text.secondary", align=RIGHT)
        if state & QStyle.StateFlag.State_HasFocus and has_keyboard_focus(option.widget):
            focus_ring(painter, box.adjusted(1, 0, -1, -1), 3, inside=True)


def switch_box(room: QRectF) -> QRectF:
    """Where the switch of a row stands."""
    wide, tall = (look().px(value) for value in SWITCH)
    return QRectF(room.left(), round(room.center().y() - tall / 2), wide, tall)


def _paint_switch(painter: QPainter, track: QRectF, is_on: bool) -> None:
    knob, inset = track.height() - 6, 3.0
    fill, line = ("accent.fill", "accent.fill") if is_on else ("bg.pressed", "line.strong")
    rounded(painter, track, track.height() / 2, fill=fill, line=line)
    x = track.right() - inset - knob if is_on else track.left() + inset
    place = QRectF(x, track.top() + inset, knob, knob)
    rounded(painter, place, knob / 2, fill="text.onAccent" if is_on else "line.strong")


def _two(painter: QPainter, box: QRectF, first: str, second: str, face: Any, small: Any, ink: str) -> None:
    height, low = look().px(18), look().px(17)
    top = box.top() + (box.height() - height - low) / 2
    text(painter, QRectF(box.left(), top, box.width(), height), first, face, ink)
    text(painter, QRectF(box.left(), top + height, box.width(), low), second, small, "text.tertiary")


class ScheduleList(QListView):
    """Space or a click on the switch toggles, Enter opens, Delete removes, F5 runs now."""

    chosen = Signal(str)
    opened = Signal(str)
    toggled = Signal(str, bool)
    deleted = Signal(str)
    run_asked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("schedules.list")
        self.setAccessibleName("Schedules")
        self.setAccessibleDescription("Space switches one on or off, F5 runs it now, Delete removes it")
        self.lines = ScheduleModel()
        self.setModel(self.lines)
        self.setItemDelegate(ScheduleDelegate(self))
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMouseTracking(True)
        self.selectionModel().currentChanged.connect(self._current_changed)
        self.doubleClicked.connect(bind(self._open))
        look().theme_changed.connect(self.scheduleDelayedItemsLayout)

    @property
    def current(self) -> ScheduleWords | None:
        """The line the keyboard stands on."""
        index = self.currentIndex()
        return self.lines.rows[index.row()] if index.isValid() else None

    def select(self, name: str) -> None:
        """Stand on a line."""
        place = next((at for at, line in enumerate(self.lines.rows) if line.name == name), -1)
        if place >= 0 and self.currentIndex().row() != place:
            self.setCurrentIndex(self.lines.index(place))

    def _current_changed(self, current: QModelIndex, _: QModelIndex) -> None:
        if current.isValid():
            self.chosen.emit(self.lines.rows[current.row()].name)

    def _open(self) -> None:
        if self.current is not None:
            self.opened.emit(self.current.name)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        index = self.indexAt(event.position().toPoint())
        if index.isValid() and event.button() == Qt.MouseButton.LeftButton:
            box = QRectF(self.visualRect(index))
            left, width = COLUMNS.places(box.width())["switch"]
            track = switch_box(QRectF(box.left() + left, box.top(), width, box.height() - 1))
            if track.adjusted(-4, -4, 4, 4).contains(event.position()):
                line = self.lines.rows[index.row()]
                self.toggled.emit(line.name, not line.is_active)
        super().mouseReleaseEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        line = self.current
        match event.key():
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self._open()
            case Qt.Key.Key_Space if line is not None:
                self.toggled.emit(line.name, not line.is_active)
            case Qt.Key.Key_Delete if line is not None:
                self.deleted.emit(line.name)
            case Qt.Key.Key_F5 if line is not None:
                self.run_asked.emit(line.name)
            case _:
                super().keyPressEvent(event)
