"""Runs chains on the real engine over a real journal, with functions that do what a test says."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from legion_core.engine.dispatch import PLACES, Places
from legion_core.engine.extension import Context, function
from legion_core.engine.run_types import NodeView, RunView
from legion_core.kernel.errors import InvalidInput
from legion_core.kernel.ports import LOCAL_OWNER, Asker
from legion_core.storage.sqlite import Durability
from legion_core.testing.tasks import UnderTest, open_engine

WAIT_S = 60.0  # an end that never comes fails the test; nothing depends on how long it takes


class Meeting:
    """Opens once so many have come."""

    def __init__(self, size: int) -> None:
        self.here: set[int] = set()
        self.size = size
        self.is_full = asyncio.Event()

    async def come(self, who: object) -> None:
        """Wait for the others."""
        self.here.add(id(who))
        if len(self.here) >= self.size:
            self.is_full.set()
        await self.is_full.wait()


class Steps:
    """Functions for nodes; what was called is remembered."""

    def __init__(self, meeting: Meeting | None = None) -> None:
        self.meeting = meeting or Meeting(1)
        self.calls: list[tuple[str, Any]] = []
        self.gate = asyncio.Event()
        self.entered = asyncio.Event()
        self.failures: Counter[str] = Counter()

    @function(effect="pure")
    async def echo(self, value: Any = None) -> Any:
        """Gives back what it was given."""
        self.calls.append(("echo", value))
        return value

    @function(effect="pure")
    async def meet(self, value: Any = None) -> Any:
        """Gives back what it was given once the others have come."""
        self.calls.append(("meet", value))
        await self.meeting.come(self)
        return value

    @function(effect="pure")
    def plain(self, value: Any = None) -> Any:
        """The same, in a thread."""
        self.calls.append(("plain", value))
        return value

    @function(effect="pure")
    async def give(self, value: Any = None, items: list[Any] | None = None, status: int = 200) -> Any:
        """An object with a status."""
        self.calls.append(("give", value))
        return {"status": status, "value": value, "items": items or []}

    @function()
    async def fail(self, what: str = "no") -> None:
        """Never succeeds."""
        self.calls.append(("fail", what))
        raise InvalidInput(what, hint="Do not ask.")

    @function()
    async def shaky(self, name: str, times: int) -> str:
        """Fails so many times."""
        self.failures[name] += 1
        if self.failures[name] <= times:
            raise RuntimeError(f"failure {self.failures[name]}")
        return name

    @function()
    async def hold(self, context: Context) -> str:
        """Runs until the gate opens."""
        self.calls.append(("hold", context.task_id))
        self.entered.set()
        await self.gate.wait()
        return "held"

    @function(effect="pure")
    async def many(self, count: int) -> list[int]:
        """A long list."""
        return [0] * count

    @function(effect="pure")
    async def odd(self) -> object:
        """Not JSON."""
        return object()

    @function(effect="at_most_once")
    async def once(self) -> str:
        """Must not run twice."""
        self.calls.append(("once", None))
        return "once"

    def named(self, name: str) -> list[Any]:
        """What a function was called with, in order."""
        return [value for called, value in self.calls if called == name]


class Bench:
    """An engine, and the chains on it."""

    def __init__(self, here: UnderTest, steps: Steps) -> None:
        self.here = here
        self.steps = steps
        self.chains = here.engine.chains

    async def apply(self, nodes: dict[str, Any], edges: list[Any] | None = None, **more: Any) -> str:
        """Keep a chain in short; a node's `do` is a function of `Steps`, an edge "a b" leads from a to b."""
        document: dict[str, Any] = {"name": "it", **more, "nodes": {}, "edges": []}
        for name, parts in nodes.items():
            node = dict(parts)
            if "do" in node:
                node["task"] = f"step.it.{node.pop('do')}"
            document["nodes"][name] = node
        for edge in edges or ():
            document["edges"].append(
                dict(zip(("from", "to"), edge.split(), strict=True)) if isinstance(edge, str) else edge
            )
        return (await self.chains.apply_value(LOCAL_OWNER, document)).name

    async def run(self, given: Any = None, name: str = "it", **more: Any) -> RunView:
        """Run it to its end."""
        run = await self.chains.run(LOCAL_OWNER, name, given, **more)
        return await self.chains.wait(run, WAIT_S)

    async def walk(
        self, nodes: dict[str, Any], edges: list[Any] | None = None, given: Any = None, **more: Any
    ) -> RunView:
        """Apply and run."""
        return await self.run(given, await self.apply(nodes, edges, **more))


@asynccontextmanager
async def bench(
    home: Path,
    *,
    serve: bool = True,
    durability: Durability = "process",
    places: Places = PLACES,
    asker: Asker | None = None,
    steps: Steps | None = None,
) -> AsyncGenerator[Bench]:
    """Opened and closed in good order."""
    steps = steps or Steps()
    async with open_engine(
        home, {"step.it": steps}, serve=serve, durability=durability, places=places, asker=asker
    ) as here:
        try:
            yield Bench(here, steps)
        finally:
            steps.gate.set()


def node(view: RunView, name: str) -> NodeView:
    """The one state of a node."""
    (found,) = [each for each in view.nodes if each.node == name]
    return found


def told(view: RunView) -> dict[str, str]:
    """What became of each node: its status, with the code of its reason."""
    return {
        each.key: f"{each.status}: {each.reason.code}" if each.reason else each.status for each in view.nodes
    }
