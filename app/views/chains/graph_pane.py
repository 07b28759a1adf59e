"""The graph of the open chain: the canvas with its map and zoom, bound to the editor; copy, paste, align, add, connect."""

import json
from collections.abc import Callable
from typing import cast

from PySide6.QtCore import QPoint, QPointF, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence
from PySide6.QtWidgets import QFrame, QMenu, QWidget

from app.theme.icons import icon
from app.viewmodels.chain_draft import Draft, Place, aligned, draft_of
from app.viewmodels.chain_editor import ChainEditor
from app.views.chains.looks import Looks, task_icon
from app.views.chains.picker import Choice, Picker
from app.views.parts import bind, column, icon_button
from app.widgets.canvas.minimap import Minimap
from app.widgets.canvas.over import OverBar
from app.widgets.canvas.view import ZOOM_STEP, GraphView
from app.widgets.push_button import PushButton

PASTED_BY = 32
SMALL, SOON_MS = 200, 80


class GraphPane(QFrame):
    """`opened` asks for the details; `rename_asked` for the name field of the chosen node."""

    opened = Signal()
    rename_asked = Signal()
    chain_asked = Signal(str)
    """Another chain shall be opened: the one that the chosen node starts."""

    def __init__(self, editor: ChainEditor) -> None:
        super().__init__()
        self.setObjectName("chains.graph")
        self._editor = editor
        self._chains: tuple[str, ...] = ()
        self._is_fresh = True
        self._looks = Looks()
        self._pasted = 0
        self._soon = QTimer(self)
        self._soon.setObjectName("chains.graph.soon")
        self._soon.setSingleShot(True)
        self._soon.setInterval(SOON_MS)
        self._soon.timeout.connect(self.refresh)
        self.view = GraphView("chains.canvas")
        column(self).addWidget(self.view)
        self.minimap = Minimap(self.view)
        self.view.lay_over(self.minimap, Qt.Corner.BottomRightCorner)
        self.zoom_bar = self._make_zoom_bar()
        self.view.lay_over(self.zoom_bar, Qt.Corner.BottomLeftCorner)
        self.tools = self._make_tools()
        self.view.lay_over(self.tools, Qt.Corner.TopLeftCorner)
        self.picker: Picker | None = None
        view = self.view
        view.chosen.connect(self._chosen)
        view.opened.connect(self.opened)
        view.moved.connect(self._moved)
        view.connected.connect(editor.connect_nodes)
        view.add_asked.connect(self._ask_add)
        view.menu_asked.connect(self.show_menu)
        view.looked.connect(self._say_zoom)
        view.said.connect(self._say)
        editor.changed.connect(self.refresh)
        editor.faults_changed.connect(self.refresh)
        editor.runs.changed.connect(self._follow_run)
        editor.runs.pins_changed.connect(self.refresh)
        editor.selected.connect(self._select)
        editor.opened.connect(self._opened)
        editor.runs.edges_fired.connect(view.send_messages)

    def _make_zoom_bar(self) -> QWidget:
        bar = OverBar("chains.zoom")
        inner = bar.row
        inner.addWidget(
            icon_button(
                "minus",
                "chains.zoom.out",
                "Zoom out",
                lambda: self._zoom(1 / ZOOM_STEP),
                keys="−",
                small=True,
            )
        )
        self.zoom_words = PushButton("100 %")
        self.zoom_words.setObjectName("chains.zoom.reset")
        self.zoom_words.setAccessibleName("Zoom 100 %")
        self.zoom_words.setProperty("kind", "ghost")
        self.zoom_words.setProperty("small", True)
        self.zoom_words.setToolTip("Size of the design  0")
        self.zoom_words.setAutoDefault(False)
        self.zoom_words.clicked.connect(lambda: self.view.set_zoom(1.0))
        inner.addWidget(self.zoom_words)
        inner.addWidget(
            icon_button(
                "plus", "chains.zoom.in", "Zoom in", lambda: self._zoom(ZOOM_STEP), keys="+", small=True
            )
        )
        inner.addWidget(
            icon_button("maximize", "chains.zoom.fit", "Show all of it", self.view.fit, keys="F", small=True)
        )
        bar.adjustSize()
        return bar

    def _make_tools(self) -> QWidget:
        bar = OverBar("chains.tools")
        inner = bar.row
        inner.addWidget(
            icon_button("plus", "chains.add", "Add a node", bind(self.run, "add"), keys="A", small=True)
        )
        inner.addWidget(
            icon_button("workflow", "chains.arrange", "Arrange", bind(self.run, "arrange"), small=True)
        )
        bar.adjustSize()
        return bar

    # What is shown

    def set_chains(self, names: tuple[str, ...]) -> None:
        """The chains a node may start."""
        self._chains = names

    def _opened(self) -> None:
        self._is_fresh = True

    def _follow_run(self) -> None:
        """A small chain follows each frame; all of a large one is looked through a dozen times a second."""
        if len(self._editor.draft.nodes) <= SMALL:
            self.refresh()
        elif not self._soon.isActive() and self.isVisible():
            self._soon.start()

    def refresh(self) -> None:
        """Draw the draft and its run."""
        self._soon.stop()
        if not self.isVisible():
            return
        editor = self._editor
        wrong: dict[str, str] = {}
        wrong_edges: dict[int, str] = {}
        for fault in editor.faults:
            if fault.key.startswith("nodes."):
                name = fault.key[6:].partition(".")[0].partition("[")[0]
                wrong.setdefault(name, fault.message)
            elif fault.key.startswith("edges["):
                at = fault.key[6:].partition("]")[0]
                if at.isdigit():
                    wrong_edges.setdefault(int(at), fault.message)
        nodes, edges = self._looks.of(
            editor.draft, editor.runs.run, faults=wrong, edge_faults=wrong_edges, pins=editor.runs.pins
        )
        self.view.show_graph(nodes, edges)
        if self._is_fresh and nodes:
            self._is_fresh = False
            self.view.fit()
        self._select()

    def showEvent(self, event: object) -> None:  # Qt's name
        """What changed meanwhile is drawn."""
        super().showEvent(event)  # type: ignore[arg-type]
        self.refresh()

    def resizeEvent(self, event: object) -> None:  # Qt's name
        """A chain shown before there was room is fitted now."""
        was_small = self.view.viewport().width() < 200
        super().resizeEvent(event)  # type: ignore[arg-type]
        if was_small and self.view.graph.nodes:
            self.view.fit()

    def _select(self) -> None:
        view, editor = self.view, self._editor
        if set(view.selected) != set(editor.nodes) or view.selected_edges != tuple(sorted(editor.edges)):
            view.select(editor.nodes, editor.edges)
            if editor.nodes:
                view.show_node(editor.nodes[-1])

    def _chosen(self) -> None:
        self._editor.select(self.view.selected, self.view.selected_edges)

    def _moved(self, places: dict[str, tuple[float, float]]) -> None:
        self._editor.move({name: (round(x), round(y)) for name, (x, y) in places.items()})

    def _zoom(self, by: float) -> None:
        self.view.set_zoom(self.view.zoom * by)

    def _say_zoom(self) -> None:
        words = f"{self.view.zoom * 100:.0f} %"
        if words != self.zoom_words.text():
            self.zoom_words.setText(words)
            self.zoom_words.setAccessibleName(f"Zoom {words}, back to 100 %")

    def _say(self, words: str) -> None:
        self.view.setAccessibleDescription(words)

    # Adding and connecting

    def ask_add(self, after: str = "") -> None:
        """Search for something to add, after a node or in the middle of what is in view."""
        graph = self.view.graph
        if after in graph.nodes:
            node = graph.nodes[after]
            self._ask_add(QPointF(node.x + 272, node.y), after, "success")
        else:
            middle = self.view.seen.center()
            self._ask_add(QPointF(middle.x() - 88, middle.y() - 27), "", "success")

    def _ask_add(self, at: QPointF, after: str, kind: str) -> None:
        def chosen(task: str) -> None:
            place: Place = (round(at.x()), round(at.y()))
            name = self._editor.add(task, place, after, kind)
            self.view.graph.stand_on(name)
            self.view.show_node(name)
            self.opened.emit()

        words = f"Add after {after}" if after else "Add a node"
        self._pick(words, self.tasks(), chosen, self.view.mapFromScene(at))

    def ask_task(self) -> None:
        """Search for another task for the chosen node."""
        node = self._editor.node
        if node is None:
            return

        def chosen(task: str) -> None:
            is_chain = task.startswith("chain:")
            fields = {key: value for key, value in node.fields.items() if key not in ("task", "chain")}
            first: dict[str, object] = {"chain": task.removeprefix("chain:")} if is_chain else {"task": task}
            self._editor.set_node(node.name, {**first, **fields}, "the task")

        place = QPoint(self.width() - 400, 60)
        self._pick(f"Task of {node.name}", self.tasks(), chosen, place)

    def ask_connect(self, kind: str = "success") -> None:
        """Search for a node to lead to from the chosen one."""
        node = self._editor.node
        if node is None:
            return
        source = node.name
        taken = {
            edge.target for edge in self._editor.draft.edges if edge.source == source and edge.on == kind
        }
        choices = [
            Choice(each.name, each.name, each.task or each.chain, task_icon(each.task))
            for each in self._editor.draft.nodes
            if each.name not in taken
        ]
        words = f"On failure, {source} leads to" if kind == "failure" else f"{source} leads to"
        self._pick(
            words, choices, lambda target: self._editor.connect_nodes(source, target, kind), QPoint(120, 80)
        )

    def search(self, choices: list[Choice], chosen: Callable[[str], None]) -> None:
        """Search among these."""
        self._pick("Find in this chain", choices, chosen, QPoint(120, 40))

    def tasks(self) -> list[Choice]:
        """All functions, and the chains that can be started."""
        found = [
            Choice(name, name, function.description.partition("\n")[0], task_icon(name))
            for name, function in self._editor.functions.items()
        ]
        found += [
            Choice(f"chain:{name}", name, "Start this chain", "workflow", "sub-chain chain")
            for name in self._chains
            if name != self._editor.name
        ]
        return found

    def _pick(self, title: str, choices: list[Choice], chosen: Callable[[str], None], place: QPoint) -> None:
        self.close_picker()
        host = self.window().findChild(QWidget, "chains.main") or self
        at = self.view.viewport().mapTo(host, place) if self.isVisible() else QPoint(160, 80)

        def closed() -> None:
            self.picker = None
            target = self.view if self.isVisible() else host.findChild(QWidget, "chains.tree")
            if target is not None:
                target.setFocus(Qt.FocusReason.OtherFocusReason)

        self.picker = Picker(host, title, choices, chosen, closed)
        self.picker.show_at(at)

    def close_picker(self) -> None:
        """Take the search away."""
        if self.picker is not None:
            self.picker.close_quietly()

    # Copy, paste, align

    def copy(self) -> bool:
        """What is chosen, as a document, so that it can be pasted into a text as well."""
        if not self._editor.nodes:
            return False
        part = self._editor.draft.cut_out(self._editor.nodes)
        document = part.document()
        document["places"] = {name: list(place) for name, place in part.places.items()}
        QGuiApplication.clipboard().setText(json.dumps(document, ensure_ascii=False, indent=1))
        self._pasted = 0
        return True

    def cut(self) -> None:
        """Copy and delete."""
        if self.copy():
            self._editor.delete_chosen()

    def paste(self) -> None:
        """Nodes from the clipboard, a step aside each time."""
        part = _part_of(QGuiApplication.clipboard().text())
        if part is not None:
            self._pasted += 1
            self._editor.paste(part, (PASTED_BY * self._pasted, PASTED_BY * self._pasted))

    def duplicate(self) -> None:
        """What is chosen once more, beside it."""
        if self._editor.nodes:
            self._editor.paste(self._editor.draft.cut_out(self._editor.nodes), (PASTED_BY, 96))

    def align(self, way: str) -> None:
        """Put what is chosen into a line, or spread it evenly."""
        draft, chosen = self._editor.draft, self._editor.nodes
        places = {name: draft.places[name] for name in chosen if name in draft.places}
        labels = {"left": "Align left", "top": "Align top", "across": "Spread across", "down": "Spread down"}
        self._editor.move(aligned(places, way), labels[way])

    def select_all(self) -> None:
        """Choose every node."""
        self._editor.select(tuple(node.name for node in self._editor.draft.nodes))

    def run(self, verb: str) -> bool:
        """Do what a key or a menu says; False for what is not known here."""
        act = self._acts().get(verb)
        if act is None:
            return False
        act()
        return True

    def _acts(self) -> dict[str, Callable[[], object]]:
        editor = self._editor
        return {
            "add": lambda: self.ask_add(editor.nodes[0] if len(editor.nodes) == 1 else ""),
            "connect": self.ask_connect,
            "connectFailure": lambda: self.ask_connect("failure"),
            "copy": self.copy,
            "cut": self.cut,
            "paste": self.paste,
            "duplicate": self.duplicate,
            "delete": editor.delete_chosen,
            "all": self.select_all,
            "arrange": self._arrange,
            "fit": self.view.fit,
            "rename": self.rename_asked.emit,
            "chain": self._open_chain,
            **{way: bind(self.align, way) for way in ("left", "top", "across", "down")},
        }

    def _open_chain(self) -> None:
        node = self._editor.node
        if node is not None and node.chain in self._chains:
            self.chain_asked.emit(node.chain)

    def _arrange(self) -> None:
        self._editor.arrange()
        self.view.fit()

    def _chain_entry(self) -> list[tuple[str, str, str, str, bool] | None]:
        node = self._editor.node
        if node is None or not node.chain:
            return []
        return [("chain", f"Open {node.chain}", "workflow", "", node.chain in self._chains)]

    def show_menu(self, place: QPoint) -> None:
        """What can be done with what is chosen."""
        menu = QMenu(self)
        menu.setObjectName("chains.menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        editor = self._editor
        one, some = len(editor.nodes) == 1, bool(editor.nodes)
        many = len(editor.nodes) > 1
        entries: list[tuple[str, str, str, str, bool] | None] = [
            ("add", "Add after this…" if one else "Add a node…", "plus", "A", True),
            ("connect", "Connect to…", "arrow-right", "C", one),
            ("connectFailure", "On failure, connect to…", "arrow-right", "Shift+C", one),
            ("rename", "Rename", "pencil", "F2", one),
            *self._chain_entry(),
            None,
            ("cut", "Cut", "scissors", "Ctrl+X", some),
            ("copy", "Copy", "copy", "Ctrl+C", some),
            ("paste", "Paste", "inbox", "Ctrl+V", True),
            ("duplicate", "Duplicate", "layers", "Ctrl+D", some),
            ("delete", "Delete", "trash-2", "Del", some or bool(editor.edges)),
            None,
            ("left", "Align left", "", "", many),
            ("top", "Align top", "", "", many),
            ("across", "Spread across", "", "", many),
            ("down", "Spread down", "", "", many),
            None,
            ("all", "Select all", "", "Ctrl+A", bool(editor.draft.nodes)),
            ("arrange", "Arrange", "workflow", "", bool(editor.draft.nodes)),
            ("fit", "Show all of it", "maximize", "F", bool(editor.draft.nodes)),
        ]
        for entry in entries:
            if entry is None:
                menu.addSeparator()
                continue
            verb, words, glyph, keys, can = entry
            action = QAction(words, menu)
            action.setObjectName(f"chains.menu.{verb}")
            if glyph:
                action.setIcon(icon(glyph, "text.secondary", 16))
            if keys:
                action.setShortcut(QKeySequence(keys))
                action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
                action.setShortcutVisibleInContextMenu(True)
            action.setEnabled(can)
            action.triggered.connect(lambda _=False, to=verb: self.run(to))
            menu.addAction(action)
        menu.popup(place)


def _part_of(text: str) -> Draft | None:
    """What a clipboard holds as nodes; None where that is something else."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        document: object = json.loads(text)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    found = cast("dict[str, object]", document)
    places: dict[str, Place] = {}
    held = found.pop("places", {})
    if isinstance(held, dict):
        for name, place in cast("dict[str, object]", held).items():
            if isinstance(place, list) and len(pair := cast("list[object]", place)) == 2:
                x, y = pair
                if isinstance(x, int) and isinstance(y, int):
                    places[name] = (x, y)
    part = draft_of(found)
    return Draft(part.head, part.nodes, part.edges, places) if part is not None and part.nodes else None
