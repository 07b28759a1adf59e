"""Randomness and identifiers, drawn from one injected source."""

import random
from typing import Protocol

from legion_core.kernel.clock import Clock

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base 32, lower case: sorts as it reads
# Two characters for ten bits at once, and one of chance for each byte of it.
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_BY_CHANCE = (_ALPHABET * 8).encode()
_AS_DIGITS = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")  # of Python's base 32


class Rng(Protocol):
    """The part of `random.Random` we use."""

    def random(self) -> float:
        """A float in [0, 1)."""
        ...

    def getrandbits(self, k: int, /) -> int:
        """`k` random bits as a non-negative integer."""
        ...

    def randbytes(self, n: int, /) -> bytes:
        """`n` random bytes."""
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
        self._stamp = -1  # milliseconds
        self._second = (-1, "")  # of 1,024 of them, and how they are written
        self._chance = ""  # drawn ahead: to ask the system costs more than all the rest
        self._last = ""

    def new(self, prefix: str = "") -> str:
        """A fresh id such as `msg_01j9…`; `prefix` names the kind of thing."""
        stamp, text = int(self._clock.unix_s() * 1000), ""
        if stamp > self._stamp:
            self._stamp = stamp
            if self._second[0] != stamp >> 10:
                self._second = stamp >> 10, _written(stamp >> 10, 8)
            text = self._second[1] + _PAIRS[stamp & 1023] + self._by_chance()
        # A clock that stands still or steps back must not give an earlier id than the one before it.
        if text <= self._last:
            after = int(self._last.translate(_AS_DIGITS), 32) + 1 + self._rng.getrandbits(32)
            text = _written(after, 26)
        self._last = text
        return f"{prefix}_{text}" if prefix else text

    def _by_chance(self) -> str:
        if not self._chance:
            self._chance = self._rng.randbytes(64 * 16).translate(_BY_CHANCE).decode()
        drawn, self._chance = self._chance[:16], self._chance[16:]
        return drawn


def _written(value: int, width: int) -> str:
    return "".join([_PAIRS[(value >> shift) & 1023] for shift in range(5 * width - 10, -1, -10)])
