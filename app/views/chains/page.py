# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The Chains page: chains and runs left, graph, list or text in the middle with the timeline below, details right."""

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QApplication,
    QFileDialog,
    QLabel,
    QMenu,
    QSplitter,
    QStackedWidget,
    QWidget,
)

from app.theme.apply import look
from app.theme.icons import pixmap, set_icon
from app.viewmodels import wording
from app.viewmodels.chain_examples import Example
from app.viewmodels.chain_run import RUN_STATE, RUN_WORDS, run_words
from app.viewmodels.chains import ChainsViewModel
from app.views.chains.chain_panel import ChainPanel
from app.views.chains.edge_panel import EdgePanel
from app.views.chains.empty import EmptyChains
from app.views.chains.graph_pane import GraphPane
from app.views.chains.history import UndoHistory
from app.views.chains.kept import KeptTexts
from app.views.chains.node_panel import NodePanel
from app.views.chains.rules import Operator
from app.views.chains.side import Entry, EntryList
from app.views.chains.text_twin import TextTwin
from app.views.chains.timeline import Timeline
from app.views.chains.tree import TreePane
from app.views.frame import PageFrame
from app.views.painted import PillRow
from app.views.parts import (
    ElidedLabel,
    Head,
    bind,
    button,
    column,
    focus_quietly,
    frame,
    icon_button,
)
from app.views.scrolled import Scrolled
from app.views.services import Services
from app.widgets.canvas.looks import STATES
from app.widgets.segmented import Segmented

SIDE_WIDTH = 208
TIMELINE = 176
PILL_FROM = 640
WAYS = (("graph", "Graph"), ("list", "List"), ("text", "YAML"))
TONES = {"done": "ok", "failed": "err", "running": "accent", "skipped": "neutral"}
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
        side = self._make_side()
        inspector = self._make_inspector()
        super().__init__("chains", main, side, inspector, side_width=SIDE_WIDTH)
        self._connect()
        self._make_keys()
        self.chains.read_operators(self._take_operators)
        self.editor.read_functions()
        self.chains.refresh()
        services.bridge.connected.connect(self._connected)
        services.bridge.lost.connect(self.chains.refresh)
        look().theme_changed.connect(self._say_panel)
        self._say_all()

    # The second column

    def _make_side(self) -> QWidget:
        side = QWidget()
        side.setObjectName("chains.sideContent")
        layout = column(side)
        head = Head(left=12, right=8, has_line=False)
        self.new_button = icon_button("plus", "chains.new", "New chain", self.new_chain, keys="Ctrl Shift N")
        self.more_button = icon_button("ellipsis", "chains.more", "More for chains", self._show_more)
        head.add(ElidedLabel("Chains", "heading"), None, self.more_button, self.new_button)
        layout.addWidget(head)
        self.list = EntryList()
        layout.addWidget(self.list, 1)
        return side

    def _show_entries(self) -> None:
        entries: list[Entry] = []
        for name in self.chains.names:
            row = self.chains.row(name)
            state = RUN_STATE.get(row.last_status or "", "") if row is not None else ""
            mark = STATES[state] if state else None
            is_unsaved = name in self.chains.unsaved
            words = "not saved" if is_unsaved else RUN_WORDS.get(row.last_status or "", "") if row else ""
            entries.append(
                Entry(
                    key=f"chain:{name}",
                    title=name,
                    icon="workflow",
                    word="edited" if is_unsaved else "",
                    mark=mark.glyph if mark else "",
                    mark_ink=mark.ink if mark else "",
                    spoken=f"{name}{', ' + words if words else ''}",
                    is_chain=True,
                )
            )
        if self.chains.runs:
            entries.append(Entry(title=f"Recent runs of {self.chains.current}"))
        now = self._services.now()
        for run in self.chains.runs:
            state = RUN_STATE[run.status]
            begin = run.created_at.astimezone(now.tzinfo) if run.created_at else now
            lasted = (
                (run.ended_at - run.created_at).total_seconds() if run.ended_at and run.created_at else None
            )
            word = wording.duration(lasted) if run.status == "succeeded" else RUN_WORDS[run.status]
            kind = "dry, " if run.is_dry else "again, " if run.replay_of else ""
            title = f"{begin:%H:%M:%S}" if begin.date() == now.date() else wording.list_time(begin, now)
            entries.append(
                Entry(
                    key=f"run:{run.id}",
                    title=title,
                    icon=STATES[state].glyph,
                    ink=STATES[state].ink,
                    word=f"{kind}{word}",
                    spoken=f"Run at {title}, {kind}{RUN_WORDS[run.status]}, {wording.duration(lasted)}",
                )
            )
        self.list.show_entries(entries, self._standing())

    def _standing(self) -> str:
        key = self.list.current_key
        if key.startswith("run:") and any(key == f"run:{run.id}" for run in self.chains.runs):
            return key
        return f"chain:{self.chains.current}"

    def _open_chain(self, name: str) -> None:
        self._open_entry(f"chain:{name}")
        self._show_entries()

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
        self.head = Head(left=16, right=12, spacing=6)
        self.title = ElidedLabel("", "heading", name="chains.title")
        self.run_pill = PillRow("chains.runPill")
        self.run_pill.setSizePolicy(
            self.run_pill.sizePolicy().Policy.Preferred, self.run_pill.sizePolicy().Policy.Fixed
        )
        self.ways = Segmented(WAYS, "How the chain is shown", small=False)
        self.ways.setObjectName("chains.ways")
        self.ways.changed.connect(self._show_way)
        self.undo = icon_button("undo-2", "chains.undo", "Undo", self._undo, keys="Ctrl Z")
        self.redo = icon_button("redo-2", "chains.redo", "Redo", self._redo, keys="Ctrl Shift Z")
        self.save = button("Save", "chains.save", self._save, tip="Put this version in force  Ctrl S")
        self.dry = button(
            "Dry run",
            "chains.dry",
            self._dry_run,
            icon="flask-conical",
            tip="See what would run; nothing is done",
        )
        self.start = button(
            "Run", "chains.start", self._start, icon="play", kind="primary", tip="Run it  Ctrl Return"
        )
        self.details = icon_button(
            "panel-right", "chains.details", "Details", self.toggle_inspector, keys="Ctrl I"
        )
        self.head.add(
            self.title, 4, self.run_pill, None, self.ways, 4, self.undo, self.redo, 4, self.save, self.dry, self.start,
            self.details,
        )  # fmt: skip
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

    def _make_inspector(self) -> QWidget:
        made = QWidget()
        made.setObjectName("chains.inspectorContent")
        layout = column(made)
        head = Head(left=12, right=8)
        self.panel_icon = QLabel()
        self.panel_title = ElidedLabel("Chain", "heading", name="chains.panelTitle")
        close = icon_button(
            "x", "chains.inspector.close", "Close the details", lambda: self.show_inspector(False), small=True
        )
        head.add(self.panel_icon, 2, self.panel_title, None, close)
        layout.addWidget(head)
        self.chain_panel = ChainPanel(self.editor, self.chains.set_input, self._go_to)
        self.node_panel = NodePanel(self.editor, self.graph.ask_task)
        self.edge_panel = EdgePanel(self.editor)
        self.panels = QStackedWidget()
        self.panels.setObjectName("chains.panels")
        for panel in (self.chain_panel, self.node_panel, self.edge_panel):
            self.panels.addWidget(Scrolled(panel, f"{panel.objectName()}.scroll", "Details"))
        layout.addWidget(self.panels, 1)
        return made

    def _connect(self) -> None:
        chains, editor = self.chains, self.editor
        chains.changed.connect(self._say_all)
        chains.runs_changed.connect(self._show_entries)
        chains.chosen.connect(bind(self._say_all))
        chains.deleted.connect(self._deleted)
        editor.opened.connect(self._opened)
        editor.saved_changed.connect(self._say_head)
        editor.faults_changed.connect(self._say_head)
        editor.runs.changed.connect(self._say_run)
        editor.selected.connect(self._say_panel)
        editor.history_changed.connect(self._say_head)
        self.list.opened.connect(self._open_entry)
        self.list.entered.connect(self._enter)
        self.list.deleted.connect(self._delete_entry)
        self.list.menu_asked.connect(self._show_list_menu)
        self.list.rows.renamed.connect(self._rename)
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
        self.timeline.ticked.connect(self._say_pill)
        self.timeline.closed.connect(lambda: self._show_timeline(False))
        self.panes_changed.connect(self._say_head)

    def _make_keys(self) -> None:
        for keys, verb in GRAPH_KEYS:
            for widget in (self.graph.view, self.tree):
                made = QShortcut(QKeySequence(keys), widget)
                made.setContext(Qt.ShortcutContext.WidgetShortcut)
                made.activated.connect(bind(self.graph.run, verb))
        for keys, what in (
            ("Ctrl+Z", self._undo),
            ("Ctrl+Shift+Z", self._redo),
            ("Ctrl+Y", self._redo),
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
        self._show_entries()
        self._say_head()
        self._say_run()
        self._say_panel()

    def _say_head(self) -> None:
        editor = self.editor
        has = editor.is_open and bool(self.chains.names)
        self.title.set_words(editor.name if has else "Chains")
        for widget in (self.ways, self.undo, self.redo, self.dry, self.start):
            widget.setVisible(has)
        self.details.setVisible(has and not self.is_inspector_shown)
        self.save.setVisible(has and not editor.is_saved)
        self.save.setEnabled(not editor.faults)
        self.save.setToolTip(
            "Put this version in force  Ctrl S"
            if not editor.faults
            else f"{wording.plural(len(editor.faults), 'fault')} to mend first"
        )
        undo, redo = editor.history.undo_words, editor.history.redo_words
        self.undo.setEnabled(bool(undo))
        self.undo.setToolTip(f"Undo: {undo}  Ctrl Z" if undo else "Nothing to undo")
        self.redo.setEnabled(bool(redo))
        self.redo.setToolTip(f"Redo: {redo}  Ctrl Shift Z" if redo else "Nothing to redo")
        can_run = bool(editor.draft.nodes) and not editor.faults
        is_running = editor.runs.run is not None and editor.runs.run.is_running
        self.dry.setEnabled(can_run)
        self.start.setEnabled(can_run or is_running)
        if not can_run:
            why = "Mend the faults first" if editor.faults else "Add a node first"
            self.dry.setToolTip(why)
        else:
            self.dry.setToolTip("See what would run; nothing is done  Ctrl Shift Return")
        words, glyph = ("Stop", "square") if is_running else ("Run", "play")
        if self.start.text() != words:
            self.start.setText(words)
            self.start.setAccessibleName(words)
            set_icon(self.start, glyph, "text.onAccent", 16)
        self.start.setToolTip(
            "Cancel the run" if is_running else "Run it  Ctrl Return" if can_run else self.dry.toolTip()
        )

    def _say_run(self) -> None:
        self._say_pill()
        run = self.editor.runs.run
        if run is not None and run.is_running and not self.timeline.isVisible():
            self._show_timeline(True)
        self._say_head()

    def _say_pill(self) -> None:
        run = self.editor.runs.run
        if run is None:
            self.run_pill.show_pills()
            return
        state = RUN_STATE[run.view.status]
        words = run_words(run.view, self._services.now())
        prefix = "Dry run, " if run.view.is_dry else ""
        self.run_pill.show_pills((f"{prefix}{words}", TONES.get(state, "neutral"), STATES[state].glyph))
        self._fit_pill()

    def _say_panel(self) -> None:
        editor = self.editor
        if editor.node is not None:
            at, words, glyph = 1, editor.node.name, "box"
        elif editor.edge is not None:
            at, words, glyph = 2, f"{editor.edge.source} to {editor.edge.target}", "split"
        else:
            at, words, glyph = 0, "Chain", "workflow"
            many = len(editor.nodes) + len(editor.edges)
            if many > 1:
                words = f"{many} chosen"
        if self.panels.currentIndex() != at:
            self.panels.setCurrentIndex(at)
        self.panel_title.set_words(words)
        self.panel_icon.setPixmap(pixmap(glyph, "text.secondary", 16))

    def _connected(self) -> None:
        self.chains.read_operators(self._take_operators)
        self.editor.read_functions()
        self.chains.refresh()

    def _take_operators(self, found: tuple[tuple[str, str, str], ...]) -> None:
        self.edge_panel.set_operators(tuple(Operator(*each) for each in found))

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
                self._ask_import()
            case "export":
                self._ask_export()
            case "graph" | "list" | "text":
                self.ways.choose(verb)
                self._show_way(verb)
            case _:
                self.graph.run(verb)

    def new_chain(self) -> None:
        """An empty chain, with the search for its first task open."""
        self.chains.new()
        self.ways.choose("graph")
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
        if self.start.isEnabled() and self._can_save():
            self.editor.start()
            self._show_timeline(True)

    def _dry_run(self) -> None:
        self.text.settle(self._dry_run_now)

    def _dry_run_now(self) -> None:
        if self.dry.isEnabled():
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

    def _undo(self) -> None:
        self.editor.undo()

    def _redo(self) -> None:
        self.editor.redo()

    def _open_details(self) -> None:
        self.show_inspector()
        panel = self.panels.currentWidget()
        target = {1: self.node_panel.name, 2: self.edge_panel.on}.get(self.panels.currentIndex())
        if self.panels.currentIndex() == 1:
            rows = list(self.node_panel.form.rows.values())
            target = rows[0].control if rows else self.node_panel.task
        if panel is not None and target is not None:
            target.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _rename_node(self) -> None:
        if self.editor.node is not None:
            self.show_inspector()
            self.node_panel.name.setFocus(Qt.FocusReason.ShortcutFocusReason)
            self.node_panel.name.selectAll()

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

    # The list of chains

    def _rename(self, key: str, name: str) -> None:
        wrong = self.chains.rename(key.partition(":")[2], name)
        if wrong:
            self._services.bridge.refused.emit(wrong)
            self._show_entries()

    def _delete(self, name: str) -> None:
        self.chains.delete(name)

    def _delete_entry(self, key: str) -> None:
        self._delete(key.partition(":")[2])

    def _import(self, paths: list[str]) -> None:
        self.chains.read_file(Path(paths[0]))

    def _export(self, paths: list[str]) -> None:
        self.chains.write_file(Path(paths[0]))

    def _deleted(self, name: str) -> None:
        notices = getattr(self.window(), "notices", None)
        if notices is not None:
            notices.tell(f"{name} was deleted.", icon="trash-2", undo=self.chains.bring_back)

    def _show_more(self) -> None:
        self._show_list_menu(self.more_button.mapToGlobal(self.more_button.rect().bottomLeft()))

    def _show_list_menu(self, place: Any) -> None:
        menu = QMenu(self)
        menu.setObjectName("chains.listMenu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        name = self.chains.current
        for words, key, act, can in (
            ("New chain", "new", self.new_chain, True),
            ("Rename", "rename", lambda: self.list.rename(f"chain:{name}"), bool(name)),
            ("Duplicate", "duplicate", lambda: self.chains.duplicate(name), bool(name)),
            ("Import…", "import", self._ask_import, True),
            ("Export…", "export", self._ask_export, bool(name)),
            ("Delete", "delete", lambda: self._delete(name), bool(name)),
        ):
            action = menu.addAction(words)
            action.setObjectName(f"chains.listMenu.{key}")
            action.setEnabled(can)
            action.triggered.connect(bind(act))
        menu.popup(place)

    def _ask_import(self) -> None:
        dialog = QFileDialog(self, "Import a chain")
        dialog.setObjectName("chains.importDialog")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilters(["Chains (*.yaml *.yml *.json)", "All files (*)"])
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.filesSelected.connect(self._import)
        dialog.open()

    def _ask_export(self) -> None:
        dialog = QFileDialog(self, "Export the chain")
        dialog.setObjectName("chains.exportDialog")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("yaml")
        dialog.selectFile(f"{self.chains.current}.yaml")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.filesSelected.connect(self._export)
        dialog.open()

    # Focus

    def take_focus(self, reason: Qt.FocusReason = Qt.FocusReason.OtherFocusReason) -> None:
        """The graph has the focus, or whatever stands in its place."""
        if self.body.currentWidget() is self.empty:
            focus_quietly(self.empty.buttons[0], reason)
        else:
            self._focus_way(reason)

    def _focus_way(self, reason: Qt.FocusReason) -> None:
        target = {"graph": self.graph.view, "list": self.tree, "text": self.text.field}[self.ways.choice]
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

    def _fit_pill(self) -> None:
        """Where there is no room for it, the run's state stands in the list and the timeline."""
        has_room = self.head.width() >= look().px(PILL_FROM)
        self.run_pill.setVisible(has_room and self.editor.runs.run is not None)

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
        self._fit_pill()

    def hideEvent(self, event: Any) -> None:
        super().hideEvent(event)
        self.graph.close_picker()
        self.chains.flush()
