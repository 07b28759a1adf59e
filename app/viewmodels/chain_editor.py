"""One chain on the bench: its draft, what may be taken back, what is wrong with it, and the run that is looked at.

Every act makes another draft and goes over the undo stack (`act`); nothing changes the draft but the stack. Checks and
previews are asked of the engine; an answer about a draft that is not there any more is let go.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QObject, QTimer, Signal

from app.bridge import Bridge
from app.viewmodels.chain_draft import Draft, EdgeDraft, Fields, NodeDraft, Place, draft_of
from app.viewmodels.chain_layout import arranged, completed
from app.viewmodels.chain_run import STATE_OF, EdgeMark, RunMarks
from app.viewmodels.chain_text import mended, text_of, written
from legion_core.api.chain_types import ChainFault, ChainRow, NodePayload, RunView
from legion_core.api.chains import RunAdvanced, RunEnded, RunStarted
from legion_core.api.tasks import TaskFinished, TaskStarted, TaskWaits
from legion_core.api.types import Event
from legion_core.kernel.errors import NotFound

if TYPE_CHECKING:
    from legion_core.api.extension_types import FunctionRow
    from legion_core.api.facade import Legion

CHECK_MS = 120
READ_AGAIN_MS = 700
FOLLOWED = (RunStarted, RunAdvanced, RunEnded, TaskStarted, TaskWaits, TaskFinished)


class History(Protocol):
    """Takes acts and takes them back: the stack of the window, which calls `ChainEditor.put` for every step."""

    def push(self, label: str, before: Draft, after: Draft, merge: str) -> None:
        """Do it; acts of the same `merge` in a row are one."""
        ...

    def undo(self) -> None:
        """Take the last one back."""
        ...

    def redo(self) -> None:
        """Do it again."""
        ...

    def clear(self) -> None:
        """Forget all."""
        ...

    @property
    def undo_words(self) -> str:
        """What would be taken back; empty if nothing can be."""
        ...

    @property
    def redo_words(self) -> str:
        """What would be done again; empty if nothing can be."""
        ...


MakeHistory = Callable[[QObject, Callable[[Draft], None]], History]


class ChainEditor(QObject):
    """The chain that is open. `now` gives local time; `keep` is told each draft that is not saved (None: it is)."""

    changed = Signal()
    """Another draft."""
    history_changed = Signal()
    """Something else can be taken back or done again now."""
    opened = Signal()
    """Another chain, or the same read anew."""
    selected = Signal()
    faults_changed = Signal()
    saved_changed = Signal()
    applied = Signal(object)
    """A version was put in force: its row."""
    run_changed = Signal()
    """Another run is shown, or more is known of it."""
    run_read = Signal()
    """A run was read from the engine: payloads may be asked for. What only was told moves `run_changed` alone."""
    edges_fired = Signal(object)
    """Edges led on just now: a tuple of places."""
    pins_changed = Signal()
    functions_changed = Signal()
    text_refused = Signal()
    """The text is not a chain yet: `faults` say why; the draft is the last good one."""

    def __init__(
        self,
        bridge: Bridge,
        now: Callable[[], datetime],
        make_history: MakeHistory,
        keep: Callable[[str, Draft | None], None] = lambda _name, _draft: None,
    ) -> None:
        super().__init__()
        self.setObjectName("chains.editor")
        self._bridge = bridge
        self._keep = keep
        self.now = now
        self.history = make_history(self, self.put)
        self.name = ""
        self.version = 0
        self.draft = Draft()
        self._saved = Draft()
        self.nodes: tuple[str, ...] = ()
        self.edges: tuple[int, ...] = ()
        self.faults: tuple[ChainFault, ...] = ()
        self.functions: dict[str, FunctionRow] = {}
        self.run: RunMarks | None = None
        self.pins: dict[str, object] = {}
        self.input: object = {}
        self._checks = QTimer(self)
        self._checks.setObjectName("chains.check")
        self._checks.setSingleShot(True)
        self._checks.setInterval(CHECK_MS)
        self._checks.timeout.connect(self.check)
        self._again = QTimer(self)
        self._again.setObjectName("chains.read")
        self._again.setSingleShot(True)
        self._again.setInterval(READ_AGAIN_MS)
        self._again.timeout.connect(self._read_run)
        self._asked = 0
        bridge.watch(self._told, *FOLLOWED)

    # Opening and keeping

    def show_draft(
        self, name: str, draft: Draft, saved: Draft | None = None, version: int = 0, input_: object = None
    ) -> None:
        """Put a chain on the bench; `saved` is what is in force where that differs."""
        self.history.clear()
        self.name, self.version = name, version
        self._saved = saved if saved is not None else draft
        self.draft = Draft(draft.head, draft.nodes, draft.edges, completed(draft), draft.text)
        self.nodes, self.edges = (), ()
        self.faults = ()
        self.run, self.pins, self.input = None, {}, input_ if input_ is not None else {}
        self.opened.emit()
        self.changed.emit()
        self.selected.emit()
        self.faults_changed.emit()
        self.run_changed.emit()
        self.pins_changed.emit()
        self.saved_changed.emit()
        self.check()

    @property
    def is_open(self) -> bool:
        """Whether there is a chain on the bench."""
        return bool(self.name)

    @property
    def is_saved(self) -> bool:
        """Whether the draft is what is in force; places do not count."""
        return self.version > 0 and _same(self.draft, self._saved)

    def read_functions(self) -> None:
        """Ask what can be run here."""

        async def ask(legion: "Legion") -> "dict[str, FunctionRow]":
            found = await legion.extensions.list()
            return {function.name: function for each in found for function in each.functions}

        def done(functions: "dict[str, FunctionRow]") -> None:
            self.functions = functions
            self.functions_changed.emit()

        self._bridge.launch("chain_functions", ask, done)

    def save(self, then: Callable[[], None] | None = None) -> None:
        """Apply the draft as the next version; a draft with faults is refused with the first of them."""
        draft, name = self.draft, self.name

        async def apply(legion: "Legion") -> ChainRow:
            text = text_of(draft)
            if draft.text and await legion.chains.parse(text) != draft.document():
                text = written(draft)
            return await legion.chains.apply(text)

        def done(row: ChainRow) -> None:
            self.applied.emit(row)
            if self.name == name:
                self.name, self.version = row.name, row.version
                self._saved = draft
                self._keep(name, None)
                self.saved_changed.emit()
                if then is not None:
                    then()

        self._bridge.launch("chain_save", apply, done)

    # Acts

    def act(self, label: str, after: Draft | None, merge: str = "") -> bool:
        """Do it, so that it can be taken back; None or the same draft is no act."""
        before = self.draft
        if after is None or after == before:
            return False
        text = mended(before, after) if before.text else ""
        after = Draft(after.head, after.nodes, after.edges, after.places, text)
        self.history.push(label, before, after, merge)
        self.history_changed.emit()
        return True

    def put(self, draft: Draft) -> None:
        """Another draft; for the stack alone."""
        self.draft = draft
        names = {node.name for node in draft.nodes}
        nodes = tuple(name for name in self.nodes if name in names)
        edges = tuple(at for at in self.edges if at < len(draft.edges))
        if (nodes, edges) != (self.nodes, self.edges):
            self.nodes, self.edges = nodes, edges
            self.selected.emit()
        self._keep(self.name, None if self.is_saved else draft)
        self.changed.emit()
        self.saved_changed.emit()
        self._checks.start()

    def undo(self) -> None:
        """Take the last act back."""
        self.history.undo()
        self.history_changed.emit()

    def redo(self) -> None:
        """Do it again."""
        self.history.redo()
        self.history_changed.emit()

    def select(self, nodes: Sequence[str] = (), edges: Sequence[int] = ()) -> None:
        """Choose these; not an act."""
        known = {node.name for node in self.draft.nodes} if nodes else set[str]()
        wanted = tuple(name for name in nodes if name in known)
        ends = tuple(at for at in edges if at < len(self.draft.edges))
        if (wanted, ends) == (self.nodes, self.edges):
            return
        self.nodes, self.edges = wanted, ends
        self.selected.emit()

    @property
    def node(self) -> NodeDraft | None:
        """The one chosen node."""
        return self.draft.node(self.nodes[0]) if len(self.nodes) == 1 else None

    @property
    def edge(self) -> EdgeDraft | None:
        """The one chosen edge."""
        if len(self.edges) != 1 or self.nodes or self.edges[0] >= len(self.draft.edges):
            return None
        return self.draft.edges[self.edges[0]]

    def add(self, task: str, place: Place, after: str = "", kind: str = "success") -> str:
        """A new node for a task (or `chain:NAME`), after another if named; its name."""
        is_chain = task.startswith("chain:")
        words = task.removeprefix("chain:").split(".")
        name = self.draft.free_name(words[-1] if is_chain or len(words) < 3 else _short(words))
        fields: Fields = {"chain": words[0]} if is_chain else {"task": task}
        if is_chain:
            fields = {"chain": task.removeprefix("chain:")}
        draft = self.draft.with_node(NodeDraft(name, fields), self.free_place(place))
        if after:
            draft = draft.connected(after, name, {} if kind == "success" else {"on": kind})
        self.act(f"Add {name}", draft)
        self.select((name,))
        return name

    def free_place(self, place: Place) -> Place:
        """This place, or the next one below that is free."""
        x, y = place
        while any(abs(x - a) < 176 and abs(y - b) < 72 for a, b in self.draft.places.values()):
            y += 96
        return (x, y)

    def connect_nodes(self, source: str, target: str, kind: str = "success") -> None:
        """Draw an edge; one is there already where the same two are connected for the same outcome."""
        if any(
            edge.source == source and edge.target == target and edge.on == kind for edge in self.draft.edges
        ):
            return
        draft = self.draft.connected(source, target, {} if kind == "success" else {"on": kind})
        self.act(f"Connect {source} to {target}", draft)
        self.select((), (len(draft.edges) - 1,))

    def delete_chosen(self) -> None:
        """Delete what is chosen."""
        if not self.nodes and not self.edges:
            return
        what = self.nodes[0] if len(self.nodes) == 1 and not self.edges else "what is chosen"
        if self.edges and not self.nodes and len(self.edges) == 1:
            what = "an edge"
        self.act(f"Delete {what}", self.draft.without(self.nodes, self.edges))

    def rename_node(self, old: str, new: str) -> str:
        """Give a node another name; a sentence where that cannot be."""
        from app.viewmodels.chain_draft import NODE_NAME

        if new == old:
            return ""
        if not NODE_NAME.fullmatch(new):
            return "A name begins with a letter and goes on with letters, digits, - and _."
        if self.draft.node(new) is not None:
            return f"There is a node {new} already."
        draft = self.draft.renamed(old, new)
        self.nodes = tuple(new if name == old else name for name in self.nodes)
        self.act(f"Rename {old} to {new}", draft)
        if old in self.pins:
            self.pins[new] = self.pins.pop(old)
        return ""

    def set_node(self, name: str, fields: Fields, what: str, merge: str = "") -> None:
        """A node's fields anew."""
        self.act(f"Change {what} of {name}", self.draft.with_fields(name, fields), merge)

    def set_edge(self, at: int, fields: Fields, what: str, merge: str = "") -> None:
        """An edge's fields anew."""
        edge = self.draft.edges[at]
        self.act(
            f"Change {what} from {edge.source} to {edge.target}", self.draft.with_edge(at, fields), merge
        )

    def set_head(self, key: str, value: object, what: str) -> None:
        """The chain's own description or budget."""
        self.act(f"Change the {what}", self.draft.with_head(key, value), f"head.{key}")

    def move(self, places: Mapping[str, Place], label: str = "Move") -> None:
        """Nodes to other places."""
        self.act(label, self.draft.moved(places), "push" if label == "Move" else "")

    def arrange(self) -> None:
        """Lay the whole out anew."""
        self.act("Arrange", self.draft.moved(arranged(self.draft)))

    def paste(self, clip: Draft, by: Place) -> tuple[str, ...]:
        """Another draft's nodes; their names, which are chosen then."""
        draft, names = self.draft.with_pasted(clip, by)
        if names and self.act(f"Paste {names[0]}" if len(names) == 1 else f"Paste {len(names)} nodes", draft):
            self.select(names)
        return names

    # The text twin

    def read_text(self, text: str, then: Callable[[], None] | None = None) -> None:
        """A person wrote this: it becomes the draft where it can be read, and its faults are told either way."""
        self._asked += 1
        mine = self._asked

        async def ask(legion: "Legion") -> tuple[tuple[ChainFault, ...], object]:
            faults = await legion.chains.validate(text)
            try:
                document: object = await legion.chains.parse(text)
            except Exception as error:  # whatever it is, the faults tell it
                if not faults:
                    raise
                del error
                document = None
            return faults, document

        def done(found: tuple[tuple[ChainFault, ...], object]) -> None:
            if mine != self._asked:
                return
            faults, document = found
            draft = draft_of(document, self.draft.places, text)
            if draft is None:
                self.faults = faults
                self.text_refused.emit()
                self.faults_changed.emit()
                if then is not None:
                    then()
                return
            draft = Draft(draft.head, draft.nodes, draft.edges, completed(draft), text)
            if draft != self.draft:
                self.history.push("Edit the text", self.draft, draft, "text")
                self.history_changed.emit()
            self._checks.stop()
            self.faults = faults
            self.faults_changed.emit()
            if then is not None:
                then()

        self._bridge.launch("chain_text", ask, done)

    def check(self) -> None:
        """Ask what is wrong with the draft."""
        if not self.is_open:
            return
        self._checks.stop()
        self._asked += 1
        mine, text = self._asked, text_of(self.draft)

        async def ask(legion: "Legion") -> tuple[ChainFault, ...]:
            return await legion.chains.validate(text)

        def done(faults: tuple[ChainFault, ...]) -> None:
            if mine == self._asked and faults != self.faults:
                self.faults = faults
                self.faults_changed.emit()

        self._bridge.launch("chain_check", ask, done)

    def faults_of_node(self, name: str) -> tuple[ChainFault, ...]:
        """What is wrong with a node."""
        where = f"nodes.{name}"
        return tuple(
            fault
            for fault in self.faults
            if fault.key == where or fault.key.startswith((f"{where}.", f"{where}["))
        )

    def faults_of_edge(self, at: int) -> tuple[ChainFault, ...]:
        """What is wrong with an edge."""
        where = f"edges[{at}]"
        return tuple(fault for fault in self.faults if fault.key.startswith(where))

    # Running

    def start(self, *, is_dry: bool = False) -> None:
        """Save what is not saved, then run it with the input and the pins."""
        if is_dry and not self.is_saved:
            self._preview()
        elif self.is_saved:
            self._run(is_dry)
        else:
            self.save(lambda: self._run(is_dry))

    def _run(self, is_dry: bool) -> None:
        name, given, pins = self.name, self.input, dict(self.pins)

        async def ask(legion: "Legion") -> RunView:
            row = await legion.chains.run(name, given, dry_run=is_dry, pins=pins)
            return await legion.chains.get_run(row.id)

        self._bridge.launch("chain_run", ask, self._show)

    def _preview(self) -> None:
        """What would happen, of a draft that is not saved."""
        document, given, pins = self.draft.document(), self.input, dict(self.pins)

        async def ask(legion: "Legion") -> RunView:
            return await legion.chains.preview(document, given, pins)

        self._bridge.launch("chain_preview", ask, self._show)

    def stop(self) -> None:
        """Cancel the run that is shown."""
        if self.run is None:
            return
        run = self.run.view.id

        async def ask(legion: "Legion") -> RunView:
            return await legion.chains.cancel(run)

        self._bridge.launch("chain_cancel", ask, self._show)

    def replay(self, node: str) -> None:
        """A new run that takes over what came before a node and runs it, and all after it, again."""
        if self.run is None:
            return
        run, pins = self.run.view.id, dict(self.pins)

        async def ask(legion: "Legion") -> RunView:
            row = await legion.chains.replay(run, node, pins=pins or None)
            return await legion.chains.get_run(row.id)

        self._bridge.launch("chain_replay", ask, self._show)

    def retry_task(self, task_id: str) -> None:
        """Queue one task again that failed."""

        async def ask(legion: "Legion") -> object:
            return await legion.tasks.retry(task_id)

        self._bridge.launch("chain_retry", ask, lambda _: self._read_run())

    def show_run(self, run_id: str) -> None:
        """Show a run on the graph; an empty id shows none."""
        if not run_id:
            self.run = None
            self.run_changed.emit()
            self.run_read.emit()
            return

        async def ask(legion: "Legion") -> RunView:
            return await legion.chains.get_run(run_id)

        self._bridge.launch("chain_show_run", ask, self._show)

    def pin(self, node: str, value: object) -> None:
        """From now on runs take this as the node's result and do not run it."""
        self.pins[node] = value
        self.pins_changed.emit()

    def unpin(self, node: str) -> None:
        """The node runs again."""
        if self.pins.pop(node, self) is not self:
            self.pins_changed.emit()

    def _show(self, view: RunView) -> None:
        if view.chain and self.name and view.chain != self.name:
            return
        self.run = RunMarks.of(view)
        self.run_changed.emit()
        self.run_read.emit()

    def _read_run(self) -> None:
        run = self.run.view.id if self.run is not None else ""
        if not run:
            return

        async def ask(legion: "Legion") -> RunView:
            return await legion.chains.get_run(run)

        def done(view: RunView) -> None:
            if self.run is not None and self.run.view.id == view.id:
                self._show(view)

        self._bridge.launch("chain_read_run", ask, done)

    def _told(self, facts: Sequence[Event]) -> None:
        run = self.run
        if run is None:
            return
        mine, fired, is_news = run.view.id, list[int](), False
        for fact in facts:
            match fact:
                case RunAdvanced() if fact.run == mine:
                    fired += self._advanced(run, fact)
                    is_news = True
                case TaskStarted() if fact.run == mine:
                    run.node(fact.node).move(
                        ("queued", "accepted", "retry_wait", "delayed", "leased"), "running"
                    )
                    is_news = True
                case TaskWaits() if fact.run == mine:
                    run.node(fact.node).move(("running", "leased"), fact.status)
                    is_news = True
                case RunEnded() if fact.run == mine:
                    self._again.stop()
                    self._read_run()
                case _:
                    pass
        if is_news:
            self.run_changed.emit()
            if not self._again.isActive():
                self._again.start()
        if fired:
            self.edges_fired.emit(tuple(fired))

    @staticmethod
    def _advanced(run: RunMarks, fact: RunAdvanced) -> list[int]:
        """Take in one end of a task; the edges that led on."""
        mark = run.node(fact.node)
        mark.move(("running", "leased", "queued", "delayed", "accepted", "retry_wait"), fact.status)
        mark.reason = fact.reason.sentence if fact.reason is not None else ""
        fired: list[int] = []
        for edge in fact.edges:
            held = run.edges.setdefault(edge.edge, EdgeMark())
            if edge.reason is None:
                held.taken += 1
                held.count = edge.count
                fired.append(edge.edge)
            else:
                held.refused += 1
                held.reason = edge.reason.sentence
        for came in fact.came:
            other = run.node(came.node)
            if STATE_OF.get(came.status) == "skipped" and other.state in ("waiting", ""):
                other.counts.clear()
            other.move(("accepted", "waiting_join"), came.status, came.count)
            if came.reason is not None:
                other.reason = came.reason.sentence
        return fired

    # Asked for the inspector

    def ask_payload(self, node: str, done: Callable[[NodePayload | None], None]) -> None:
        """What went in and out of a node in the run that is shown, else in the newest one in which it ran."""
        name, run = self.name, self.run.view.id if self.run is not None else ""

        async def ask(legion: "Legion") -> NodePayload | None:
            if run:
                with contextlib.suppress(NotFound):  # not in this run: the last one will do
                    return await legion.chains.payload(run, node)
            return await legion.chains.last_payload(name, node) if self.version else None

        self._bridge.launch("chain_payload", ask, done, lambda _: done(None))

    def ask_input_of(self, node: str, done: Callable[[object], None]) -> None:
        """What a node's templates see: of its last run, else of what ran before it, else the input alone."""
        sources = [edge.source for edge in self.draft.edges if edge.target == node]
        given = self.input

        def own(found: NodePayload | None) -> None:
            if found is not None and found.payload is not None:
                done(found.payload)
            elif sources:
                self.ask_payload(sources[0], before)
            else:
                done({"input": given})

        def before(found: NodePayload | None) -> None:
            done(found.facts if found is not None else None)

        self.ask_payload(node, own)

    def ask_explained(
        self, when: object, payload: object, done: Callable[[object], None], failed: Callable[[str], None]
    ) -> None:
        """A condition held against a payload: the tree of `conditions.explain`."""

        async def ask(_: "Legion") -> object:
            from legion_core.api.previews import explain

            return explain(when, payload)

        self._bridge.launch("chain_explain", ask, done, failed)

    def ask_rendered(
        self, node: NodeDraft, payload: object, done: Callable[[object], None], failed: Callable[[str], None]
    ) -> None:
        """Arguments and transform of a node rendered over a payload."""
        document = dict(node.fields)

        async def ask(legion: "Legion") -> object:
            return await legion.chains.render(document, payload)

        self._bridge.launch("chain_render", ask, done, failed)

    def ask_logs(self, task_id: str, done: Callable[[tuple[str, ...]], None]) -> None:
        """What a task wrote."""

        async def ask(legion: "Legion") -> tuple[str, ...]:
            return tuple(line.text for line in await legion.tasks.logs(task_id))

        self._bridge.launch("chain_logs", ask, done, lambda _: done(()))


def _same(one: Draft, other: Draft) -> bool:
    return (one.head, one.nodes, one.edges, one.text) == (other.head, other.nodes, other.edges, other.text)


def _short(words: Sequence[str]) -> str:
    """A name from `http.request.get`: `get`; a function called like many others brings its runner."""
    return words[-1] if words[-1] not in ("run", "write", "read", "send", "ask", "function") else words[0]
