# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The Chains page: chains and runs left, graph, list or text in the middle with the timeline below, details right."""

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QApplication, QSplitter, QStackedWidget, QWidget

from app.viewmodels.chain_examples import Example
from app.viewmodels.chains import ChainsViewModel
from app.views.chains.controls import ChainHead
from app.views.chains.details import ChainDetails
from app.views.chains.empty import EmptyChains
from app.views.chains.graph_pane import GraphPane
from app.views.chains.history import UndoHistory
from app.views.chains.index import ChainIndex
from app.views.chains.kept import KeptTexts
from app.views.chains.rules import Operator
from app.views.chains.text_twin import TextTwin
from app.views.chains.timeline import Timeline
from app.views.chains.tree import TreePane
from app.views.frame import PageFrame
from app.views.parts import bind, column, focus_quietly, frame
from app.views.services import Services

SIDE_WIDTH = 208
TIMELINE = 176
GRAPH_KEYS = (
    ("Ctrl+C", "copy"),
    ("Ctrl+X", "cut"),
    ("Ctrl+V", "paste"),
    ("Ctrl+D", "duplicate"),
    ("Ctrl+A", "all"),
    ("Del", "delete"),
    ("Backspace", "delete"),
    ("F2", "rename"),
)


class ChainsPage(PageFrame):
    """`run(verb)` does what a command of this page says."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._had_any = False
        self._runs_next = False
        self._wanted_inspector = True
        kept, inputs = KeptTexts(services.home, "chain"), KeptTexts(services.home, "input")
        store = services.store
        self.chains = ChainsViewModel(
            services.bridge,
            services.now,
            make_history=UndoHistory,
            recall=store.text,
            remember=store.set_text,
            kept=kept.read,
            keep=kept.keep,
            kept_names=kept.names,
            kept_input=inputs.read,
            keep_input=inputs.keep,
        )
        self.editor = self.chains.editor
        main = self._make_main()
        self.index = ChainIndex(self.chains, services.now, self.new_chain)
        self.index.refused.connect(services.bridge.refused)
        self.list = self.index.list
        self.inside = ChainDetails(
            self.editor,
            self.chains.set_input,
            self._go_to,
            self.graph.ask_task,
            lambda: self.show_inspector(False),
        )
        super().__init__("chains", main, self.index, self.inside, side_width=SIDE_WIDTH)
        self._connect()
        self._make_keys()
        self.chains.read_operators(self._take_operators)
        self.editor.read_functions()
        self.chains.refresh()
        services.bridge.connected.connect(self._connected)
        services.bridge.lost.connect(self.chains.refresh)
        self._say_all()

    # What is opened

    def _open_chain(self, name: str) -> None:
        self._open_entry(f"chain:{name}")
        self.index.refresh()

    def _open_entry(self, key: str) -> None:
        kind, _, name = key.partition(":")
        if kind == "chain":
            self.text.settle(lambda: self.chains.open(name))
        elif kind == "run":
            self.editor.runs.show(name)
            self._show_timeline(True)

    # The middle

    def _make_main(self) -> QWidget:
        main = frame("page", "chains.main")
        main.setAccessibleName("Chain")
        layout = column(main)
        self.head = ChainHead(
            self.editor, self._services.now, save=self._save, dry_run=self._dry_run, start=self._start,
            show_details=self.toggle_inspector,
        )  # fmt: skip
        self.head.ways.changed.connect(self._show_way)
        layout.addWidget(self.head)
        self.graph = GraphPane(self.editor)
        self.tree = TreePane(self.editor)
        self.text = TextTwin(self.editor)
        self.ways_stack = QStackedWidget()
        self.ways_stack.setObjectName("chains.waysStack")
        for widget in (self.graph, self.tree, self.text):
            self.ways_stack.addWidget(widget)
        self.timeline = Timeline(self.editor)
        self.timeline.hide()
        self.parts = QSplitter(Qt.Orientation.Vertical)
        self.parts.setObjectName("chains.parts")
        self.parts.setHandleWidth(0)
        self.parts.setChildrenCollapsible(False)
        self.parts.addWidget(self.ways_stack)
        self.parts.addWidget(self.timeline)
        self.parts.setStretchFactor(0, 1)
        self.timeline.setMinimumHeight(96)
        self.parts.setSizes([10_000, TIMELINE])
        self.empty = EmptyChains(self.begin_example, self.new_chain)
        self.body = QStackedWidget()
        self.body.setObjectName("chains.body")
        self.body.addWidget(self.parts)
        self.body.addWidget(self.empty)
        layout.addWidget(self.body, 1)
        return main

    def _connect(self) -> None:
        chains, editor = self.chains, self.editor
        chains.changed.connect(self._say_all)
        chains.runs_changed.connect(self.index.refresh)
        chains.chosen.connect(bind(self._say_all))
        chains.deleted.connect(self._deleted)
        editor.opened.connect(self._opened)
        editor.saved_changed.connect(self._say_head)
        editor.faults_changed.connect(self._say_head)
        editor.runs.changed.connect(self._say_run)
        editor.history_changed.connect(self._say_head)
        self.list.opened.connect(self._open_entry)
        self.list.entered.connect(self._enter)
        self.graph.opened.connect(self._open_details)
        self.graph.rename_asked.connect(self._rename_node)
        self.graph.chain_asked.connect(self._open_chain)
        self.tree.opened.connect(self._open_details)
        self.tree.add_asked.connect(
            lambda: self.graph.ask_add(self.editor.nodes[0] if len(self.editor.nodes) == 1 else "")
        )
        self.tree.connect_asked.connect(self.graph.ask_connect)
        self.tree.rename_asked.connect(self._rename_node)
        self.tree.menu_asked.connect(self.graph.show_menu)
        self.timeline.opened.connect(self._open_node)
        self.timeline.ticked.connect(self.head.say_run)
        self.timeline.closed.connect(lambda: self._show_timeline(False))
        self.panes_changed.connect(self._say_head)

    def _make_keys(self) -> None:
        for keys, verb in GRAPH_KEYS:
            for widget in (self.graph.view, self.tree):
                made = QShortcut(QKeySequence(keys), widget)
                made.setContext(Qt.ShortcutContext.WidgetShortcut)
                made.activated.connect(bind(self.graph.run, verb))
        for keys, what in (
            ("Ctrl+Z", self.editor.undo),
            ("Ctrl+Shift+Z", self.editor.redo),
            ("Ctrl+Y", self.editor.redo),
            ("Ctrl+S", self._save),
            ("Ctrl+Return", self._start),
            ("Ctrl+Shift+Return", self._dry_run),
        ):
            made = QShortcut(QKeySequence(keys), self)
            made.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            made.activated.connect(what)

    # What is said

    def _say_all(self) -> None:
        has_any = bool(self.chains.names)
        if has_any != self._had_any:
            self._want_details(has_any and self._wanted_inspector)
        self._had_any = has_any
        wanted = self.parts if has_any or not self.chains.is_read else self.empty
        if self.body.currentWidget() is not wanted:
            focused = QApplication.focusWidget()
            had_focus = focused is not None and self.body.isAncestorOf(focused)
            self.body.setCurrentWidget(wanted)
            if had_focus:
                self.take_focus()
        self.graph.set_chains(tuple(row.name for row in self.chains.rows))
        self.index.refresh()
        self._say_head()
        self._say_run()
        self.inside.refresh()

    def _say_head(self) -> None:
        has = self.editor.is_open and bool(self.chains.names)
        self.head.say(has=has, has_details=self.is_inspector_shown)

    def _say_run(self) -> None:
        self.head.say_run()
        run = self.editor.runs.run
        if run is not None and run.is_running and not self.timeline.isVisible():
            self._show_timeline(True)
        self._say_head()

    def _connected(self) -> None:
        self.chains.read_operators(self._take_operators)
        self.editor.read_functions()
        self.chains.refresh()

    def _take_operators(self, found: tuple[tuple[str, str, str], ...]) -> None:
        self.inside.edge.set_operators(tuple(Operator(*each) for each in found))

    # What a person does

    def run(self, verb: str) -> None:
        """Do what a command says."""
        match verb:
            case "new":
                self.new_chain()
            case "run":
                self._start()
            case "dry":
                self._dry_run()
            case "save":
                self._save()
            case "import":
                self.index.ask_import()
            case "export":
                self.index.ask_export()
            case "graph" | "list" | "text":
                self.head.ways.choose(verb)
                self._show_way(verb)
            case _:
                self.graph.run(verb)

    def new_chain(self) -> None:
        """An empty chain, with the search for its first task open."""
        self.chains.new()
        self.head.ways.choose("graph")
        self._show_way("graph")
        self.graph.ask_add()

    def begin_example(self, example: Example) -> None:
        """A ready chain: opened, and run at once."""
        self._runs_next = True
        self.chains.begin_example(example)

    def _opened(self) -> None:
        """Another chain is on the bench; an example runs at once."""
        self._say_all()
        if self._runs_next:
            self._runs_next = False
            self._start()

    def _show_way(self, way: str) -> None:
        widget = {"graph": self.graph, "list": self.tree, "text": self.text}[way]
        self.ways_stack.setCurrentWidget(widget)

    def _show_timeline(self, is_shown: bool) -> None:
        self.timeline.setVisible(is_shown)
        if is_shown and self.parts.sizes()[1] < 96:
            self.parts.setSizes([self.parts.height() - TIMELINE, TIMELINE])

    def _start(self) -> None:
        if self.editor.runs.run is not None and self.editor.runs.run.is_running:
            self.editor.runs.stop()
        else:
            self.text.settle(self._start_now)

    def _start_now(self) -> None:
        if self.head.start.isEnabled() and self._can_save():
            self.editor.start()
            self._show_timeline(True)

    def _dry_run(self) -> None:
        self.text.settle(self._dry_run_now)

    def _dry_run_now(self) -> None:
        if self.head.dry.isEnabled():
            self.editor.start(is_dry=True)
            self._show_timeline(True)

    def _save(self) -> None:
        self.text.settle(self._save_now)

    def _save_now(self) -> None:
        if not self.editor.is_saved and not self.editor.faults and self._can_save():
            self.editor.save(self.chains.refresh)

    def _can_save(self) -> bool:
        """Another name in the text must not put this chain in the place of another one."""
        name = self.editor.draft.name
        if name == self.editor.name or name not in self.chains.names:
            return True
        self._services.bridge.refused.emit(
            f"There is a chain {name} already. Give this one another name, or open that one."
        )
        return False

    def _open_details(self) -> None:
        self.show_inspector()
        self.inside.enter()

    def _rename_node(self) -> None:
        if self.editor.node is not None:
            self.show_inspector()
            self.inside.enter_name()

    def _open_node(self, name: str) -> None:
        self.editor.select((name,))
        self.show_inspector()
        if self.graph.isVisible():
            self.graph.view.show_node(name)

    def _go_to(self, key: str, number: int | None) -> None:
        """From a fault to where it is."""
        if self.text.isVisible() and number is not None:
            self.text.go_to(number)
            return
        if key.startswith("nodes."):
            self._open_node(key[6:].partition(".")[0].partition("[")[0])
        elif key.startswith("edges[") and (at := key[6:].partition("]")[0]).isdigit():
            if int(at) < len(self.editor.draft.edges):
                self.editor.select((), (int(at),))
        elif number is not None:
            self.run("text")
            self.text.go_to(number)

    def _enter(self) -> None:
        key = self.list.current_key
        if key:
            self._open_entry(key)
        self._focus_way(Qt.FocusReason.ShortcutFocusReason)

    def _deleted(self, name: str) -> None:
        notices = getattr(self.window(), "notices", None)
        if notices is not None:
            notices.tell(f"{name} was deleted.", icon="trash-2", undo=self.chains.bring_back)

    # Focus

    def take_focus(self, reason: Qt.FocusReason = Qt.FocusReason.OtherFocusReason) -> None:
        """The graph has the focus, or whatever stands in its place."""
        if self.body.currentWidget() is self.empty:
            focus_quietly(self.empty.buttons[0], reason)
        else:
            self._focus_way(reason)

    def _focus_way(self, reason: Qt.FocusReason) -> None:
        target = {"graph": self.graph.view, "list": self.tree, "text": self.text.field}[self.head.ways.choice]
        focus_quietly(target, reason)

    def find_here(self) -> None:
        """Search the nodes of this chain."""
        from app.views.chains.looks import task_icon
        from app.views.chains.picker import Choice

        choices = [
            Choice(node.name, node.name, node.task or node.chain, task_icon(node.task))
            for node in self.editor.draft.nodes
        ]
        if choices:
            self.graph.search(choices, self._open_node)

    def restore(self, state: dict[str, int]) -> None:
        """What was remembered; the details are open unless a person shut them."""
        self._wanted_inspector = bool(state.get("inspector", 1))
        super().restore(state)
        self._want_details(self._had_any and self._wanted_inspector)

    def _want_details(self, is_wanted: bool) -> None:
        """Beside the graph where there is room; never by itself over it."""
        self._wants_inspector = is_wanted
        self._arrange()

    def state(self) -> dict[str, int]:
        held = super().state()
        return held if self._had_any else {**held, "inspector": int(self._wanted_inspector)}

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self.head.fit()

    def hideEvent(self, event: Any) -> None:
        super().hideEvent(event)
        self.graph.close_picker()
        self.chains.flush()
