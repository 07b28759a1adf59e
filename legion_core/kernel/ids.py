"""Randomness and identifiers, drawn from one injected source."""

import random
from typing import Protocol

from legion_core.kernel.clock import Clock

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base 32, lower case: sorts as it reads
# Two characters for ten bits at once.
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)


class Rng(Protocol):
    """The part of `random.Random` we use."""

    def random(self) -> float:
        """A float in [0, 1)."""
        ...

    def getrandbits(self, k: int, /) -> int:
        """`k` random bits as a non-negative integer."""
        ...


def system_rng() -> Rng:
    """Randomness from the operating system."""
    return random.SystemRandom()


class Ids:
    """Makes ULIDs: 26 characters, ordered by time, strictly increasing within one process.

    Source: the ULID specification (48 bits of milliseconds, 80 bits of chance, monotonic within a millisecond).
    """

    def __init__(self, clock: Clock, rng: Rng) -> None:
        self._clock = clock
        self._rng = rng
        self._last = 0

    def new(self, prefix: str = "") -> str:
        """A fresh id such as `msg_01j9…`; `prefix` names the kind of thing."""
        stamp = int(self._clock.utc_now().timestamp() * 1000)
        value = (stamp << 80) | self._rng.getrandbits(80)
        # A clock that stands still or steps back must not give an earlier id than the one before it.
        if value <= self._last:
            value = self._last + 1 + self._rng.getrandbits(32)
        self._last = value
        text = "".join([_PAIRS[(value >> shift) & 1023] for shift in range(120, -1, -10)])
        return f"{prefix}_{text}" if prefix else text
