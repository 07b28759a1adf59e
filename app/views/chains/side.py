# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The second column: the chains there are, and the recent runs of the open one. Renamed in place, walked by keyboard."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import (
    QAbstractItemModel,
    QModelIndex,
    QPoint,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from app.theme.apply import look
from app.theme.focus import has_keyboard_focus
from app.theme.icons import pixmap
from app.theme.paint import focus_ring, rounded, text
from app.views.keyed_rows import ROW_ROLE, Index, KeyedRows
from app.views.parts import bind

ROW, CAPTION = 28, 32
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


@dataclass(frozen=True, slots=True)
class Entry:
    """A caption (no key), a chain, or a run: `glyph` and `ink` stand at its left, `word` at its right."""

    key: str = ""
    title: str = ""
    icon: str = ""
    ink: str = "text.secondary"
    word: str = ""
    mark: str = ""
    mark_ink: str = ""
    spoken: str = ""
    is_chain: bool = False


class Entries(KeyedRows):
    """The entries; a chain can be renamed in place."""

    renamed = Signal(str, str)

    def key_of(self, row: Entry) -> tuple[str, str]:
        return (row.key, row.title)

    def told(self, row: Entry, role: int) -> Any:
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return row.title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return row.spoken or row.title
        return (row.spoken or None) if role == Qt.ItemDataRole.ToolTipRole else None

    def place_of(self, key: str) -> int:
        """The row of a chain or run, or -1."""
        return next((at for at, entry in enumerate(self.rows) if key and entry.key == key), -1)

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        entry = self.rows[index.row()]
        words = str(value).strip()
        if role != Qt.ItemDataRole.EditRole or not entry.is_chain or not words:
            return False
        if words != entry.title:
            self.renamed.emit(entry.key, words)
        return True

    def flags(self, index: Index) -> Qt.ItemFlag:
        if not index.isValid() or not self.rows[index.row()].key:
            return Qt.ItemFlag.ItemNeverHasChildren
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemNeverHasChildren
        return flags | Qt.ItemFlag.ItemIsEditable if self.rows[index.row()].is_chain else flags


class EntryDelegate(QStyledItemDelegate):
    """Paints a caption, a chain or a run."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        entry: Entry = index.data(ROW_ROLE)
        return QSize(100, look().px(ROW if entry.key else CAPTION))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        entry: Entry = index.data(ROW_ROLE)
        box = QRectF(option.rect).adjusted(6, 0, -6, 0)
        if not entry.key:
            text(painter, box.adjusted(6, 6, -6, 0), entry.title, "small", "text.tertiary")
            return
        state: QStyle.StateFlag = option.state
        if state & QStyle.StateFlag.State_Selected:
            rounded(painter, box, 5, fill="bg.selected")
        elif state & QStyle.StateFlag.State_MouseOver:
            rounded(painter, box, 5, fill="bg.hover")
        dpr = painter.device().devicePixelRatioF()
        middle = box.center().y()
        painter.drawPixmap(round(box.left() + 8), round(middle - 7.5), pixmap(entry.icon, entry.ink, 15, dpr))
        right = box.right() - 8
        if entry.mark:
            painter.drawPixmap(
                round(right - 14), round(middle - 7), pixmap(entry.mark, entry.mark_ink, 14, dpr)
            )
            right -= 20
        if entry.word:
            room = QRectF(box.left() + 60, box.top(), right - box.left() - 60, box.height())
            right -= text(painter, room, entry.word, "small", "text.tertiary", align=RIGHT) + 8
        text(painter, QRectF(box.left() + 30, box.top(), right - box.left() - 30, box.height()), entry.title)
        if state & QStyle.StateFlag.State_HasFocus and has_keyboard_focus(option.widget):
            focus_ring(painter, box, 5, inside=True)

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: Index) -> QWidget:
        editor = QLineEdit(parent)
        editor.setObjectName("chains.rename")
        editor.setAccessibleName("Name of the chain")
        editor.setMaxLength(64)
        return editor

    def updateEditorGeometry(self, editor: QWidget, option: QStyleOptionViewItem, index: Index) -> None:
        box: QRect = option.rect
        editor.setGeometry(box.adjusted(30, 0, -6, 0))

    def setModelData(self, editor: QWidget, model: QAbstractItemModel, index: Index) -> None:
        assert isinstance(editor, QLineEdit)
        model.setData(index, editor.text())


class EntryList(QListView):
    """Arrows open a chain or show a run; F2 renames, Delete deletes, Enter goes to the graph."""

    opened = Signal(str)
    entered = Signal()
    deleted = Signal(str)
    menu_asked = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("chains.chains")
        self.setAccessibleName("Chains and recent runs")
        self.rows = Entries()
        self.setModel(self.rows)
        self.setItemDelegate(EntryDelegate(self))
        self.setMouseTracking(True)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._ask_menu)
        self.selectionModel().currentChanged.connect(self._current_changed)
        self.doubleClicked.connect(bind(self.entered.emit))
        self._is_quiet = False
        look().theme_changed.connect(self.scheduleDelayedItemsLayout)

    def _ask_menu(self, at: QPoint) -> None:
        self.menu_asked.emit(self.mapToGlobal(at))

    def show_entries(self, entries: Sequence[Entry], current: str) -> None:
        """Show these, standing on one of them; nothing is told."""
        self._is_quiet = True
        self.rows.show_rows(entries)
        place = self.rows.place_of(current)
        if place >= 0 and self.currentIndex().row() != place:
            self.setCurrentIndex(self.rows.index(place))
        self._is_quiet = False

    @property
    def current_key(self) -> str:
        """What the keyboard stands on."""
        index = self.currentIndex()
        return self.rows.rows[index.row()].key if index.isValid() else ""

    def rename(self, key: str) -> None:
        """Write another name in its row."""
        place = self.rows.place_of(key)
        if place >= 0:
            index = self.rows.index(place)
            self.setCurrentIndex(index)
            self.edit(index)

    def _current_changed(self, current: QModelIndex, _: QModelIndex) -> None:
        if current.isValid() and not self._is_quiet:
            self.opened.emit(self.rows.rows[current.row()].key)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        match event.key():
            case Qt.Key.Key_Return | Qt.Key.Key_Enter if self.state() != QAbstractItemView.State.EditingState:
                self.entered.emit()
            case Qt.Key.Key_Delete:
                entry = self.rows.place_of(self.current_key)
                if entry >= 0 and self.rows.rows[entry].is_chain:
                    self.deleted.emit(self.current_key)
            case _:
                super().keyPressEvent(event)
