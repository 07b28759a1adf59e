"""What a node of a run sees: the payload of its templates, and the facts of the conditions after it, from the journal.

Which tasks led to a node is its `parent`, or, where that does not say it, a row of `run_origins` (`Arrival`). All is read
inside a transaction; results that were read are kept for as long as the `Inputs`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import msgspec

from legion_core.engine import chain_store as store
from legion_core.engine.next_hop import NextTask
from legion_core.engine.plan import Origin, Plan, facts_of, payload
from legion_core.engine.types import Json, Reason, TaskStatus
from legion_core.storage.sqlite import Connection, row

FANS_KEPT = 8  # lists of elements at hand: those of the fan-outs that stand open now

read_json = msgspec.json.Decoder().decode
_read_reason = msgspec.json.Decoder(Reason).decode


class Arrival(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, array_like=True):
    """What led to a task; see `next_hop.NextTask`."""

    origins: tuple[Origin, ...] = ()
    gathered: frozenset[str] = frozenset()
    index: int | None = None
    fan: int | None = None


_read_arrival = msgspec.json.Decoder(Arrival).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Kept:
    """A task of a run as it stands in the journal."""

    id: str
    node: str
    key: str
    task: str
    status: TaskStatus
    parent: str
    args: bytes
    result: bytes | None
    reason: Reason | None


def arrival_of(task: NextTask, ended_key: str) -> bytes | None:
    """What of a new task's origins is to be kept; None where its parent, the task that ended, says it all."""
    is_plain = task.fan is None and (
        not task.origins or (len(task.origins) == 1 and task.origins[0].key == ended_key)
    )
    if is_plain:
        return None
    return _encode(Arrival(origins=task.origins, gathered=task.gathered, index=task.index, fan=task.fan))


def node_of(key: str) -> str:
    """The node a key belongs to."""
    return key.partition("/")[0].partition("#")[0]


def kept(connection: Connection, run: str, key: str) -> Kept | None:
    """A task of a run by its key."""
    found = row(
        connection,
        "SELECT id, node, key, task, status, parent, args, result, reason FROM tasks "
        "INDEXED BY tasks_run WHERE run = ? AND run <> '' AND node = ? AND key = ?",
        [run, node_of(key), key],
    )
    if found is None:
        return None
    *rest, reason = found
    return Kept(*rest, reason=_read_reason(reason) if reason else None)


@dataclass(slots=True)
class Inputs:
    """Reads for one run. `fans` may be handed from one transaction to the next: it holds results, which never change."""

    connection: Connection
    run: str
    plan: Plan
    given: Json
    fans: dict[tuple[str, int], list[Json]] = field(default_factory=dict[tuple[str, int], list[Json]])
    nearest: Callable[[str, str], str | None] | None = None
    _results: dict[str, Json] = field(
        default_factory=dict[str, Json]
    )  # the elements of a fan-out share theirs

    def payload(self, task: NextTask) -> dict[str, Json]:
        """What the templates of a task see."""
        results = {origin.key: self.result(origin.key) for origin in task.origins}
        names = {origin.node for origin in task.origins}
        more: dict[str, Json] = {}
        for node in self.plan.needs[self.plan.graph.places[task.node]] - names:
            if node != task.node and (key := self._nearest(task, node)) is not None:
                more[node] = self.result(key)
        element = task.element
        if element is msgspec.UNSET and task.index is not None and task.fan is not None:
            element = self.elements(task.origins[0].key, task.fan)[task.index]
        made = payload(
            input=self.given,
            origins=task.origins,
            results=results,
            gathered=task.gathered,
            more=more,
            element=element,
            index=task.index,
        )
        if element is msgspec.UNSET and "/" in task.key and task.node in self.plan.itemed:
            made |= self._item(task)
        if task.node in self.plan.asking and len(names) == 1:
            made |= self._how(task.origins[0].key)
        return made

    def facts(
        self, task: NextTask, status: TaskStatus, result: bytes | None, reason: Reason | None
    ) -> dict[str, Json]:
        """What the edges after a task see, as far as they look."""
        looks = self.plan.looks[self.plan.graph.places[task.node]]
        if looks == "nothing":
            return {}
        before = self.payload(task) if looks == "all" else {}
        own = read_json(result) if result is not None else None
        return facts_of(before, task.node, status, own, reason.sentence if reason else "")

    def all_facts(self, found: Kept) -> dict[str, Json]:
        """The same, whole, for a task that ended earlier."""
        own = read_json(found.result) if found.result is not None else None
        before = self.payload(self.arrived(found))
        error = found.reason.sentence if found.reason and found.status != "succeeded" else ""
        return facts_of(before, found.node, found.status, own, error)

    def arrived(self, found: Kept) -> NextTask:
        """A stored task as it was given out."""
        body = store.origins(self.connection, found.id)
        if body is None:
            return NextTask(key=found.key, node=found.node, origins=self._parent(found))
        arrival = _read_arrival(body)
        return NextTask(
            key=found.key,
            node=found.node,
            origins=arrival.origins,
            gathered=arrival.gathered,
            index=arrival.index,
            fan=arrival.fan,
        )

    def elements(self, key: str, edge: int) -> list[Json]:
        """What an edge fanned out to when the task `key` ended."""
        known = self.fans.get((key, edge))
        if known is None:
            found = kept(self.connection, self.run, key)
            assert found is not None, "a fan-out comes from a task"
            known = self.plan.elements(edge, self.all_facts(found))
            while len(self.fans) >= FANS_KEPT:
                self.fans.pop(next(iter(self.fans)))
            self.fans[key, edge] = known
        return known

    def result(self, key: str) -> Json:
        """What a task gave; None if nothing."""
        if key not in self._results:
            found = store.result_of(self.connection, self.run, node_of(key), key)
            self._results[key] = read_json(found) if found is not None else None
        return self._results[key]

    def _item(self, task: NextTask) -> dict[str, Json]:
        """The element that a task further on in a fan-out belongs to."""
        edge, _, at = task.key.partition("#")[0].rpartition("/")[2].rpartition(".")
        fan = int(edge.partition("~")[0])
        source = self._nearest(task, self.plan.chain.edges[fan].source)
        assert source is not None, "a fan-out comes from a task"
        return {"item": self.elements(source, fan)[int(at)], "index": int(at)}

    def _how(self, key: str) -> dict[str, Json]:
        """How the one task before ended."""
        found = kept(self.connection, self.run, key)
        assert found is not None, "a task follows one there is"
        error = found.reason.sentence if found.reason and found.status != "succeeded" else ""
        told: dict[str, Json] = {"status": found.status, "node": found.node}
        return {**told, "error": error} if error else told

    def _nearest(self, task: NextTask, node: str) -> str | None:
        if self.nearest is not None:
            return self.nearest(task.key, node)
        seen = {task.key}
        todo = [*task.origins]
        for origin in todo:
            if origin.node == node:
                return origin.key
            if origin.key not in seen and (found := kept(self.connection, self.run, origin.key)):
                seen.add(origin.key)
                todo.extend(self.arrived(found).origins)
        return None

    def _parent(self, found: Kept) -> tuple[Origin, ...]:
        before = row(
            self.connection, "SELECT node, key FROM tasks WHERE id = ? AND run = ?", [found.parent, self.run]
        )
        return (Origin(node=cast("str", before[0]), key=cast("str", before[1])),) if before else ()
