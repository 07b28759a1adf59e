"""Downloads of models: started, told as they go, stopped, and one at a time for each name."""

import asyncio
from collections.abc import Awaitable, Callable

from legion_core.api.types import PullProgressed
from legion_core.kernel.errors import Conflict, LegionError, LimitReached, NotFound
from legion_core.kernel.events import EventBus
from legion_core.kernel.supervise import Supervisor
from legion_core.models.pull import Puller, PullProgress, Waiting
from legion_core.models.store import StoredModel

DOWNLOADS_MAX = 3  # at a time; more share one line and none gets done


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
        self._tasks: dict[str, asyncio.Task[StoredModel]] = {}

    async def start(self, source: str) -> str:
        """Begin (or go on with) the download of a catalogue's name or a URL; the name its events carry.

        Returns once the source is understood; raises what is wrong with it.
        """
        if len(self._tasks) >= DOWNLOADS_MAX:
            raise LimitReached(f"{DOWNLOADS_MAX} downloads are under way.", hint="Wait for one, or stop one.")
        named: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        task = self._supervisor.spawn(f"download {source}", self._run(source, named))
        try:
            name = await named
        except LegionError:
            await asyncio.gather(task, return_exceptions=True)
            raise
        if name in self._tasks:
            task.cancel()
            raise Conflict(f"{name!r} is being downloaded already.")
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._tasks.pop(name, None))
        return name

    async def finished(self, name: str) -> StoredModel:
        """Wait for a download's end; raises what it failed of."""
        task = self._tasks.get(name)
        if task is None:
            raise NotFound(f"No download of {name!r} is under way.")
        return await asyncio.shield(task)

    async def stop(self, name: str) -> None:
        """Stop it; what arrived stays and the next start goes on from there."""
        task = self._tasks.get(name)
        if task is None:
            raise NotFound(f"No download of {name!r} is under way.")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def waiting(self) -> tuple[Waiting, ...]:
        """Downloads that were begun and can be gone on with."""
        return await self._puller.waiting()

    async def _run(self, source: str, named: asyncio.Future[str]) -> StoredModel:
        last = PullProgress(name="", state="queued")

        def tell(progress: PullProgress) -> None:
            nonlocal last
            last = progress
            if not named.done():
                named.set_result(progress.name)
            if progress.state != "ready":
                self._tell(progress, progress.state)

        try:
            made = await self._puller.pull(source, progress=tell)
        except asyncio.CancelledError:
            self._tell(last, "cancelled")
            raise
        except LegionError as error:
            if not named.done():
                named.set_exception(error)
            else:
                self._tell(last, "failed", error.sentence())
            raise
        await self._on_ready(made.name)
        self._tell(last, "ready")
        return made

    def _tell(self, progress: PullProgress, state: str, problem: str = "") -> None:
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(
            PullProgressed(
                at_utc=at_utc,
                at_mono_s=at_mono_s,
                name=progress.name,
                state=state,
                done_bytes=progress.done_bytes,
                total_bytes=progress.total_bytes,
                bytes_per_s=progress.bytes_per_s,
                problem=problem or progress.problem,
            )
        )
