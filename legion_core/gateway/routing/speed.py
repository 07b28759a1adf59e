"""Pure memory of how fast each lane answers, as measured on its own answers.

A smoothed figure in steps of a fifth, so that the order of lanes changes when a lane does, not with every answer.
"""

import math
from dataclasses import dataclass

from legion_core.gateway.types import Attempt

TOKENS_MIN = 16  # a shorter answer says nothing about speed
WEIGHT = 0.3  # of the newest answer; ours: five answers outweigh the past
STEP = 1.2  # speeds are told apart in steps of a fifth
ENOUGH_TOKENS_PER_S = 200.0  # faster than anybody reads or acts: what is above is equal
ENOUGH_STEP = math.ceil(math.log(ENOUGH_TOKENS_PER_S, STEP))


@dataclass(slots=True)
class _Measured:
    tokens_per_s: float
    step: int


class Speeds:
    """Tokens per second of each lane, by `instance/model`. `version` changes when an order might."""

    def __init__(self) -> None:
        self._measured: dict[str, _Measured] = {}
        self.version = 0

    def take(self, attempt: Attempt) -> None:
        """Learn from an attempt; one that failed or was short teaches nothing."""
        if attempt.outcome != "succeeded" or attempt.first_token_s is None:
            return
        tokens, seconds = attempt.usage.output_tokens, attempt.duration_s - attempt.first_token_s
        if tokens >= TOKENS_MIN and seconds > 0:
            self.note(f"{attempt.instance}/{attempt.model}", tokens / seconds)

    def note(self, lane: str, tokens_per_s: float) -> None:
        """One measurement."""
        known = self._measured.get(lane)
        smoothed = (
            tokens_per_s
            if known is None
            else known.tokens_per_s + WEIGHT * (tokens_per_s - known.tokens_per_s)
        )
        step = _step(smoothed)
        if known is None or known.step != step:
            self.version += 1
        self._measured[lane] = _Measured(smoothed, step)

    def tokens_per_s(self, lane: str) -> float | None:
        """What is known of the lane called `instance/model`; None: never measured."""
        known = self._measured.get(lane)
        return None if known is None else known.tokens_per_s

    def stepped(self, lane: str) -> float | None:
        """As `tokens_per_s`, in steps, at most what is enough: this is what orders lanes."""
        known = self._measured.get(lane)
        return None if known is None else min(STEP**known.step, ENOUGH_TOKENS_PER_S)


def _step(tokens_per_s: float) -> int:
    # What is above the bound is equal: it must not have the lanes put in order anew.
    return min(round(math.log(max(tokens_per_s, 1e-3), STEP)), ENOUGH_STEP)
