"""The one place that gives the application its look: fonts, palette, style sheet, and the signal that they changed.

    look = apply(app, theme="system")        # once at start, again on every change of theme, scale or accent
    look().colour("bg.side")                 # QColor of a token, cached
    look().font("caption")                   # QFont of a text style, cached: treat as read-only, copy to change
    look().px(28)                            # a length that grows with the text scale
    look().theme_changed.connect(self.update) # painted widgets repaint; those that keep fonts or icons rebuild

Widgets styled by the sheet (`resources/theme.qss.in`) need nothing: their rules are rebuilt here. Properties it reads:
QPushButton `kind` primary|ghost|danger, `small`, `square`; QLabel `tone` secondary|tertiary|error|warn|ok|accent and
`face` (any text style); QFrame `role` page|side|rail|strip|head|card|well|popup|line|segmented; QLineEdit `leading`,
`error`. After changing one at run time call `repolish(widget)`.
"""

import re
import tempfile
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPalette
from PySide6.QtWidgets import QApplication, QStyleFactory, QWidget

from app.theme.focus import KeyboardFocus
from app.theme.fonts import load_fonts, make_font
from app.theme.tokens import TextStyle, Theme, Tokens, load_tokens, resource_path

ThemeChoice = Literal["system", "light", "dark", "highContrast"]


class Look(QObject):
    """The look in force. One per application, made by the first `apply` or `look` call."""

    theme_changed = Signal()
    """Theme, scale or accent changed; palette and style sheet are already the new ones."""

    def __init__(self, app: QApplication) -> None:
        super().__init__(app)
        self.setObjectName("look")
        self._app = app
        self._choice: ThemeChoice = "system"
        self._accent: str | None = None
        self._scale = 1.0
        self._colours: dict[str, QColor] = {}
        self._fonts: dict[tuple[str, int, bool], QFont] = {}
        self._metrics: dict[tuple[str, int, bool], QFontMetricsF] = {}
        self._images = tempfile.TemporaryDirectory(prefix="legion-look-")
        self.families = load_fonts()
        self.tokens: Tokens = load_tokens("light")
        self._focus = KeyboardFocus(app)
        app.styleHints().colorSchemeChanged.connect(self._system_changed)

    @property
    def theme(self) -> Theme:
        """The theme shown now, with "system" resolved."""
        return self.tokens.theme

    @property
    def choice(self) -> ThemeChoice:
        """What was asked for, possibly "system"."""
        return self._choice

    @property
    def is_dark(self) -> bool:
        """Whether text is light on dark."""
        return self.tokens.theme != "light"

    def colour(self, name: str, alpha: float = 1.0) -> QColor:
        """The colour of a token, with `alpha` 0–1 applied; KeyError for an unknown name."""
        if alpha >= 1.0:
            found = self._colours.get(name)
            if found is None:
                found = self._colours[name] = QColor(self.tokens.hex(name))
            return found
        faded = QColor(self.tokens.hex(name))
        faded.setAlphaF(alpha)
        return faded

    def font(self, style: TextStyle, weight: int | None = None, *, italic: bool = False) -> QFont:
        """The font of a text style, cached."""
        key = (style, weight or 0, italic)
        found = self._fonts.get(key)
        if found is None:
            found = self._fonts[key] = make_font(self.tokens.types[style], weight, italic=italic)
        return found

    def metrics(self, style: TextStyle, weight: int | None = None, *, italic: bool = False) -> QFontMetricsF:
        """The metrics of `font(...)`, cached."""
        key = (style, weight or 0, italic)
        found = self._metrics.get(key)
        if found is None:
            found = self._metrics[key] = QFontMetricsF(self.font(style, weight, italic=italic))
        return found

    def line(self, style: TextStyle) -> int:
        """Line height of a text style in px at the current scale."""
        return self.tokens.types[style].line_px

    def px(self, length: float) -> int:
        """A length that grows with the text scale, in whole px."""
        return self.tokens.px(length)

    def set(self, choice: ThemeChoice, scale: float, accent: str | None) -> None:
        """Builds fonts, palette and sheet, and tells everyone; `apply` is the public way in."""
        self._choice, self._scale, self._accent = choice, scale, accent
        hints = self._app.styleHints()
        if choice == "system":
            hints.unsetColorScheme()
        else:
            # Native title bars and file dialogs follow the choice.
            hints.setColorScheme(Qt.ColorScheme.Light if choice == "light" else Qt.ColorScheme.Dark)
        self._rebuild()

    def _system_changed(self) -> None:
        if self._choice == "system" and self._system_theme() != self.tokens.theme:
            self._rebuild()

    def _system_theme(self) -> Theme:
        hints = self._app.styleHints()
        if hints.accessibility().contrastPreference() == Qt.ContrastPreference.HighContrast:
            return "highContrast"
        return "dark" if hints.colorScheme() == Qt.ColorScheme.Dark else "light"

    def _rebuild(self) -> None:
        theme = self._system_theme() if self._choice == "system" else self._choice
        self.tokens = load_tokens(theme, self._scale, self._accent)
        self._colours.clear()
        self._fonts.clear()
        self._metrics.clear()
        app = self._app
        # Taking the old sheet off first costs a fifth of putting another over it: nothing is resolved against both.
        app.setStyleSheet("")
        app.setFont(self.font("ui"))
        app.setPalette(make_palette(self.tokens))
        app.setStyleSheet(make_sheet(self.tokens, Path(self._images.name)))
        self.theme_changed.emit()


_look: Look | None = None


def apply(
    app: QApplication, theme: ThemeChoice = "system", scale: float = 1.0, accent: str | None = None
) -> Look:
    """Gives `app` the look: theme (or the system's), text scale 0.8–2.0, optional accent `#RRGGBB`.

    Cheap to call again; every call rebuilds palette and sheet and emits `theme_changed`.
    """
    result = _look_of(app)
    result.set(theme, scale, accent)
    return result


def look() -> Look:
    """The look of the running application; AssertionError before there is one."""
    app = QApplication.instance()
    assert isinstance(app, QApplication), "make the QApplication before asking for its look"
    fresh = _look is None
    result = _look_of(app)
    if fresh:
        result.set("light", 1.0, None)
    return result


def _look_of(app: QApplication) -> Look:
    global _look  # belongs to the application object, of which Qt has one per process
    if _look is None:
        app.setStyle(QStyleFactory.create("Fusion"))
        _look = Look(app)
    return _look


def repolish(widget: QWidget) -> None:
    """Makes the sheet read `widget`'s dynamic properties again."""
    style = widget.style()
    style.unpolish(widget)
    style.polish(widget)
    # Sub-rules of descendants may hang on the property too, but ours never do: one widget is enough.
    QApplication.sendEvent(widget, QEvent(QEvent.Type.StyleChange))
    widget.update()


PALETTE = (
    ("Window", "bg.content"), ("Base", "bg.content"), ("AlternateBase", "bg.side"), ("Button", "bg.raised"),
    ("Text", "text.primary"), ("WindowText", "text.primary"), ("ButtonText", "text.primary"),
    ("BrightText", "text.onAccent"), ("PlaceholderText", "text.tertiary"), ("Highlight", "accent.fill"),
    ("HighlightedText", "text.onAccent"), ("Link", "accent.text"), ("LinkVisited", "accent.text"),
    ("Accent", "accent.fill"), ("ToolTipBase", "bg.raised"), ("ToolTipText", "text.primary"),
    ("Light", "bg.raised"), ("Midlight", "bg.hover"), ("Mid", "line.normal"), ("Dark", "line.strong"),
    ("Shadow", "bg.rail"),
)  # fmt: skip


def make_palette(tokens: Tokens) -> QPalette:
    """The palette of a theme: what Fusion and native parts draw without the sheet."""
    palette = QPalette()
    for role, token in PALETTE:
        palette.setColor(QPalette.ColorRole[role], QColor(tokens.hex(token)))
    for role in ("Text", "WindowText", "ButtonText"):
        palette.setColor(
            QPalette.ColorGroup.Disabled, QPalette.ColorRole[role], QColor(tokens.hex("text.disabled"))
        )
    return palette


SHEET_IMAGES = (
    ("chevron-down", "chevron-down", "text.tertiary"),
    ("chevron-up", "chevron-up", "text.tertiary"),
    ("check-on-accent", "check", "text.onAccent"),
    ("minus-on-accent", "minus", "text.onAccent"),
    ("dot-on-accent", "circle-filled", "text.onAccent"),
)


def make_sheet(tokens: Tokens, images: Path) -> str:
    """The style sheet of a theme; writes the few tinted images it names into the folder `images`."""
    folder = images / f"{tokens.theme}-{tokens.hex('accent.fill')[1:]}"
    folder.mkdir(exist_ok=True)
    for name, source, colour in SHEET_IMAGES:
        # A sheet draws SVG files as they are, `currentColor` would come out black.
        svg = resource_path("icons", f"{source}.svg").read_text(encoding="utf-8")
        (folder / f"{name}.svg").write_text(svg.replace("currentColor", tokens.hex(colour)), encoding="utf-8")
    text = resource_path("theme.qss.in").read_text(encoding="utf-8").replace("@icons@", folder.as_posix())
    text = re.sub(r"@px:(\d+)@", lambda found: str(tokens.px(int(found[1]))), text)
    # A radius beyond half the side draws square corners.
    text = re.sub(r"@half:(\d+)@", lambda found: str(tokens.px(int(found[1])) // 2 + 1), text)
    return re.sub(r"@([\w.]+)@", lambda found: tokens.hex(found[1]), text)
