"""What the end of a task sets going: the port between the engine's steps and the chains, which a start need not import.

an end, in its transaction ──Follower.follow(connection, Ended, room)──▶ Followed: what was written with it
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from legion_core.engine.journal import Lease, NewTask
from legion_core.engine.types import Reason, TaskStatus
from legion_core.kernel.events import Event
from legion_core.storage.sqlite import Connection

LATE = (
    b"null"  # the arguments of a task that are made when it begins: its transform asks a model, or takes long
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A task of a run that ended, as its chain needs it. `result` is JSON, None where it has none."""

    id: str
    task: str
    run: str
    node: str
    key: str
    depth: int
    status: TaskStatus
    reason: Reason | None = None
    result: bytes | None = None


@dataclass(slots=True)
class Room:
    """Where and when the transaction happens: how many new tasks may be begun at once in each queue, and by whom.

    `kept` are the places that were kept for it; `places` those still free while it is made.
    """

    owner: str
    now_ms: int
    stamp: tuple[datetime, float]
    kept: dict[str, int] = field(default_factory=dict[str, int])
    places: dict[str, int] = field(default_factory=dict[str, int])

    def anew(self) -> "Room":
        """For a transaction that is made, perhaps for the second time."""
        self.places = dict(self.kept)
        return self


@dataclass(slots=True)
class Followed:
    """What was written, to be acted on once it is durable.

    `leases` are held by this process already; `tasks` are all new ones, those too. `stopping` are running tasks that
    were told to end, `over` are tasks that ended without being run here, `runs` the runs that ended.
    """

    tasks: list[NewTask] = field(default_factory=list[NewTask])
    leases: list[Lease] = field(default_factory=list[Lease])
    events: list[Event] = field(default_factory=list[Event])
    stopping: list[str] = field(default_factory=list[str])
    over: list[Ended] = field(default_factory=list[Ended])
    runs: list[str] = field(default_factory=list[str])


class BrokenRun(Exception):
    """What follows a task could not be worked out, though its end can be written."""


class Follower(Protocol):
    """The chains, as the engine's steps see them. `follow` and `give_up` are called inside a transaction."""

    def follow(self, connection: Connection, ended: Sequence[Ended], room: Room) -> Followed:
        """Write what follows; raises only where the run is broken, and then nothing of the transaction is kept."""
        ...

    def give_up(self, connection: Connection, ended: Ended, what: str, room: Room) -> Followed:
        """End a run that cannot be carried on; the task that ended last stays as it is."""
        ...

    def hand_over(self, connection: Connection, lease: Lease, room: Room) -> Followed | None:
        """Begin the sub-chain a held task stands for; from then on nobody holds it. None if it was taken away."""
        ...

    def ended(self, runs: Sequence[str]) -> bool:
        """These runs are over; whether it is time to `purge`. Called on the loop."""
        ...

    async def purge(self) -> None:
        """Delete old runs."""
        ...

    def is_ready(self, run: str) -> bool:
        """Whether `follow` has all it needs for this run in memory."""
        ...

    async def make_ready(self, run: str) -> None:
        """Find the functions of the run's chain; never raises for one that is missing."""
        ...

    async def arguments(self, lease: Lease) -> bytes | Reason:
        """What a task is called with whose arguments are `LATE`, kept in the journal, or the reason why it cannot be."""
        ...
