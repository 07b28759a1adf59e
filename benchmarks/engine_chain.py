"""The chain that is walked while engines are killed and power is cut: a fan-out, a join, and a task of each effect class.

first ──▶ each ×3 ──┐
├─────▶ side ─────┼──▶ join ──▶ last
└─────▶ file ─────┘
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from legion_core.storage.sqlite import Connection, rows

NAME = "walk"
ITEMS = 3
EXPECTED = Counter({"first": 1, "each": ITEMS, "side": 1, "file": 1, "join": 1, "last": 1})


def document(runner: str, tasks: Mapping[str, str]) -> dict[str, Any]:
    """The chain over the functions of `runner`: which one each node calls. `first` has to give `items`."""
    nodes: dict[str, Any] = {node: {"task": f"{runner}.{tasks[node]}"} for node in EXPECTED}
    nodes["join"]["join"] = "all"
    edges: list[dict[str, Any]] = [{"from": "first", "to": "each", "each": "$.result.items"}]
    edges += [{"from": "first", "to": node} for node in ("side", "file")]
    edges += [{"from": node, "to": "join"} for node in ("each", "side", "file")]
    edges += [{"from": "join", "to": "last"}]
    return {"name": NAME, "nodes": nodes, "edges": edges}


def result_of_first() -> dict[str, Any]:
    """What `first` has to give."""
    return {"items": list(range(ITEMS))}


def statuses(connection: Connection) -> dict[str, str]:
    """All runs there are."""
    return {str(run): str(status) for run, status in rows(connection, "SELECT id, status FROM runs")}


def nodes_of(connection: Connection) -> dict[str, Counter[str]]:
    """How often each node of each run has a task."""
    found: dict[str, Counter[str]] = {}
    for run, node in rows(connection, "SELECT run, node FROM tasks WHERE run <> ''"):
        found.setdefault(str(run), Counter())[str(node)] += 1
    return found


def judge(
    acknowledged: Iterable[str], runs: Mapping[str, str], nodes: Mapping[str, Counter[str]]
) -> Counter[str]:
    """What is wrong with runs after all is over: lost, unfinished, and nodes that ran too often (doubled) or never."""
    found: Counter[str] = Counter(lost=0, unfinished=0, doubled=0)
    found["lost"] += sum(run not in runs for run in acknowledged)
    for run, status in runs.items():
        had = nodes.get(run, Counter[str]())
        found["unfinished"] += status != "succeeded"
        found["lost"] += sum((EXPECTED - had).values())
        found["doubled"] += sum((had - EXPECTED).values())
    return found
