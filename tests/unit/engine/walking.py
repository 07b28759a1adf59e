"""Runs a chain to its end in memory, in any order, with made-up outcomes; what the walk promises is checked on the way."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from legion_core.engine.chain import Chain
from legion_core.engine.chain_document import from_value
from legion_core.engine.next_hop import Finished, Hop, NextTask, Skipped, Walk
from legion_core.engine.plan import Plan, facts_of, payload
from legion_core.engine.types import ENDED, RunStatus, TaskStatus

Outcome = Callable[[NextTask], "tuple[TaskStatus, Any]"]


def chain(nodes: dict[str, Any] | str, edges: list[Any], loops: int = 0) -> Chain:
    """A chain in short: nodes as "a b c" or with their parts, edges as "a b" or with their parts."""
    parts = {name: {} for name in nodes.split()} if isinstance(nodes, str) else nodes
    document: dict[str, Any] = {
        "name": "test",
        "nodes": {name: {"task": "a.b.c", **each} for name, each in parts.items()},
        "edges": [
            dict(zip(("from", "to"), each.split(), strict=True)) if isinstance(each, str) else each
            for each in edges
        ],
    }
    if loops:
        document["budget"] = {"loops": loops}
    return from_value(document)


def succeed(task: NextTask) -> tuple[TaskStatus, Any]:
    return "succeeded", {"from": task.node}


@dataclass
class Ran:
    """How a run went."""

    walk: Walk
    keys: list[str] = field(default_factory=list)
    tasks: dict[str, NextTask] = field(default_factory=dict)
    statuses: dict[str, TaskStatus] = field(default_factory=dict)
    skipped: dict[str, Skipped] = field(default_factory=dict)
    payloads: dict[str, dict[str, Any]] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    history: list[Finished] = field(default_factory=list)
    ended: RunStatus | None = None

    def count(self, node: str) -> int:
        return sum(1 for task in self.tasks.values() if task.node == node)

    def reason(self, key: str) -> str:
        return self.skipped[key].reason.code

    def take(self, hop: Hop) -> list[NextTask]:
        """Note what a hop says, and hold it against what is promised."""
        for task in hop.tasks:
            assert task.key not in self.tasks, f"{task.key} was started twice"
            assert all(origin.key in self.statuses for origin in task.origins), (
                "a task follows only what has ended"
            )
            self.tasks[task.key] = task
            self.keys.append(task.key)
        for each in hop.skipped:
            assert each.key not in self.tasks, f"{each.key} ran and was skipped"
            assert each.key not in self.skipped, f"{each.key} was skipped twice"
            assert each.status in ENDED
            self.skipped[each.key] = each
        assert self.ended is None, "nothing follows the end of a run"
        self.ended = hop.ended
        return list(hop.tasks)


def run(
    of: Chain | Plan, outcome: Outcome = succeed, *, chance: random.Random | None = None, given: Any = None
) -> Ran:
    """The whole run; `chance` picks which of the tasks alive ends next, else the oldest does."""
    plan = of if isinstance(of, Plan) else Plan.of(of)
    ran = Ran(Walk(plan))
    alive = ran.take(ran.walk.start())
    while alive:
        task = alive.pop(chance.randrange(len(alive)) if chance else 0)
        seen = payload(
            input=given, origins=task.origins, results=ran.results, gathered=task.gathered, element=task.element,
            index=task.index,
        )  # fmt: skip
        ran.payloads[task.key] = seen
        status, result = outcome(task)
        ran.statuses[task.key], ran.results[task.key] = status, result
        decisions = plan.decide(task.node, status, facts_of(seen, task.node, status, result))
        ran.history.append(
            Finished(key=task.key, status=status, decisions=tuple(each.stored() for each in decisions))
        )
        alive += ran.take(ran.walk.finish(task.key, status, decisions))
    assert ran.ended is not None, f"the run did not end; waiting: {ran.walk.waiting()}"
    assert ran.walk.alive == ()
    assert ran.walk.waiting() == ()
    nodes = Counter(each.node for each in (*ran.tasks.values(), *ran.skipped.values()))
    assert set(nodes) == {node.name for node in plan.chain.nodes}, "every node ends in some way"
    return ran
