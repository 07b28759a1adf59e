"""Pure choice of where a request goes next after an attempt failed, by what its client has already."""

from collections.abc import Callable, Sequence
from typing import Final

from legion_core.gateway.continuation import can_continue, is_exact
from legion_core.gateway.types import Attempt, Lane
from legion_core.kernel.errors import (
    BadCredentials,
    ConnectionLost,
    ContextTooLong,
    Filtered,
    LegionError,
    ProviderError,
    StreamBroken,
    TimedOut,
    WorkerDied,
)

# Enough for a way out, too few for a retry storm. Source: the catalogue of faults, B3.
ATTEMPTS_MAX: Final = 4
ATTEMPTS_PER_LANE_MAX: Final = 2
# With those that ask a flaky lane again: eight at lanes that fail three times in ten leave one answer in ten thousand.
ATTEMPTS_AGAIN_MAX: Final = 8
ATTEMPTS_PER_FLAKY_LANE_MAX: Final = 3
IN_PASSING: Final = frozenset(
    {"unavailable", "connection_lost", "overloaded", "timed_out", "stream_broken", "worker_died"}
)


def next_lane(
    candidates: Sequence[Lane],
    attempts: Sequence[Attempt],
    error: LegionError | None,
    *,
    has_text: bool,
    current: Lane | None = None,
    is_flaky: Callable[[Lane], bool] = lambda _: False,
) -> Lane | None:
    """The lane to try now, or None to give up. `has_text`: the client has part of the answer's text.

    Before any text the candidates' own order holds. After it, those that go on to the letter come before those that
    can only be told to; and where nobody else is left, the lane that broke off in the middle is asked once more, and
    then each other that `is_flaky`: it mostly answers, and failed in passing if at all.
    """
    if not attempts and error is None and not has_text:
        return candidates[0] if candidates else None
    if error is not None and not _may_go_on(error):
        return None
    if len(attempts) < ATTEMPTS_MAX:
        lane = _new_lane(candidates, attempts, error, has_text=has_text, current=current)
        if lane is not None:
            return lane
    if not attempts or len(attempts) >= ATTEMPTS_AGAIN_MAX:
        return None
    return _once_more(candidates, attempts, has_text=has_text, is_flaky=is_flaky)


def _new_lane(
    candidates: Sequence[Lane],
    attempts: Sequence[Attempt],
    error: LegionError | None,
    *,
    has_text: bool,
    current: Lane | None,
) -> Lane | None:
    may_return = (
        current is not None and current in candidates and _tries(attempts, current) < ATTEMPTS_PER_LANE_MAX
    )
    # A child process that died is started afresh: its own lane is the nearest that can continue.
    if (
        isinstance(error, WorkerDied)
        and current is not None
        and may_return
        and (not has_text or is_exact(current))
    ):
        return current
    untried = [
        lane for lane in candidates if not _tries(attempts, lane) and _is_allowed(lane, error, current)
    ]
    if has_text:
        untried = [lane for lane in untried if is_exact(lane)] or [
            lane for lane in untried if can_continue(lane)
        ]
    if untried:
        return untried[0]
    has_broken = isinstance(error, StreamBroken | ConnectionLost | TimedOut) and bool(attempts)
    if current is not None and may_return and has_broken and attempts[-1].first_token_s is not None:
        return current if not has_text or can_continue(current) else None
    return None


def _once_more(
    candidates: Sequence[Lane],
    attempts: Sequence[Attempt],
    *,
    has_text: bool,
    is_flaky: Callable[[Lane], bool],
) -> Lane | None:
    failed = {(each.instance, each.model): each for each in attempts}
    able = [
        lane
        for lane in candidates
        if is_flaky(lane)
        and _tries(attempts, lane) < ATTEMPTS_PER_FLAKY_LANE_MAX
        and _failed_in_passing(failed.get((lane.instance, lane.offer.id)))
    ]
    if has_text:
        able = [lane for lane in able if is_exact(lane)] or [lane for lane in able if can_continue(lane)]
    # Not the one that failed just now, if there is another.
    latest = attempts[-1]
    able.sort(
        key=lambda lane: (
            _tries(attempts, lane),
            (lane.instance, lane.offer.id) == (latest.instance, latest.model),
        )
    )
    return able[0] if able else None


def _failed_in_passing(last: Attempt | None) -> bool:
    """Whether the lane may do better now; one that was not asked may. Nobody waits twice for a first word."""
    if last is None:
        return True
    return last.outcome in IN_PASSING and not (last.outcome == "timed_out" and last.first_token_s is None)


def _may_go_on(error: LegionError) -> bool:
    return isinstance(error, ProviderError) and not isinstance(error, Filtered)


def _is_allowed(lane: Lane, error: LegionError | None, current: Lane | None) -> bool:
    if current is None:
        return True
    # A wrong key must not send the request to a dearer tier by itself.
    if isinstance(error, BadCredentials):
        return lane.tier <= current.tier
    # What was too long for one is too long for all that hold no more.
    if isinstance(error, ContextTooLong):
        return lane.offer.context > current.offer.context
    return True


def _tries(attempts: Sequence[Attempt], lane: Lane) -> int:
    return sum(
        1 for attempt in attempts if (attempt.instance, attempt.model) == (lane.instance, lane.offer.id)
    )
