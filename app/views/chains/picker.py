# ruff: noqa: D102  (Qt overrides do what Qt says)
"""A small search over the canvas: type, choose, Enter. For tasks to add, nodes to connect, chains to call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import (
    QEvent,
    QModelIndex,
    QObject,
    QPoint,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QFrame,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from app.theme.apply import look
from app.theme.icons import pixmap
from app.theme.paint import rounded, text
from app.views.keyed_rows import ROW_ROLE, Index, KeyedRows
from app.views.parts import column, search_field

WIDTH, ROW, ROWS_SHOWN, FOUND_MAX = 380, 44, 8, 200


@dataclass(frozen=True, slots=True)
class Choice:
    """Something to choose: what it is called, a second line, its icon; `words` are found too but not shown."""

    key: str
    title: str
    detail: str = ""
    icon: str = "wrench"
    words: str = ""


def matching(choices: Sequence[Choice], query: str) -> tuple[Choice, ...]:
    """Those that hold every word, the ones that begin with the first word before the others."""
    words = query.lower().split()
    if not words:
        return tuple(choices[:FOUND_MAX])
    ranked: list[tuple[int, int, Choice]] = []
    for at, choice in enumerate(choices):
        title, whole = choice.title.lower(), f"{choice.title} {choice.detail} {choice.words}".lower()
        if not all(word in whole for word in words):
            continue
        first = words[0]
        rank = (
            0 if title.startswith(first) or f".{first}" in title
            else 1 if first in title
            else 2
        )  # fmt: skip
        ranked.append((rank, at, choice))
    ranked.sort(key=lambda found: found[:2])
    return tuple(choice for _, _, choice in ranked[:FOUND_MAX])


class _Model(KeyedRows):
    def told(self, row: Choice, role: int) -> Any:
        if role == Qt.ItemDataRole.DisplayRole:
            return row.title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{row.title}, {row.detail}" if row.detail else row.title
        return None


class _Delegate(QStyledItemDelegate):
    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(100, look().px(ROW))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        choice: Choice = index.data(ROW_ROLE)
        box = QRectF(option.rect).adjusted(6, 0, -6, 0)
        state: QStyle.StateFlag = option.state
        if state & QStyle.StateFlag.State_Selected:
            rounded(painter, box, 5, fill="bg.selected")
        elif state & QStyle.StateFlag.State_MouseOver:
            rounded(painter, box, 5, fill="bg.hover")
        dpr = painter.device().devicePixelRatioF()
        glyph = pixmap(choice.icon, "text.secondary", 16, dpr)
        painter.drawPixmap(round(box.left() + 10), round(box.center().y() - 8), glyph)
        half = box.height() / 2
        if not choice.detail:
            text(painter, box.adjusted(36, 0, -8, 0), choice.title, "uiStrong")
            return
        top = QRectF(box.left() + 36, box.top() + 3, box.width() - 44, half - 2)
        text(painter, top, choice.title, "uiStrong")
        text(painter, top.translated(0, half - 4), choice.detail, "small", "text.tertiary")


class Picker(QFrame):
    """Lies over its parent; Escape and a click elsewhere take it away."""

    def __init__(
        self,
        parent: QWidget,
        title: str,
        choices: Sequence[Choice],
        chosen: Callable[[str], None],
        closed: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("chains.picker")
        self.setProperty("role", "popup")
        self.setAccessibleName(title)
        self._choices = tuple(choices)
        self._chosen, self._closed = chosen, closed
        self._is_over = False
        layout = column(self, (6, 6, 6, 6), 4)
        self.field = search_field(title, "chains.picker.field")
        self.field.textChanged.connect(self._search)
        self.field.installEventFilter(self)
        layout.addWidget(self.field)
        self._model = _Model()
        self.list = QListView()
        self.list.setObjectName("chains.picker.list")
        self.list.setAccessibleName(title)
        self.list.setModel(self._model)
        self.list.setItemDelegate(_Delegate(self.list))
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setMouseTracking(True)
        self.list.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setUniformItemSizes(True)
        self.list.clicked.connect(self._clicked)
        layout.addWidget(self.list)
        self.setFixedWidth(look().px(WIDTH))
        self._search("")

    def show_at(self, place: QPoint) -> None:
        """Show it with its upper left corner there, as far as the parent has room."""
        self.adjustSize()
        host = self.parentWidget()
        assert host is not None, "it lies over something"
        room = host.rect()
        x = max(8, min(place.x(), room.width() - self.width() - 8))
        y = max(8, min(place.y(), room.height() - self.height() - 8))
        self.move(x, y)
        self.show()
        self.raise_()
        self.field.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _search(self, query: str) -> None:
        self._model.show_rows(matching(self._choices, query))
        count = min(ROWS_SHOWN, max(1, len(self._model.rows)))
        self.list.setFixedHeight(count * look().px(ROW) + 2)
        self.adjustSize()
        if self._model.rows:
            self.list.setCurrentIndex(self._model.index(0))
            first = self._model.rows[0]
            self.field.setAccessibleDescription(f"{len(self._model.rows)} found, {first.title}")
        else:
            self.field.setAccessibleDescription("Nothing found")

    def _clicked(self, index: QModelIndex) -> None:
        self._take(index.row())

    def _take(self, row: int) -> None:
        if 0 <= row < len(self._model.rows):
            key = self._model.rows[row].key
            self.close_quietly()
            self._chosen(key)

    def close_quietly(self) -> None:
        """Take it away; once."""
        if self._is_over:
            return
        self._is_over = True
        self.hide()
        self.deleteLater()
        self._closed()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            key = event.key()
            row = self.list.currentIndex().row()
            if key in (Qt.Key.Key_Down, Qt.Key.Key_Up, Qt.Key.Key_PageDown, Qt.Key.Key_PageUp):
                step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_PageDown: 7}.get(Qt.Key(key), -7)
                to = min(len(self._model.rows) - 1, max(0, row + step))
                if to >= 0:
                    self.list.setCurrentIndex(self._model.index(to))
                    self.field.setAccessibleDescription(self._model.rows[to].title)
                return True
            if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._take(row)
                return True
            if key in (Qt.Key.Key_Escape, Qt.Key.Key_Tab, Qt.Key.Key_Backtab):
                self.close_quietly()
                return True
        if event.type() == QEvent.Type.FocusOut and self.isVisible():
            self.close_quietly()
        return super().eventFilter(watched, event)
