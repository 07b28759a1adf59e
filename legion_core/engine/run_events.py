"""What watchers are told of runs of chains; the tasks in them are told of as all tasks are, with `run` and `node`."""

import msgspec

from legion_core.engine.types import Reason, RunStatus, TaskStatus
from legion_core.kernel.events import Event


class EdgeDecided(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of an edge, by its place in the document; it led on unless it has a reason."""

    edge: int
    source: str = msgspec.field(name="from")
    target: str = msgspec.field(name="to")
    count: int = -1
    reason: Reason | None = None


class NodeCame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A node something became of: it was begun or queued, or it will not run. `count` times, in a fan-out; the first's key."""

    node: str
    key: str
    status: TaskStatus
    count: int = 1
    reason: Reason | None = None


class RunStarted(Event, frozen=True, kw_only=True):
    """A run is on disk, with the nodes it begins with."""

    run: str
    chain: str
    version: int
    parent: str = ""
    is_dry: bool = False
    came: tuple[NodeCame, ...] = ()


class RunAdvanced(Event, frozen=True, kw_only=True):
    """One task of a run ended: how, what became of its edges, and of the nodes behind them; all of it one transaction."""

    run: str
    chain: str
    node: str
    key: str
    task: str
    status: TaskStatus
    reason: Reason | None = None
    edges: tuple[EdgeDecided, ...] = ()
    came: tuple[NodeCame, ...] = ()


class RunEnded(Event, frozen=True, kw_only=True):
    """Nothing more follows in this run."""

    run: str
    chain: str
    status: RunStatus
    reason: Reason | None = None


class ChainChanged(Event, frozen=True, kw_only=True):
    """A version was applied under this name, or (`version` 0) the chain was deleted."""

    name: str
    version: int


RUNS_TOLD: dict[str, type[Event]] = {
    kind.__name__: kind for kind in (RunStarted, RunAdvanced, RunEnded, ChainChanged)
}
