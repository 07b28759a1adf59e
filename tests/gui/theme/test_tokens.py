"""The tokens: complete in every theme, readable in every pair they are used in, and the only home of a colour."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.theme.contrast import contrast
from app.theme.tokens import TEXT_STYLES, THEMES, TIERS, Theme, load_tokens, resource_path

APP = Path(__file__).resolve().parents[3] / "app"
SURFACES = ("bg.side", "bg.content", "bg.raised", "bg.sunken", "bg.hover", "bg.selected")


def pairs() -> list[tuple[str, str, float]]:
    """Which token stands on which, with its floor."""
    found = [
        (f"text.{t}", s, 4.5) for t in ("primary", "secondary", "tertiary") for s in (*SURFACES, "bg.rail")
    ]
    found += [("text.secondary", "bg.pressed", 4.5), ("text.primary", "bg.pressed", 4.5)]
    found += [
        ("accent.text", s, 4.5) for s in ("bg.content", "bg.side", "bg.raised", "bg.hover", "accent.soft")
    ]
    found += [("text.onAccent", f"accent.{s}", 4.5) for s in ("fill", "hover", "pressed")]
    found += [("text.primary", s, 4.5) for s in ("accent.soft", "ok.soft", "warn.soft", "err.soft")]
    for kind in ("ok", "warn", "err"):
        grounds = ("bg.content", "bg.side", "bg.hover", f"{kind}.soft")
        found += [(f"{kind}.text", s, 4.5) for s in grounds] + [(f"{kind}.mark", s, 3.0) for s in grounds]
    found += [(f"tier.{t}", s, 3.0) for t in TIERS for s in SURFACES]
    classes = ("keyword", "string", "number", "function", "comment")
    found += [(f"code.{c}", s, 4.5) for c in classes for s in ("bg.sunken", "bg.content")]
    found += [("line.strong", s, 3.0) for s in ("bg.content", "bg.side", "bg.raised", "bg.sunken")]
    return found + [("focus.ring", s, 3.0) for s in SURFACES]


@pytest.mark.parametrize("theme", THEMES)
def test_every_pair_of_tokens_keeps_its_contrast_floor(theme: Theme) -> None:
    tokens = load_tokens(theme)
    weak = [
        (ink, ground, round(contrast(tokens.hex(ink), tokens.hex(ground)), 2))
        for ink, ground, floor in pairs()
        if contrast(tokens.hex(ink), tokens.hex(ground)) < floor
    ]
    assert weak == []


def test_all_themes_name_the_same_tokens_and_all_styles_exist() -> None:
    names = [set(load_tokens(theme).colours) for theme in THEMES]
    assert names[0] == names[1] == names[2]
    assert set(load_tokens("light").types) == set(TEXT_STYLES)


def test_no_colour_is_written_in_the_app_outside_the_token_file() -> None:
    colour = re.compile(
        r"""["'`]#(?:[0-9A-Fa-f]{3,4}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})["'`;]|QColor\(\s*["'\d]"""
    )
    found = [
        f"{path.relative_to(APP)}:{number}"
        for path in sorted(APP.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if colour.search(line)
    ]
    assert found == []


def test_the_style_sheet_names_only_tokens_that_exist_and_no_colour_of_its_own() -> None:
    text = resource_path("theme.qss.in").read_text(encoding="utf-8")
    names = set(re.findall(r"@([a-z][\w.]+)@", text)) - {"icons"}
    assert names <= set(load_tokens("light").colours)
    assert re.search(r":\s*#[0-9A-Fa-f]{3}", text) is None


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 0xFFFFFF), st.sampled_from(["light", "dark"]))
def test_any_accent_a_user_picks_ends_readable(number: int, theme: Theme) -> None:
    tokens = load_tokens(theme, accent=f"#{number:06X}")
    for ground in ("accent.fill", "accent.hover", "accent.pressed"):
        assert contrast(tokens.hex("text.onAccent"), tokens.hex(ground)) >= 4.5
    for ground in ("bg.content", "bg.side", "bg.raised", "bg.hover", "accent.soft"):
        assert contrast(tokens.hex("accent.text"), tokens.hex(ground)) >= 4.5
    assert all(contrast(tokens.hex("focus.ring"), tokens.hex(s)) >= 3 for s in ("bg.content", "bg.side"))


def test_high_contrast_keeps_its_own_accent() -> None:
    assert load_tokens("highContrast", accent="#336699").hex("accent.fill") == load_tokens(
        "highContrast"
    ).hex("accent.fill")


def test_the_text_scale_is_clamped_and_moves_text_but_not_spaces() -> None:
    plain, large, beyond = load_tokens("light"), load_tokens("light", 2.0), load_tokens("light", 9.0)
    assert large.types["body"].line_px == 2 * plain.types["body"].line_px
    assert beyond.scale == 2.0
    assert large.spaces == plain.spaces
    assert large.size("row") == 56
    assert large.size("rail") == 48


@given(st.integers(0, 0xFFFFFF), st.integers(0, 0xFFFFFF))
def test_contrast_is_symmetric_and_in_range(a: int, b: int) -> None:
    first, second = f"#{a:06X}", f"#{b:06X}"
    assert contrast(first, second) == contrast(second, first)
    assert 1.0 <= contrast(first, second) <= 21.0001


def test_every_font_and_icon_ships_with_its_licence() -> None:
    fonts = {path.name for path in resource_path("fonts").iterdir()}
    assert {"OFL-Inter.txt", "OFL-JetBrainsMono.txt"} <= fonts
    assert resource_path("icons", "LICENSE").is_file()
    assert sum(path.stat().st_size for path in resource_path("fonts").iterdir()) < 4_000_000
