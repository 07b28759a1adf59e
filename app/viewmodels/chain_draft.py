"""A chain while it is edited: as it is written, sound or not, with the places of its nodes. Pure.

A draft never changes; every act gives another one. So taking an act back is putting the draft before it back, and what
comes back is the same to the byte. What the text says and the engine does not know is kept, to be told as a fault.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

Fields = Mapping[str, object]
Place = tuple[int, int]
NODE_KEYS = ("task", "chain", "args", "transform", "join", "retry", "timeout_s")
EDGE_KEYS = ("on", "when", "delay", "each")
NODE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
CHAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
GRID = 8
_NO_FIELDS: Fields = {}


@dataclass(frozen=True, slots=True)
class NodeDraft:
    """One node: its name, and the rest of it as written."""

    name: str
    fields: Fields = field(default_factory=dict[str, object])

    @property
    def task(self) -> str:
        """The dotted name of its task; empty for a sub-chain or while nothing is chosen."""
        return _text(self.fields.get("task"))

    @property
    def chain(self) -> str:
        """The chain it starts; empty for a task."""
        return _text(self.fields.get("chain"))

    @property
    def args(self) -> Fields:
        """What is given to the task, templates and all."""
        found = self.fields.get("args")
        return cast("Fields", found) if isinstance(found, dict) else _NO_FIELDS

    @property
    def transform(self) -> Fields | None:
        """The transform as written; None without one."""
        found = self.fields.get("transform")
        return cast("Fields", found) if isinstance(found, dict) else None


@dataclass(frozen=True, slots=True)
class EdgeDraft:
    """What follows what; the rest as written."""

    source: str
    target: str
    fields: Fields = field(default_factory=dict[str, object])

    @property
    def on(self) -> str:
        """The outcome it follows: success, failure or always."""
        return _text(self.fields.get("on")) or "success"

    @property
    def when(self) -> Fields | None:
        """The condition as written; None without one."""
        found = self.fields.get("when")
        return cast("Fields", found) if isinstance(found, dict) else None

    @property
    def delay_s(self) -> float:
        """Seconds until the target runs."""
        found = self.fields.get("delay")
        return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else 0.0

    @property
    def each(self) -> str:
        """The JSONPath of a fan-out, or empty."""
        return _text(self.fields.get("each"))


@dataclass(frozen=True, slots=True)
class Draft:
    """The whole chain. `head` is all of the document but nodes and edges; `places` are px on the canvas, by node.

    `text` is what it was read from, comments and all; empty where it is to be written anew (`chain_text`).
    """

    head: Fields = field(default_factory=dict[str, object])
    nodes: tuple[NodeDraft, ...] = ()
    edges: tuple[EdgeDraft, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict[str, Place])
    text: str = ""

    @property
    def name(self) -> str:
        """The chain's name."""
        return _text(self.head.get("name"))

    @property
    def loops(self) -> int:
        """How often it may lead round again."""
        budget = self.head.get("budget")
        found = cast("Fields", budget).get("loops") if isinstance(budget, dict) else 0
        return found if isinstance(found, int) and not isinstance(found, bool) else 0

    def node(self, name: str) -> NodeDraft | None:
        """A node by name."""
        return next((node for node in self.nodes if node.name == name), None)

    def document(self) -> dict[str, object]:
        """The chain as a document, without places."""
        made: dict[str, object] = dict(self.head)
        made["nodes"] = {node.name: dict(node.fields) for node in self.nodes}
        if self.edges:
            made["edges"] = [{"from": edge.source, "to": edge.target, **edge.fields} for edge in self.edges]
        return made

    def free_name(self, wish: str) -> str:
        """A name for a new node: `wish`, or it with the next free number."""
        taken = {node.name for node in self.nodes}
        base = _clean(wish)
        if base not in taken:
            return base
        stem = re.sub(r"-\d+$", "", base)[:58] or "node"
        number = 2
        while f"{stem}-{number}" in taken:
            number += 1
        return f"{stem}-{number}"

    # Acts: each gives the draft after it

    def with_head(self, key: str, value: object) -> "Draft":
        """Another name, description or budget; None takes it away."""
        return replace(self, head=changed(self.head, key, value))

    def with_node(self, node: NodeDraft, place: Place, after: str = "") -> "Draft":
        """One node more, at a place; connected from `after` if that is given."""
        edges = (*self.edges, EdgeDraft(after, node.name)) if after else self.edges
        return replace(
            self, nodes=(*self.nodes, node), edges=edges, places={**self.places, node.name: snapped(place)}
        )

    def with_fields(self, name: str, fields: Fields) -> "Draft":
        """A node's own fields anew."""
        nodes = tuple(NodeDraft(name, fields) if node.name == name else node for node in self.nodes)
        return replace(self, nodes=nodes)

    def renamed(self, old: str, new: str) -> "Draft":
        """Another name for a node; edges, and what reads its result by name, follow."""
        mend = _Renaming(old, new)
        nodes = tuple(
            NodeDraft(new if node.name == old else node.name, cast("Fields", mend.of(node.fields)))
            for node in self.nodes
        )
        edges = tuple(
            EdgeDraft(
                new if edge.source == old else edge.source,
                new if edge.target == old else edge.target,
                cast("Fields", mend.of(edge.fields)),
            )
            for edge in self.edges
        )
        places = {(new if name == old else name): place for name, place in self.places.items()}
        return replace(self, nodes=nodes, edges=edges, places=places)

    def without(self, names: Iterable[str] = (), edges: Iterable[int] = ()) -> "Draft":
        """Without these nodes, their edges, and these other edges."""
        gone, cut = frozenset(names), frozenset(edges)
        return replace(
            self,
            nodes=tuple(node for node in self.nodes if node.name not in gone),
            edges=tuple(
                edge
                for at, edge in enumerate(self.edges)
                if at not in cut and edge.source not in gone and edge.target not in gone
            ),
            places={name: place for name, place in self.places.items() if name not in gone},
        )

    def connected(self, source: str, target: str, fields: Fields = _NO_FIELDS) -> "Draft":
        """One edge more."""
        return replace(self, edges=(*self.edges, EdgeDraft(source, target, fields)))

    def with_edge(self, at: int, fields: Fields) -> "Draft":
        """An edge's own fields anew."""
        old = self.edges[at]
        edges = (*self.edges[:at], EdgeDraft(old.source, old.target, fields), *self.edges[at + 1 :])
        return replace(self, edges=edges)

    def moved(self, places: Mapping[str, Place]) -> "Draft":
        """Nodes at other places."""
        return replace(
            self, places={**self.places, **{name: snapped(place) for name, place in places.items()}}
        )

    def cut_out(self, names: Iterable[str]) -> "Draft":
        """These nodes and the edges between them, as a draft of its own: what is copied."""
        kept = frozenset(names)
        return Draft(
            head={"name": self.name},
            nodes=tuple(node for node in self.nodes if node.name in kept),
            edges=tuple(edge for edge in self.edges if edge.source in kept and edge.target in kept),
            places={name: place for name, place in self.places.items() if name in kept},
        )

    def with_pasted(self, clip: "Draft", by: Place) -> "tuple[Draft, tuple[str, ...]]":
        """Another draft's nodes and edges added under free names, moved by `by`; the names they got."""
        made, names = self, dict[str, str]()
        for node in clip.nodes:
            name = names[node.name] = made.free_name(node.name)
            x, y = clip.places.get(node.name, (0, 0))
            made = made.with_node(NodeDraft(name, node.fields), (x + by[0], y + by[1]))
        for old, new in names.items():
            if old != new:
                mend = _Renaming(old, new)
                nodes = tuple(
                    NodeDraft(node.name, cast("Fields", mend.of(node.fields)))
                    if node.name in names.values()
                    else node
                    for node in made.nodes
                )
                made = replace(made, nodes=nodes)
        for edge in clip.edges:
            fields: object = edge.fields
            for old, new in names.items():
                fields = _Renaming(old, new).of(fields)
            made = made.connected(names[edge.source], names[edge.target], cast("Fields", fields))
        return made, tuple(names.values())


def draft_of(document: object, places: Mapping[str, Place] | None = None, text: str = "") -> Draft | None:
    """The draft of a document that was read from `text`; None where it has not even the shape of a chain."""
    if not isinstance(document, dict):
        return None
    keys = cast("dict[str, object]", document)
    nodes, edges = keys.get("nodes", {}), keys.get("edges", [])
    if not isinstance(nodes, dict) or not isinstance(edges, list):
        return None
    made: list[NodeDraft] = []
    for name, fields in cast("dict[str, object]", nodes).items():
        if not isinstance(fields, dict):
            return None
        made.append(NodeDraft(name, cast("Fields", fields)))
    links: list[EdgeDraft] = []
    names = {node.name for node in made}
    for edge in cast("list[object]", edges):
        if not isinstance(edge, dict):
            return None
        found = cast("dict[str, object]", edge)
        source, target = found.get("from"), found.get("to")
        if source not in names or target not in names:
            return None
        rest = {key: value for key, value in found.items() if key not in ("from", "to")}
        links.append(EdgeDraft(cast("str", source), cast("str", target), rest))
    head = {key: value for key, value in keys.items() if key not in ("nodes", "edges")}
    return Draft(head, tuple(made), tuple(links), dict(places or {}), text)


def changed(fields: Fields, key: str, value: object) -> Fields:
    """The fields with one set, or taken away where `value` is None; the order of the others stays."""
    made = {name: old for name, old in fields.items() if name != key or value is not None}
    if value is not None:
        made[key] = value
    return made


def snapped(place: Place) -> Place:
    """The nearest point of the grid."""
    return (round(place[0] / GRID) * GRID, round(place[1] / GRID) * GRID)


def aligned(places: Mapping[str, Place], way: str) -> Mapping[str, Place]:
    """Places in one column (`left`), one row (`top`), or spread evenly (`across`, `down`)."""
    if len(places) < 2:
        return places
    match way:
        case "left":
            x = min(place[0] for place in places.values())
            return {name: (x, place[1]) for name, place in places.items()}
        case "top":
            y = min(place[1] for place in places.values())
            return {name: (place[0], y) for name, place in places.items()}
        case _:
            axis = 0 if way == "across" else 1
            order = sorted(places, key=lambda name: (places[name][axis], name))
            first, last = places[order[0]][axis], places[order[-1]][axis]
            step = (last - first) / (len(order) - 1)
            made: dict[str, Place] = {}
            for at, name in enumerate(order):
                x, y = places[name]
                along = round(first + at * step)
                made[name] = (along, y) if axis == 0 else (x, along)
            return made


def names_of(nodes: Sequence[NodeDraft]) -> tuple[str, ...]:
    """The names of nodes."""
    return tuple(node.name for node in nodes)


class _Renaming:
    """Mends what reads a node's result by name: `results.OLD`, `results["OLD"]`."""

    def __init__(self, old: str, new: str) -> None:
        word = re.escape(old)
        self._dotted = re.compile(rf"(?<![\w.-])(\$\.)?results\.{word}(?![\w-])")
        self._quoted = re.compile(rf"(?<![\w.-])((?:\$\.)?results)\[(['\"]){word}\2\]")
        self._old, self._new = old, new

    def of(self, value: object) -> object:
        match value:
            case str() if "results" in value:
                mended = self._dotted.sub(lambda found: f"{found[1] or ''}results.{self._new}", value)
                return self._quoted.sub(lambda found: f"{found[1]}[{found[2]}{self._new}{found[2]}]", mended)
            case dict():
                return {key: self.of(each) for key, each in cast("Fields", value).items()}
            case list():
                return [self.of(each) for each in cast("list[object]", value)]
            case _:
                return value


def _clean(wish: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", wish).strip("-")[:64]
    return name if NODE_NAME.fullmatch(name) else f"n-{name}"[:64].rstrip("-") if name else "node"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
