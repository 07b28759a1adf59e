"""Downloads of models: queued, paused, gone on with after the process ended, and one at a time for each name."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Literal

from legion_core.api.types import PullProgressed
from legion_core.kernel.errors import Conflict, LegionError, LimitReached, NotFound
from legion_core.kernel.events import EventBus
from legion_core.kernel.supervise import Supervisor
from legion_core.models.pull import Puller, PullProgress, Wanted
from legion_core.models.pull_part import Waiting
from legion_core.models.pull_reach import PrivateAddress
from legion_core.models.store import StoredModel

__all__ = ["Downloads", "PrivateAddress"]

DOWNLOADS_MAX = 3  # at a time; more share one line and none gets done
QUEUE_MAX = 64

End = Literal["paused", "cancelled"]


class Downloads:
    """Runs the puller in tasks of ours, so that a download survives the page that asked for it."""

    def __init__(
        self,
        puller: Puller,
        bus: EventBus,
        supervisor: Supervisor,
        on_ready: Callable[[str], Awaitable[None]],
    ) -> None:
        self._puller = puller
        self._bus = bus
        self._supervisor = supervisor
        self._on_ready = on_ready
        self._places = asyncio.Semaphore(DOWNLOADS_MAX)
        self._tasks: dict[str, asyncio.Task[StoredModel]] = {}
        self._last: dict[str, PullProgress] = {}
        self._ends: dict[str, End] = {}

    async def start(self, source: str, *, allow_private: bool = False) -> str:
        """Begin (or go on with) the download of a catalogue's name or a URL; the name its events carry.

        Returns once the source is understood; raises what is wrong with it, PrivateAddress where a person has to say
        that an address of this computer or network is meant.
        """
        if len(self._tasks) >= QUEUE_MAX:
            raise LimitReached(f"{QUEUE_MAX} downloads are waiting.", hint="Wait for one, or stop one.")
        wanted = await self._puller.understand(source, allow_private=allow_private)
        if wanted.name in self._tasks:
            raise Conflict(f"{wanted.name!r} is being downloaded already.")
        self._spawn(wanted)
        return wanted.name

    async def finished(self, name: str) -> StoredModel:
        """Wait for a download's end; raises what it failed of."""
        task = self._tasks.get(name)
        if task is None:
            raise NotFound(f"No download of {name!r} is under way.")
        return await asyncio.shield(task)

    async def pause(self, name: str) -> None:
        """Hold it until `resume`, over ends of the process too."""
        await self._end(name, "paused")

    async def cancel(self, name: str) -> None:
        """End it. What arrived can still be gone on with by `resume`, until it is discarded or the process ends."""
        if name not in self._tasks:
            waiting = await self._find(name)
            await self._puller.wish(_wanted(waiting), "cancelled")
            self._tell(_progress(waiting), "cancelled")
            return
        await self._end(name, "cancelled")

    async def resume(self, name: str) -> None:
        """Go on with one that was paused, cancelled, or failed for a reason that may pass."""
        if name in self._tasks:
            raise Conflict(f"{name!r} is being downloaded already.")
        if len(self._tasks) >= QUEUE_MAX:
            raise LimitReached(f"{QUEUE_MAX} downloads are waiting.", hint="Wait for one, or stop one.")
        wanted = _wanted(await self._find(name))
        await self._puller.wish(wanted, "")
        self._spawn(wanted)

    async def discard(self, name: str) -> None:
        """Delete what arrived of one that does not run."""
        if name in self._tasks:
            raise Conflict(f"{name!r} is being downloaded.", hint="Cancel it first.")
        await self._puller.discard(name)

    async def go_on(self) -> None:
        """After a start: continue what was on its way when the process ended, throw away what was cancelled."""
        for waiting in await self._puller.waiting():
            if waiting.wish == "cancelled":
                await self._puller.discard(waiting.name)
            elif not waiting.wish and waiting.name not in self._tasks:
                self._spawn(_wanted(waiting))

    async def all(self) -> tuple[PullProgressed, ...]:
        """Every download there is, running or not, as its last fact would tell it."""
        found = {
            name: self._fact(last, last.state) for name, last in self._last.items() if name in self._tasks
        }
        for waiting in await self._puller.waiting():
            if waiting.name not in found and waiting.wish != "cancelled":
                found[waiting.name] = self._fact(_progress(waiting), "paused")
        return tuple(found.values())

    def _spawn(self, wanted: Wanted) -> None:
        self._last[wanted.name] = PullProgress(name=wanted.name, state="queued")
        task = self._supervisor.spawn(f"download {wanted.name}", self._run(wanted))
        self._tasks[wanted.name] = task
        task.add_done_callback(partial(self._ended, wanted.name))
        self._tell(self._last[wanted.name], "queued")

    def _forget(self, name: str) -> PullProgress:
        """Whoever hears of the end may begin it again at once, so the name is free before the end is told."""
        self._tasks.pop(name, None)
        return self._last.pop(name)

    def _ended(self, name: str, task: "asyncio.Task[StoredModel]") -> None:
        # Of one that could not say its end itself: cut off before its first step, or by the process's end.
        if self._tasks.get(name) is task:
            self._forget(name)

    async def _end(self, name: str, end: End) -> None:
        task = self._tasks.get(name)
        if task is None:
            raise NotFound(f"No download of {name!r} is under way.")
        self._ends[name] = end
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _find(self, name: str) -> Waiting:
        for waiting in await self._puller.waiting():
            if waiting.name == name:
                return waiting
        raise NotFound(f"No download of {name!r} was begun.")

    async def _run(self, wanted: Wanted) -> StoredModel:
        def tell(progress: PullProgress) -> None:
            self._last[wanted.name] = progress
            if progress.state != "ready":
                self._tell(progress, progress.state)

        try:
            async with self._places:
                made = await self._puller.fetch(wanted, tell)
        except asyncio.CancelledError:
            # Without a word it is the end of the process: the next one goes on.
            end = self._ends.pop(wanted.name, None)
            if end is not None:
                await self._puller.wish(wanted, end)
                self._tell(self._forget(wanted.name), end)
            raise
        except LegionError as error:
            self._tell(self._forget(wanted.name), "failed", error.sentence())
            raise
        await self._on_ready(made.name)
        self._tell(self._forget(wanted.name), "ready")
        return made

    def _tell(self, progress: PullProgress, state: str, problem: str = "") -> None:
        self._bus.publish(self._fact(progress, state, problem))

    def _fact(self, progress: PullProgress, state: str, problem: str = "") -> PullProgressed:
        at_utc, at_mono_s = self._bus.stamp()
        return PullProgressed(
            at_utc=at_utc,
            at_mono_s=at_mono_s,
            name=progress.name,
            state=state,
            done_bytes=progress.done_bytes,
            total_bytes=progress.total_bytes,
            bytes_per_s=progress.bytes_per_s,
            problem=problem or progress.problem,
        )


def _wanted(waiting: Waiting) -> Wanted:
    return Wanted(
        name=waiting.name,
        url=waiting.url,
        sha256=waiting.sha256,
        licence=waiting.licence,
        allow_private=waiting.allow_private,
    )


def _progress(waiting: Waiting) -> PullProgress:
    return PullProgress(
        name=waiting.name, state="queued", done_bytes=waiting.done_bytes, total_bytes=waiting.total_bytes
    )
