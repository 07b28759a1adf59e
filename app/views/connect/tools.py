# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The list of tools with their risk and a switch each. Space or Enter switches, a click on the switch too."""

from collections.abc import Sequence
from typing import Any, cast

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter
from PySide6.QtWidgets import QAbstractItemView, QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from app.theme.apply import look
from app.theme.focus import has_keyboard_focus
from app.theme.paint import PillTone, focus_ring, hairline, pill, pill_size, rounded, text
from app.viewmodels.connect_words import ToolWords

Index = QModelIndex | QPersistentModelIndex
TOOL_ROLE = Qt.ItemDataRole.UserRole + 1
ROW, CAPTION, PADDING = 34, 30, 12
SWITCH = (30, 18)


class _Model(QAbstractListModel):
    def __init__(self) -> None:
        super().__init__()
        self.tools: tuple[ToolWords, ...] = ()

    def show_tools(self, tools: Sequence[ToolWords]) -> None:
        if [tool.name for tool in tools] == [tool.name for tool in self.tools]:
            self.tools = tuple(tools)
            if tools:
                self.dataChanged.emit(self.index(0), self.index(len(tools) - 1))
            return
        self.beginResetModel()
        self.tools = tuple(tools)
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.tools)

    def flags(self, index: Index) -> Qt.ItemFlag:
        if not self.tools[index.row()].name:
            return Qt.ItemFlag.NoItemFlags
        return super().flags(index)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        tool = self.tools[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return tool.title
            case Qt.ItemDataRole.ToolTipRole:
                return tool.tip
            case Qt.ItemDataRole.AccessibleTextRole:
                return tool.spoken
            case _:
                return tool if role == TOOL_ROLE else None


class _Delegate(QStyledItemDelegate):
    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        tool: ToolWords = index.data(TOOL_ROLE)
        return QSize(100, look().px(ROW if tool.name else CAPTION))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        box, state, tool = QRectF(option.rect), option.state, cast("ToolWords", index.data(TOOL_ROLE))
        if not tool.name:
            room = box.adjusted(PADDING, look().px(8), -PADDING, 0)
            text(painter, room, tool.title, "caption", "text.tertiary")
            return
        if state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(box, look().colour("bg.hover"))
        hairline(painter, box.left(), box.top(), box.right())
        track = switch_box(box)
        wide, _ = pill_size(tool.risk)
        left = track.left() - 8 - wide
        pill(
            painter,
            left,
            box.center().y(),
            tool.risk,
            cast("PillTone", tool.tone),
        )
        ink = "text.primary" if tool.is_on else "text.secondary"
        text(painter, box.adjusted(PADDING, 0, left - box.right() - 8, 0), tool.title, "ui", ink)
        _paint_switch(painter, track, is_on=tool.is_on)
        if state & QStyle.StateFlag.State_HasFocus and has_keyboard_focus(option.widget):
            focus_ring(painter, box.adjusted(2, 1, -2, -1), 3, inside=True)


def switch_box(box: QRectF) -> QRectF:
    """Where the switch of a row stands."""
    wide, tall = (look().px(value) for value in SWITCH)
    return QRectF(box.right() - PADDING - wide, round(box.center().y() - tall / 2), wide, tall)


def _paint_switch(painter: QPainter, track: QRectF, *, is_on: bool) -> None:
    inset, knob = 3.0, track.height() - 6
    fill, line = ("accent.fill", "accent.fill") if is_on else ("bg.pressed", "line.strong")
    rounded(painter, track, track.height() / 2, fill=fill, line=line)
    left = track.right() - inset - knob if is_on else track.left() + inset
    place = QRectF(left, track.top() + inset, knob, knob)
    rounded(painter, place, knob / 2, fill="text.onAccent" if is_on else "line.strong")


class ToolList(QListView):
    """The tools of one app."""

    switched = Signal(str, bool)
    """A tool, and whether it may be used from now on."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName("Tools, with a switch each: Space changes it")
        self._tools = _Model()
        self.setModel(self._tools)
        self.setItemDelegate(_Delegate(self))
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMouseTracking(True)
        self.viewport().setAutoFillBackground(False)
        look().theme_changed.connect(self.scheduleDelayedItemsLayout)

    def show_tools(self, tools: Sequence[ToolWords]) -> None:
        """Show these."""
        at = self.currentIndex().row()
        self._tools.show_tools(tools)
        if 0 <= at < len(tools) and not self.currentIndex().isValid():
            self.setCurrentIndex(self._tools.index(at))

    @property
    def tools(self) -> tuple[ToolWords, ...]:
        """What is shown."""
        return self._tools.tools

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._switch(self.currentIndex())
            return
        super().keyPressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        index = self.indexAt(event.position().toPoint())
        if index.isValid() and switch_box(QRectF(self.visualRect(index))).contains(event.position()):
            self._switch(index)

    def _switch(self, index: Index) -> None:
        if index.isValid():
            tool = self._tools.tools[index.row()]
            if tool.name:
                self.switched.emit(tool.name, not tool.is_on)
