"""One chain on the bench: its draft, what may be taken back, and what is wrong with it.

Every act makes another draft and goes over the undo stack (`act`); nothing changes the draft but the stack. Checks are
asked of the engine; an answer about a draft that is not there any more is let go. The run that is looked at is `runs`.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QObject, QTimer, Signal

from app.bridge import Bridge
from app.viewmodels.chain_draft import Draft, EdgeDraft, Fields, NodeDraft, Place, draft_of
from app.viewmodels.chain_layout import arranged, completed
from app.viewmodels.chain_previews import Previews
from app.viewmodels.chain_text import mended, text_of, written
from app.viewmodels.chain_watch import RunWatch
from legion_core.api.chain_types import ChainFault, ChainRow

if TYPE_CHECKING:
    from legion_core.api.extension_types import FunctionRow
    from legion_core.api.facade import Legion

CHECK_MS = 120


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
        self.runs = RunWatch(bridge, self)
        self.previews = Previews(bridge)
        self._checks = QTimer(self)
        self._checks.setObjectName("chains.check")
        self._checks.setSingleShot(True)
        self._checks.setInterval(CHECK_MS)
        self._checks.timeout.connect(self.check)
        self._asked = 0

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
        self.runs.open(name, input_ if input_ is not None else {})
        self.opened.emit()
        self.changed.emit()
        self.selected.emit()
        self.faults_changed.emit()
        self.runs.tell()
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
                self.runs.chain = row.name
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
        self.runs.rename_node(old, new)
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

    def start(self, *, is_dry: bool = False) -> None:
        """Save what is not saved, then run it with the input and the pins; a dry run saves nothing."""
        if is_dry and not self.is_saved:
            self.runs.preview(self.draft.document())
        elif self.is_saved:
            self.runs.begin(is_dry=is_dry)
        else:
            self.save(lambda: self.runs.begin(is_dry=is_dry))


def _same(one: Draft, other: Draft) -> bool:
    return (one.head, one.nodes, one.edges, one.text) == (other.head, other.nodes, other.edges, other.text)


def _short(words: Sequence[str]) -> str:
    """A name from `http.request.get`: `get`; a function called like many others brings its runner."""
    return words[-1] if words[-1] not in ("run", "write", "read", "send", "ask", "function") else words[0]
