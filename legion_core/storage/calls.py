"""Blocking work awaited from the loop, in a thread of its own: whatever loop it is, and even if it never ends."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Call(Generic[T]):
    """Starts `work` at once; `future` is its outcome. One that hangs dies with the process and holds up nobody."""

    def __init__(self, name: str, work: Callable[[], T]) -> None:
        self._loop = asyncio.get_running_loop()
        self._work = work
        self.future: asyncio.Future[T] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether the thread still works, waited for or not."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            result = self._work()
        except BaseException as error:  # noqa: BLE001 - carried to who waits
            self._post(self._fail, error)
        else:
            self._post(self._succeed, result)

    def _post(self, tell: Callable[..., None], outcome: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
            self._loop.call_soon_threadsafe(tell, outcome)

    def _succeed(self, result: T) -> None:
        if not self.future.done():
            self.future.set_result(result)

    def _fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


async def in_thread(name: str, work: Callable[[], T]) -> T:
    """The result of blocking `work`, which runs to its end even if the wait is given up."""
    return await Call(name, work).future
