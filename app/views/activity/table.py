# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The table of the Activity page: painted rows over a list of keys, whatever its length; nothing moves under a reader."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QPointF,
    QRectF,
    Qt,
    Signal,
)
from PySide6.QtGui import QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from app.theme.apply import look
from app.theme.focus import has_keyboard_focus
from app.theme.icons import paint_tier, pixmap
from app.theme.paint import RIGHT, focus_ring, pill, text
from app.viewmodels.activity import ActivityViewModel
from app.viewmodels.activity_words import Words, words_of
from app.views.columns import Columns, ground
from app.views.parts import bind

Index = QModelIndex | QPersistentModelIndex
WORDS_ROLE = Qt.ItemDataRole.UserRole + 1
ROW = 30
WORDS_KEPT = 1000
COLUMNS = Columns(
    {
        "time": ("Time", 78, False),
        "icon": ("", 16, False),
        "what": ("What", 1, False),
        "where": ("Where", 150, False),
        "state": ("State", 98, False),
        "took": ("Took", 68, True),
        "cost": ("Cost", 94, True),
    },
    dropped=("cost", "where", "took", "time"),
    kept="what",
    kept_min=190,
)


class ActivityModel(QAbstractTableModel):
    """Rows of the view-model, newest first."""

    def __init__(self, activity: ActivityViewModel, now: Callable[[], datetime]) -> None:
        super().__init__()
        self._activity = activity
        self._now = now
        self._count = activity.count
        self._words: dict[str, tuple[object, Words]] = {}
        activity.reset.connect(self._reset)
        activity.grew.connect(self._grew)
        activity.extended.connect(self._extended)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else self._count

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else 1

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role not in (WORDS_ROLE, Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return None
        words = self.words(index.row())
        if words is None:
            return None if role == WORDS_ROLE else "Being read"
        return words if role == WORDS_ROLE else words.spoken

    def words(self, place: int) -> Words | None:
        """The words of a row, kept as long as the row is the same; None while it is read."""
        row = self._activity.row_at(place)
        if row is None:
            return None
        held = self._words.get(row.key)
        if held is not None and held[0] is row:
            return held[1]
        if len(self._words) >= WORDS_KEPT:
            self._words.clear()
        made = words_of(row, self._now())
        self._words[row.key] = (row, made)
        return made

    def _reset(self) -> None:
        self.beginResetModel()
        self._count = self._activity.count
        self.endResetModel()

    def _grew(self, count: int) -> None:
        self.beginInsertRows(QModelIndex(), 0, count - 1)
        self._count += count
        self.endInsertRows()

    def _extended(self) -> None:
        more = self._activity.count - self._count
        self.beginInsertRows(QModelIndex(), self._count, self._count + more - 1)
        self._count += more
        self.endInsertRows()


class RowDelegate(QStyledItemDelegate):
    """Paints a row over its whole width. It asks its model without the detour over roles: that takes a third of a frame."""

    def __init__(self, rows: ActivityModel, parent: QWidget) -> None:
        super().__init__(parent)
        self._rows = rows

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        box = QRectF(option.rect)
        state: QStyle.StateFlag = option.state
        ground(painter, box, state)
        words = self._rows.words(index.row())
        if words is not None:
            self._paint_words(painter, box, words, painter.device().devicePixelRatioF())
        if state & QStyle.StateFlag.State_HasFocus and has_keyboard_focus(option.widget):
            focus_ring(painter, box.adjusted(1, 0, -1, -1), 3, inside=True)

    def _paint_words(self, painter: QPainter, box: QRectF, words: Words, dpr: float) -> None:
        places = COLUMNS.places(box.width())

        def room(name: str) -> QRectF:
            left, width = places[name]
            return QRectF(box.left() + left, box.top(), width, box.height() - 1)

        if "time" in places:
            text(painter, room("time"), words.time, "ui", "text.secondary")
        at = room("icon")
        glyph = pixmap(words.icon, words.icon_tone, 14, dpr)
        painter.drawPixmap(QPointF(at.left(), round(at.center().y() - 7)), glyph)
        what = room("what")
        used = text(painter, what, words.title, "ui")
        if words.detail and what.width() - used > 40:
            rest = what.adjusted(used + 10, 0, 0, 0)
            text(painter, rest, words.detail, "small", "text.tertiary")
        if "where" in places:
            where = room("where")
            if words.tier:
                paint_tier(painter, words.tier, where.left(), round(where.center().y() - 6))
                where.adjust(18, 0, 0, 0)
            text(painter, where, words.where, "ui", "text.secondary")
        shown, tone, icon = words.pill
        pill(painter, room("state").left(), box.center().y(), shown, tone, icon=icon, dpr=dpr)  # type: ignore[arg-type]
        for name, value in (("took", words.took), ("cost", words.cost)):
            if name in places:
                ink = "text.tertiary" if value in ("–", "free") else "text.secondary"
                text(painter, room(name), value, "ui", ink, align=RIGHT)


class ActivityTable(QTableView):
    """The rows. `opened` is Enter or a double click; `escaped_up` is Up on the first row, back to the filter."""

    chosen = Signal(str)
    opened = Signal(str)
    menu_asked = Signal(str, QPoint)
    escaped_up = Signal()

    def __init__(self, activity: ActivityViewModel, now: Callable[[], datetime]) -> None:
        super().__init__()
        self._activity = activity
        self._is_restoring = False
        self.setObjectName("activity.table")
        self.setAccessibleName("What happened")
        self.rows = ActivityModel(activity, now)
        self.setModel(self.rows)
        self.setItemDelegate(RowDelegate(self.rows, self))
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setMouseTracking(True)
        self.setWordWrap(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        across, down = self.horizontalHeader(), self.verticalHeader()
        across.hide()
        across.setStretchLastSection(True)
        down.hide()
        down.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        down.setMinimumSectionSize(1)
        self._restyle()
        self.selectionModel().currentChanged.connect(self._current_changed)
        self.doubleClicked.connect(bind(self._open))
        self.customContextMenuRequested.connect(self._ask_menu)
        self.verticalScrollBar().valueChanged.connect(self._scrolled)
        activity.rows_changed.connect(self.viewport().update)
        activity.reset.connect(self._restore)
        look().theme_changed.connect(self._restyle)

    @property
    def current_key(self) -> str:
        """The key of the row the keyboard stands on."""
        index = self.currentIndex()
        return self._activity.key_at(index.row()) if index.isValid() else ""

    def to_top(self) -> None:
        """Scroll to the newest row."""
        self.verticalScrollBar().setValue(0)

    def select_key(self, key: str, *, scrolls: bool = True) -> None:
        """Stand on a row if it is in the list."""
        place = self._activity.place_of(key) if key else -1
        if place < 0 or place == self.currentIndex().row():
            return
        self._is_restoring = True
        self.setAutoScroll(scrolls)
        self.setCurrentIndex(self.rows.index(place, 0))
        self.setAutoScroll(True)
        self._is_restoring = False

    def _restore(self) -> None:
        self.select_key(self._activity.selected, scrolls=False)

    def _current_changed(self, current: QModelIndex, _: QModelIndex) -> None:
        if current.isValid() and not self._is_restoring:
            self.chosen.emit(self._activity.key_at(current.row()))

    def _open(self) -> None:
        if self.current_key:
            self.opened.emit(self.current_key)

    def _ask_menu(self, place: QPoint) -> None:
        if self.current_key:
            self.menu_asked.emit(self.current_key, self.viewport().mapToGlobal(place))

    def _scrolled(self, value: int) -> None:
        self._activity.hold(value > 0)

    def _restyle(self) -> None:
        self.verticalHeader().setDefaultSectionSize(look().px(ROW))
        self.viewport().update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        last = self.rows.rowCount() - 1
        match event.key():
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self._open()
            case Qt.Key.Key_Home if last >= 0:
                self.setCurrentIndex(self.rows.index(0, 0))
            case Qt.Key.Key_End if last >= 0:
                self.setCurrentIndex(self.rows.index(last, 0))
            case Qt.Key.Key_Up if self.currentIndex().row() <= 0:
                self.escaped_up.emit()
            case _:
                super().keyPressEvent(event)
