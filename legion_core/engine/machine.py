"""Pure: what becomes of a task. A state and an event in, the next state out; the journal writes it, the service acts.

Which status may follow which is `engine.types.TRANSITIONS`; every step here asserts it.
"""

from dataclasses import dataclass
from typing import TypeAlias, assert_never

import msgspec
from msgspec.structs import replace

from legion_core.engine.extension import NO_RETRY
from legion_core.engine.reasons import because
from legion_core.engine.types import (
    BY_HAND,
    ENDED,
    EffectClass,
    Reason,
    Retry,
    TaskStatus,
    after_crash,
    may_become,
    retry_delay_s,
)
from legion_core.kernel.ids import Rng

CRASHES_MAX = 3  # a task that takes its process down this often is parked, so that the queue flows on
HELD: frozenset[TaskStatus] = frozenset({"leased", "running"})
WAITING: frozenset[TaskStatus] = frozenset({"accepted", "delayed", "waiting_join", "queued", "retry_wait"})
SETTLED: frozenset[TaskStatus] = ENDED | frozenset[TaskStatus]({"unknown"})  # nothing more happens by itself


class State(msgspec.Struct, frozen=True, kw_only=True):
    """As much of a task as decides what becomes of it. `attempt` counts starts; `due_ms` is UTC, 0 for at once."""

    status: TaskStatus = "accepted"
    attempt: int = 0
    retry: Retry = NO_RETRY
    effect: EffectClass = "plain"
    is_redelivered: bool = False
    due_ms: int = 0
    reason: Reason | None = None

    def __post_init__(self) -> None:
        assert self.attempt >= 0
        assert self.due_ms >= 0
        assert self.due_ms == 0 or self.status in ("delayed", "waiting_join", "retry_wait")


@dataclass(frozen=True, slots=True)
class Admitted:
    """It may run, at once or from `due_ms` on."""

    due_ms: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """Its time has come."""


@dataclass(frozen=True, slots=True)
class Leased:
    """A process took it."""


@dataclass(frozen=True, slots=True)
class Started:
    """Its function is called."""


@dataclass(frozen=True, slots=True)
class Succeeded:
    """Its function returned."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Its function raised or ran out of time. `may_retry` False: the same would happen again.

    `retry_after_s` is the far end's own wish.
    """

    reason: Reason
    what: str
    may_retry: bool = True
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Stopped:
    """It was told to end, and did."""

    who: str


@dataclass(frozen=True, slots=True)
class OwnerDied:
    """The process `owner` that held it is gone."""

    owner: str


@dataclass(frozen=True, slots=True)
class GivenBack:
    """The process that held it stops in good order."""

    owner: str


@dataclass(frozen=True, slots=True)
class Refused:
    """It will not run, in one of the ways of not running."""

    status: TaskStatus
    reason: Reason

    def __post_init__(self) -> None:
        assert self.status in ("blocked", "skipped", "expired", "cancelled", "failed")


@dataclass(frozen=True, slots=True)
class AskedAgain:
    """A person wants it run again."""


Happening: TypeAlias = (
    Admitted
    | Due
    | Leased
    | Started
    | Succeeded
    | Failed
    | Stopped
    | OwnerDied
    | GivenBack
    | Refused
    | AskedAgain
)


def after(state: State, event: Happening, *, now_ms: int, rng: Rng) -> State:
    """The task after `event`; one that cannot happen in this status is a bug of the caller and asserts."""
    fresh = _after(state, event, now_ms, rng)
    by_hand = isinstance(event, AskedAgain)
    assert may_become(state.status, fresh.status, by_hand=by_hand), (
        f"{state.status} cannot become {fresh.status} by {type(event).__name__}"
    )
    return fresh


def _after(state: State, event: Happening, now_ms: int, rng: Rng) -> State:
    match event:
        case Admitted(due_ms=due_ms):
            is_early = due_ms > now_ms
            status: TaskStatus = "delayed" if is_early else "queued"
            return replace(state, status=status, due_ms=due_ms if is_early else 0, reason=None)
        case Due():
            assert state.due_ms <= now_ms
            return replace(state, status="queued", due_ms=0, reason=None)
        case Leased():
            return replace(state, status="leased", attempt=state.attempt + 1)
        case Started():
            return replace(state, status="running")
        case Succeeded():
            return replace(state, status="succeeded", reason=None)
        case Failed():
            return _failed(state, event, now_ms, rng)
        case Stopped(who=who):
            return replace(state, status="cancelled", reason=because("task.cancelled", who=who), due_ms=0)
        case OwnerDied(owner=owner):
            return _orphaned(state, owner)
        case GivenBack(owner=owner):
            return _given_back(state, owner)
        case Refused(status=status, reason=reason):
            assert state.status not in SETTLED
            return replace(state, status=status, reason=reason, due_ms=0)
        case AskedAgain():
            assert "queued" in BY_HAND[state.status]
            may_have_run = state.is_redelivered or state.status == "unknown"
            return replace(state, status="queued", attempt=0, reason=None, is_redelivered=may_have_run)
        case _:
            assert_never(event)


def _failed(state: State, event: Failed, now_ms: int, rng: Rng) -> State:
    assert state.status in HELD
    if not event.may_retry or state.retry.max == 0:
        return replace(state, status="failed", reason=event.reason)
    pause_s = retry_delay_s(state.retry, state.attempt, rng.random())
    if pause_s is None:
        reason = because("task.retries_used_up", attempts=state.attempt, what=event.what)
        return replace(state, status="dead", reason=reason)
    if event.retry_after_s is not None:
        pause_s = max(pause_s, min(event.retry_after_s, state.retry.delay_max_s))
    due_ms = now_ms + max(1, round(pause_s * 1000))
    return replace(state, status="retry_wait", reason=event.reason, due_ms=due_ms)


def _orphaned(state: State, owner: str) -> State:
    assert state.status in HELD
    has_started = state.status == "running"
    if after_crash(state.effect, has_started=has_started) == "unknown":
        return replace(state, status="unknown", reason=because("task.outcome_unknown"))
    if has_started and state.attempt >= max(CRASHES_MAX, state.retry.max + 1):
        return replace(state, status="dead", reason=because("task.poison", attempts=state.attempt))
    return replace(
        state,
        status="queued",
        reason=because("task.lease_lost", owner=owner),
        is_redelivered=state.is_redelivered or has_started,
    )


def _given_back(state: State, owner: str) -> State:
    """As after a crash, but the task is not to blame: the attempt does not count."""
    assert state.status in HELD
    has_started = state.status == "running"
    if after_crash(state.effect, has_started=has_started) == "unknown":
        return replace(state, status="unknown", reason=because("task.outcome_unknown"))
    return replace(
        state,
        status="queued",
        attempt=max(0, state.attempt - 1),
        reason=because("task.lease_lost", owner=owner),
        is_redelivered=state.is_redelivered or has_started,
    )
