"""Transactions of their own: the end of a task in a chain with all that follows, and a task that becomes a sub-chain.

A room keeps places for what such a transaction may begin, so that a hop of a chain is one transaction and not two:

    room ─▶ transaction ─▶ settle: begin what was begun, tell what is to be told
                      └──▶ release: nothing came of it
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from legion_core.engine import lookup
from legion_core.engine.alarm import Alarm
from legion_core.engine.following import BrokenRun, Followed, Follower, Room
from legion_core.engine.journal import Lease
from legion_core.engine.presence import Presence
from legion_core.engine.queues import Queues
from legion_core.engine.running import Running
from legion_core.engine.steps import Ending, write_ending
from legion_core.engine.telling import Telling
from legion_core.engine.turn import Turn, failed_by, is_of_disk
from legion_core.engine.writer import TROUBLE_FIRST_S, Writer
from legion_core.kernel.errors import Conflict, LegionError
from legion_core.kernel.events import EventBus
from legion_core.kernel.faults import fault
from legion_core.kernel.ids import Rng
from legion_core.kernel.supervise import Supervisor

log = logging.getLogger("legion.engine")

ROOM_PLACES = 4  # in each queue, for what follows one end and may begin with it
TOLD_OVER_MAX = 200  # tasks whose end one transaction brought about, and that are told of


class Apart:
    """See the module. `on_written` is told of each ending, and whether the task was still held here.

    All but `strange_room` and `tell_later` belongs to the loop's thread.
    """

    def __init__(
        self,
        rng: Rng,
        bus: EventBus,
        supervisor: Supervisor,
        owner: str,
        follower: Follower,
        queues: Queues,
        running: Running,
        telling: Telling,
        turn: Turn,
        writer: Writer,
        alarm: Alarm,
        presence: Presence,
        on_written: Callable[[Ending, bool], None],
    ) -> None:
        self._rng = rng
        self._bus = bus
        self._supervisor = supervisor
        self._owner = owner
        self._follower = follower
        self._queues = queues
        self._running = running
        self._telling = telling
        self._turn = turn
        self._writer = writer
        self._alarm = alarm
        self._presence = presence
        self._on_written = on_written
        self._loop = asyncio.get_running_loop()
        self._is_closed = False

    def close(self) -> None:
        """Keep places for nothing any more."""
        self._is_closed = True

    # Rooms

    def room(self) -> Room:
        """Keep places for what a transaction may begin; `settle` or `release` gives them back."""
        room = self.strange_room()
        if self._presence.is_known and not self._is_closed and not self._writer.is_troubled:
            room.kept = self._queues.keep(ROOM_PLACES)
        return room.anew()

    def strange_room(self) -> Room:
        """Without places, for a transaction of somebody else's; safe from any thread."""
        return Room(owner=self._owner, now_ms=self._alarm.now_ms(), stamp=self._bus.stamp())

    def release(self, room: Room) -> None:
        """Nothing was begun."""
        for queue, kept in room.kept.items():
            self._queues.give(queue, kept)
        room.kept.clear()
        if self._queues.wants:  # tasks may have come meanwhile
            self._writer.soon()

    def settle(self, room: Room, followed: Followed) -> None:
        """What a transaction brought about is durable: begin what was begun, and tell."""
        fault("engine.settle")
        for lease in followed.leases:
            room.kept[lease.queue] -= 1
            self.begin(lease)
        self.release(room)
        others = False
        if followed.tasks:
            self._presence.join()
        for task in followed.tasks:
            if task.status in ("running", "queued", "delayed"):
                self._telling.accepted(task)
            if task.status == "queued":
                self._queues.hint(task.queue)
                others = True
            self._alarm.at(task.due_ms)
        for event in followed.events:
            self._telling.tell(event)
        for task_id in followed.stopping:
            others = not self._running.stop(task_id, "owner") or others
        for each in followed.over[:TOLD_OVER_MAX]:
            self._telling.finished(each.id, each.task, each.status, each.reason, 0.0, each.run, each.node)
        if followed.runs and self._follower.ended(followed.runs) and not self._is_closed:
            self._supervisor.spawn("purge runs", self._follower.purge())
        if others:
            self._writer.soon()
            self._presence.ring()

    def tell_later(self, followed: Followed) -> None:
        """Tell of it once everything written so far is durable; safe from any thread."""
        self._loop.call_soon_threadsafe(self._tell_after_it, followed)

    def _tell_after_it(self, followed: Followed) -> None:
        # Written behind the transaction it came from: what is told then can be read. One that was undone left no run.
        wanted = {str(getattr(event, "run", "")) for event in followed.events}

        def tell(known: "asyncio.Future[set[str]]") -> None:
            if known.cancelled() or known.exception() is not None:
                return
            followed.events = [each for each in followed.events if getattr(each, "run", "") in known.result()]
            followed.tasks.clear()  # whoever wrote them has them taken
            followed.leases.clear()
            followed.stopping.clear()
            self.settle(self.strange_room(), followed)

        self._writer.write(
            lambda connection: lookup.known_runs(connection, wanted), durability="process"
        ).add_done_callback(tell)

    # Tasks

    def begin(self, lease: Lease) -> None:
        """Run a task that is held, or make it the sub-chain it stands for."""
        if lease.task.startswith("chain:"):
            self._hand_over(lease)
        else:
            self._running.begin(lease)

    def write(self, ending: Ending, given_up: str = "") -> None:
        """Write an end with what follows it; with `given_up`, the run ends for that reason."""
        run = ending.lease.run
        if run and not self._follower.is_ready(run):
            self._make_ready(run, partial(self.write, ending, given_up))
            return
        room = self.room()
        work = partial(write_ending, ending=ending, room=room, follower=self._follower, given_up=given_up)
        try:
            future = self._writer.write(work)
        except LegionError:
            self.release(room)
            self._turn.end(ending)
            return
        future.add_done_callback(partial(self._written, ending, room))

    def _written(self, ending: Ending, room: Room, future: "asyncio.Future[Followed | None]") -> None:
        error = Conflict("The journal was closed.") if future.cancelled() else future.exception()
        if error is None:
            followed = future.result()
            self._on_written(ending, followed is not None)
            self.settle(room, followed or Followed())
            return
        self.release(room)
        if is_of_disk(error):
            self._turn.end(ending)
            self._writer.trouble(error)
        elif isinstance(error, BrokenRun):
            log.error("the run %s cannot be carried on: %s", ending.lease.run, error)
            self.write(ending, given_up=str(error))
        else:
            self._turn.end(failed_by(ending, error, self._alarm.now_ms(), self._rng))
            self._writer.soon()

    def _hand_over(self, lease: Lease) -> None:
        """A task that stands for a sub-chain: it is nobody's while the sub-chain goes on."""
        if not self._follower.is_ready(lease.run):
            self._make_ready(lease.run, partial(self._hand_over, lease))
            return
        room = self.room()
        try:
            future = self._writer.write(partial(self._follower.hand_over, lease=lease, room=room))
        except LegionError:
            self._handed_over(lease, room, None)
            return
        future.add_done_callback(partial(self._handed_over, lease, room))

    def _handed_over(
        self, lease: Lease, room: Room, future: "asyncio.Future[Followed | None] | None"
    ) -> None:
        if future is not None:
            if not future.cancelled() and future.exception() is None:
                self._queues.over(lease)
                self.settle(room, future.result() or Followed())
                return
            log.warning("the sub-chain %s could not be begun: %s", lease.task, future)
        self.release(room)
        if not self._is_closed:
            self._loop.call_later(TROUBLE_FIRST_S, self._hand_over, lease)

    def _make_ready(self, run: str, go_on: Callable[[], None]) -> None:
        """Have the functions of a run at hand before anything of it is written."""

        async def work() -> None:
            await self._follower.make_ready(run)
            go_on()

        self._writer.wait_for(self._supervisor.spawn("chain functions", work()))
