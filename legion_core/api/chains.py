"""Chains: which there are, their runs, and why each node and edge went as it did."""

from collections.abc import Mapping

from legion_core.api.chain_types import (
    RUN_STATUSES,
    ChainFault,
    ChainRow,
    ChainVersion,
    ChainView,
    EdgeExplained,
    NodePayload,
    Renamed,
    Rendering,
    RunPage,
    RunRow,
    RunView,
)
from legion_core.engine.run_events import (
    ChainChanged,
    EdgeDecided,
    NodeCame,
    RunAdvanced,
    RunEnded,
    RunStarted,
)
from legion_core.engine.service import Engine
from legion_core.kernel.errors import InvalidInput, TimedOut
from legion_core.kernel.ports import LOCAL_OWNER, Principal

__all__ = ["ChainChanged", "Chains", "EdgeDecided", "NodeCame", "RunAdvanced", "RunEnded", "RunStarted"]


class Chains:
    """Apply, look, run, cancel, replay. `InvalidDocument` (an InvalidInput) names every fault, with its line in a text."""

    def __init__(self, engine: Engine) -> None:
        self._chains = engine.chains

    async def apply(self, text: str, who: Principal = LOCAL_OWNER) -> ChainRow:
        """Keep what a YAML or JSON text says as the newest version; the same document again makes no new one."""
        return await self._chains.apply(who, text)

    async def apply_value(self, document: object, who: Principal = LOCAL_OWNER) -> ChainRow:
        """The same of a document that was read already."""
        return await self._chains.apply_value(who, document)

    async def validate(self, text: str) -> tuple[ChainFault, ...]:
        """Every fault of a text; empty if it could be applied."""
        return await self._chains.validate(text)

    async def parse(self, text: str) -> dict[str, object]:
        """The document a text holds; InvalidDocument."""
        return await self._chains.read_text(text)

    async def render_text(self, document: object) -> str:
        """A document as YAML; `parse` gives the same document again. InvalidDocument."""
        return await self._chains.write_text(document)

    async def preview(
        self,
        document: object,
        input: object = None,  # noqa: A002 - the chain's own word
        pins: Mapping[str, object] | None = None,
        who: Principal = LOCAL_OWNER,
    ) -> RunView:
        """A dry run of a draft, a text or a document: nothing is called, nothing is kept.

        A node gives what is pinned to it, else what it gave in the last real run of a chain of this name, else null.
        """
        return await self._chains.preview(who, document, input, pins)

    async def list(self) -> tuple[ChainRow, ...]:
        """All of them, by name."""
        return tuple(await self._chains.rows())

    async def show(self, name: str, version: int = 0) -> ChainView:
        """One version, the newest for 0; NotFound."""
        return await self._chains.view(name, version)

    async def versions(self, name: str) -> tuple[ChainVersion, ...]:
        """Newest first; NotFound."""
        return tuple(await self._chains.versions(name))

    async def delete(self, name: str, who: Principal = LOCAL_OWNER) -> None:
        """Take it away; runs under way go on with the version they began with. NotFound."""
        await self._chains.delete(who, name)

    async def rename(self, old: str, new: str, who: Principal = LOCAL_OWNER) -> Renamed:
        """Another name, for its versions, its past runs and the schedules, webhooks and chains that start it.

        NotFound; InvalidInput where the name is none; Conflict where it is taken. Runs under way keep the old name.
        """
        return await self._chains.rename(who, old, new)

    async def run(
        self,
        name: str,
        input: object = None,  # noqa: A002 - the chain's own word
        *,
        dry_run: bool = False,
        pins: Mapping[str, object] | None = None,
        version: int = 0,
        who: Principal = LOCAL_OWNER,
    ) -> RunRow:
        """Begin a run; durable when this returns. `pins` are results given to nodes, which are then not run.

        Raises NotFound, Denied, InvalidInput, LimitReached, StorageFailed.
        """
        run = await self._chains.run(who, name, input, is_dry=dry_run, pins=pins, version=version)
        return await self._chains.run_row(run)

    async def runs(self, name: str = "", *, status: str = "", limit: int = 50, cursor: str = "") -> RunPage:
        """Newest first; `cursor` is the `next` of the page before."""
        if status and status not in RUN_STATUSES:
            raise InvalidInput(
                f"{status[:40]!r} is not a run's status.", hint=f"There are {', '.join(RUN_STATUSES)}."
            )
        found = await self._chains.page(chain=name, status=status, below=_below(cursor), limit=limit + 1)
        more = len(found) > limit
        found = found[:limit]
        return RunPage(runs=tuple(row for _, row in found), next=f"r{found[-1][0]}" if more else "")

    async def get_run(self, run: str) -> RunView:
        """A run with its nodes and edges; NotFound."""
        return await self._chains.run_view(run)

    async def wait(self, run: str, timeout_s: float | None = None) -> RunView:
        """The run at its end; TimedOut."""
        return await self._chains.wait(run, timeout_s)

    async def wait_at_most(self, run: str, timeout_s: float) -> RunView:
        """The run at its end, or as it is after `timeout_s`."""
        try:
            return await self.wait(run, timeout_s)
        except TimedOut:
            return await self.get_run(run)

    async def cancel(self, run: str, who: Principal = LOCAL_OWNER) -> RunView:
        """Cancel what waits and tell what runs to end, in its sub-chains too. Conflict if it has ended, NotFound."""
        await self._chains.cancel(who, run)
        return await self._chains.run_view(run)

    async def replay(
        self,
        run: str,
        node: str,
        *,
        pins: Mapping[str, object] | None = None,
        who: Principal = LOCAL_OWNER,
    ) -> RunRow:
        """A new run of the same version that takes over what came before `node`, and does the rest anew.

        `pins` None: those of the run. Conflict where it goes on, or nothing led to the node.
        """
        return await self._chains.run_row(await self._chains.replay(who, run, node, pins))

    async def payload(self, run: str, node: str) -> NodePayload:
        """What went into a node and what came out, by its key, or by its name for the last time it ran; NotFound."""
        return await self._chains.payload(run, node)

    async def last_payload(self, name: str, node: str) -> NodePayload | None:
        """The same of the newest run in which the node ran; None before the first."""
        return await self._chains.last_payload(name, node)

    async def explain(self, run: str, edge: int, key: str = "") -> EdgeExplained:
        """Why an edge (by its place in the document) led on or not, when `key` ended, or the last time; NotFound."""
        return await self._chains.explain(run, edge, key)

    async def render(self, node: object, payload: object) -> Rendering:
        """What a node's `args` and `transform` give for a payload; InvalidDocument. No model is asked."""
        return await self._chains.render(node, payload)


def _below(cursor: str) -> int:
    digits = cursor.removeprefix("r")
    if not cursor:
        return 0
    if not (cursor.startswith("r") and digits.isascii() and digits.isdecimal() and len(digits) < 18):
        raise InvalidInput("`cursor` is not one we gave.")
    return max(1, int(digits))
