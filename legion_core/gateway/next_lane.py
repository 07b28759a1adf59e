"""Pure choice of where a request goes next after an attempt failed, by what its client has already."""

from collections.abc import Sequence
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


def next_lane(
    candidates: Sequence[Lane],
    attempts: Sequence[Attempt],
    error: LegionError | None,
    *,
    has_text: bool,
    current: Lane | None = None,
) -> Lane | None:
    """The lane to try now, or None to give up. `has_text`: the client has part of the answer's text.

    Before any text the candidates' own order holds. After it, those that go on to the letter come before those that
    can only be told to; and where nobody else is left, the lane that broke off in the middle is asked once more.
    """
    if len(attempts) >= ATTEMPTS_MAX or (error is not None and not _may_go_on(error)):
        return None
    may_return = current is not None and _tries(attempts, current) < ATTEMPTS_PER_LANE_MAX
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
