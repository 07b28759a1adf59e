"""One sign-in from its beginning to its end: a task that holds the listener, asks the server and tells where to go."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from legion_core.agent.mcp.sign_in import listening
from legion_core.kernel.errors import LegionError, Refused
from legion_core.kernel.supervise import Supervisor

if TYPE_CHECKING:
    from legion_core.agent.mcp.web import SignIn


class SignInFlow:
    """`address`, then `ended`; `stop` at any time. `ask` opens the connection, which the sign-in is part of."""

    def __init__(self, supervisor: Supervisor, name: str, ask: "Callable[[SignIn], Awaitable[None]]") -> None:
        self._name = name
        self._ask = ask
        self._where: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._error: LegionError | None = None
        self._over = asyncio.Event()
        self._task = supervisor.spawn(f"mcp.sign-in.{name}", self._run())

    async def address(self) -> str:
        """Where the user has to go; Refused if the server lets everybody in, or why it could not be asked."""
        return await asyncio.shield(self._where)

    async def ended(self) -> None:
        """Return when the user is signed in; raises why not."""
        await self._over.wait()
        if self._error is not None:
            raise self._error

    async def stop(self) -> None:
        """Give up; idempotent."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            async with listening(self._found) as listener:
                await self._ask(listener)
        except LegionError as error:
            self._error = error
        except asyncio.CancelledError:
            self._error = Refused(f"The sign-in at {self._name} was given up.")
            raise
        finally:
            if not self._where.done():
                open_to_all = Refused(f"{self._name} lets everybody in: it wants no sign-in.")
                self._where.set_exception(self._error or open_to_all)
                self._where.exception()  # whoever waited may have gone
            self._over.set()

    def _found(self, url: str) -> None:
        if not self._where.done():
            self._where.set_result(url)
