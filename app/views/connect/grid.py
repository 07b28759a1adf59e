# ruff: noqa: D102  (Qt overrides do what Qt says)
"""A painted table with a head: fixed and shared columns, one line a row, Enter and Delete told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from app.theme.apply import look
from app.theme.focus import has_keyboard_focus
from app.theme.paint import LEFT, RIGHT, focus_ring, hairline, text
from app.theme.tokens import TextStyle
from app.views.keyed_rows import ROW_ROLE, Index, KeyedRows
from app.views.parts import bind

HEAD, ROW, PADDING, GAP = 28, 30, 16, 12


@dataclass(frozen=True, slots=True)
class Col:
    """A column: a width in px, or at most 1 as a share of what the others leave."""

    caption: str
    width: float
    style: TextStyle = "small"
    colour: str = "text.primary"
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A row: a cell for each column; `colours` name other inks by column; `spoken` is for a screen reader."""

    key: str
    cells: tuple[str, ...]
    spoken: str = ""
    colours: dict[int, str] = field(default_factory=dict[int, str])


def _places(columns: Sequence[Col], width: float) -> list[tuple[float, float]]:
    scale = look().px(100) / 100
    fixed = sum(column.width * scale for column in columns if column.width > 1)
    rest = max(60.0, width - 2 * PADDING - GAP * (len(columns) - 1) - fixed)
    shares = sum(column.width for column in columns if column.width <= 1) or 1.0
    places: list[tuple[float, float]] = []
    left = float(PADDING)
    for column in columns:
        wide = column.width * scale if column.width > 1 else rest * column.width / shares
        places.append((left, wide))
        left += wide + GAP
    return places


class _Model(KeyedRows):
    def told(self, row: Row, role: int) -> Any:
        if role == Qt.ItemDataRole.DisplayRole:
            return row.cells[0]
        if role in (Qt.ItemDataRole.AccessibleTextRole, Qt.ItemDataRole.ToolTipRole):
            return row.spoken or ", ".join(row.cells)
        return None


class _Delegate(QStyledItemDelegate):
    def __init__(self, columns: tuple[Col, ...], parent: QWidget) -> None:
        super().__init__(parent)
        self._columns = columns

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(100, look().px(ROW))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        box, state = QRectF(option.rect), option.state
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(box, look().colour("bg.selected"))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(box, look().colour("bg.hover"))
        hairline(painter, box.left(), box.bottom() - 1, box.right())
        row: Row = index.data(ROW_ROLE)
        for at, (column, (left, width)) in enumerate(
            zip(self._columns, _places(self._columns, box.width()), strict=True)
        ):
            room = QRectF(box.left() + left, box.top(), width, box.height() - 1)
            ink = row.colours.get(at, column.colour)
            text(painter, room, row.cells[at], column.style, ink, align=RIGHT if column.is_number else LEFT)
        if state & QStyle.StateFlag.State_HasFocus and has_keyboard_focus(option.widget):
            focus_ring(painter, box.adjusted(1, 0, -1, -1), 3, inside=True)


class GridHead(QWidget):
    """The captions over a `Grid`."""

    def __init__(self, columns: tuple[Col, ...], grid: "Grid") -> None:
        super().__init__()
        self._columns = columns
        self._grid = grid
        self._resize()
        look().theme_changed.connect(self._resize)
        grid.verticalScrollBar().rangeChanged.connect(bind(self.update))

    def _resize(self) -> None:
        self.setFixedHeight(look().px(HEAD))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        width = self._grid.viewport().width() or self.width()
        for column, (left, wide) in zip(self._columns, _places(self._columns, width), strict=True):
            room = QRectF(left, 0, wide, self.height() - 1)
            align = RIGHT if column.is_number else LEFT
            text(painter, room, column.caption, "caption", "text.tertiary", align=align)
        hairline(painter, 0, self.height() - 1, self.width())
        painter.end()


class Grid(QListView):
    """The rows. `head()` gives the captions to stand over it."""

    chosen = Signal(str)
    """The current row changed."""
    opened = Signal(str)
    """Enter or a double click."""
    deleted = Signal(str)

    def __init__(self, name: str, title: str, columns: tuple[Col, ...]) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(title)
        self._columns = columns
        self.rows = _Model()
        self.setModel(self.rows)
        self.setItemDelegate(_Delegate(columns, self))
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMouseTracking(True)
        self.selectionModel().currentChanged.connect(bind(self._current_changed))
        self.doubleClicked.connect(bind(self._open))
        look().theme_changed.connect(self.scheduleDelayedItemsLayout)

    def head(self) -> GridHead:
        """Captions for these columns."""
        return GridHead(self._columns, self)

    @property
    def current_key(self) -> str:
        """The key of the row the keyboard stands on."""
        index = self.currentIndex()
        return self.rows.rows[index.row()].key if index.isValid() else ""

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Show these; the current row stays by its key."""
        key = self.current_key
        self.rows.show_rows(rows)
        place = next((at for at, row in enumerate(rows) if row.key == key), -1)
        if place >= 0 and self.currentIndex().row() != place:
            self.setCurrentIndex(self.rows.index(place))

    def choose(self, key: str) -> None:
        """Stand on the row of this key, if there is one."""
        place = next((at for at, row in enumerate(self.rows.rows) if row.key == key), -1)
        if place >= 0:
            self.setCurrentIndex(self.rows.index(place))

    def _current_changed(self) -> None:
        if self.current_key:
            self.chosen.emit(self.current_key)

    def _open(self) -> None:
        if self.current_key:
            self.opened.emit(self.current_key)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        match event.key():
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self._open()
            case Qt.Key.Key_Delete if self.current_key:
                self.deleted.emit(self.current_key)
            case _:
                super().keyPressEvent(event)
