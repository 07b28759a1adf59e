"""The run that is looked at: begun, followed as it is told, stopped, taken up again; and what is pinned for the next.

Facts move what is shown at once; the run is read again after a pause, and at its end.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QObject, QTimer, Signal

from app.bridge import Bridge
from app.viewmodels.chain_draft import Draft
from app.viewmodels.chain_run import STATE_OF, EdgeMark, RunMarks
from legion_core.api.chain_types import NodePayload, RunView
from legion_core.api.chains import RunAdvanced, RunEnded, RunStarted
from legion_core.api.tasks import TaskFinished, TaskStarted, TaskWaits
from legion_core.api.types import Event
from legion_core.kernel.errors import NotFound

if TYPE_CHECKING:
    from legion_core.api.facade import Legion

READ_AGAIN_MS = 700
FOLLOWED = (RunStarted, RunAdvanced, RunEnded, TaskStarted, TaskWaits, TaskFinished)


class Bench(Protocol):
    """The chain a run is of."""

    name: str
    version: int
    draft: Draft


class RunWatch(QObject):
    """See the module. `run` is what is shown, None for nothing; `input` and `pins` go into the next one."""

    changed = Signal()
    """Another run is shown, or more is known of it."""
    read = Signal()
    """A run was read from the engine: payloads may be asked for. What only was told moves `changed` alone."""
    edges_fired = Signal(object)
    """Edges led on just now: a tuple of places."""
    pins_changed = Signal()

    def __init__(self, bridge: Bridge, bench: Bench) -> None:
        super().__init__()
        self.setObjectName("chains.runs")
        self._bridge = bridge
        self._bench = bench
        self.chain = ""
        self.run: RunMarks | None = None
        self.pins: dict[str, object] = {}
        self.input: object = {}
        self._again = QTimer(self)
        self._again.setObjectName("chains.read")
        self._again.setSingleShot(True)
        self._again.setInterval(READ_AGAIN_MS)
        self._again.timeout.connect(self._read_run)
        bridge.watch(self._told, *FOLLOWED)

    def open(self, chain: str, given: object) -> None:
        """Another chain: no run, no pins, its own input. Told with the rest of the chain, by `tell`."""
        self.chain = chain
        self.run, self.pins, self.input = None, {}, given

    def tell(self) -> None:
        """Say all of it anew."""
        self.changed.emit()
        self.pins_changed.emit()

    def begin(self, *, is_dry: bool = False) -> None:
        """Run the chain in force with the input and the pins."""
        name, given, pins = self.chain, self.input, dict(self.pins)

        async def ask(legion: "Legion") -> RunView:
            row = await legion.chains.run(name, given, dry_run=is_dry, pins=pins)
            return await legion.chains.get_run(row.id)

        self._bridge.launch("chain_run", ask, self._show)

    def preview(self, document: object) -> None:
        """What would happen, of a draft that is not saved."""
        given, pins = self.input, dict(self.pins)

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

    def show(self, run_id: str) -> None:
        """Show a run on the graph; an empty id shows none."""
        if not run_id:
            self.run = None
            self.changed.emit()
            self.read.emit()
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

    def rename_node(self, old: str, new: str) -> None:
        """A node of the draft has another name: what is pinned to it stays pinned."""
        if old in self.pins:
            self.pins[new] = self.pins.pop(old)

    # What went in and out

    def ask_payload(self, node: str, done: Callable[[NodePayload | None], None]) -> None:
        """What went in and out of a node in the run that is shown, else in the newest one in which it ran."""
        name, version, run = (
            self._bench.name,
            self._bench.version,
            self.run.view.id if self.run is not None else "",
        )

        async def ask(legion: "Legion") -> NodePayload | None:
            if run:
                with contextlib.suppress(NotFound):  # not in this run: the last one will do
                    return await legion.chains.payload(run, node)
            return await legion.chains.last_payload(name, node) if version else None

        self._bridge.launch("chain_payload", ask, done, lambda _: done(None))

    def ask_input_of(self, node: str, done: Callable[[object], None]) -> None:
        """What a node's templates see: of its last run, else of what ran before it, else the input alone."""
        sources = [edge.source for edge in self._bench.draft.edges if edge.target == node]
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

    # What is told

    def _show(self, view: RunView) -> None:
        if view.chain and self.chain and view.chain != self.chain:
            return
        self.run = RunMarks.of(view)
        self.changed.emit()
        self.read.emit()

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
            self.changed.emit()
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
