"""Notices that a client went away while we work for it, and cancels that work at once."""

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Self

from legion_core.kernel.errors import TimedOut
from legion_core.kernel.supervise import Supervisor

if TYPE_CHECKING:
    from starlette.types import Receive


class ClientGone(Exception):
    """The client closed the connection before its answer was whole."""


class ClientStuck(TimedOut):
    """The client reads no more, so its answer cannot be ended in any other way than by dropping it."""


class Presence:
    """Inside this context the current task is cancelled when the client goes; outside, that is `ClientGone`.

    Made like `asyncio.timeout`: a cancellation from elsewhere (the server stops) stays a cancellation.
    """

    def __init__(self, receive: "Receive", supervisor: Supervisor) -> None:
        self._receive = receive
        self._supervisor = supervisor
        self._watch: asyncio.Task[None] | None = None
        self._worker: asyncio.Task[object] | None = None
        self._is_gone = False
        self._is_settled = False

    async def __aenter__(self) -> Self:
        self._worker = asyncio.current_task()
        self._watch = self._supervisor.spawn("rest.presence", self._listen())
        return self

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self._is_settled and self._worker is not None:
            self._is_gone = True
            self._worker.cancel()

    def settle(self) -> None:
        """The answer is whole: from now on the client may go."""
        self._is_settled = True

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.settle()
        if self._watch is not None:
            self._watch.cancel()
        if not self._is_gone or self._worker is None:
            return
        if self._worker.uncancel() == 0 and kind is asyncio.CancelledError:
            raise ClientGone from error
