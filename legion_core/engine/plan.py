"""Pure: a chain made ready to run: its graph, its conditions, its paths and its transforms, each read once.

Plan.decide(node, status, facts) ──▶ one Decision for every edge that leaves the node
Plan.prepare(node, payload)      ──▶ what its task is called with
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

import msgspec

from legion_core.engine.chain import Chain, Node
from legion_core.engine.chain_graph import Graph, graph_of
from legion_core.engine.conditions import Condition
from legion_core.engine.conditions import compiled as condition
from legion_core.engine.json_path import JsonPath, PathFault
from legion_core.engine.json_path import path as json_path
from legion_core.engine.reasons import because
from legion_core.engine.transforms import Rendered, Transform, arguments
from legion_core.engine.transforms import compiled as transform
from legion_core.engine.types import FAILED, Json, Reason, TaskStatus

FAN_OUT_MAX = 100_000
Look = Literal["nothing", "result", "all"]
_HOW = frozenset({"status", "node", "error"})
_ITEM = frozenset({"item", "index"})
_OWN = frozenset({"result", "status", "node", "error"})
_FROM_FACTS = re.compile(r"""\$(?:\.|\[["'])(?:results?|input|item)(?![\w-])""")
_RESULT_OF = re.compile(r"""\$(?:\.|\[["'])results(?:["']\])?(?:\.|\[["'])([A-Za-z_][\w-]*)""")
_FROM_RESULT = re.compile(r"""\$(?:\.|\[["'])result(?![\w-])""")


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one edge when the task before it ended.

    It leads on unless it has a `reason`; `count` is how many elements it fans out to, -1 for an edge without `each`.
    `elements` are theirs; a decision that was stored has them no more, and `Plan.elements` finds them again.
    """

    edge: int
    reason: Reason | None = None
    count: int = -1
    elements: tuple[Json, ...] = ()

    def stored(self) -> "Decision":
        """As much of it as is worth keeping."""
        return msgspec.structs.replace(self, elements=()) if self.elements else self


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """A task that led to another: its node and its key."""

    node: str
    key: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A chain ready to run. `needs` are, by node, the nodes whose results its task, or an edge after it, names.

    `looks` says how far the edges after a node look: at nothing, at its own result, or at all that came before.
    `late` are nodes whose arguments may take long to make, so that they are made by who runs the task; `asking` those
    whose templates name how the task before ended, `itemed` those where the element of a fan-out is named.
    """

    chain: Chain
    graph: Graph
    needs: tuple[frozenset[str], ...]
    looks: tuple[Look, ...]
    late: frozenset[str]
    asking: frozenset[str]
    itemed: frozenset[str]
    _when: tuple[Condition | None, ...]
    _each: tuple[JsonPath | None, ...]
    _args: tuple[Transform | None, ...]
    _transforms: tuple[Transform | None, ...]

    @staticmethod
    def of(chain: Chain) -> "Plan":
        """The plan of a sound chain; raises InvalidDocument if it is not."""
        graph = graph_of(chain)
        when = tuple(condition(edge.when) if edge.when is not None else None for edge in chain.edges)
        each = tuple(json_path(edge.each) if edge.each else None for edge in chain.edges)
        args = tuple(arguments(dict(node.args)) if node.args else None for node in chain.nodes)
        transforms = tuple(
            transform(node.transform) if node.transform is not None else None for node in chain.nodes
        )
        needs: list[set[str]] = [set() for _ in chain.nodes]
        for at in range(len(chain.nodes)):
            for ready in (args[at], transforms[at]):
                if ready is not None:
                    needs[at].update(_named(ready.paths))
        for at, ready in enumerate(when):
            if ready is not None:
                needs[graph.source[at]].update(_named(ready.facts))
            if (path := each[at]) is not None and (found := _RESULT_OF.match(path.text)):
                needs[graph.source[at]].add(found[1])
        return Plan(
            chain=chain,
            graph=graph,
            needs=tuple(map(frozenset, needs)),
            looks=tuple(_look(edges, when, each) for edges in graph.out),
            late=frozenset(node.name for node in chain.nodes if _is_late(node)),
            asking=_readers(chain, _HOW, args, transforms),
            itemed=_readers(chain, _ITEM, args, transforms)
            | {
                edge.source
                for edge, ready in zip(chain.edges, when, strict=True)
                if ready is not None and any(fact[0] in _ITEM for fact in ready.facts)
            },
            _when=when,
            _each=each,
            _args=args,
            _transforms=transforms,
        )

    def decide(self, node: str, status: TaskStatus, facts: Mapping[str, Json]) -> tuple[Decision, ...]:
        """What becomes of every edge that leaves `node`, which ended with `status`.

        `facts` are what `payload` gives, for the task that ended. An edge's delay does not change what is decided:
        it is decided now, on this result, and the result is kept.
        """
        return tuple(self._decided(edge, status, facts) for edge in self.graph.out[self.graph.places[node]])

    def _decided(self, at: int, status: TaskStatus, facts: Mapping[str, Json]) -> Decision:
        edge, when = self.chain.edges[at], self._when[at]
        fits = {
            "always": status == "succeeded" or status == "cancelled" or status in FAILED,
            "success": status == "succeeded",
            "failure": status in FAILED,
        }
        if not fits[edge.on]:
            reason = because("edge.other_outcome", source=edge.source, on=edge.on, outcome=status)
            return Decision(edge=at, reason=reason)
        if when is not None and (reason := when.reason(facts)) is not None:
            return Decision(edge=at, reason=reason)
        if self._each[at] is None:
            return Decision(edge=at)
        try:
            elements = self.elements(at, facts)
        except PathFault as error:
            reason = because("edge.each_failed", path=edge.each, source=edge.source, what=str(error))
            return Decision(edge=at, reason=reason)
        if not elements:
            return Decision(
                edge=at, reason=because("edge.nothing_to_fan_out", path=edge.each, source=edge.source)
            )
        if len(elements) > FAN_OUT_MAX:
            reason = because("edge.too_many_elements", path=edge.each, count=len(elements), limit=FAN_OUT_MAX)
            return Decision(edge=at, reason=reason)
        return Decision(edge=at, count=len(elements), elements=tuple(elements))

    def elements(self, edge: int, facts: Mapping[str, Json]) -> list[Json]:
        """What an edge with `each` fans out to, given the facts of the task that ended; raises PathFault.

        `$` is the result, unless the path goes on with `result`, `results`, `input` or `item`. A path that names one
        list gives its members.
        """
        each = self._each[edge]
        assert each is not None
        root = facts if _FROM_FACTS.match(each.text) else facts.get("result")
        found = each.find(root)
        if each.is_single and len(found) == 1 and isinstance(found[0], list):
            return cast("list[Json]", found[0])
        return found

    def prepare(self, node: str, payload: Mapping[str, Json]) -> Rendered:
        """What the node's task is called with, the reason why it cannot be, or a question for a model.

        The answer to the question goes to `answered`.
        """
        at = self.graph.places[node]
        args, ready = self._args[at], self._transforms[at]
        base = args.render(payload) if args is not None else Rendered(args={})
        if base.args is None or ready is None:
            return base
        return ready.render(payload, base.args)

    def answered(self, node: str, payload: Mapping[str, Json], answer: str) -> Rendered:
        """What the task is called with, given a model's answer to the question of its transform."""
        at = self.graph.places[node]
        args, ready = self._args[at], self._transforms[at]
        assert ready is not None
        base = args.render(payload) if args is not None else Rendered(args={})
        return base if base.args is None else ready.answered(answer, base.args)


def payload(
    *,
    input: Json,  # noqa: A002 - the chain's own word
    origins: tuple[Origin, ...],
    results: Mapping[str, Json],
    gathered: frozenset[str] = frozenset(),
    more: Mapping[str, Json] | None = None,
    element: Json | msgspec.UnsetType = msgspec.UNSET,
    index: int | None = None,
) -> dict[str, Json]:
    """What conditions and templates see of the tasks that led here.

    `results` are by key. A node that led here once gives its result; one of `gathered` a list of them, in the order of
    its elements. With one origin `result` is its result, or the element of its fan-out; with several it is all of
    them by node. `more` are results of nodes further back, by name.
    """
    by_node: dict[str, Json] = dict(more or {})
    for origin in origins:
        found = results.get(origin.key)
        if origin.node in gathered:
            cast("list[Json]", by_node.setdefault(origin.node, [])).append(found)
        else:
            by_node[origin.node] = found
    made: dict[str, Json] = {"input": input, "results": by_node}
    names = {origin.node for origin in origins}
    if element is not msgspec.UNSET:
        made |= {"item": element, "index": index, "result": element}
    elif len(names) == 1:
        made["result"] = by_node[next(iter(names))]
    elif names:
        made["result"] = {name: by_node[name] for name in sorted(names)}
    return made


def facts_of(
    before: Mapping[str, Json], node: str, status: TaskStatus, result: Json, error: str = ""
) -> dict[str, Json]:
    """What the edges after a task see: what it saw itself, its own result, and how it ended."""
    results = {**cast("Mapping[str, Json]", before.get("results") or {}), node: result}
    made: dict[str, Json] = {**before, "result": result, "results": results, "status": status, "node": node}
    if error:
        made["error"] = error
    return made


def _readers(
    chain: Chain, roots: frozenset[str], *parts: list[Transform | None] | tuple[Transform | None, ...]
) -> frozenset[str]:
    """The nodes whose templates name one of the roots."""
    return frozenset(
        node.name
        for ready in parts
        for node, each in zip(chain.nodes, ready, strict=True)
        if each is not None and any(path and path[0] in roots for path in each.paths)
    )


def _look(
    edges: tuple[int, ...], when: tuple[Condition | None, ...], each: tuple[JsonPath | None, ...]
) -> Look:
    """What has to be read before the edges after a node can be decided."""
    looks: Look = "nothing"
    for edge in edges:
        condition, path = when[edge], each[edge]
        if condition is not None and any(fact[0] not in _OWN for fact in condition.facts):
            return "all"
        if path is not None and _FROM_FACTS.match(path.text) and not _FROM_RESULT.match(path.text):
            return "all"
        if condition is not None or path is not None:
            looks = "result"
    return looks


def _is_late(node: Node) -> bool:
    """Whether making its arguments may take long: a model is asked, a template has loops, or a path searches."""
    if node.chain:
        return False  # its input is made at once, for nobody runs it
    written = msgspec.json.encode((node.args, node.transform))
    engine = cast("Mapping[str, Json]", node.transform or {}).get("engine", "liquid")
    searches = engine == "jsonpath" and (b"?" in written or b".." in written or b"*" in written)
    return engine == "llm" or searches or b"{%" in written


def _named(paths: frozenset[tuple[str, ...]] | tuple[tuple[str, ...], ...]) -> set[str]:
    return {path[1] for path in paths if len(path) > 1 and path[0] == "results"}
