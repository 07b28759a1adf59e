"""Runs of chains begun and ended inside somebody else's transaction: what a schedule or a webhook starts."""

from collections.abc import Mapping
from typing import Any

from legion_core.engine import chain_store as store
from legion_core.engine.schedule_targets import Begin, Started
from legion_core.engine.service import Engine
from legion_core.kernel.ports import Principal
from legion_core.storage.sqlite import Connection


class ChainTargets:
    """See `schedule_targets.Chains`."""

    def __init__(self, engine: Engine) -> None:
        self._chains = engine.chains

    async def prepare(self, who: Principal, name: str, given: Mapping[str, Any]) -> Begin:
        """See the protocol."""
        begin = await self._chains.prepare(who, name, dict(given))

        def work(connection: Connection) -> Started:
            room = self._chains.strange_room()
            run, followed = begin(connection, room)
            tasks = tuple(task for task in followed.tasks if task.status in ("queued", "delayed"))
            self._chains.tell_later(followed)
            return Started(run=run, tasks=tasks)

        return work

    async def exists(self, name: str) -> None:
        """See the protocol."""
        await self._chains.exists(name)

    def is_over(self, connection: Connection, run: str) -> bool:
        """See the protocol."""
        state = store.state_of(connection, run)
        return state is None or state.status != "running"

    def cancel_in(self, connection: Connection, run: str, who: str, now_ms: int) -> None:
        """See the protocol."""
        if not self.is_over(connection, run):
            self._chains.tell_later(self._chains.cancel_in(connection, run, who))

    async def wait(self, run: str) -> None:
        """See the protocol."""
        await self._chains.wait(run)
