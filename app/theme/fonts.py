"""The bundled fonts: Inter for the interface, JetBrains Mono for code, so that no text depends on the host."""

import math
from typing import cast

from PySide6.QtGui import QFont, QFontDatabase

from app.theme.tokens import TypeStyle, raw_tokens, resource_path

# The bundled Inter has a name of its own: see resources/fonts/README.md.
BUNDLED = {"Inter": "Workbench Inter"}


def load_fonts() -> list[str]:
    """Adds every bundled font file to the application; returns the families found.

    Call once, after the application exists. A file that Qt cannot read is skipped: the fallback families serve.
    """
    families: set[str] = set()
    for path in sorted(resource_path("fonts").glob("*.[ot]tf")):
        number = QFontDatabase.addApplicationFont(str(path))
        if number >= 0:
            families.update(QFontDatabase.applicationFontFamilies(number))
    return sorted(families)


def make_font(style: TypeStyle, weight: int | None = None, *, italic: bool = False) -> QFont:
    """A QFont of `style` with the features of the house: tabular digits, slashed zero, every character as it is."""
    raw = cast("dict[str, object]", raw_tokens()["font"])
    kind = "mono" if style.mono else "ui"
    family = cast("str", raw[kind])
    font = QFont([BUNDLED.get(family, family), family, *cast("list[str]", raw[f"{kind}Fallback"])])
    font.setPixelSize(whole_px(style.size_px))
    font.setWeight(QFont.Weight(weight or style.weight))
    if italic:
        font.setItalic(True)
    if style.tracking_px:
        font.setLetterSpacing(QFont.SpacingType.AbsoluteSpacing, style.tracking_px)
    for tag in cast("dict[str, list[str]]", raw["features"])[kind]:
        font.setFeature(QFont.Tag(tag), 1)
    # Contextual forms make another text of it: Inter draws the x of an id such as 90x20 as a times sign, -> as an arrow.
    font.setFeature(QFont.Tag("calt"), 0)
    if style.mono:
        font.setStyleHint(QFont.StyleHint.Monospace)
    font.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    return font


def whole_px(size_px: float) -> int:
    """The size Qt can set: whole px, a half goes down.

    Qt 6.11 rounds fractional sizes itself, half up: 12.5 px set in points came out with the advance of 13 px, which
    makes code wider than the interface around it.
    """
    return max(1, math.ceil(size_px - 0.5))
