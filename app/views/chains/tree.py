# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The chain as a list: every node with the edges that leave it. Whatever can be done on the graph can be done here."""

from typing import Any

from PySide6.QtCore import (
    QAbstractItemModel,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeView,
    QWidget,
)

from app.theme.apply import look
from app.theme.focus import has_keyboard_focus
from app.theme.icons import pixmap
from app.theme.paint import focus_ring, rounded, text
from app.viewmodels.chain_editor import ChainEditor
from app.views.chains.looks import detail_of, edge_words, icon_of
from app.widgets.canvas.looks import STATES

Index = QModelIndex | QPersistentModelIndex
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class Tree(QAbstractItemModel):
    """Nodes above, the places of their outgoing edges below each."""

    def __init__(self, editor: ChainEditor) -> None:
        super().__init__()
        self.editor = editor
        self.names: tuple[str, ...] = ()
        self.edges: tuple[tuple[int, ...], ...] = ()

    def refresh(self) -> bool:
        """Read the draft; whether rows came or went."""
        draft = self.editor.draft
        names = tuple(node.name for node in draft.nodes)
        of: dict[str, list[int]] = {name: [] for name in names}
        for at, edge in enumerate(draft.edges):
            of[edge.source].append(at)
        edges = tuple(tuple(of[name]) for name in names)
        if (names, edges) == (self.names, self.edges):
            if names:
                self.dataChanged.emit(self.index(0, 0), self.index(len(names) - 1, 0))
            return False
        self.beginResetModel()
        self.names, self.edges = names, edges
        self.endResetModel()
        return True

    def index(self, row: int, column: int, parent: Index = QModelIndex()) -> QModelIndex:  # noqa: B008
        if not parent.isValid():
            return self.createIndex(row, column, 0) if 0 <= row < len(self.names) else QModelIndex()
        # The number inside is the node's row and one more; 0 is a node itself.
        return self.createIndex(row, column, parent.row() + 1)

    def parent(self, index: Index = QModelIndex()) -> QModelIndex:  # type: ignore[override]  # noqa: B008
        inside = index.internalId()
        return self.createIndex(inside - 1, 0, 0) if index.isValid() and inside else QModelIndex()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        if not parent.isValid():
            return len(self.names)
        return len(self.edges[parent.row()]) if not parent.internalId() else 0

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 1

    def node_at(self, index: Index) -> str:
        """The node of a row; of an edge's row the node it leaves."""
        inside = index.internalId()
        row = index.row() if not inside else inside - 1
        return self.names[row] if 0 <= row < len(self.names) else ""

    def edge_at(self, index: Index) -> int:
        """The edge of a row, or -1."""
        inside = index.internalId()
        return self.edges[inside - 1][index.row()] if inside else -1

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        at = self.edge_at(index)
        if role in (
            Qt.ItemDataRole.DisplayRole,
            Qt.ItemDataRole.AccessibleTextRole,
            Qt.ItemDataRole.ToolTipRole,
        ):
            if at >= 0:
                return f"Edge {edge_words(self.editor.draft.edges[at])}{self.edge_said(at)}"
            return self._node_words(index.row(), full=role != Qt.ItemDataRole.DisplayRole)
        return None

    def _node_words(self, row: int, *, full: bool) -> str:
        node = self.editor.draft.nodes[row]
        if not full:
            return node.name
        run = self.editor.runs.run
        mark = run.nodes.get(node.name) if run is not None else None
        faults = self.editor.faults_of_node(node.name)
        parts = [node.name, detail_of(node), mark.said if mark else "", faults[0].message if faults else ""]
        before = [edge.source for edge in self.editor.draft.edges if edge.target == node.name]
        parts.append(f"after {', '.join(before)}" if before else "the run begins here")
        return ", ".join(part for part in parts if part)

    def edge_said(self, at: int) -> str:
        """Whether an edge led on in the run that is shown."""
        run = self.editor.runs.run
        mark = run.edges.get(at) if run is not None else None
        if mark is None:
            return ""
        return ", led on" if mark.taken else ", did not lead on" if mark.refused else ""


class _Delegate(QStyledItemDelegate):
    def __init__(self, tree: Tree, parent: QWidget) -> None:
        super().__init__(parent)
        self._tree = tree

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(100, look().px(28 if self._tree.edge_at(index) >= 0 else 34))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        box = QRectF(option.rect).adjusted(8, 1, -8, -1)
        state: QStyle.StateFlag = option.state
        if state & QStyle.StateFlag.State_Selected:
            rounded(painter, box, 5, fill="bg.selected")
        elif state & QStyle.StateFlag.State_MouseOver:
            rounded(painter, box, 5, fill="bg.hover")
        dpr = painter.device().devicePixelRatioF()
        editor, at = self._tree.editor, self._tree.edge_at(index)
        middle = box.center().y()
        if at >= 0:
            painter.drawPixmap(
                round(box.left() + 8), round(middle - 7), pixmap("arrow-right", "text.tertiary", 14, dpr)
            )
            text(
                painter,
                box.adjusted(30, 0, -90, 0),
                edge_words(editor.draft.edges[at]),
                "small",
                "text.secondary",
            )
            words = self._tree.edge_said(at).removeprefix(", ")
            text(painter, box.adjusted(0, 0, -10, 0), words, "small", "text.tertiary", align=RIGHT)
        else:
            node = editor.draft.nodes[index.row()]
            painter.drawPixmap(
                round(box.left() + 8), round(middle - 8), pixmap(icon_of(node), "text.secondary", 16, dpr)
            )
            used = text(painter, box.adjusted(32, 0, -200, 0), node.name, "uiStrong")
            text(
                painter, box.adjusted(44 + used, 0, -170, 0), detail_of(node) or "no task yet", "codeSmall",
                "text.tertiary" if detail_of(node) else "err.text",
            )  # fmt: skip
            run = editor.runs.run
            mark = run.nodes.get(node.name) if run is not None else None
            right = box.right() - 10
            if editor.faults_of_node(node.name):
                painter.drawPixmap(
                    round(right - 14), round(middle - 7), pixmap("triangle-alert", "err.mark", 14, dpr)
                )
                right -= 20
            if mark is not None and mark.state:
                look_ = STATES[mark.state]
                painter.drawPixmap(
                    round(right - 14), round(middle - 7), pixmap(look_.glyph, look_.ink, 14, dpr)
                )
                text(
                    painter,
                    QRectF(right - 180, box.top(), 160, box.height()),
                    mark.said,
                    "small",
                    "text.tertiary",
                    align=RIGHT,
                )
        if state & QStyle.StateFlag.State_HasFocus and has_keyboard_focus(option.widget):
            focus_ring(painter, box, 5, inside=True)


class TreePane(QTreeView):
    """Arrows walk and fold, Enter opens the details, A adds after, C connects, F2 renames, Delete deletes."""

    chosen = Signal()
    opened = Signal()
    add_asked = Signal()
    connect_asked = Signal(str)
    rename_asked = Signal()
    menu_asked = Signal(QPoint)

    def __init__(self, editor: ChainEditor) -> None:
        super().__init__()
        self.setObjectName("chains.tree")
        self.setAccessibleName("Nodes and edges of the chain")
        self._editor = editor
        self.tree = Tree(editor)
        self.setModel(self.tree)
        self.setItemDelegate(_Delegate(self.tree, self))
        self.setHeaderHidden(True)
        self.setIndentation(24)
        self.setRootIsDecorated(False)
        self.setMouseTracking(True)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._ask_menu)
        self.selectionModel().selectionChanged.connect(self._selected)
        self._is_quiet = False
        editor.changed.connect(self.refresh)
        editor.selected.connect(self._follow)
        editor.runs.changed.connect(self.viewport().update)
        editor.faults_changed.connect(self.viewport().update)
        look().theme_changed.connect(self.scheduleDelayedItemsLayout)

    def _ask_menu(self, at: QPoint) -> None:
        self.menu_asked.emit(self.viewport().mapToGlobal(at))

    def refresh(self) -> None:
        """Show the draft."""
        if not self.isVisible():
            return
        self._is_quiet = True
        if self.tree.refresh():
            self.expandAll()
        self._is_quiet = False
        self._follow()

    def showEvent(self, event: Any) -> None:
        super().showEvent(event)
        self.refresh()

    def _follow(self) -> None:
        """Stand where the graph stands."""
        if not self.isVisible() or self._is_quiet:
            return
        places = {name: at for at, name in enumerate(self.tree.names)}
        wanted = [self.tree.index(places[name], 0) for name in self._editor.nodes if name in places]
        for at in self._editor.edges:
            source = self._editor.draft.edges[at].source
            if source in places and at in self.tree.edges[places[source]]:
                parent = self.tree.index(places[source], 0)
                wanted.append(self.tree.index(self.tree.edges[places[source]].index(at), 0, parent))
        self._is_quiet = True
        model = self.selectionModel()
        model.clearSelection()
        for index in wanted:
            model.select(index, QItemSelectionModel.SelectionFlag.Select)
        if wanted:
            model.setCurrentIndex(wanted[-1], QItemSelectionModel.SelectionFlag.NoUpdate)
            self.scrollTo(wanted[-1])
        self._is_quiet = False

    def _selected(self) -> None:
        if self._is_quiet:
            return
        nodes: list[str] = []
        edges: list[int] = []
        for index in self.selectionModel().selectedIndexes():
            at = self.tree.edge_at(index)
            if at >= 0:
                edges.append(at)
            else:
                nodes.append(self.tree.node_at(index))
        self._is_quiet = True
        self._editor.select(tuple(nodes), tuple(edges))
        self._is_quiet = False
        self.chosen.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        held = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        plain = not held & (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier)
        match event.key():
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self.opened.emit()
            case Qt.Key.Key_A if plain:
                self.add_asked.emit()
            case Qt.Key.Key_C if plain and self._editor.nodes:
                self.connect_asked.emit("failure" if held & Qt.KeyboardModifier.ShiftModifier else "success")
            case Qt.Key.Key_F2:
                self.rename_asked.emit()
            case _:
                super().keyPressEvent(event)
