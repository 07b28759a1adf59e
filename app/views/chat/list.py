# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The chat list: captions and chats painted by a delegate, renamed in place, walked by keyboard."""

import re
from typing import Any

from PySide6.QtCore import (
    QAbstractItemModel,
    QEvent,
    QModelIndex,
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
from app.theme.icons import paint_tier, pixmap
from app.theme.paint import focus_ring, rounded, text
from app.viewmodels.conversations import Row
from app.views.keyed_rows import ROW_ROLE, Index, KeyedRows

TWO_LINES, CAPTION = 48, 30
MARKS = re.compile(r"```\w*|[`*#>|]+")  # of markdown, which a one-line preview does not need
MARGIN, PADDING, MARK, LOCK = 6, 8, 20, 16


class ChatRows(KeyedRows):
    """The rows of the view-model as Qt wants them; a chat can be renamed in place."""

    renamed = Signal(str, str)

    def key_of(self, row: Row) -> tuple[str, str]:
        return (row.caption, row.id)

    def place_of(self, conversation_id: str) -> int:
        """The row of a chat, or -1."""
        return next(
            (at for at, row in enumerate(self.rows) if conversation_id and row.id == conversation_id), -1
        )

    def told(self, row: Row, role: int) -> Any:
        if row.conversation is None:
            return (
                row.caption
                if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole)
                else None
            )
        title = row.conversation.title or "New chat"
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            tier = f", tier: {row.conversation.tier}" if row.conversation.tier else ""
            running = ", answering" if row.conversation.is_running else ""
            private = ", kept on this computer" if row.conversation.is_private else ""
            return f"{title}{tier}{running}{private}, {row.time}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{title}\nKept on this computer" if row.conversation.is_private else title
        return None

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        row = self.rows[index.row()]
        if role != Qt.ItemDataRole.EditRole or row.conversation is None or not str(value).strip():
            return False
        if str(value).strip() != row.conversation.title:
            self.renamed.emit(row.id, str(value).strip())
        return True

    def flags(self, index: Index) -> Qt.ItemFlag:
        if not index.isValid() or self.rows[index.row()].conversation is None:
            return Qt.ItemFlag.ItemNeverHasChildren
        return (
            Qt.ItemFlag.ItemIsEnabled
            | Qt.ItemFlag.ItemIsSelectable
            | Qt.ItemFlag.ItemIsEditable
            | Qt.ItemFlag.ItemNeverHasChildren
        )


class ChatDelegate(QStyledItemDelegate):
    """Paints a caption, or a chat's mark, title, time and snippet; matches in a snippet stand out."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        row: Row = index.data(ROW_ROLE)
        return QSize(100, look().px(CAPTION if row.conversation is None else TWO_LINES))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row: Row = index.data(ROW_ROLE)
        box = QRectF(option.rect)
        if row.conversation is None:
            text(painter, box.adjusted(12, look().px(8), -12, -2), row.caption, "caption", "text.tertiary")
            return
        conversation = row.conversation
        state: QStyle.StateFlag = option.state
        cell = box.adjusted(MARGIN, 0, -MARGIN, 0)
        if state & QStyle.StateFlag.State_Selected:
            rounded(painter, cell, 5, fill="bg.selected")
        elif state & QStyle.StateFlag.State_MouseOver:
            rounded(painter, cell, 5, fill="bg.hover")
        if state & QStyle.StateFlag.State_HasFocus and has_keyboard_focus(option.widget):
            focus_ring(painter, cell, 5, inside=True)
        line = look().px(18)
        top = cell.top() + (cell.height() - line - look().px(17)) / 2
        left = cell.left() + PADDING
        dpr = painter.device().devicePixelRatioF()
        if conversation.is_running:
            painter.drawPixmap(
                round(left), round(top + (line - 12) / 2), pixmap("loader", "accent.text", 12, dpr)
            )
        elif conversation.tier:
            paint_tier(painter, conversation.tier, left, top + (line - 12) / 2)
        else:
            painter.drawPixmap(
                round(left), round(top + (line - 12) / 2), pixmap("circle-dashed", "text.tertiary", 12, dpr)
            )
        right = cell.right() - PADDING
        time_width = look().metrics("small").horizontalAdvance(row.time)
        text(
            painter, QRectF(right - time_width - 1, top, time_width + 2, line), row.time, "small", "text.tertiary",
            align=Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter,
        )  # fmt: skip
        end = right - time_width - 8
        if conversation.is_private:
            end -= LOCK
            painter.drawPixmap(
                round(end + 4), round(top + (line - 12) / 2), pixmap("lock", "text.secondary", 12, dpr)
            )
        words = QRectF(left + MARK, top, end - left - MARK, line)
        text(painter, words, conversation.title or "New chat", "uiStrong")
        snippet = QRectF(left + MARK, top + line + 1, right - left - MARK, look().px(16))
        _paint_snippet(painter, snippet, conversation.draft, conversation.snippet)

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: Index) -> QWidget:
        editor = QLineEdit(parent)
        editor.setObjectName("chats.rename")
        editor.setAccessibleName("New name of the chat")
        editor.setMaxLength(200)
        return editor

    def updateEditorGeometry(self, editor: QWidget, option: QStyleOptionViewItem, index: Index) -> None:
        box: QRect = option.rect
        height = look().px(28)
        editor.setGeometry(
            box.left() + MARGIN + 2,
            box.top() + (box.height() - height) // 2,
            box.width() - 2 * MARGIN - 4,
            height,
        )

    def setModelData(self, editor: QWidget, model: QAbstractItemModel, index: Index) -> None:
        if isinstance(editor, QLineEdit):
            model.setData(index, editor.text(), Qt.ItemDataRole.EditRole)


def _paint_snippet(painter: QPainter, box: QRectF, draft: str, snippet: str) -> None:
    words = " ".join(MARKS.sub("", snippet).split())
    if draft and "«" not in words:
        used = text(painter, box, "Draft: ", "small", "warn.text")
        text(painter, box.adjusted(used, 0, 0, 0), " ".join(draft.split()), "small", "text.secondary")
        return
    if "«" not in words:
        text(painter, box, words, "small", "text.secondary")
        return
    # The match must be seen: a long beginning gives way to it.
    before, _, _ = words.partition("«")
    if look().metrics("small").horizontalAdvance(before) > box.width() * 0.45:
        words = "…" + before[-14:] + words[len(before) :]
    left = box.left()
    for at, part in enumerate(words.replace("»", "«").split("«")):
        if left >= box.right() - 4:
            break
        is_match = bool(at % 2)
        left += text(
            painter, QRectF(left, box.top(), box.right() - left, box.height()), part, "small",
            "accent.text" if is_match else "text.secondary", weight=600 if is_match else None,
        )  # fmt: skip


class ChatList(QListView):
    """Arrows move, Enter opens, F2 renames, Delete moves to the Trash; captions are stepped over."""

    opened = Signal(str)
    trashed = Signal(str)
    reached_end = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("chats.list")
        self.setAccessibleName("Chats")
        self.rows = ChatRows()
        self.setModel(self.rows)
        self.setItemDelegate(ChatDelegate(self))
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setMouseTracking(True)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.clicked.connect(self._open)
        self.verticalScrollBar().valueChanged.connect(self._scrolled)
        look().theme_changed.connect(self._restyle)

    @property
    def current_id(self) -> str:
        """The chat the keyboard stands on."""
        index = self.currentIndex()
        return self.rows.rows[index.row()].id if index.isValid() else ""

    def select(self, conversation_id: str) -> None:
        """Mark a chat as the one that is open, without opening it."""
        place = self.rows.place_of(conversation_id)
        if place < 0:
            self.clearSelection()
            self.setCurrentIndex(QModelIndex())
        elif self.currentIndex().row() != place:
            self.setCurrentIndex(self.rows.index(place))

    def rename_current(self) -> None:
        """Edit the current chat's name in place."""
        if self.currentIndex().isValid():
            self.scrollTo(self.currentIndex())
            self.edit(self.currentIndex())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if self.state() == QAbstractItemView.State.EditingState:
            super().keyPressEvent(event)
            return
        match event.key():
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self._open(self.currentIndex())
            case Qt.Key.Key_Delete | Qt.Key.Key_Backspace:
                if self.current_id:
                    self.trashed.emit(self.current_id)
            case _:
                super().keyPressEvent(event)

    def _open(self, index: QModelIndex) -> None:
        if index.isValid() and (found := self.rows.rows[index.row()].id):
            self.opened.emit(found)

    def _scrolled(self, value: int) -> None:
        if value >= self.verticalScrollBar().maximum() - 200 and self.verticalScrollBar().maximum() > 0:
            self.reached_end.emit()

    def _restyle(self) -> None:
        self.scheduleDelayedItemsLayout()
        self.viewport().update()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self.scheduleDelayedItemsLayout()
