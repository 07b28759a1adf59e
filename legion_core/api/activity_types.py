"""What the window sees of the activity list: one line a task or request. Cheap to import."""

from datetime import datetime
from typing import Literal

import msgspec

from legion_core.engine.types import Reason

ActivityKind = Literal["task", "request"]
ActivityState = Literal["waiting", "running", "succeeded", "failed", "cancelled", "skipped"]
STATES: tuple[ActivityState, ...] = ActivityState.__args__


class ActivityQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines. Empty fields ask for nothing; `states` may also hold a task's exact status; `run` is a chain's run."""

    kinds: tuple[ActivityKind, ...] = ()
    states: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    took_min_s: float = 0.0
    cost_min_usd: float = 0.0
    conversation: str = ""
    run: str = ""
    root: str = ""


class ActivityMark(msgspec.Struct, frozen=True, kw_only=True):
    """How far a reading went, so that the next reads only what came after it."""

    task: int = 0
    request: datetime | None = None


class ActivityIndex(msgspec.Struct, frozen=True, kw_only=True):
    """Keys of the lines that pass, oldest first; `is_cut` where there are more than are given."""

    keys: tuple[str, ...]
    mark: ActivityMark
    is_cut: bool = False


class ActivityRow(msgspec.Struct, frozen=True, kw_only=True):
    """A task or a request at a glance. `status` is the task's status or the request's outcome, `state` its group.

    Cost in USD, None where the price is unknown; a task has none. `saved_*` is what curation left out of a request, and
    what that was worth: below 0 where it cost more. `waited_s` is the time before it
    began, `brief` the beginning of a task's arguments as JSON.
    """

    key: str
    kind: ActivityKind
    id: str
    state: ActivityState
    status: str
    reason: Reason | None = None
    task: str = ""
    brief: str = ""
    at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    due_at: datetime | None = None
    took_s: float | None = None
    waited_s: float | None = None
    attempts: int = 0
    attempts_max: int = 0
    tier: str = ""
    instance: str = ""
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    saved_tokens: int = 0
    saved_usd: float | None = 0.0
    conversation: str = ""
    has_chat: bool = True  # else `conversation` is a client's own name of its session
    title: str = ""
    client: str = ""
    dialect: str = ""
    queue: str = ""
    parent: str = ""
    root: str = ""
    run: str = ""
    chain: str = ""
    node: str = ""
    who: str = ""


class ActivityHour(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in one hour, beginning at `at`."""

    at: datetime
    tasks: int = 0
    failed: int = 0
    requests: int = 0
    local: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0
    saved_tokens: int = 0
    saved_usd: float = 0.0
    saved_unpriced: int = 0
