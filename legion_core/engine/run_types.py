"""What goes in and out of the door for chains: definitions, runs, and what became of each node. Cheap to import."""

from datetime import datetime
from typing import Any

import msgspec

from legion_core.engine.types import Reason, RunStatus, TaskStatus

NODES_SHOWN_MAX = 1_000  # of one run; `RunView.summary` counts the others too


class ChainRow(msgspec.Struct, frozen=True, kw_only=True):
    """A chain at a glance: its newest version, and how its latest run went (`last_status` empty before the first)."""

    name: str
    version: int
    description: str = ""
    nodes: int = 0
    edges: int = 0
    applied_at: datetime | None = None
    runs: int = 0
    running: int = 0
    last_run: str = ""
    last_status: RunStatus | None = None
    last_at: datetime | None = None


class ChainView(ChainRow, frozen=True, kw_only=True):
    """A chain opened: the document as plain JSON, and the same as YAML text (as it was applied, where it was a text)."""

    document: dict[str, Any]
    text: str


class Renamed(msgspec.Struct, frozen=True, kw_only=True):
    """What had to follow: the version now, and the names of schedules, webhooks and chains that start it."""

    version: int
    schedules: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    chains: tuple[str, ...] = ()


class ChainVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One of the versions that were applied under a name."""

    name: str
    version: int
    applied_at: datetime | None = None
    who: str = ""
    nodes: int = 0
    edges: int = 0
    runs: int = 0


class ChainFault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with a document: where (`key`, such as `edges[1].when`; `line` from 1 in a text), what, a hint."""

    key: str
    message: str
    hint: str = ""
    line: int | None = None


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one node of a run; in a fan-out or loop there is one for each time, told apart by `key`.

    `task` is the function, or `chain:NAME`; `id` the task's id, empty where nothing has led to the node yet. `index` is
    the place in the fan-out. `child` is the run of a sub-chain. Every status but `succeeded` has a reason.
    """

    node: str
    key: str
    task: str
    status: TaskStatus
    legacy_status: str
    reason: Reason | None = None
    id: str = ""
    attempt: int = 0
    index: int | None = None
    child: str = ""
    due_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


class EdgeView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one edge of a run, by its place in the document: how often it led on, and how often not.

    `reason` is why it did not, the last time; `count` how many elements it fanned out to, -1 without `each`.
    """

    edge: int
    source: str = msgspec.field(name="from")
    target: str = msgspec.field(name="to")
    taken: int = 0
    refused: int = 0
    reason: Reason | None = None
    count: int = -1


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """A run at a glance. `parent` is the task of the node that started it, where it is a sub-chain."""

    id: str
    chain: str
    version: int
    status: RunStatus
    reason: Reason | None = None
    is_dry: bool = False
    parent: str = ""
    parent_run: str = ""
    depth: int = 0
    replay_of: str = ""
    replay_from: str = ""
    who: str = ""
    created_at: datetime | None = None
    ended_at: datetime | None = None


class RunView(RunRow, frozen=True, kw_only=True):
    """A run opened. `nodes` are in the order of the document, at most `NODES_SHOWN_MAX`; `summary` counts them all.

    `result` is that of the node nothing follows; of several such nodes an object by name.
    """

    input: Any = None
    result: Any = None
    pins: dict[str, Any] = {}
    nodes: tuple[NodeView, ...] = ()
    edges: tuple[EdgeView, ...] = ()
    summary: dict[str, dict[str, int]] = {}  # node → status → how often


class RunPage(msgspec.Struct, frozen=True, kw_only=True):
    """Runs, newest first; `next` continues below the last one, empty at the end."""

    runs: tuple[RunRow, ...]
    next: str = ""


class NodePayload(msgspec.Struct, frozen=True, kw_only=True):
    """What went into one node of a run and what came out.

    `payload` is what its templates saw (`input`, `result`, `results`, `item`, `index`), `facts` what the conditions on
    the edges after it saw (None until it ended), `args` what its task was called with.
    """

    run: str
    node: str
    key: str
    task: str
    status: TaskStatus
    id: str = ""
    payload: Any = None
    args: Any = None
    result: Any = None
    facts: Any = None
    reason: Reason | None = None


class EdgeExplained(msgspec.Struct, frozen=True, kw_only=True):
    """Why one edge led on or not, the time `key` (the task before it) ended.

    `condition` is the tree of `conditions.explain`, None on an edge without `when`; `is_decided` False: the task
    before it has not ended.
    """

    run: str
    edge: int
    source: str = msgspec.field(name="from")
    target: str = msgspec.field(name="to")
    key: str
    on: str
    status: TaskStatus
    is_decided: bool = True
    is_taken: bool = False
    reason: Reason | None = None
    count: int = -1
    condition: Any = None


class Rendering(msgspec.Struct, frozen=True, kw_only=True):
    """What a transform gives for a payload: arguments, or the reason why not, or the question it would ask a model."""

    args: Any = None
    reason: Reason | None = None
    ask: str = ""
