"""What the canvas draws, as values: nodes, edges, and how each state looks. It knows nothing of chains."""

from dataclasses import dataclass
from typing import Literal

State = Literal["", "waiting", "running", "done", "failed", "skipped", "unknown"]
Kind = Literal["success", "failure", "always"]
Detail = Literal["near", "far"]

WIDTH, HEIGHT = 176.0, 54.0
NEAR_FROM = 0.5  # below this zoom nodes are flat boxes without words


@dataclass(frozen=True, slots=True)
class StateLook:
    """A state is a glyph, a bar and a word; never a colour alone."""

    glyph: str
    ink: str
    bar: str


STATES: dict[State, StateLook] = {
    "": StateLook("", "text.tertiary", "line.strong"),
    "waiting": StateLook("clock", "text.secondary", "line.strong"),
    "running": StateLook("loader", "accent.text", "accent.fill"),
    "done": StateLook("check", "ok.mark", "ok.mark"),
    "failed": StateLook("circle-x", "err.mark", "err.mark"),
    "skipped": StateLook("minus", "text.tertiary", "line.strong"),
    "unknown": StateLook("circle-help", "warn.mark", "warn.mark"),
}
EDGE_INKS: dict[State, str] = {
    "": "line.strong",
    "waiting": "line.strong",
    "running": "accent.fill",
    "done": "ok.mark",
    "failed": "err.mark",
    "skipped": "line.strong",
    "unknown": "warn.mark",
}


@dataclass(frozen=True, slots=True)
class NodeLook:
    """A node: two lines of words and an icon; `said` is the word of its state, `x` and `y` its upper left corner."""

    key: str
    title: str
    detail: str
    icon: str
    x: float
    y: float
    state: State = ""
    said: str = ""
    fault: str = ""
    is_pinned: bool = False
    joins: str = ""


@dataclass(frozen=True, slots=True)
class EdgeLook:
    """An edge, by its place in the list; `chip` stands on it, with an icon and whether it held."""

    source: str
    target: str
    kind: Kind = "success"
    chip: str = ""
    chip_icon: str = ""
    held: Literal["", "yes", "no"] = ""
    state: State = ""
    count: str = ""
    fault: str = ""
