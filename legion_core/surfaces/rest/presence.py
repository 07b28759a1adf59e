"""Notices that a client went away while we work for it, and cancels that work at once."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from legion_core.kernel.errors import TimedOut
from legion_core.kernel.supervise import Supervisor
from legion_core.surfaces.rest.beyond import beyond

if TYPE_CHECKING:
    from starlette.types import Receive, Scope


class ClientGone(Exception):
    """The client closed the connection before its answer was whole."""


class ClientStuck(TimedOut):
    """The client reads no more, so its answer cannot be ended in any other way than by dropping it."""


class Presence:
    """Inside this context the current task is cancelled when the client goes; outside, that is `ClientGone`.

    Made like `asyncio.timeout`: a cancellation from elsewhere (the server stops) stays a cancellation.
    """

    def __init__(self, scope: "Scope", receive: "Receive", supervisor: Supervisor) -> None:
        """Where the wire tells of a connection's end by itself, nothing is spawned to listen for it."""
        self._receive = receive
        self._supervisor = supervisor
        self._wire = beyond(scope)
        self._forget: Callable[[], None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._worker: asyncio.Task[object] | None = None
        self._is_gone = False
        self._is_settled = False

    async def __aenter__(self) -> Self:
        self._worker = asyncio.current_task()
        if self._wire is not None:
            self._forget = self._wire.watch(self._gone)
        else:
            self._watch = self._supervisor.spawn("rest.presence", self._listen())
        return self

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone()

    def _gone(self) -> None:
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
        if self._forget is not None:
            self._forget()
        if self._watch is not None:
            self._watch.cancel()
        if not self._is_gone or self._worker is None:
            return
        if self._worker.uncancel() == 0 and kind is asyncio.CancelledError:
            raise ClientGone from error
