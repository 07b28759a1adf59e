"""The one place where background tasks start: named, counted, restarted with back-off, and ended on stop."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal

from legion_core.kernel.errors import LegionError, LimitReached

log = logging.getLogger("legion.supervise")

Restart = Literal["never", "on_failure"]
BACKOFF_FIRST_S = 0.2
BACKOFF_MAX_S = 30.0
TASKS_MAX = 10_000


class Supervisor:
    """Owns every background task of one node; `stop` leaves none behind."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_stopping = False

    @property
    def census(self) -> tuple[str, ...]:
        """The names of all tasks alive, sorted."""
        return tuple(sorted(task.get_name() for task in self._tasks if not task.done()))

    def spawn(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `work` once; a failure is logged with its name (as an error only if it is ours) and ends only this task."""
        if self._is_stopping or len(self._tasks) >= TASKS_MAX:
            work.close()
            raise LimitReached(
                f"The task {name!r} was not started: the engine is stopping or holds too many."
            )
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def loop(self, name: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[Any]:
        """Keep `work` running: when it raises, wait (doubling up to 30 s) and start it again; when it returns, end."""
        return self.spawn(name, self._keep(name, work))

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        pause_s = BACKOFF_FIRST_S
        now_s = asyncio.get_running_loop().time
        while True:
            started_s = now_s()
            try:
                await work()
            except asyncio.CancelledError:
                raise
            except Exception:
                if now_s() - started_s > BACKOFF_MAX_S:
                    pause_s = BACKOFF_FIRST_S  # it ran well for long: this is a new failure, not the old one
                log.exception("%s failed; it starts again in %.1f s", name, pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, BACKOFF_MAX_S)
            else:
                return

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, LegionError) and error.blame != "us":
            log.info("%s failed: %s", task.get_name(), error.sentence())
        else:
            log.error("%s failed", task.get_name(), exc_info=error)

    async def stop(self, deadline_s: float = 5.0) -> None:
        """Cancel everything and wait, at most `deadline_s`; what ignores its cancellation is logged by name.

        Here, and wherever something is ended, not by `asyncio.timeout`: whoever ends may have been cancelled, and up to
        Python 3.11.2 such a task hears CancelledError instead of TimeoutError, past all that comes after.
        """
        self._is_stopping = True
        mine = asyncio.current_task()
        waiting = [task for task in self._tasks if task is not mine]
        for task in waiting:
            task.cancel()
        if not waiting:
            return
        # Shielded: at the deadline we go on, instead of waiting for a task that ignores its cancellation.
        gathered = asyncio.gather(*waiting, return_exceptions=True)
        try:
            await asyncio.wait_for(asyncio.shield(gathered), deadline_s)
        except TimeoutError:
            log.error("these tasks ignored their cancellation: %s", ", ".join(self.census))  # noqa: TRY400
