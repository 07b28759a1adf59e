"""Pure: the engine's canonical values: tasks, runs, and what each status may become.

    accepted ──▶ delayed | waiting_join ──▶ queued ──▶ leased ──▶ running ──▶ succeeded
                                              ▲                      ├──▶ failed           no retry was asked for
                                              └──── retry_wait ◀─────┤
                                                                     ├──▶ dead             retries used up
                                                                     └──▶ unknown          may have happened: a person decides

Every status but `succeeded` carries a Reason (`engine.reasons`). `legacy_status` gives the dotted name that programs
of the original task engine know.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

Json: TypeAlias = object  # a JSON value; whoever reads it narrows it

TaskStatus = Literal[
    "accepted",
    "delayed",
    "waiting_join",
    "queued",
    "leased",
    "running",
    "retry_wait",
    "succeeded",
    "failed",
    "dead",
    "blocked",
    "skipped",
    "cancelled",
    "expired",
    "unknown",
]
RunStatus = Literal["running", "succeeded", "failed", "cancelled"]
EffectClass = Literal["plain", "pure", "transactional", "idempotent_key", "fenced_file", "at_most_once"]
FactValue: TypeAlias = str | int | float | bool

ENDED: frozenset[TaskStatus] = frozenset(
    {"succeeded", "failed", "dead", "blocked", "skipped", "cancelled", "expired"}
)
FAILED: frozenset[TaskStatus] = frozenset({"failed", "dead", "blocked", "expired"})  # `on: failure` fires

# What a task may become by the engine's own doing.
TRANSITIONS: Mapping[TaskStatus, frozenset[TaskStatus]] = {
    "accepted": frozenset(
        {"delayed", "waiting_join", "queued", "blocked", "skipped", "cancelled", "expired"}
    ),
    "delayed": frozenset({"queued", "blocked", "cancelled", "expired"}),
    "waiting_join": frozenset({"delayed", "queued", "blocked", "skipped", "cancelled", "expired"}),
    "queued": frozenset({"leased", "failed", "blocked", "cancelled", "expired"}),
    "leased": frozenset({"running", "queued", "failed", "dead", "blocked", "cancelled", "unknown"}),
    "running": frozenset(
        {"succeeded", "failed", "retry_wait", "dead", "queued", "cancelled", "expired", "unknown"}
    ),
    "retry_wait": frozenset({"queued", "dead", "cancelled", "expired"}),
    "unknown": frozenset(),
    "succeeded": frozenset(),
    "failed": frozenset(),
    "dead": frozenset(),
    "blocked": frozenset(),
    "skipped": frozenset(),
    "cancelled": frozenset(),
    "expired": frozenset(),
}
# What a person may order besides: another try, or the verdict on an outcome nobody knows.
BY_HAND: Mapping[TaskStatus, frozenset[TaskStatus]] = {
    "unknown": frozenset({"succeeded", "failed", "queued", "cancelled"}),
    "failed": frozenset({"queued"}),
    "dead": frozenset({"queued"}),
    "blocked": frozenset({"queued"}),
    "expired": frozenset({"queued"}),
}

# The original task engine knows fewer words for some, and several for others, which the reason tells apart.
_LEGACY: Mapping[TaskStatus, str] = {
    "accepted": "task.queued",
    "delayed": "task.delayed",
    "waiting_join": "task.scheduled",
    "queued": "task.queued",
    "leased": "task.queued",
    "running": "task.queued",
    "retry_wait": "task.delayed",
    "succeeded": "task.completed",
    "failed": "task.exception",
    "dead": "task.exception",
    "blocked": "task.blocked",
    "skipped": "conditioner.failed",
    "cancelled": "task.blocked",
    "expired": "task.expired",
    "unknown": "task.exception",
}
_LEGACY_BY_REASON: Mapping[str, str] = {
    "condition.false": "conditioner.failed",
    "condition.fact_missing": "conditioner.exception",
    "condition.types_differ": "conditioner.exception",
    "condition.text_too_long": "conditioner.exception",
    "condition.invalid": "conditioner.exception",
    "transform.schema": "transformer.validation_failed",
    "transform.failed": "transformer.exception",
    "transform.invalid": "transformer.exception",
    "transform.too_large": "transformer.exception",
    "transform.too_long": "transformer.exception",
    "transform.not_json": "transformer.exception",
    "transform.nothing_found": "transformer.exception",
    "transform.model_failed": "transformer.exception",
}


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why a task is where it is: a code for programs, a sentence for people, the facts both were made from."""

    code: str
    sentence: str
    facts: Mapping[str, FactValue] = msgspec.field(default_factory=dict[str, FactValue])


class Retry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How often and how soon a failed task is tried again: `max` tries beyond the first, doubling pauses."""

    max: int = 0
    delay_s: float = 1.0  # seed: 1 s × 2ⁿ, at most 30 s
    factor: float = 2.0
    delay_max_s: float = 30.0


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try of a task.

    `outcome`: `failed`, `given_back` (its process stopped), `lost` (its process died), or how the task had ended when a
    person had it tried again.
    """

    number: int
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str = "running"
    reason: Reason | None = None


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded execution of a function. `key` is its unique place in its run; both empty outside a chain.

    `attempt` counts from 1 with the first lease. `fencing` grows with every lease, so that a worker that lost its
    lease cannot write. `tries` are the earlier ones, where it is read alone. Times are UTC.
    """

    id: str
    task: str
    status: TaskStatus = "accepted"
    reason: Reason | None = None
    args: Json = None
    result: Json = None
    attempt: int = 0
    retry: Retry = Retry()
    effect: EffectClass = "plain"
    queue: str = "default"
    priority: int = 0
    order_key: str = ""
    idempotency_key: str = ""
    parent: str = ""
    root: str = ""
    run: str = ""
    node: str = ""
    key: str = ""
    depth: int = 0
    timeout_s: float | None = None
    is_redelivered: bool = False
    fencing: int = 0
    lease_owner: str = ""
    lease_until: datetime | None = None
    due_at: datetime | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    tries: tuple[Attempt, ...] = ()


class NodeState(msgspec.Struct, frozen=True, kw_only=True):
    """Where one node of a run is; a node that ran several times (fan-out, loop) has several, told apart by `key`."""

    node: str
    key: str
    task: str
    status: TaskStatus
    reason: Reason | None = None


class ChainRun(msgspec.Struct, frozen=True, kw_only=True):
    """One walk through one version of a chain. `parent` is the task that started it, where it is a sub-chain."""

    id: str
    chain: str
    version: int
    status: RunStatus = "running"
    reason: Reason | None = None
    input: Json = None
    parent: str = ""
    depth: int = 0
    replay_of: str = ""
    created_at: datetime | None = None
    ended_at: datetime | None = None
    nodes: tuple[NodeState, ...] = ()


def may_become(before: TaskStatus, after: TaskStatus, *, by_hand: bool = False) -> bool:
    """May a task go from one status to the other, by the engine or (`by_hand`) at a person's order?"""
    return after in TRANSITIONS[before] or (by_hand and after in BY_HAND.get(before, frozenset()))


def legacy_status(status: TaskStatus, reason: Reason | None = None) -> str:
    """The original task engine's dotted name of a status, told apart by the reason where it has more than one word."""
    if reason is not None and status in ("skipped", "blocked", "failed", "dead"):
        return _LEGACY_BY_REASON.get(reason.code, _LEGACY[status])
    return _LEGACY[status]


def after_crash(effect: EffectClass, *, has_started: bool) -> Literal["queued", "unknown"]:
    """What becomes of a leased task whose worker is gone: run again, or ask a person.

    Only `at_most_once` asks, and only once the function may have begun. A `plain` task runs again and is
    marked `is_redelivered`.
    """
    return "unknown" if effect == "at_most_once" and has_started else "queued"


def retry_delay_s(retry: Retry, attempt: int, chance: float) -> float | None:
    """Seconds until the next try after `attempt` (from 1) failed, or None if there is none.

    `chance` in [0, 1) spreads the pause over its upper half, so that a thousand tasks that failed together do not
    come back together.
    """
    assert attempt >= 1
    assert 0 <= chance < 1
    if attempt > retry.max:
        return None
    # The exponent is bounded, not only its result: 2.0 ** 5000 does not fit a float.
    pause_s = retry.delay_s * min(retry.factor, 10.0) ** min(attempt - 1, 64)
    pause_s = min(pause_s, retry.delay_max_s)
    return pause_s * (0.5 + chance / 2)
