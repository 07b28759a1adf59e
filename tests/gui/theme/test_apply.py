"""Applying the look: palette, sheet and signal change together, icons follow, and None keeps its references."""

import sys

import pytest
from PySide6.QtGui import QFontInfo, QPalette, QTextLayout
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.theme.apply import apply, look, repolish
from app.theme.focus import has_keyboard_focus
from app.theme.icons import app_icon, app_mark, icon, paint_tier, pixmap, set_icon, tier_icon
from app.theme.tokens import THEMES, TIERS, TextStyle, Theme, load_tokens
from tests.gui.conftest import plain_look


@pytest.fixture(autouse=True)
def light(qapp: QApplication) -> None:
    plain_look(qapp)


@pytest.mark.parametrize("theme", THEMES)
def test_a_theme_reaches_palette_sheet_and_watchers(qapp: QApplication, qtbot: QtBot, theme: Theme) -> None:
    with qtbot.waitSignal(look().theme_changed):
        apply(qapp, theme, 1.25)
    tokens = load_tokens(theme)
    assert qapp.palette().color(QPalette.ColorRole.Window).name().upper() == tokens.hex("bg.content")
    assert tokens.hex("accent.fill") in qapp.styleSheet()
    assert "@" not in qapp.styleSheet()
    assert look().theme == theme
    assert qapp.font().pixelSize() == 16


def test_bundled_fonts_are_the_ones_used(qapp: QApplication) -> None:
    assert {"Workbench Inter", "JetBrains Mono"} <= set(look().families)
    assert QFontInfo(look().font("ui")).family() == "Workbench Inter"
    assert QFontInfo(look().font("code")).family() == "JetBrains Mono"
    assert QFontInfo(look().font("heading")).weight() == 600


def test_system_resolves_to_a_theme_that_exists(qapp: QApplication) -> None:
    apply(qapp, "system")
    assert look().choice == "system"
    assert look().theme in THEMES


def test_an_icon_set_on_a_button_follows_the_theme(qapp: QApplication, qtbot: QtBot) -> None:
    button = QPushButton()
    qtbot.addWidget(button)
    set_icon(button, "search", "text.primary", 16)
    before = button.icon().pixmap(16, 16).toImage()
    apply(qapp, "dark")
    assert button.icon().pixmap(16, 16).toImage() != before
    set_icon(button, "x", "text.primary", 14)
    assert button.iconSize().width() == 14


def test_pixmaps_are_cached_by_name_colour_and_ratio(qapp: QApplication) -> None:
    assert pixmap("search", "text.primary", 16, 2.0) is pixmap("search", "text.primary", 16, 2.0)
    assert pixmap("search", "text.primary", 16, 2.0).width() == 32
    assert pixmap("search", "err.mark", 16, 1.0) is not pixmap("search", "text.primary", 16, 1.0)


def test_an_icon_that_does_not_ship_is_an_error_not_a_blank(qapp: QApplication) -> None:
    with pytest.raises(FileNotFoundError):
        icon("no-such-icon")


def test_every_tier_draws_its_own_shape(qapp: QApplication) -> None:
    marks = [tier_icon(tier).pixmap(12, 12).toImage() for tier in TIERS]
    assert all(marks[a] != marks[b] for a in range(5) for b in range(a))
    assert not app_mark().isNull()
    assert not app_icon().isNull()


def test_an_unknown_tier_draws_nothing(qapp: QApplication) -> None:
    from PySide6.QtGui import QPainter

    from app.theme.icons import blank

    canvas, untouched = blank(12, 1.0), blank(12, 1.0)
    painter = QPainter(canvas)
    paint_tier(painter, "moon", 0, 0)
    painter.end()
    assert canvas.toImage() == untouched.toImage()


def test_the_ring_is_marked_for_focus_without_a_mouse_and_taken_back(qtbot: QtBot) -> None:
    parent = QWidget()
    first, second = QPushButton("One", parent), QPushButton("Two", parent)
    qtbot.addWidget(parent)
    parent.show()
    parent.activateWindow()
    qtbot.waitUntil(parent.isActiveWindow, timeout=100_000)
    first.setFocus()
    assert has_keyboard_focus(first)
    second.setFocus()
    assert has_keyboard_focus(second)
    assert not has_keyboard_focus(first)


def test_a_property_changed_later_is_seen_after_repolish(qtbot: QtBot) -> None:
    label = QLabel("words")
    qtbot.addWidget(label)
    label.ensurePolished()
    label.setProperty("tone", "error")
    repolish(label)
    assert label.palette().color(QPalette.ColorRole.WindowText).name().upper() == load_tokens("light").hex(
        "err.text"
    )


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="None is immortal from 3.12 on")
def test_void_calls_do_not_eat_references_to_none(qapp: QApplication) -> None:
    """PySide6 6.12 on 3.11 lost one per call and ended in `none_dealloc`; the pin in pyproject keeps it out."""
    widget = QWidget()
    before = sys.getrefcount(None)
    for number in range(1000):
        widget.setObjectName(f"canary{number}")
    assert abs(sys.getrefcount(None) - before) < 100
    widget.deleteLater()


@pytest.mark.parametrize("words", ["90x20", "a->b", "3*4", "--"])
@pytest.mark.parametrize("style", ["body", "ui", "code"])
def test_every_character_is_drawn_as_it_is(qapp: QApplication, style: TextStyle, words: str) -> None:
    """A font's contextual forms would draw an id with a times sign, and another text than was said."""
    plain_look(qapp)

    def glyphs(shown: str) -> list[int]:
        layout = QTextLayout(shown, look().font(style))
        layout.beginLayout()
        layout.createLine()
        layout.endLayout()
        return [glyph for run in layout.glyphRuns() for glyph in run.glyphIndexes()]

    assert glyphs(words) == [glyph for letter in words for glyph in glyphs(letter)]
