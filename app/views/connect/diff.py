"""Lines of a file as they would become: numbers, signs, and the tint of what goes and comes."""

import re
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QAbstractItemView, QListView, QStyledItemDelegate, QStyleOptionViewItem

from app.theme.apply import look
from app.theme.paint import RIGHT, text

Index = QModelIndex | QPersistentModelIndex
LINE_ROLE = Qt.ItemDataRole.UserRole + 1
LINE, GUTTER, SIGN, TEXT = 17, 32, 46, 62
LINES_SEEN = 14
_TINTS = {"+": "diff.addBg", "-": "diff.delBg"}
_WORDS = {"+": "added", "-": "removed", " ": "stays", "@": "left out"}
_PIECES = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*"?)|(?P<comment>//.*|\#.*)|(?P<keyword>\b(?:true|false|null)\b)|(?P<number>\b\d[\d.]*\b)"""
)


class _Model(QAbstractListModel):
    def __init__(self) -> None:
        super().__init__()
        self.lines: tuple[Any, ...] = ()

    def show_lines(self, lines: Sequence[Any]) -> None:
        self.beginResetModel()
        self.lines = tuple(lines)
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.lines)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        line = self.lines[index.row()]
        if role == LINE_ROLE:
            return line
        if role == Qt.ItemDataRole.DisplayRole:
            return line.text
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"line {line.number}, {_WORDS[line.sign]}: {line.text.strip()}"
        return None


class _Delegate(QStyledItemDelegate):
    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(100, look().px(LINE))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        box, line = QRectF(option.rect), index.data(LINE_ROLE)
        if line.sign in _TINTS:
            painter.fillRect(box, look().colour(_TINTS[line.sign]))
        gutter = QRectF(box.left(), box.top(), look().px(GUTTER), box.height())
        if line.number:
            text(painter, gutter, str(line.number), "codeSmall", "text.tertiary", align=RIGHT)
        ink = {"+": "ok.text", "-": "err.text"}.get(line.sign, "text.tertiary")
        sign = {"-": "−", "@": ""}.get(str(line.sign), str(line.sign))
        text(
            painter,
            QRectF(box.left() + look().px(SIGN) - 4, box.top(), 14, box.height()),
            sign,
            "codeSmall",
            ink,
        )
        left = box.left() + look().px(TEXT)
        room = QRectF(left, box.top(), box.right() - left - 8, box.height())
        _paint_code(painter, room, line.text.expandtabs(4).rstrip("\r"))


def _paint_code(painter: QPainter, room: QRectF, code: str) -> None:
    at = 0
    for piece in _PIECES.finditer(code):
        room = _paint_piece(painter, room, code[at : piece.start()], "text.primary")
        room = _paint_piece(painter, room, piece.group(), f"code.{piece.lastgroup}")
        at = piece.end()
    _paint_piece(painter, room, code[at:], "text.primary")


def _paint_piece(painter: QPainter, room: QRectF, piece: str, ink: str) -> QRectF:
    if not piece or room.width() <= 0:
        return room
    used = text(painter, room, piece, "codeSmall", ink)
    return room.adjusted(used, 0, 0, 0)


class DiffView(QListView):
    """The lines; it is as high as they are, up to some, then it scrolls."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName("What would change, line by line")
        self.setProperty("role", "diff")
        self.lines_seen = LINES_SEEN
        """It is no higher than so many lines."""
        self._lines = _Model()
        self.setModel(self._lines)
        self.setItemDelegate(_Delegate(self))
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.viewport().setAutoFillBackground(False)
        self._resize()
        look().theme_changed.connect(self._resize)

    def show_lines(self, lines: Sequence[Any]) -> None:
        """Show these: values with `sign`, `number` and `text`."""
        self._lines.show_lines(lines)
        self._resize()

    @property
    def lines(self) -> tuple[Any, ...]:
        """What is shown."""
        return self._lines.lines

    def _resize(self) -> None:
        count = min(max(len(self._lines.lines), 1), self.lines_seen)
        self.setFixedHeight(count * look().px(LINE) + 10)
        self.scheduleDelayedItemsLayout()
