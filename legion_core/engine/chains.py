"""Chains as a service: definitions, runs, and what follows a task that ended. Cheap to import until a chain is used.

What happens inside a transaction is `engine.chain_hops`; here is what surrounds it: who may, which functions there are,
what is told to whom, and the questions to models, which no transaction may wait for.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from legion_core.engine import chain_store as store
from legion_core.engine.chain_definitions import Definitions
from legion_core.engine.following import Ended, Followed, Room
from legion_core.engine.journal import Lease
from legion_core.engine.reasons import because
from legion_core.engine.registry import Function, Registry
from legion_core.engine.run_events import RunEnded
from legion_core.engine.run_types import (
    EdgeExplained,
    NodePayload,
    Rendering,
    RunRow,
    RunView,
)
from legion_core.engine.types import Reason
from legion_core.kernel.errors import Conflict, InvalidInput, LegionError, LimitReached, TimedOut
from legion_core.kernel.events import EventBus
from legion_core.kernel.ids import Ids
from legion_core.kernel.ports import OWNER, Asker, Authorizer, Principal
from legion_core.storage.calls import in_thread
from legion_core.storage.sqlite import Connection, Database

if TYPE_CHECKING:
    from legion_core.engine.chain import Chain
    from legion_core.engine.chain_hops import Hops

log = logging.getLogger("legion.engine")

INPUT_BYTES_MAX = 512 * 1024
READY_MAX = 4_096  # runs whose functions are known to be at hand
PURGE_EVERY = 256  # runs that ended
PURGED_MAX = 200  # runs deleted in one transaction
DEPTH_MAX = 8
UNFIT = "The arguments do not fit: "  # said by the signature; the reason says it already

T = TypeVar("T")
_encode = msgspec.json.Encoder().encode


class _Undone(Exception):
    def __init__(self, found: Any) -> None:
        super().__init__("undone")
        self.found = found


class Chains(Definitions):
    """See the module. All methods belong to the loop's thread, but for those of `Follower` that take a connection."""

    def __init__(
        self,
        ids: Ids,
        hop_ids: Ids,
        bus: EventBus,
        authorizer: Authorizer,
        database: Database,
        registry: Registry,
        asker: Asker,
        kept_days: int,
    ) -> None:
        self._ids = ids
        self._hop_ids = hop_ids  # used by the writer's thread alone
        super().__init__(bus, authorizer, database, registry)
        self._asker = asker
        self._kept_days = kept_days
        self._hops: Hops | None = None
        self._ready: OrderedDict[str, None] = OrderedDict()
        self._ended = 0

    # Runs

    async def run(
        self,
        who: Principal,
        name: str,
        given: object = None,
        *,
        is_dry: bool = False,
        pins: Mapping[str, object] | None = None,
        version: int = 0,
    ) -> str:
        """Begin a run, durable when this returns; its id. Raises Denied, NotFound, InvalidInput, LimitReached."""
        begin = await self.prepare(who, name, given, is_dry=is_dry, pins=pins, version=version)
        return await self._in_room(begin)

    async def prepare(
        self,
        who: Principal,
        name: str,
        given: object = None,
        *,
        is_dry: bool = False,
        pins: Mapping[str, object] | None = None,
        version: int = 0,
    ) -> "Callable[[Connection, Room], tuple[str, Followed]]":
        """Everything `run` checks; what is given back begins the run inside a transaction of the caller's."""
        self._authorizer.authorise(who, f"chains/{name}", "run")
        found = await self._database.read(lambda connection: store.version_of(connection, name, version))
        if found is None:
            raise store.unknown_chain(name, version)
        chain = store.chain_of(found)
        pinned = _pins(chain, pins or {})
        await self._find_functions(who, chain)
        state = self._state(who, chain, given, is_dry=is_dry, pins=pinned)
        await self._load()
        self._note_ready(state.id)

        def begin(connection: Connection, room: Room) -> tuple[str, Followed]:
            if who.name != OWNER.name and not is_dry and self._work.recorder is not None:
                self._work.recorder(connection, [(who.name, f"chains/{name}", state.id)])
            return state.id, self._writer_hops().start(connection, state, None, room)

        return begin

    async def preview(
        self, who: Principal, document: object, given: object, pins: Mapping[str, object] | None
    ) -> RunView:
        """A dry run of a draft, of which nothing is kept. `document` is a text or a document; InvalidDocument."""
        chain = (
            await self._parsed(document, None)
            if isinstance(document, str)
            else await self._parsed("", document)
        )
        self._authorizer.authorise(who, f"chains/{chain.name}", "read")
        await self._find_functions(who, chain)
        state = self._state(who, chain, given, is_dry=True, pins=_pins(chain, pins or {}))
        await self._load()
        room = Room(owner="", now_ms=self._work.now_ms(), stamp=self._bus.stamp())

        def work(connection: Connection) -> None:
            from legion_core.engine import chain_views
            from legion_core.engine.plan import Plan

            plan = Plan.of(chain)
            self._writer_hops().start(connection, state, plan, room)
            raise _Undone(chain_views.run_view(connection, state.id, plan))

        try:
            await self._database.write(work, durability="process")
        except _Undone as undone:
            return undone.found
        raise AssertionError("a preview is never kept")

    async def run_view(self, run: str) -> RunView:
        """A run with its nodes and edges; NotFound."""
        return await self._read(lambda views, connection: views.run_view(connection, run))

    async def run_row(self, run: str) -> RunRow:
        """A run at a glance; NotFound."""
        return await self._database.read(lambda connection: store.get_row(connection, run))

    async def page(
        self, *, chain: str = "", status: str = "", below: int = 0, limit: int = 50
    ) -> list[tuple[int, RunRow]]:
        """Runs, newest first, each with its place."""
        return await self._database.read(
            lambda connection: store.page(connection, chain=chain, status=status, below=below, limit=limit)
        )

    async def wait(self, run: str, timeout_s: float | None = None) -> RunView:
        """The run at its end, wherever it goes on; TimedOut."""
        with self._bus.subscribe(RunEnded) as ends:
            try:
                async with asyncio.timeout(timeout_s):
                    while (await self.run_row(run)).status == "running":
                        while not any(
                            isinstance(each, RunEnded) and each.run == run for each in await ends.take()
                        ):
                            if ends.lost:
                                break
            except TimeoutError as error:
                raise TimedOut(f"The run {run} had not ended after {timeout_s} s.") from error
        return await self.run_view(run)

    async def cancel(self, who: Principal, run: str) -> None:
        """Cancel what waits, tell what runs to end, in the whole tree. Conflict if it has ended, NotFound."""
        row = await self.run_row(run)
        self._authorizer.authorise(who, f"chains/{row.chain}", "cancel")
        await self._load()
        await self._in_room(
            lambda connection, room: (run, self._writer_hops().cancel(connection, run, who.name, room))
        )

    async def replay(
        self, who: Principal, run: str, node: str, pins: Mapping[str, object] | None = None
    ) -> str:
        """A new run of the same version that does `node` and what follows it anew; its id. NotFound, Conflict."""
        old = await self._database.read(lambda connection: store.state_of(connection, run))
        if old is None:
            raise store.unknown_run(run)
        self._authorizer.authorise(who, f"chains/{old.chain}", "run")
        if old.status == "running":
            raise Conflict(f"The run {run} has not ended.", hint="Cancel it first, or wait for its end.")
        if old.is_dry:
            raise Conflict(f"The run {run} was a dry one: there is nothing to take over.")
        found = await self._database.read(
            lambda connection: store.version_of(connection, old.chain, old.version, even_deleted=True)
        )
        if found is None:
            raise store.unknown_chain(old.chain, old.version)
        chain = store.chain_of(found)
        if node not in {each.name for each in chain.nodes}:
            raise InvalidInput(
                f"{old.chain} has no node {node[:80]!r}.",
                hint=f"There are {', '.join(each.name for each in chain.nodes[:20])}.",
            )
        await self._find_functions(who, chain)
        pinned = _pins(chain, pins) if pins is not None else old.pins
        fresh = self._ids.new("run")
        state = msgspec.structs.replace(
            old, id=fresh, pins=pinned, parent="", parent_run="", depth=0, root=fresh, who=who.name,
            status="running", cancelled_by="", finished=0, mark="",
        )  # fmt: skip
        await self._load()
        self._note_ready(fresh)
        return await self._in_room(
            lambda connection, room: (
                fresh,
                self._writer_hops().replay(connection, old, state, node, room),
            )
        )

    # Looking into a run

    async def payload(self, run: str, name: str) -> NodePayload:
        """What went into a node, by key or name, and what came out; NotFound."""
        return await self._read(lambda views, connection: views.node_payload(connection, run, name))

    async def last_payload(self, chain: str, node: str) -> NodePayload | None:
        """The same of the newest run in which the node ran."""
        return await self._read(lambda views, connection: views.last_payload(connection, chain, node))

    async def explain(self, run: str, edge: int, key: str = "") -> EdgeExplained:
        """Why an edge led on or not; NotFound."""
        return await self._read(lambda views, connection: views.edge_explained(connection, run, edge, key))

    async def render(self, node: object, payload: object) -> Rendering:
        """What a node's `args` and `transform` give for a payload; InvalidDocument."""

        def work() -> Rendering:
            from legion_core.engine.chain_render import rendering

            return rendering(node, payload)

        return await in_thread("render", work)

    # Follower

    def follow(self, connection: Connection, ended: Sequence[Ended], room: Room) -> Followed:
        """See `Follower`."""
        return self._writer_hops().follow(connection, ended, room)

    def give_up(self, connection: Connection, ended: Ended, what: str, room: Room) -> Followed:
        """See `Follower`."""
        return self._writer_hops().give_up(connection, ended, what, room)

    def hand_over(self, connection: Connection, lease: Lease, room: Room) -> Followed | None:
        """See `Follower`."""
        return self._writer_hops().hand_over(connection, lease, room)

    def is_ready(self, run: str) -> bool:
        """See `Follower`."""
        return run in self._ready and self._hops is not None

    async def make_ready(self, run: str) -> None:
        """See `Follower`."""
        await self._load()
        state = await self._database.read(lambda connection: store.state_of(connection, run))
        if state is not None:
            found = await self._database.read(
                lambda connection: store.version_of(connection, state.chain, state.version, even_deleted=True)
            )
            if found is not None:
                await self._find_functions(None, store.chain_of(found))
        self._note_ready(run)

    async def arguments(self, lease: Lease) -> bytes | Reason:
        """See `Follower`."""
        from legion_core.engine.chain_late import made_late

        made = await made_late(self._database, self._asker, lease)
        if isinstance(made, Reason):
            return made
        function = self._functions.get(lease.task) or self._registry.known(lease.task)
        if function is not None:
            try:
                made = function.signature.check(msgspec.json.decode(made))
            except InvalidInput as error:
                return because(
                    "task.args_invalid",
                    task=lease.task,
                    what=error.sentence().removeprefix(UNFIT).rstrip("."),
                )
        if len(made) > INPUT_BYTES_MAX:
            return because("task.payload_too_large", size_bytes=len(made), limit_bytes=INPUT_BYTES_MAX)
        kept = made
        await self._database.write(
            lambda connection: store.set_args(connection, lease.id, lease.fencing, kept), durability="process"
        )
        return kept

    # Within a transaction of somebody else's

    def strange_room(self) -> Room:
        """Where nothing is begun at once. Called in the transaction."""
        return self._work.strange_room()

    def cancel_in(self, connection: Connection, run: str, who: str) -> Followed:
        """See `cancel`. What runs has been left word; `Engine.look` has it read."""
        return self._writer_hops().cancel(connection, run, who, self.strange_room())

    def tell_later(self, followed: Followed) -> None:
        """Once this transaction is over, tell of what it brought about. Called in the transaction."""
        self._work.tell_later(followed)

    def ended(self, runs: Sequence[str]) -> bool:
        """These runs are over; whether it is time to `purge`."""
        for run in runs:
            self._ready.pop(run, None)
        before, self._ended = self._ended // PURGE_EVERY, self._ended + len(runs)
        return self._ended // PURGE_EVERY > before

    async def purge(self) -> None:
        """Delete what is older than is kept, and what is too many."""
        before_ms = self._work.now_ms() - self._kept_days * 86_400_000
        gone = await self._database.write(lambda connection: store.purge(connection, before_ms, PURGED_MAX))
        if gone:
            log.info("%d runs of chains that ended long ago were deleted", gone)

    # Within

    def _writer_hops(self) -> "Hops":
        if self._hops is None:
            from legion_core.engine.chain_hops import Hops

            self._hops = Hops(self._hop_ids, self._known)
        return self._hops

    def _known(self, name: str) -> Function | None:
        return self._functions.get(name) or self._registry.known(name)

    async def _load(self) -> None:
        """Import what a chain needs, in a thread: it takes longer than the window may wait for its next frame."""
        if self._hops is None:
            await in_thread("import chains", self._writer_hops)

    async def _in_room(self, begin: "Callable[[Connection, Room], tuple[str, Followed]]") -> str:
        room = self._work.room()
        try:
            run, followed = await self._database.write(lambda connection: begin(connection, room))
        except BaseException:
            self._work.release(room)
            raise
        self._work.settle(room, followed)
        return run

    def _state(
        self, who: Principal, chain: "Chain", given: object, *, is_dry: bool, pins: bytes
    ) -> store.RunState:
        try:
            stored = _encode({} if given is None else given)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInput(f"The input cannot be written as JSON: {error}.") from error
        if len(stored) > INPUT_BYTES_MAX:
            raise LimitReached(
                f"The input takes {len(stored):,} bytes; at most {INPUT_BYTES_MAX:,} are taken.",
                hint="Pass a path or an address instead.",
            )
        run = self._ids.new("run")
        return store.RunState(
            id=run, chain=chain.name, version=chain.version, status="running", input=stored, pins=pins,
            is_dry=is_dry, parent="", parent_run="", depth=0, root=run, who=who.name, cancelled_by="",
            finished=0, mark="",
        )  # fmt: skip

    async def _find_functions(self, who: Principal | None, chain: "Chain") -> None:
        """Have at hand what the chain and its sub-chains call, as it is now; with `who`, ask whether they may."""
        todo, seen = [chain], {chain.name}
        for _ in range(DEPTH_MAX):
            deeper: list[Chain] = []
            for each in todo:
                for node in each.nodes:
                    if not node.chain:
                        await self._find(who, node.task)
                    elif node.chain not in seen:
                        seen.add(node.chain)
                        found = await self._database.read(
                            lambda connection, name=node.chain: store.version_of(connection, name)
                        )
                        if found is not None:
                            deeper.append(store.chain_of(found))
            todo = deeper

    async def _find(self, who: Principal | None, task: str) -> None:
        if who is not None:
            self._authorizer.authorise(who, f"tasks/{task.replace('.', '/')}", "run")
        try:
            self._functions[task] = self._registry.known(task) or await self._registry.find(task)
        except LegionError:
            self._functions.pop(task, None)

    def _note_ready(self, run: str) -> None:
        self._ready[run] = None
        while len(self._ready) > READY_MAX:
            self._ready.popitem(last=False)


def _pins(chain: "Chain", pins: Mapping[str, object]) -> bytes:
    names = {node.name for node in chain.nodes}
    for name in pins:
        if name not in names:
            raise InvalidInput(
                f"A result is pinned to {name[:80]!r}, which is no node of {chain.name}.",
                hint=f"There are {', '.join(sorted(names)[:20])}.",
            )
    try:
        stored = _encode(dict(pins))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"The pins cannot be written as JSON: {error}.") from error
    if len(stored) > INPUT_BYTES_MAX:
        raise LimitReached(f"The pins take {len(stored):,} bytes; at most {INPUT_BYTES_MAX:,} are taken.")
    return stored
