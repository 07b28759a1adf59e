"""A run as the canvas and the timeline show it: what every node and edge has come to, read whole and told in steps. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from app.viewmodels import wording
from legion_core.api.chain_types import NodeView, RunView

State = Literal["", "waiting", "running", "done", "failed", "skipped", "unknown"]
STATE_OF: Mapping[str, State] = {
    "accepted": "waiting",
    "delayed": "waiting",
    "waiting_join": "waiting",
    "queued": "waiting",
    "retry_wait": "waiting",
    "leased": "running",
    "running": "running",
    "succeeded": "done",
    "failed": "failed",
    "dead": "failed",
    "blocked": "failed",
    "expired": "failed",
    "skipped": "skipped",
    "cancelled": "skipped",
    "unknown": "unknown",
}
WORDS: Mapping[str, str] = {
    "accepted": "not yet",
    "delayed": "delayed",
    "waiting_join": "waits for others",
    "queued": "queued",
    "retry_wait": "waits to try again",
    "leased": "running",
    "running": "running",
    "succeeded": "done",
    "failed": "failed",
    "dead": "failed for good",
    "blocked": "blocked",
    "expired": "took too long",
    "skipped": "skipped",
    "cancelled": "cancelled",
    "unknown": "outcome unknown",
}
RUN_STATE: Mapping[str, State] = {
    "running": "running",
    "succeeded": "done",
    "failed": "failed",
    "cancelled": "skipped",
}
RUN_WORDS: Mapping[str, str] = {
    "running": "running",
    "succeeded": "done",
    "failed": "failed",
    "cancelled": "cancelled",
}
_ORDER: tuple[State, ...] = ("running", "waiting", "failed", "unknown", "done", "skipped")


@dataclass(frozen=True, slots=True)
class Bar:
    """One time a node ran: seconds from the run's beginning; `end_s` None while it runs."""

    key: str
    state: State
    start_s: float
    end_s: float | None
    word: str


@dataclass(frozen=True, slots=True)
class TimeRow:
    """One node of the timeline; without bars it has not begun, and `word` says why."""

    node: str
    state: State
    word: str
    bars: tuple[Bar, ...] = ()


@dataclass(slots=True)
class NodeMark:
    """What a node of a run has come to: how many of its tasks are in each status, and why the last one is there."""

    counts: dict[str, int] = field(default_factory=dict[str, int])
    reason: str = ""
    duration_s: float | None = None

    @property
    def state(self) -> State:
        """The state that matters most."""
        present = {STATE_OF[status] for status, number in self.counts.items() if number > 0}
        for state in _ORDER:
            if state in present:
                return state
        return ""

    @property
    def said(self) -> str:
        """The state in words: `done, 0.62 s`, `3 of 5 done`."""
        total = sum(number for number in self.counts.values() if number > 0)
        if total > 1:
            done = sum(n for status, n in self.counts.items() if STATE_OF[status] == "done" and n > 0)
            failed = sum(n for status, n in self.counts.items() if STATE_OF[status] == "failed" and n > 0)
            words = f"{done} of {total} done"
            return f"{words}, {failed} failed" if failed else words
        status = next((name for name, number in self.counts.items() if number > 0), "")
        if not status:
            return ""
        word = WORDS[status]
        if self.duration_s is not None and STATE_OF[status] in ("done", "failed"):
            return f"{word}, {wording.duration(self.duration_s)}"
        return word

    def move(self, before: Sequence[str], after: str, number: int = 1) -> None:
        """That many tasks went from one of these statuses to another."""
        for status in before:
            if self.counts.get(status, 0) > 0:
                self.counts[status] -= number
                break
        self.counts[after] = self.counts.get(after, 0) + number


@dataclass(slots=True)
class EdgeMark:
    """How often an edge led on and how often not, and why not the last time; `count` elements of a fan-out."""

    taken: int = 0
    refused: int = 0
    reason: str = ""
    count: int = -1


@dataclass(slots=True)
class RunMarks:
    """The run that is shown: `view` as it was read last, and what was told since."""

    view: RunView
    nodes: dict[str, NodeMark] = field(default_factory=dict[str, NodeMark])
    edges: dict[int, EdgeMark] = field(default_factory=dict[int, EdgeMark])

    @staticmethod
    def of(view: RunView) -> "RunMarks":
        """Everything from a run that was read."""
        made = RunMarks(view)
        for node in view.nodes:
            mark = made.nodes.setdefault(node.node, NodeMark())
            mark.counts[node.status] = mark.counts.get(node.status, 0) + 1
            if node.reason is not None:
                mark.reason = node.reason.sentence
            mark.duration_s = _duration(node)
        for name, counts in view.summary.items():
            made.nodes.setdefault(name, NodeMark()).counts = dict(counts)
        for edge in view.edges:
            reason = edge.reason.sentence if edge.reason is not None else ""
            made.edges[edge.edge] = EdgeMark(edge.taken, edge.refused, reason, edge.count)
        return made

    @property
    def is_running(self) -> bool:
        """Whether something may still follow."""
        return self.view.status == "running"

    def node(self, name: str) -> NodeMark:
        """The mark of a node, made if need be."""
        return self.nodes.setdefault(name, NodeMark())

    def edge_state(self, at: int) -> State:
        """How an edge looks."""
        mark = self.edges.get(at)
        if mark is not None and mark.taken:
            return "done"
        if mark is not None and mark.refused:
            return "skipped"
        return "waiting" if self.is_running else "skipped"


def timeline(view: RunView, now: datetime) -> tuple[tuple[TimeRow, ...], float]:
    """The rows of a run in the order of its document, and how many seconds it spans until now."""
    begin = view.created_at or now
    end = view.ended_at or now
    rows: dict[str, list[NodeView]] = {}
    for node in view.nodes:
        rows.setdefault(node.node, []).append(node)
    made: list[TimeRow] = []
    last_s = max(0.0, (end - begin).total_seconds())
    for name, found in rows.items():
        bars: list[Bar] = []
        for node in found:
            if node.started_at is None:
                continue
            start_s = max(0.0, (node.started_at - begin).total_seconds())
            end_s = (node.ended_at - begin).total_seconds() if node.ended_at is not None else None
            last_s = max(last_s, end_s or start_s)
            bars.append(Bar(node.key, STATE_OF[node.status], start_s, end_s, node_words(node)))
        shown = found[-1]
        state = STATE_OF[shown.status]
        word = node_words(shown) if len(found) == 1 else f"{len(found)} times"
        made.append(TimeRow(name, state, word, tuple(bars)))
    return tuple(made), last_s


def node_words(node: NodeView) -> str:
    """`0.62 s`, `failed, 1.9 s`, `skipped`."""
    lasted = _duration(node)
    if lasted is None:
        return WORDS[node.status]
    if node.status == "succeeded":
        return wording.duration(lasted)
    return f"{WORDS[node.status]}, {wording.duration(lasted)}"


def run_words(view: RunView, now: datetime) -> str:
    """`done, 2.9 s`."""
    if view.created_at is None:
        return RUN_WORDS[view.status]
    lasted = ((view.ended_at or now) - view.created_at).total_seconds()
    return f"{RUN_WORDS[view.status]}, {wording.duration(max(0.0, lasted))}"


def _duration(node: NodeView) -> float | None:
    if node.started_at is None or node.ended_at is None:
        return None
    return max(0.0, (node.ended_at - node.started_at).total_seconds())
