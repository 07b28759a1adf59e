"""Pure: a chain as it is kept: nodes that name tasks, edges that say what follows what."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from legion_core.engine.types import Json, Retry

FORMAT = 1  # of the document; a later one is refused, never guessed at

On = Literal["success", "failure", "always"]
Join = Literal["all", "any"] | int | None


class Node(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One task of a chain, or another chain (`chain`); exactly one of the two is named.

    `join` None waits for all that can still come and runs once if nothing before it broke; `all`, `any` and a number
    say how many of its parents have to arrive. `retry` and `timeout_s` None: as the function says.
    """

    name: str
    task: str = ""
    chain: str = ""
    args: Mapping[str, Json] = msgspec.field(default_factory=dict[str, Json])
    transform: Json = None
    join: Join = None
    retry: Retry | None = None
    timeout_s: float | None = None


class Edge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What follows `source`: `target`, if it ended as `on` says and `when` holds, `delay_s` later.

    `each` is a JSONPath: the target runs once for every value it finds.
    """

    source: str = msgspec.field(name="from")
    target: str = msgspec.field(name="to")
    on: On = "success"
    when: Json = None
    delay_s: float = msgspec.field(default=0.0, name="delay")
    each: str = ""


class Chain(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A whole chain. `loops` is how often its edges may lead round again in one run; 0 forbids cycles.

    `version` counts what was applied under this name, and is no part of the document.
    """

    name: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()
    description: str = ""
    loops: int = 0
    version: int = 0
    format: int = FORMAT
