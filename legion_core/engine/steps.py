"""One transaction of the engine: everything the loop wants written since the last one, and what came of it.

Accepting, ending, following chains and taking the next tasks happen in one step, so that a crash finds either all of
it or nothing, and one fsync serves them all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from legion_core.engine import journal, lookup
from legion_core.engine.extension import Work
from legion_core.engine.following import BrokenRun, Ended, Followed, Follower, Room
from legion_core.engine.journal import Lease, NewTask
from legion_core.engine.machine import Refused, State, after
from legion_core.engine.orders import Line
from legion_core.engine.queues import Claims
from legion_core.engine.reasons import because
from legion_core.engine.types import ENDED
from legion_core.kernel.errors import LegionError
from legion_core.kernel.faults import fault
from legion_core.kernel.ids import Rng
from legion_core.kernel.ports import OWNER
from legion_core.storage.failures import translated
from legion_core.storage.sqlite import Connection

# Who ordered what, and its id: `(who, path, id)`. Part of the transaction that accepts it.
Recorder = Callable[[Connection, Sequence[tuple[str, str, str]]], None]


@dataclass(frozen=True, slots=True)
class Ending:
    """A task of this process that ended or waits again, and what its function wants written with it."""

    lease: Lease
    state: State
    result: bytes | None = None
    deferred: tuple[Work, ...] = ()

    @property
    def is_apart(self) -> bool:
        """Whether others' code runs in its transaction: then it is a work of its own, so that it can fail alone."""
        return bool(self.deferred or self.lease.run)


@dataclass(slots=True)
class Step:
    """What is to be written, and what is to be taken."""

    inserts: list[NewTask] = field(default_factory=list[NewTask])
    endings: list[Ending] = field(default_factory=list[Ending])
    lines: list[Line] = field(default_factory=list[Line])
    told: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])
    claims: Claims = field(default_factory=Claims)
    join: tuple[int, str] | None = None
    is_look: bool = (
        False  # read everything others may have left: word to cancel, events, ends that are waited for
    )
    is_due: bool = False
    waited_for: tuple[str, ...] = ()
    outbox_read: int = 0

    @property
    def is_promise(self) -> bool:
        """Whether somebody relies on it: it is then as durable as the configuration says."""
        return bool(self.inserts or self.endings or self.claims.counts or self.join)

    @property
    def has_work(self) -> bool:
        """Whether there is anything to do at all."""
        return self.is_promise or bool(self.lines or self.told or self.is_look or self.is_due)


@dataclass(slots=True)
class Done:
    """What came of a step. `expired` are tasks that were never begun in their time."""

    accepted: list[Lease | str] = field(default_factory=list[Lease | str])
    ended: list[bool] = field(default_factory=list[bool])
    leases: dict[str, list[Lease]] = field(default_factory=dict[str, list[Lease]])
    expired: list[tuple[str, State]] = field(default_factory=list[tuple[str, State]])
    cancelling: list[str] = field(default_factory=list[str])
    settled: list[str] = field(default_factory=list[str])
    heard: list[tuple[int, str, bytes]] = field(default_factory=list[tuple[int, str, bytes]])
    outbox_read: int = 0
    next_due_ms: int = 0


def write_step(
    connection: Connection,
    step: Step,
    owner: str,
    now_ms: int,
    rng: Rng,
    *,
    only_mine: bool,
    record: Recorder | None = None,
) -> Done:
    """Write it all and take what was asked for; the order within is the order of the fields."""
    done = Done(outbox_read=step.outbox_read)
    if step.join is not None:
        pid, started = step.join
        journal.join(connection, owner, pid, started, now_ms)
        done.outbox_read = lookup.newest_outbox(connection)  # what was told before we came is not news
    for each in step.endings:
        done.ended.append(journal.end(connection, each.lease, each.state, each.result, owner, now_ms))
    if step.is_due or step.is_look:
        journal.queue_due(connection, now_ms)
        for task_id, state, had_ms in lookup.overdue(connection, now_ms):
            reason = because("task.expired", ttl_s=had_ms / 1000)
            expired = after(state, Refused("expired", reason), now_ms=now_ms, rng=rng)
            journal.change(connection, task_id, expired, now_ms)
            done.expired.append((task_id, expired))
    if step.inserts:
        done.accepted = _accept(connection, step.inserts, owner, record)
    may_be_suspect = step.claims.with_suspect
    for queue, count in step.claims.counts.items():
        leases = journal.claim(
            connection, queue, count, owner, now_ms, only_mine=only_mine, with_suspect=may_be_suspect
        )
        may_be_suspect = may_be_suspect and not any(lease.is_suspect for lease in leases)
        done.leases[queue] = leases
    if step.lines:
        journal.add_lines(connection, step.lines)
    if step.told:
        journal.tell(connection, owner, step.told)
    if step.is_look:
        done.cancelling = lookup.cancelling(connection, owner)
        done.outbox_read, done.heard = lookup.read_outbox(connection, done.outbox_read, owner)
    if step.waited_for:
        done.settled = lookup.settled(connection, step.waited_for)
    if step.is_look or step.is_due:
        done.next_due_ms = lookup.next_due(connection)
    return done


def _accept(
    connection: Connection, tasks: Sequence[NewTask], owner: str, record: Recorder | None
) -> list[Lease | str]:
    accepted = journal.insert(connection, tasks, owner)
    if record is not None and (strange := [task for task in tasks if task.who != OWNER.name]):
        record(connection, [(task.who, f"tasks/{task.task.replace('.', '/')}", task.id) for task in strange])
    return accepted


def write_ending(
    connection: Connection, ending: Ending, room: Room, follower: Follower, given_up: str = ""
) -> Followed | None:
    """End one task together with what it deferred and what follows it in its chain: all of it, or nothing.

    Gives what followed, None if this process did not hold the task any more. Raises BrokenRun where nothing can
    follow; with `given_up`, the reason of that, the run ends with the task.
    """
    lease, state = ending.lease, ending.state
    fault("engine.end")
    if not journal.end(connection, lease, state, ending.result, room.owner, room.now_ms):
        return None
    for work in ending.deferred:
        work(connection)
    if not lease.run or state.status not in ENDED:
        return Followed()
    ended = Ended(
        id=lease.id,
        task=lease.task,
        run=lease.run,
        node=lease.node,
        key=lease.key,
        depth=lease.depth,
        status=state.status,
        reason=state.reason,
        result=ending.result,
    )
    if given_up:
        return follower.give_up(connection, ended, given_up, room.anew())
    try:
        return follower.follow(connection, (ended,), room.anew())
    except Exception as error:
        if not isinstance(error, LegionError) and isinstance(translated(error, Path()), LegionError):
            raise  # the disk's fault, not the run's
        raise BrokenRun(f"{type(error).__name__}: {error}") from error
