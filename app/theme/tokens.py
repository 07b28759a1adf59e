"""The design tokens: every colour, size and space, read once from `resources/tokens.json`; knows no Qt.

`load_tokens(theme, scale, accent)` gives a frozen `Tokens`. Widgets do not call it: they ask `app.theme.apply.look()`,
which holds the tokens in force together with the fonts and colours made from them.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, cast

from app.theme.contrast import accent_group

Theme = Literal["light", "dark", "highContrast"]
Tier = Literal["local", "direct", "fleet", "cloud", "frontier"]
TextStyle = Literal[
    "display", "title", "heading", "body", "ui", "uiStrong", "small", "caption", "code", "codeSmall"
]

THEMES: tuple[Theme, ...] = ("light", "dark", "highContrast")
TIERS: tuple[Tier, ...] = ("local", "direct", "fleet", "cloud", "frontier")
TEXT_STYLES: tuple[TextStyle, ...] = (
    "display", "title", "heading", "body", "ui", "uiStrong", "small", "caption", "code", "codeSmall",
)  # fmt: skip
SCALE_MIN, SCALE_MAX = 0.8, 2.0


@dataclass(frozen=True, slots=True)
class TypeStyle:
    """One text style at the current scale: sizes in px (may be fractional), weight 100–900."""

    size_px: float
    line_px: int
    weight: int
    tracking_px: float
    mono: bool


@dataclass(frozen=True, slots=True)
class Tokens:
    """All numbers of one theme at one text scale."""

    theme: Theme
    scale: float
    colours: dict[str, str]
    types: dict[str, TypeStyle]
    spaces: tuple[int, ...]
    radii: dict[str, int]
    sizes: dict[str, int]

    def hex(self, name: str) -> str:
        """`#RRGGBB` (or `#AARRGGBB` for the scrim); KeyError for a name that is not a token."""
        return self.colours[name]

    def px(self, length: float) -> int:
        """A length that grows with the text (row heights, controls), in whole px at this scale."""
        return round(length * self.scale)

    def size(self, name: str) -> int:
        """A named size (`rail`, `header`, `row`, …) in px, scaled where it holds text."""
        value = self.sizes[name]
        return value if name in UNSCALED_SIZES else self.px(value)

    def space(self, step: int) -> int:
        """Space of step 0–10: 0 2 4 6 8 12 16 20 24 32 48 px; spaces do not scale."""
        return self.spaces[step]

    def radius(self, name: str) -> int:
        """Corner radius in px: xs 3, s 5, m 7, l 10, pill."""
        return self.radii[name]


# Region widths keep their px at any text scale: the columns elide instead.
UNSCALED_SIZES = frozenset({"rail", "railItem", "iconS", "icon", "iconL", "tierMark"})


def resource_path(*parts: str) -> Path:
    """The path of a file under `resources/`, the same in a checkout, a wheel and a frozen folder."""
    return Path(__file__).resolve().parents[2].joinpath("resources", *parts)


def load_tokens(theme: Theme, scale: float = 1.0, accent: str | None = None) -> Tokens:
    """The tokens of `theme` at text scale 0.8–2.0 (clamped).

    `accent` is `#RRGGBB`; it replaces the accent group after the contrast check, moved to the nearest lightness that
    passes. The high contrast theme keeps its own accent.
    """
    raw = raw_tokens()
    scale = min(max(scale, SCALE_MIN), SCALE_MAX)
    colours = dict(cast("dict[str, dict[str, str]]", raw["themes"])[theme])
    if accent is not None and theme != "highContrast":
        colours.update(accent_group(accent, colours, dark=theme == "dark"))
    types = {
        name: TypeStyle(
            size_px=style["px"] * scale,
            line_px=round(style["line"] * scale),
            weight=int(style["weight"]),
            tracking_px=style["tracking"] * scale,
            mono=name.startswith("code"),
        )
        for name, style in cast("dict[str, dict[str, float]]", raw["type"]).items()
    }
    return Tokens(
        theme=theme,
        scale=scale,
        colours=colours,
        types=types,
        spaces=tuple(cast("dict[str, int]", raw["space"]).values()),
        radii=cast("dict[str, int]", raw["radius"]),
        sizes=cast("dict[str, int]", raw["size"]),
    )


@cache
def raw_tokens() -> dict[str, object]:
    """The parsed file, as it is; for the tests and the font families."""
    return cast("dict[str, object]", json.loads(resource_path("tokens.json").read_text(encoding="utf-8")))
