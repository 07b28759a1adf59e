# ruff: noqa: D102  (Qt overrides do what Qt says)
"""A list of painted rows for tables and catalogues: chosen by mouse and keyboard, read aloud by its words."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import (
    QModelIndex,
    QPointF,
    QRectF,
    QSize,
    Qt,
    Signal,
)
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
from app.theme.icons import paint_tier, pixmap
from app.theme.paint import LEFT, RIGHT, PillTone, hairline, pill, pill_size, text
from app.views.keyed_rows import ROW_ROLE, Index, KeyedRows
from app.views.parts import bind

GAP, PADDING = 12, 16


@dataclass(frozen=True, slots=True)
class Pill:
    """A pill in a cell."""

    words: str
    tone: PillTone = "neutral"
    icon: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell shows: words in a style and colour, or a pill."""

    words: str = ""
    pill: Pill | None = None
    style: str = "ui"
    colour: str = "text.primary"


@dataclass(frozen=True, slots=True)
class Line:
    """A row: a tier's mark or an icon, a name with an optional pill, a second line, and the other cells."""

    key: str
    title: str
    detail: str = ""
    tier: str = ""
    icon: str = ""
    badge: Pill | None = None
    cells: tuple[Cell, ...] = ()
    is_dim: bool = False

    @property
    def spoken(self) -> str:
        """The row as a screen reader says it."""
        parts = [self.title, self.badge.words if self.badge else "", self.detail]
        parts += [cell.pill.words if cell.pill else cell.words for cell in self.cells]
        return ", ".join(part for part in parts if part and part != "–")


@dataclass(frozen=True, slots=True)
class Column:
    """A column after the name: its caption, width in px, and whether it holds numbers."""

    caption: str
    width: int
    is_number: bool = False


class LineModel(KeyedRows):
    """Lines by key."""

    def told(self, row: Line, role: int) -> Any:
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return row.title
        return row.spoken if role == Qt.ItemDataRole.AccessibleTextRole else None


class LineDelegate(QStyledItemDelegate):
    """Paints a line over the full width."""

    def __init__(
        self, columns: Callable[[int], tuple[Column, ...]], height: int, padding: int, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self._columns = columns
        self._height = height
        self._padding = padding

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(100, look().px(self._height))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        line: Line = index.data(ROW_ROLE)
        box = QRectF(option.rect)
        state: QStyle.StateFlag = option.state
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(box, look().colour("bg.selected"))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(box, look().colour("bg.hover"))
        hairline(painter, box.left(), box.bottom() - 1, box.right())
        dpr = painter.device().devicePixelRatioF()
        columns = self._columns(round(box.width()))
        right = box.right() - self._padding
        used = len(columns)
        for at in range(used - 1, -1, -1):
            column = columns[at]
            width = column.width
            cell_at = _place(columns, at)
            if cell_at < len(line.cells):
                _paint_cell(
                    painter,
                    QRectF(right - width, box.top(), width, box.height()),
                    line.cells[cell_at],
                    column,
                    dpr,
                )
            right -= width + GAP
        left = box.left() + self._padding
        middle = box.center().y()
        if line.tier:
            paint_tier(painter, line.tier, left, middle - 6, failed=line.is_dim)
            left += 22
        elif line.icon:
            painter.drawPixmap(
                QPointF(left - 1, round(middle - 7)), pixmap(line.icon, "text.tertiary", 14, dpr)
            )
            left += 22
        _paint_name(painter, line, QRectF(left, box.top(), right - left, box.height() - 1), dpr)
        if state & QStyle.StateFlag.State_HasFocus and has_keyboard_focus(option.widget):
            from app.theme.paint import focus_ring

            focus_ring(painter, box.adjusted(1, 0, -1, -1), 3, inside=True)


def _place(columns: tuple[Column, ...], at: int) -> int:
    """Which cell a shown column takes: columns carry their own number in `Lines.columns`."""
    return getattr(columns[at], "cell", at)


def _paint_name(painter: QPainter, line: Line, box: QRectF, dpr: float) -> None:
    height = look().px(18)
    top = box.top() + (box.height() - height - (look().px(17) if line.detail else 0)) / 2
    badge_width = pill_size(line.badge.words, height=16)[0] + 8 if line.badge else 0.0
    ink = "text.tertiary" if line.is_dim else "text.primary"
    width = text(
        painter, QRectF(box.left(), top, box.width() - badge_width, height), line.title, "uiStrong", ink
    )
    if line.badge:
        pill(
            painter,
            box.left() + width + 8,
            top + height / 2,
            line.badge.words,
            line.badge.tone,
            height=16,
            dpr=dpr,
        )
    if line.detail:
        text(
            painter,
            QRectF(box.left(), top + height, box.width(), look().px(17)),
            line.detail,
            "small",
            "text.tertiary",
        )


def _paint_cell(painter: QPainter, box: QRectF, cell: Cell, column: Column, dpr: float) -> None:
    if cell.pill is not None:
        pill(
            painter,
            box.left(),
            box.center().y(),
            cell.pill.words,
            cell.pill.tone,
            icon=cell.pill.icon,
            dpr=dpr,
        )
        return
    text(painter, box, cell.words, cell.style, cell.colour, align=RIGHT if column.is_number else LEFT)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _Shown(Column):
    cell: int = 0


class Head(QWidget):
    """The captions above the columns."""

    def __init__(
        self, first: str, columns: Callable[[int], tuple[Column, ...]], inset: Callable[[], int] | None = None
    ) -> None:
        """`inset` is the room the list's scroll bar takes now: the captions stand where the cells do."""
        super().__init__()
        self._first = first
        self._columns = columns
        self._inset = inset or (lambda: 0)
        self._resize()
        look().theme_changed.connect(self._resize)

    def repaint_later(self, *_: int) -> None:
        """The list has a scroll bar now, or none any more."""
        self.update()

    def _resize(self) -> None:
        self.setFixedHeight(look().px(28))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        width = self.width() - self._inset()
        right = width - PADDING
        for column in reversed(self._columns(width)):
            box = QRectF(right - column.width, 0, column.width, self.height() - 1)
            text(
                painter,
                box,
                column.caption,
                "caption",
                "text.tertiary",
                align=RIGHT if column.is_number else LEFT,
            )
            right -= column.width + GAP
        text(
            painter,
            QRectF(PADDING, 0, right - PADDING, self.height() - 1),
            self._first,
            "caption",
            "text.tertiary",
        )
        hairline(painter, 0, self.height() - 1, self.width(), "line.normal")
        painter.end()


class Lines(QListView):
    """The list. Columns on the left of the order fall away first where there is no room for them."""

    chosen = Signal(str)
    """The current line changed."""
    opened = Signal(str)
    """Enter or a double click."""
    deleted = Signal(str)

    def __init__(
        self,
        name: str,
        title: str,
        columns: tuple[Column, ...] = (),
        height: int = 44,
        name_min: int = 180,
        padding: int = PADDING,
    ) -> None:
        """`padding` is the room at both sides, in px; a head is only for the usual one."""
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(title)
        self._all = tuple(
            _Shown(column.caption, column.width, column.is_number, at) for at, column in enumerate(columns)
        )
        self._name_min = name_min
        self.lines = LineModel()
        self.setModel(self.lines)
        self.setItemDelegate(LineDelegate(self.columns, height, padding, self))
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMouseTracking(True)
        self.selectionModel().currentChanged.connect(self._current_changed)
        self.doubleClicked.connect(bind(self._open))
        look().theme_changed.connect(self.scheduleDelayedItemsLayout)

    def head(self, first: str) -> Head:
        """A head for these columns."""
        made = Head(first, self.columns, lambda: self.width() - self.viewport().width())
        self.verticalScrollBar().rangeChanged.connect(made.repaint_later)
        return made

    def set_caption(self, at: int, caption: str) -> None:
        """Another caption for a column."""
        shown = list(self._all)
        shown[at] = _Shown(caption, shown[at].width, shown[at].is_number, at)
        self._all = tuple(shown)

    def columns(self, width: int) -> tuple[Column, ...]:
        """The columns that fit `width` px beside the name."""
        scale = look().px(100) / 100
        room = width - 2 * PADDING - self._name_min * scale
        shown = [
            _Shown(column.caption, round(column.width * scale), column.is_number, column.cell)
            for column in self._all
        ]
        while shown and sum(column.width + GAP for column in shown) > room:
            del shown[0]
        return tuple(shown)

    @property
    def current_key(self) -> str:
        """The key of the line the keyboard stands on."""
        index = self.currentIndex()
        return self.lines.rows[index.row()].key if index.isValid() else ""

    def select(self, key: str) -> None:
        """Stand on a line."""
        place = next((at for at, line in enumerate(self.lines.rows) if line.key == key), -1)
        if place >= 0 and self.currentIndex().row() != place:
            self.setCurrentIndex(self.lines.index(place))

    def _current_changed(self, current: QModelIndex, _: QModelIndex) -> None:
        if current.isValid():
            self.chosen.emit(self.lines.rows[current.row()].key)

    def _open(self) -> None:
        if self.current_key:
            self.opened.emit(self.current_key)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        match event.key():
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self._open()
            case Qt.Key.Key_Delete:
                if self.current_key:
                    self.deleted.emit(self.current_key)
            case _:
                super().keyPressEvent(event)
