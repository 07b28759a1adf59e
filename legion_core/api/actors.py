"""Actors: functions of extensions that run by themselves. Their host is brought in where an extension may have one."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from legion_core.engine.actor_types import ActorRow
from legion_core.engine.installed import any_installed
from legion_core.engine.registry import GROUP, Function, Registry
from legion_core.kernel.supervise import Supervisor
from legion_core.storage.calls import in_thread

if TYPE_CHECKING:
    from legion_core.engine.actor_host import ActorHost
    from legion_core.engine.folder_watch import FolderWatch
    from legion_core.engine.messages import Messages


class Actors:
    """Runs them in this process. `make` brings in their host."""

    def __init__(
        self, registry: Registry, folder: Path, supervisor: Supervisor, make: "Callable[[], ActorHost]"
    ) -> None:
        self._registry = registry
        self._folder = folder
        self._supervisor = supervisor
        self._make = make
        self._host: ActorHost | None = None
        self._messages: Messages | None = None
        self._watch: FolderWatch | None = None

    async def work(self) -> None:
        """From now on run the actors there are, and those that come; idempotent."""
        if await in_thread("look for extensions", self._may_have_any):
            await self._service().start()
        elif self._registry.on_change is None:
            self._registry.on_change = self._first
        if self._watch is None:
            from legion_core.engine.folder_watch import FolderWatch

            self._watch = FolderWatch(self._folder, self._dropped_in)
            self._watch.start()

    async def stop(self) -> None:
        """End them all; idempotent."""
        self._registry.on_change = None
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        if self._host is not None:
            await self._host.stop()

    def row(self, function: Function) -> ActorRow | None:
        """How the actor of a function stands; None if it is none."""
        actor = function.actor
        if actor is None:
            return None
        row = self._host.row(function) if self._host is not None else None
        if row is not None:
            return row
        from legion_core.engine.actor_host import words_of

        return ActorRow(function=function.name, kind=actor.kind, state="stopped", words=words_of(actor))

    def messages(self) -> "Messages":
        """What publishes to subscriptions and dispatches to absorbers."""
        if self._messages is None:
            from legion_core.engine.messages import Messages

            host = self._service()
            self._messages = Messages(host.engine, host)
        return self._messages

    def _service(self) -> "ActorHost":
        if self._host is None:
            self._host = self._make()
        return self._host

    def _first(self) -> None:
        """The first extension was dropped in."""
        self._registry.on_change = None
        self._supervisor.spawn("actors start", self._service().start())

    def _dropped_in(self) -> None:
        """Something in the folder came, changed or went while nobody asked for it."""
        self._supervisor.spawn("look for extensions", self._look())

    async def _look(self) -> None:
        if self._host is not None:
            await self._host.reconcile()
        elif await in_thread("look for extensions", self._may_have_any):
            await self._service().start()

    def _may_have_any(self) -> bool:
        return (self._folder.is_dir() and any(self._folder.iterdir())) or any_installed(GROUP)
