"""Chains as documents that are kept in versions: applied, checked, shown, taken away. Cheap to import until one is used."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from legion_core.engine import chain_store as store
from legion_core.engine.following import Followed, Room
from legion_core.engine.registry import Function, Registry
from legion_core.engine.run_events import ChainChanged
from legion_core.engine.run_types import ChainFault, ChainRow, ChainVersion, ChainView, Renamed
from legion_core.kernel.errors import LegionError
from legion_core.kernel.events import Event, EventBus
from legion_core.kernel.ports import Authorizer, Principal
from legion_core.storage.calls import in_thread
from legion_core.storage.sqlite import Connection, Database

if TYPE_CHECKING:
    from legion_core.engine.chain import Chain
    from legion_core.engine.steps import Recorder

T = TypeVar("T")


class Hands(Protocol):
    """The dispatcher, as chains need it: places for new tasks, and what is to be done once they are durable."""

    recorder: "Recorder | None"

    def room(self) -> Room:
        """Keep places for a transaction; `settle` or `release` gives them back."""
        ...

    def settle(self, room: Room, followed: Followed) -> None:
        """Begin what was begun, tell what is to be told."""
        ...

    def release(self, room: Room) -> None:
        """The transaction was not kept."""
        ...

    def tell(self, event: Event) -> None:
        """To the watchers of every process."""
        ...

    def strange_room(self) -> Room:
        """A room without places, for a transaction of somebody else's; safe from any thread."""
        ...

    def tell_later(self, followed: Followed) -> None:
        """Tell of it once everything written so far is durable; safe from any thread."""
        ...

    def now_ms(self) -> int:
        """The date, as stored."""
        ...


class Definitions:
    """See the module. All methods belong to the loop's thread."""

    def __init__(self, bus: EventBus, authorizer: Authorizer, database: Database, registry: Registry) -> None:
        self._bus = bus
        self._authorizer = authorizer
        self._database = database
        self._registry = registry
        self._hands: Hands | None = None
        self._functions: dict[str, Function] = {}  # as they were when a chain that calls them was last used

    def bind(self, hands: Hands) -> None:
        """Once, before anything else."""
        self._hands = hands

    async def apply(self, who: Principal, text: str) -> ChainRow:
        """Keep what a YAML or JSON text says as the newest version; InvalidDocument names every fault, with lines."""
        chain = await self._parsed(text, None)
        return await self._kept(who, chain, text)

    async def apply_value(self, who: Principal, document: object) -> ChainRow:
        """The same of a document that was read already."""
        chain = await self._parsed("", document)
        return await self._kept(who, chain, "")

    async def validate(self, text: str) -> tuple[ChainFault, ...]:
        """Every fault of a text; empty if it could be applied."""
        from legion_core.engine.refusal import InvalidDocument

        try:
            await self._parsed(text, None)
        except InvalidDocument as error:
            return tuple(
                ChainFault(key=each.key, message=each.message, hint=each.hint, line=each.line)
                for each in error.faults
            )
        return ()

    async def read_text(self, text: str) -> dict[str, Any]:
        """The document a text holds, in its normal form; InvalidDocument."""
        chain = await self._parsed(text, None)
        return await away(lambda: cast("dict[str, Any]", _document_module().to_value(chain)))

    async def write_text(self, document: object) -> str:
        """A document as YAML, one node and one edge a line; InvalidDocument."""
        chain = await self._parsed("", document)
        return await away(lambda: _document_module().render(chain))

    async def rows(self) -> list[ChainRow]:
        """Every chain, by name."""
        return await self._read(lambda views, connection: views.chain_rows(connection))

    async def view(self, name: str, version: int = 0) -> ChainView:
        """One version, the newest for 0; NotFound."""
        return await self._read(lambda views, connection: views.chain_view(connection, name, version))

    async def versions(self, name: str) -> list[ChainVersion]:
        """All versions, newest first; NotFound."""
        return await self._read(lambda views, connection: views.chain_versions(connection, name))

    async def delete(self, who: Principal, name: str) -> None:
        """Take it away; what runs goes on. NotFound."""
        self._authorizer.authorise(who, f"chains/{name}", "write")
        if not await self._database.write(lambda connection: store.delete(connection, name)):
            raise store.unknown_chain(name)
        self._changed(name, 0)

    async def rename(self, who: Principal, old: str, new: str) -> Renamed:
        """Give it another name, with its past runs and all that starts it by name; what runs goes on under the old one.

        NotFound; InvalidInput where the name is none; Conflict where it is taken.
        """
        for name in (old, new):
            self._authorizer.authorise(who, f"chains/{name}", "write")
        now_ms = self._work.now_ms()

        def work(connection: Connection) -> Renamed:
            from legion_core.engine.chain_renaming import rename

            return rename(connection, old, new, who.name, now_ms)

        renamed = await self._database.write(work)
        self._changed(new, renamed.version)
        self._changed(old, 0)
        for name in renamed.chains:
            self._changed(name, (await self.view(name)).version)
        return renamed

    async def exists(self, name: str) -> None:
        """Raises NotFound where there is no chain of that name."""
        if await self._database.read(lambda connection: store.version_of(connection, name)) is None:
            raise store.unknown_chain(name)

    # Within

    @property
    def _work(self) -> Hands:
        assert self._hands is not None, "bound by the engine"
        return self._hands

    async def _read(self, look: "Callable[[Any, Connection], T]") -> T:
        def work(connection: Connection) -> T:
            from legion_core.engine import chain_views

            return look(chain_views, connection)

        return await self._database.read(work)

    async def _parsed(self, text: str, document: object) -> "Chain":
        """A document held against everything that is known before it runs; reading happens in a thread."""

        def names() -> list[str]:
            from legion_core.engine.chain_document import task_names

            return task_names(text, document)

        known: set[str] = set()
        for name in await away(names):
            try:
                self._functions[name] = await self._registry.find(name)
                known.add(name)
            except LegionError:
                self._functions.pop(name, None)

        def work() -> "Chain":
            module = _document_module()
            if document is None:
                return module.parsed(text, known_task=known.__contains__)
            return module.from_value(document, known_task=known.__contains__)

        return await away(work)

    async def _kept(self, who: Principal, chain: "Chain", text: str) -> ChainRow:
        self._authorizer.authorise(who, f"chains/{chain.name}", "write")
        now_ms = self._work.now_ms()
        version = await self._database.write(
            lambda connection: store.add_version(connection, chain, text, who.name, now_ms)
        )
        self._changed(chain.name, version)
        view = await self.view(chain.name, version)
        return ChainRow(**{name: getattr(view, name) for name in ChainRow.__struct_fields__})

    def _changed(self, name: str, version: int) -> None:
        at_utc, at_mono_s = self._bus.stamp()
        self._work.tell(ChainChanged(at_utc=at_utc, at_mono_s=at_mono_s, name=name, version=version))


def _document_module() -> Any:
    from legion_core.engine import chain_document

    return chain_document


async def away(work: Callable[[], T]) -> T:
    """In a thread: reading a large document takes longer than the loop may."""
    return await in_thread("chain document", work)
