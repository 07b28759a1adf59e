"""The one registry of tools: found at run time, named for any client, each with what it may do to this computer."""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Protocol

from legion_core.api.mcp_types import Grant, Risk, Standing, ToolRow
from legion_core.kernel.clock import Clock
from legion_core.kernel.ports import Principal

NAME_CHARS_MAX = 64  # what the strictest clients take
FRESH_S = 0.25  # a listing this young is given again
TOOLS_MAX = 5_000
_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")


class Reporter(Protocol):
    """Hears of a call while it runs."""

    async def progress(self, done: float, total: float | None, message: str) -> None:
        """How far it is; `total` None: nobody knows."""
        ...

    async def log(self, level: str, text: str) -> None:
        """A line the tool wrote."""
        ...

    def began(self, *, task: str = "", run: str = "") -> None:
        """What runs for it."""
        ...


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call gave: text for a reader, and the same as an object where it is one."""

    text: str
    structured: Mapping[str, Any] | None = None
    is_error: bool = False


Call = Callable[[Principal, Mapping[str, Any], Reporter], Awaitable[ToolResult]]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool and how to run it. A cancelled call has ended what it began before the cancellation goes on."""

    row: ToolRow
    call: Call


Offer = Callable[[], Awaitable[Sequence[Tool]]]


@dataclass(slots=True)
class _Listing:
    tools: dict[str, Tool] = field(default_factory=dict[str, Tool])
    print: str = ""
    at_s: float = float("-inf")


class Catalogue:
    """Every tool of every source, by name. `sources` are asked anew when the last listing is no longer fresh."""

    def __init__(self, clock: Clock, sources: Sequence[Offer]) -> None:
        self._clock = clock
        self._sources = list(sources)
        self._listing = _Listing()
        self._reading = asyncio.Lock()
        self.on_change: Callable[[], None] = lambda: None

    def add(self, source: Offer) -> None:
        """Take one more source."""
        self._sources.append(source)
        self._listing.at_s = float("-inf")

    async def all(self, *, fresh_s: float = FRESH_S) -> Mapping[str, Tool]:
        """By name, in order; no older than `fresh_s`."""
        if self._clock.monotonic_s() - self._listing.at_s <= fresh_s:
            return self._listing.tools
        async with self._reading:
            if self._clock.monotonic_s() - self._listing.at_s <= fresh_s:
                return self._listing.tools
            await self._read()
        return self._listing.tools

    @property
    def print(self) -> str:
        """Changes whenever what is offered does."""
        return self._listing.print

    async def _read(self) -> None:
        found: dict[str, Tool] = {}
        for source in self._sources:
            for tool in await source():
                if len(found) >= TOOLS_MAX:
                    break
                found.setdefault(tool.row.name, tool)
        tools = {name: found[name] for name in sorted(found)}
        before = self._listing.print
        mark = hashlib.sha256()
        for tool in tools.values():
            mark.update(repr(tool.row).encode())
        self._listing = _Listing(tools, mark.hexdigest(), self._clock.monotonic_s())
        if before and before != self._listing.print:
            self.on_change()


def tool_name(*words: str) -> str:
    """A name any client takes: letters, digits, `_` and `-`, at most 64; a longer one ends in a mark of the whole."""
    whole = "-".join(words)
    name = _UNFIT.sub("-", whole.replace(".", "-")).strip("-") or "tool"
    if len(name) <= NAME_CHARS_MAX and name == whole.replace(".", "-"):
        return name
    mark = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"{name[: NAME_CHARS_MAX - 9]}-{mark}"


def standing(row: ToolRow, grant: Grant) -> Standing:
    """What a client with this grant may do with the tool. What only reads is allowed; a deny wins over everything."""
    if _names(grant.deny, row.name):
        return "hidden"
    if row.risk == "read" and row.source != "server":
        return "allowed"
    if not _names(grant.allow, row.name):
        return "hidden"
    return "asks" if row.risk == "danger" else "allowed"


def worst(risks: Sequence[Risk]) -> Risk:
    """The highest of them; of none, `read`."""
    return _ORDER[max(map(_ORDER.index, risks), default=0)]


_ORDER: tuple[Risk, ...] = ("read", "write", "danger")


def _names(patterns: Sequence[str], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
