"""Pure: a chain from its text and back, held against everything that can be known before it runs.

    text ──parsed──▶ Chain (sound in every part, and as a graph)        Chain ──render──▶ text ──parsed──▶ the same Chain

Every fault is told at once, with its line where there is a text. What is checked of the graph is in `chain_graph`.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar, cast, get_args

import msgspec

from legion_core.engine import conditions, transforms
from legion_core.engine.chain import FORMAT, Chain, Edge, Join, Node, On
from legion_core.engine.chain_graph import graph_faults
from legion_core.engine.json_path import PathFault
from legion_core.engine.json_path import path as json_path
from legion_core.engine.refusal import FAULTS_MAX, InvalidDocument, nearest, shown
from legion_core.engine.types import Retry
from legion_core.engine.yaml_text import is_plain, read
from legion_core.kernel.config_check import Fault

NODES_MAX = 10_000
EDGES_MAX = 50_000
LOOPS_MAX = 10_000
DELAY_S_MAX = 366 * 86_400.0
TIMEOUT_S_MAX = 86_400.0
RETRIES_MAX = 100

_CHAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NODE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_TASK_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}(\.[a-z][a-z0-9_]{0,63}){2}")
_CHAIN_KEYS = ("name", "nodes", "edges", "description", "budget", "format")
_NODE_KEYS = ("task", "chain", "args", "transform", "join", "retry", "timeout_s")
_EDGE_KEYS = ("from", "to", "on", "when", "delay", "each")
_RETRY_KEYS = ("max", "delay_s", "factor", "delay_max_s")

T = TypeVar("T")


def parsed(text: str, *, known_task: Callable[[str], bool] | None = None) -> Chain:
    """The chain written in a YAML or JSON text; raises InvalidDocument with every fault and its line.

    `known_task` tells which tasks there are; without it, any well-formed name will do.
    """
    value, lines = read(text)
    return _built(value, lines, known_task)


def from_value(value: object, *, known_task: Callable[[str], bool] | None = None) -> Chain:
    """The chain of a document that has been read already; raises InvalidDocument."""
    return _built(value, {}, known_task)


def task_names(text: str, document: object = None) -> list[str]:
    """The names that stand for tasks in a text, or in a document read already, sound or not; each once."""
    value = document if document is not None else read(text)[0]
    nodes = cast("dict[object, object]", value).get("nodes") if isinstance(value, dict) else None
    found: dict[str, None] = {}
    for node in cast("dict[object, object]", nodes).values() if isinstance(nodes, dict) else ():
        name = cast("dict[object, object]", node).get("task") if isinstance(node, dict) else None
        if isinstance(name, str) and _TASK_NAME.fullmatch(name):
            found[name] = None
    return list(found)


def to_value(chain: Chain) -> dict[str, object]:
    """The document of a chain as plain JSON; `from_value` gives the same chain again."""
    made: dict[str, object] = {"name": chain.name}
    if chain.description:
        made["description"] = chain.description
    made["nodes"] = {node.name: _node_value(node) for node in chain.nodes}
    if chain.edges:
        made["edges"] = [_edge_value(edge) for edge in chain.edges]
    if chain.loops:
        made["budget"] = {"loops": chain.loops}
    return made


def render(chain: Chain) -> str:
    """The chain as YAML text, one node and one edge a line; `parsed` gives the same chain again."""
    document = to_value(chain)
    nodes = cast("dict[str, object]", document["nodes"])
    lines = [f"name: {_flow(chain.name)}"]
    if chain.description:
        lines.append(f"description: {_flow(chain.description)}")
    lines += ["nodes:", *(f"  {name}: {_flow(node)}" for name, node in nodes.items())]
    if chain.edges:
        lines += ["edges:", *(f"  - {_flow(edge)}" for edge in cast("list[object]", document["edges"]))]
    if chain.loops:
        lines.append(f"budget: {{loops: {chain.loops}}}")
    return "\n".join(lines) + "\n"


def _built(value: object, lines: Mapping[str, int], known_task: Callable[[str], bool] | None) -> Chain:
    reader = _Reader(known_task)
    chain = reader.chain(value)
    faults = reader.faults
    if not faults and chain is not None:
        faults = graph_faults(chain)
    if faults or chain is None:
        placed = [replace(each, line=_line_of(each.key, lines)) for each in faults[:FAULTS_MAX]]
        raise InvalidDocument("The chain", sorted(placed, key=lambda each: each.line or 0))
    return chain


def _line_of(key: str, lines: Mapping[str, int]) -> int | None:
    """Its own line, or that of the nearest part around it."""
    while key:
        if key in lines:
            return lines[key]
        cut = max(key.rfind("."), key.rfind("["))
        key = key[:cut] if cut > 0 else ""
    return lines.get("")


class _Reader:
    def __init__(self, known_task: Callable[[str], bool] | None) -> None:
        self.faults: list[Fault] = []
        self._known_task = known_task

    def chain(self, value: object) -> Chain | None:
        keys = self._object(value, "", _CHAIN_KEYS, "a chain")
        if keys is None:
            return None
        name = keys.get("name")
        if not isinstance(name, str) or not _CHAIN_NAME.fullmatch(name):
            what = "is missing." if "name" not in keys else f"{shown(name)} cannot be a chain's name."
            self.fault("name", what, "Letters, digits, dot, dash and underscore, at most 64.")
            name = ""
        description = keys.get("description", "")
        if not isinstance(description, str) or len(description) > 10_000:
            self.fault("description", "is a text of at most 10,000 characters.")
            description = ""
        if keys.get("format", FORMAT) != FORMAT:
            self.fault("format", f"is {shown(keys['format'])}; this version reads {FORMAT}.")
        nodes = self._nodes(keys)
        edges = self._edges(keys.get("edges", []), {node.name: node for node in nodes})
        loops = self._budget(keys.get("budget"))
        return Chain(name=name, description=description, nodes=tuple(nodes), edges=tuple(edges), loops=loops)

    def _nodes(self, keys: Mapping[str, object]) -> list[Node]:
        value = keys.get("nodes")
        if not isinstance(value, dict) or not value:
            what = "is missing." if "nodes" not in keys else "is an object with a name for each node."
            self.fault("nodes", what, "Write nodes: {NAME: {task: …}}.")
            return []
        found = cast("dict[object, object]", value)
        if len(found) > NODES_MAX:
            self.fault("nodes", f"there are {len(found)}; at most {NODES_MAX} are taken.")
            return []
        made: list[Node] = []
        for name, each in found.items():
            if not isinstance(name, str) or not _NODE_NAME.fullmatch(name):
                self.fault(
                    "nodes",
                    f"{shown(name)} cannot be a node's name.",
                    "A letter, then letters, digits, - and _.",
                )
            elif (node := self._node(name, each, f"nodes.{name}")) is not None:
                made.append(node)
        return made

    def _node(self, name: str, value: object, where: str) -> Node | None:
        keys = self._object(value, where, _NODE_KEYS, "a node")
        if keys is None:
            return None
        args = keys.get("args", {})
        self._inner(lambda: transforms.arguments(args, f"{where}.args"))
        if (transform := keys.get("transform")) is not None:
            self._inner(lambda: transforms.compiled(transform, f"{where}.transform"))
            if "chain" in keys and _engine_of(transform) == "llm":
                self.fault(
                    f"{where}.transform",
                    "a model cannot be asked for the input of a chain.",
                    "Ask it in a node before, by llm.chat.ask.",
                )
        self._what(keys, where)
        return Node(
            name=name,
            task=cast("str", keys.get("task", "")),
            chain=cast("str", keys.get("chain", "")),
            args=cast("dict[str, object]", args),
            transform=transform,
            join=self._join(keys.get("join"), f"{where}.join"),
            retry=self._retry(keys.get("retry"), f"{where}.retry"),
            timeout_s=self._number(keys, "timeout_s", where, TIMEOUT_S_MAX, None),
        )

    def _what(self, keys: Mapping[str, object], where: str) -> None:
        """Exactly one of `task` and `chain` is named, and well."""
        if ("task" in keys) == ("chain" in keys):
            self.fault(
                where, "names a task or a chain, one of the two.", "Write task: EXTENSION.RUNNER.FUNCTION."
            )
        elif "chain" in keys:
            name = keys["chain"]
            if not isinstance(name, str) or not _CHAIN_NAME.fullmatch(name):
                self.fault(f"{where}.chain", f"{shown(name)} cannot be a chain's name.")
        else:
            task = keys["task"]
            if not isinstance(task, str) or not _TASK_NAME.fullmatch(task):
                self.fault(
                    f"{where}.task",
                    f"{shown(task)} is not a task's name.",
                    "Write EXTENSION.RUNNER.FUNCTION.",
                )
            elif self._known_task is not None and not self._known_task(task):
                self.fault(
                    f"{where}.task", f"no extension has {task}.", "`legion extension list` shows them."
                )

    def _join(self, value: object, where: str) -> Join:
        if value is None or value in ("all", "any"):
            return cast("Join", value)
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= EDGES_MAX:
            return value
        self.fault(where, f"is all, any or a number from 1, not {shown(value)}.")
        return None

    def _retry(self, value: object, where: str) -> Retry | None:
        if value is None:
            return None
        keys = self._object(value, where, _RETRY_KEYS, "a retry")
        if keys is None:
            return None
        tries = keys.get("max", 0)
        if not isinstance(tries, int) or isinstance(tries, bool) or not 0 <= tries <= RETRIES_MAX:
            self.fault(f"{where}.max", f"is a whole number from 0 to {RETRIES_MAX}, not {shown(tries)}.")
            return None
        default = Retry()
        return Retry(
            max=tries,
            delay_s=self._number(keys, "delay_s", where, DELAY_S_MAX, default.delay_s),
            factor=self._number(keys, "factor", where, 10.0, default.factor),
            delay_max_s=self._number(keys, "delay_max_s", where, DELAY_S_MAX, default.delay_max_s),
        )

    def _edges(self, value: object, nodes: Mapping[str, Node]) -> list[Edge]:
        if not isinstance(value, list):
            self.fault("edges", f"expected a list, found {shown(value)}.", "Write - {from: A, to: B}.")
            return []
        found = cast("list[object]", value)
        if len(found) > EDGES_MAX:
            self.fault("edges", f"there are {len(found)}; at most {EDGES_MAX} are taken.")
            return []
        names = tuple(nodes) if len(nodes) <= 1000 else ()  # looking for the nearest of very many takes long
        made = [self._edge(each, f"edges[{at}]", nodes, names) for at, each in enumerate(found)]
        return [edge for edge in made if edge is not None]

    def _edge(
        self, value: object, where: str, nodes: Mapping[str, Node], names: tuple[str, ...]
    ) -> Edge | None:
        keys = self._object(value, where, _EDGE_KEYS, "an edge")
        if keys is None:
            return None
        ends: list[str] = []
        for key in ("from", "to"):
            name = keys.get(key)
            if not isinstance(name, str) or name not in nodes:
                what = "is missing." if key not in keys else f"there is no node {shown(name)}."
                self.fault(f"{where}.{key}", what, nearest(name, names) if key in keys else "")
            ends.append(cast("str", name))
        on = keys.get("on", "success")
        if on not in get_args(On):
            self.fault(
                f"{where}.on", f"is success, failure or always, not {shown(on)}.", nearest(on, get_args(On))
            )
        if (when := keys.get("when")) is not None:
            self.faults.extend(conditions.faults_of(when, f"{where}.when"))
        each = keys.get("each", "")
        try:
            if not isinstance(each, str):
                self.fault(f"{where}.each", f"is a JSONPath, not {shown(each)}.")
            elif "each" in keys:
                json_path(each)
        except PathFault as error:
            self.fault(f"{where}.each", str(error))
        delay_s = self._number(keys, "delay", where, DELAY_S_MAX, 0.0)
        return Edge(
            source=ends[0],
            target=ends[1],
            on=cast("On", on),
            when=when,
            each=cast("str", each),
            delay_s=delay_s,
        )

    def _budget(self, value: object) -> int:
        if value is None:
            return 0
        keys = self._object(value, "budget", ("loops",), "a budget")
        loops = keys.get("loops", 0) if keys is not None else 0
        if not isinstance(loops, int) or isinstance(loops, bool) or not 0 <= loops <= LOOPS_MAX:
            self.fault("budget.loops", f"is a whole number from 0 to {LOOPS_MAX}, not {shown(loops)}.")
            return 0
        return loops

    def _number(self, keys: Mapping[str, object], key: str, where: str, most: float, default: T) -> float | T:
        value = keys.get(key)
        if value is None:
            return default
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(cast("float", value)) or not 0 <= cast("float", value) <= most:
            self.fault(f"{where}.{key}", f"is a number from 0 to {most:g}, not {shown(value)}.")
            return default
        return float(cast("float", value))

    def _object(
        self, value: object, where: str, known: tuple[str, ...], what: str
    ) -> Mapping[str, object] | None:
        if not isinstance(value, dict):
            return self.fault(where, f"expected {what}, found {shown(value)}.")
        keys = cast("dict[object, object]", value)
        for key in keys:
            if key not in known:
                self.fault(
                    f"{where}.{key}".lstrip("."), f"there is no such part of {what}.", nearest(key, known)
                )
        return cast("dict[str, object]", keys)

    def _inner(self, build: Callable[[], object]) -> None:
        try:
            build()
        except InvalidDocument as error:
            self.faults.extend(error.faults)

    def fault(self, where: str, message: str, hint: str = "") -> None:
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(Fault(where, message, hint))


def _engine_of(transform: object) -> object:
    return cast("dict[object, object]", transform).get("engine") if isinstance(transform, dict) else None


def _node_value(node: Node) -> dict[str, object]:
    made = cast("dict[str, object]", msgspec.to_builtins(node))
    del made["name"]
    if not node.args:
        del made["args"]
    return made


def _edge_value(edge: Edge) -> dict[str, object]:
    made = cast("dict[str, object]", msgspec.to_builtins(edge))
    if not edge.delay_s:
        del made["delay"]
    return made


def _flow(value: object) -> str:
    """A value in YAML's flow style: JSON, but for words that need no quotes."""
    match value:
        case dict():
            pairs = cast("dict[str, object]", value).items()
            return "{" + ", ".join(f"{_flow(name)}: {_flow(each)}" for name, each in pairs) + "}"
        case list() | tuple():
            return "[" + ", ".join(_flow(each) for each in cast("list[object]", value)) + "]"
        case str():
            return value if is_plain(value) else _quoted(value)
        case _:
            return json.dumps(value)


def _quoted(text: str) -> str:
    """Double quotes, which read alike in YAML and JSON; what YAML does not print is escaped."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(
        letter if letter.isprintable() and letter not in "\ufeff\u2028\u2029" else _escaped(letter)
        for letter in quoted
    )


def _escaped(letter: str) -> str:
    code = ord(letter)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
