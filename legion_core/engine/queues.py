"""The places of one process: how many tasks of each queue run here, and in which queues there may be more to take.

A hint is a reason to look into a queue. One that was found empty is dry until the next hint: nobody looks for nothing,
and what comes new is held from its first moment, as nobody waits before it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from legion_core.engine.journal import Lease


@dataclass(frozen=True, slots=True)
class Claims:
    """Places kept for what a step takes: how many in each queue, up to which hint each is looked into by it.

    `with_suspect`: whether one of what is taken may be a suspect (see `journal.claim`).
    """

    counts: dict[str, int] = field(default_factory=dict[str, int])
    hints: dict[str, int] = field(default_factory=dict[str, int])
    with_suspect: bool = False


class Queues:
    """See the module. `stuck` gives how many places of a queue are taken by what cannot be ended."""

    def __init__(self, places: Mapping[str, int], stuck: Callable[[str], int]) -> None:
        self._places = dict(places)
        self._stuck = stuck
        self._taken = dict.fromkeys(places, 0)
        # How often there was a reason to look into a queue, and up to which of them it was found empty.
        self._hints = dict.fromkeys(places, 0)
        self._dry = dict.fromkeys(places, 0)
        self._has_suspect = False  # one runs here, or may come with a step that is being written

    def hint(self, queue: str) -> None:
        """There may be something new in this queue."""
        self._hints[queue] += 1

    def hint_all(self) -> None:
        """There may be something new in any of them."""
        for queue in self._hints:
            self._hints[queue] += 1

    def hold(self, queue: str) -> bool:
        """Take a place for a new task, if one is free and nobody waits for it."""
        if self._dry[queue] != self._hints[queue] or self._free(queue) <= 0:
            return False
        self._taken[queue] += 1
        return True

    def keep(self, count_max: int) -> dict[str, int]:
        """Take some places of each queue in which nobody waits, for what may be begun together."""
        kept: dict[str, int] = {}
        for queue, hint in self._hints.items():
            if hint == self._dry[queue] and (free := min(self._free(queue), count_max)) > 0:
                kept[queue] = free
                self._taken[queue] += free
        return kept

    def give(self, queue: str, count: int = 1) -> None:
        """Places are free again."""
        self._taken[queue] -= count

    def over(self, lease: Lease) -> None:
        """A task that was begun here does not run here any more."""
        self._taken[lease.queue] -= 1
        if lease.is_suspect:
            self._has_suspect = False
            self.hint_all()  # the next suspect may be in any of them

    @property
    def wants(self) -> bool:
        """Whether there is a free place, and a reason to look for what could take it."""
        return any(hint != self._dry[queue] and self._free(queue) > 0 for queue, hint in self._hints.items())

    def claims(self) -> Claims:
        """Keep every free place of the queues that may have something."""
        counts = {
            queue: free
            for queue, hint in self._hints.items()
            if hint != self._dry[queue] and (free := self._free(queue)) > 0
        }
        for queue, count in counts.items():
            self._taken[queue] += count
        with_suspect = bool(counts) and not self._has_suspect
        self._has_suspect = self._has_suspect or with_suspect
        return Claims(counts, {queue: self._hints[queue] for queue in counts}, with_suspect)

    def found(self, claims: Claims, leases: Mapping[str, Sequence[Lease]]) -> None:
        """What came of the claims; where it was less than asked for, the queue is dry."""
        for queue, asked in claims.counts.items():
            count = len(leases.get(queue, ()))
            self._taken[queue] -= asked - count
            if count < asked:
                self._dry[queue] = claims.hints[queue]
        if claims.with_suspect:
            self._has_suspect = any(lease.is_suspect for each in leases.values() for lease in each)

    def dropped(self, claims: Claims) -> None:
        """Nothing came of the claims, as they were not written."""
        for queue, count in claims.counts.items():
            self._taken[queue] -= count
        if claims.with_suspect:
            self._has_suspect = False

    def _free(self, queue: str) -> int:
        return self._places[queue] - self._taken[queue] - self._stuck(queue)
