"""Pure: a chain as a graph: who leads to whom, where it begins, what goes round, how deep its fan-outs stand.

A set of nodes is a whole number with a bit for each, so that "can anything still lead here?" is one `&`; the lower bit
belongs to the node that comes before.

    depth of a node = fan-outs that stand open around it: +1 over an edge with `each`, -1 at a node with `join`
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from legion_core.engine import conditions, transforms
from legion_core.engine.chain import Chain, Edge, Node
from legion_core.engine.refusal import FAULTS_MAX, nearest
from legion_core.kernel.config_check import Fault

DEPTH_MAX = 4
ROOTS = ("input", "result", "results", "status", "node", "error", "item", "index")
_PATH_SHOWN = 12


@dataclass(frozen=True)
class Graph:
    """The shape of a chain. Nodes and edges go by their place in the chain.

    `entries` are where a run begins; `order` has every node after those that lead to it, but for `back` edges, which
    close a cycle; `component` numbers the strongly connected parts in that order.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    places: dict[str, int]
    out: tuple[tuple[int, ...], ...]
    into: tuple[tuple[int, ...], ...]
    source: tuple[int, ...]
    target: tuple[int, ...]
    entries: tuple[int, ...]
    order: tuple[int, ...]
    component: tuple[int, ...]
    back: frozenset[int]
    depth: tuple[int, ...]

    @cached_property
    def rank(self) -> tuple[int, ...]:
        """The place of each node in `order`."""
        found = [0] * len(self.nodes)
        for place, node in enumerate(self.order):
            found[node] = place
        return tuple(found)

    @cached_property
    def bit(self) -> tuple[int, ...]:
        """By node: the set of it alone."""
        return tuple(1 << place for place in self.rank)

    def members(self, nodes: int) -> Iterator[int]:
        """The nodes of a set, each after those that lead to it."""
        while nodes:
            lowest = nodes & -nodes
            yield self.order[lowest.bit_length() - 1]
            nodes ^= lowest

    @cached_property
    def deepest(self) -> int:
        """How many fan-outs stand open at most."""
        return max(self.depth, default=0)

    @cached_property
    def at_least(self) -> tuple[int, ...]:
        """By depth: the set of nodes that stand that deep or deeper."""
        return tuple(
            sum(self.bit[node] for node, depth in enumerate(self.depth) if depth >= level)
            for level in range(self.deepest + 1)
        )

    @cached_property
    def reach(self) -> tuple[tuple[int, ...], ...]:
        """By depth and node: what it can lead to by nodes that stand that deep or deeper; itself only round a cycle."""
        return tuple(self._closure(level, forward=True) for level in range(self.deepest + 1))

    @cached_property
    def reached_by(self) -> tuple[tuple[int, ...], ...]:
        """By depth and node: what can lead to it by nodes that stand that deep or deeper."""
        return tuple(self._closure(level, forward=False) for level in range(self.deepest + 1))

    def _closure(self, level: int, *, forward: bool) -> tuple[int, ...]:
        """One pass over the components, each after all it leads to; the nodes of a cycle share their set."""
        sets = [0] * len(self.nodes)
        edges, far_end = (self.out, self.target) if forward else (self.into, self.source)
        for members in self._components(backwards=forward):
            inside = [node for node in members if self.depth[node] >= level]
            found = 0
            for node in inside:
                for edge in edges[node]:
                    other = far_end[edge]
                    if self.depth[other] >= level:
                        found |= sets[other] | self.bit[other]
            if len(inside) > 1:
                found |= sum(self.bit[node] for node in inside)
            for node in inside:
                sets[node] = found
        return tuple(sets)

    def _components(self, *, backwards: bool) -> Iterator[list[int]]:
        grouped: dict[int, list[int]] = {}
        for node in self.order:
            grouped.setdefault(self.component[node], []).append(node)
        numbers = sorted(grouped, reverse=backwards)
        return (grouped[number] for number in numbers)

    def is_cyclic(self, node: int) -> bool:
        """Whether it can lead to itself."""
        return any(self.component[self.target[edge]] == self.component[node] for edge in self.out[node])

    def is_pooled(self, node: int) -> bool:
        """Whether arrivals wait there for each other."""
        return self.nodes[node].join is not None or len(self.into[node]) > 1


def graph_of(chain: Chain) -> Graph:
    """The graph of a chain whose edges name nodes that exist. Depths are right only if `graph_faults` finds none."""
    places = {node.name: at for at, node in enumerate(chain.nodes)}
    source = tuple(places[edge.source] for edge in chain.edges)
    target = tuple(places[edge.target] for edge in chain.edges)
    out: list[list[int]] = [[] for _ in chain.nodes]
    into: list[list[int]] = [[] for _ in chain.nodes]
    for edge in range(len(chain.edges)):
        out[source[edge]].append(edge)
        into[target[edge]].append(edge)
    entries = [node for node, edges in enumerate(into) if not edges] or ([0] if chain.nodes else [])
    order, back = _walk(entries, out, target)
    component = _components(order, out, into, source, target)
    # A cycle's nodes stand together in the order, as its numbers do.
    order.sort(key=lambda node: component[node])
    depth = _depths(chain, order, into, source, back)
    return Graph(
        nodes=chain.nodes,
        edges=chain.edges,
        places=places,
        out=tuple(map(tuple, out)),
        into=tuple(map(tuple, into)),
        source=source,
        target=target,
        entries=tuple(entries),
        order=tuple(order),
        component=tuple(component),
        back=frozenset(back),
        depth=tuple(depth),
    )


def graph_faults(chain: Chain) -> list[Fault]:
    """What is wrong with a chain as a whole, its parts being sound."""
    graph = graph_of(chain)
    faults = [*_unreachable(graph), *_cycles(graph, chain.loops), *_self_calls(chain)]
    if not faults:
        faults = [*_depth_faults(graph), *_join_faults(graph)]
    if not faults:
        faults = list(_name_faults(graph))
    return faults[:FAULTS_MAX]


def _walk(entries: list[int], out: list[list[int]], target: tuple[int, ...]) -> tuple[list[int], set[int]]:
    """Every node after those that lead to it, and the edges that close a cycle, by a walk in depth."""
    state = [0] * len(out)  # 1 while its descendants are walked, 2 after
    finished: list[int] = []
    back: set[int] = set()
    for start in [
        *entries,
        *range(len(out)),
    ]:  # what no entry reaches is walked last, for its faults to be told
        if state[start]:
            continue
        state[start] = 1
        stack = [(start, iter(out[start]))]
        while stack:
            node, edges = stack[-1]
            for edge in edges:
                other = target[edge]
                if state[other] == 1:
                    back.add(edge)
                elif state[other] == 0:
                    state[other] = 1
                    stack.append((other, iter(out[other])))
                    break
            else:
                state[node] = 2
                finished.append(node)
                stack.pop()
    finished.reverse()
    return finished, back


def _components(
    order: list[int],
    out: list[list[int]],
    into: list[list[int]],
    source: tuple[int, ...],
    target: tuple[int, ...],
) -> list[int]:
    """Kosaraju: taken in the order of the walk, whatever leads to a node and has no number yet is in its cycle."""
    component = [-1] * len(out)
    number = 0
    for start in order:
        if component[start] >= 0:
            continue
        component[start] = number
        todo = [start]
        while todo:
            for edge in into[todo.pop()]:
                other = source[edge]
                if component[other] < 0:
                    component[other] = number
                    todo.append(other)
        number += 1
    return component


def _depths(
    chain: Chain, order: list[int], into: list[list[int]], source: tuple[int, ...], back: set[int]
) -> list[int]:
    depth = [0] * len(chain.nodes)
    done: set[int] = set()
    # Within a cycle the order of the walk, not that of the components, is the one to follow.
    for node in order:
        given = [
            depth[source[edge]] + bool(chain.edges[edge].each)
            for edge in into[node]
            if edge not in back and source[edge] in done
        ]
        highest = max(given, default=0)
        depth[node] = max(0, highest - 1) if chain.nodes[node].join is not None else highest
        done.add(node)
    return depth


def _unreachable(graph: Graph) -> Iterator[Fault]:
    seen: set[int] = set()
    todo = list(graph.entries)
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo.extend(graph.target[edge] for edge in graph.out[node])
    for node in range(len(graph.nodes)):
        if node not in seen:
            name = graph.nodes[node].name
            yield Fault(
                f"nodes.{name}",
                f"{name} is never reached.",
                "Let an edge lead to it, or take its incoming edges away.",
            )


def _cycles(graph: Graph, loops: int) -> Iterator[Fault]:
    if loops:
        return
    told: set[int] = set()
    for edge in sorted(graph.back):
        component = graph.component[graph.source[edge]]
        if component not in told:
            told.add(component)
            names = [graph.nodes[node].name for node in _path(graph, graph.target[edge], graph.source[edge])]
            if len(names) > _PATH_SHOWN:
                names = [*names[: _PATH_SHOWN - 1], "…", names[-1]]
            path = " → ".join([*names, graph.edges[edge].target])
            hint = "Take an edge away, or allow it with budget: {loops: N}."
            yield Fault(f"edges[{edge}]", f"this leads round in a circle: {path}.", hint)


def _path(graph: Graph, start: int, end: int) -> list[int]:
    """A shortest way from one node to the other; there is one."""
    came: dict[int, int] = {start: start}
    todo = [start]
    for node in todo:
        if node == end:
            break
        for edge in graph.out[node]:
            other = graph.target[edge]
            if other not in came:
                came[other] = node
                todo.append(other)
    way = [end]
    while way[-1] != start:
        way.append(came[way[-1]])
    return way[::-1]


def _self_calls(chain: Chain) -> Iterator[Fault]:
    for node in chain.nodes:
        if node.chain == chain.name:
            yield Fault(
                f"nodes.{node.name}.chain", "the chain would start itself.", "Use a loop with a budget."
            )


def _depth_faults(graph: Graph) -> Iterator[Fault]:
    """Fan-outs are closed one at a time, and what meets without `join` stands equally deep."""
    for edge, each in enumerate(graph.edges):
        source, target = graph.source[edge], graph.target[edge]
        given = graph.depth[source] + bool(each.each)
        node, where = graph.nodes[target], f"edges[{edge}]"
        if node.join is not None and each.each:
            yield Fault(where, f"fans out right into the join {node.name}.", "Put a task between.")
        elif node.join is not None and given not in (graph.depth[target], graph.depth[target] + 1):
            yield Fault(
                where, f"{node.name} cannot join fan-outs of such different depth.", "Join them one by one."
            )
        elif node.join is None and given != graph.depth[target]:
            yield Fault(
                where,
                f"{each.source} and the other parents of {node.name} do not stand in the same fan-out.",
                f"Give {node.name} a join, which closes it.",
            )
    for at, depth in enumerate(graph.depth):
        if depth > DEPTH_MAX:
            name = graph.nodes[at].name
            yield Fault(
                f"nodes.{name}", f"{name} stands {depth} fan-outs deep; at most {DEPTH_MAX} are opened."
            )


def _join_faults(graph: Graph) -> Iterator[Fault]:
    for at, node in enumerate(graph.nodes):
        if node.join is None:
            continue
        where = f"nodes.{node.name}.join"
        gathers = any(graph.depth[graph.source[edge]] > graph.depth[at] for edge in graph.into[at])
        if not graph.into[at]:
            yield Fault(where, f"nothing leads to {node.name}, so it has nothing to wait for.")
        elif graph.is_cyclic(at):
            yield Fault(where, f"{node.name} would wait for itself.", "Put the loop into a chain of its own.")
        elif isinstance(node.join, int) and not gathers and node.join > len(graph.into[at]):
            yield Fault(where, f"waits for {node.join}, but {len(graph.into[at])} edges lead to {node.name}.")


def _name_faults(graph: Graph) -> Iterator[Fault]:
    """What conditions and templates read is there: known roots, and results of nodes that come before."""
    for at, node in enumerate(graph.nodes):
        paths = transforms.arguments(dict(node.args)).paths if node.args else frozenset[tuple[str, ...]]()
        if node.transform is not None:
            paths |= transforms.compiled(node.transform).paths
        for path in sorted(paths):
            if fault := _name_fault(graph, path, at, is_before=True):
                yield Fault(f"nodes.{node.name}", *fault)
    for at, edge in enumerate(graph.edges):
        if edge.when is not None:
            for path in conditions.compiled(edge.when).facts:
                if fault := _name_fault(graph, path, graph.source[at], is_before=False):
                    yield Fault(f"edges[{at}].when", *fault)


def _name_fault(graph: Graph, path: tuple[str, ...], node: int, *, is_before: bool) -> tuple[str, str] | None:
    if not path:
        return None
    written = ".".join(path)
    if path[0] not in ROOTS:
        return f"{written}: there is no {path[0]!r} in a chain.", nearest(path[0], ROOTS)
    if is_before and path[0] in ("result", "results", "status", "node", "error") and not graph.into[node]:
        return f"{written}: nothing comes before {graph.nodes[node].name}.", "Only input is there."
    if path[0] != "results" or len(path) < 2:
        return None
    other = graph.places.get(path[1])
    if other is None:
        return f"{written}: there is no node {path[1]!r}.", nearest(path[1], tuple(graph.places))
    may_be_itself = not is_before and other == node
    if not may_be_itself and not graph.reached_by[0][node] & graph.bit[other]:
        return f"{written}: {path[1]} does not come before {graph.nodes[node].name}.", ""
    return None
