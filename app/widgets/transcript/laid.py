# ruff: noqa: D102  (what an override does is said in `Laid`)
"""What the rows of a transcript look like once laid out: the common shape, and the plain ones.

A laid row is made for one column width and theme, kept in a small cache, and painted with its own top left at (0, 0).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QPainter, QPixmap

from app.theme.apply import look
from app.theme.icons import pixmap
from app.theme.paint import RIGHT, hairline, rounded, text
from app.theme.tokens import TextStyle
from app.widgets.transcript.blocks import Block
from app.widgets.transcript.inline import Rich, Span, markdown, plain
from app.widgets.transcript.para import Para

SpotKind = Literal[
    "link",
    "copy_code",
    "fold",
    "badge",
    "seam",
    "copy",
    "regenerate",
    "more",
    "variant",
    "action",
    "own",
    "picture",
    "document",
]
INDENT_PX = 22
QUOTE_PX = 14


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a row that does something: what, with which value, where, and the words of its tooltip."""

    kind: SpotKind
    value: str
    rect: QRectF
    tip: str = ""


@dataclass(slots=True)
class Paint:
    """What a row must know to paint itself besides its own content."""

    painter: QPainter
    clip: QRectF
    """The part that must be painted, in the row's own px."""
    selected: tuple[int, int] | None = None
    found: Sequence[tuple[int, int, bool]] = ()
    hover: Spot | None = None
    dpr: float = 1.0
    step: int = 0
    """0–7: the position of a stepping glyph."""
    copied: bool = False
    """Whether the row says that it was copied just now."""
    joined: int = 0
    """How many quote bars go on through the gap above."""
    gap: int = 0
    picture_of: "Callable[[str, int], QPixmap | None] | None" = None
    """A small picture of a message by its number from 0; None while it is not here."""


class Laid:
    """One laid out row."""

    __slots__ = ("height", "width")

    def __init__(self, width: int, height: int = 0) -> None:
        self.width = width
        self.height = height

    @property
    def letters(self) -> int:
        """How many characters can be selected."""
        return 0

    @property
    def words(self) -> str:
        """The characters that can be selected and searched."""
        return ""

    def paint(self, paint: Paint) -> None:
        """Paints the row."""

    def position_at(self, x: float, y: float) -> int:
        """The character nearest to a point."""
        return 0

    def word_at(self, position: int) -> tuple[int, int]:
        """The bounds of the word at a character."""
        return position, position

    def spot_at(self, x: float, y: float) -> Spot | None:
        """What a click at a point does."""
        return None

    def is_text_at(self, x: float, y: float) -> bool:
        """Whether the text cursor belongs there."""
        return False

    def copied(self, start: int, end: int, *, as_plain: bool) -> str:
        """The characters [start, end) for the clipboard."""
        return self.words[start:end]


class TextLaid(Laid):
    """A paragraph, heading or list item, with its marker and quote bars."""

    __slots__ = ("_block", "_left", "_para")

    def __init__(self, block: Block, rich: Rich, width: int) -> None:
        appearance = look()
        self._block = block
        self._left = block.quote * QUOTE_PX + block.indent * appearance.px(INDENT_PX)
        style, weight, line_px = text_style(block.level)
        self._para = Para(
            rich,
            max(60, width - self._left),
            style,
            weight=weight,
            line_px=line_px,
            colour="text.secondary" if block.quote else "text.primary",
        )
        super().__init__(width, self._para.height)

    @property
    def letters(self) -> int:
        return len(self._para.rich.text)

    @property
    def words(self) -> str:
        return self._para.rich.text

    def paint(self, paint: Paint) -> None:
        block, painter = self._block, paint.painter
        paint_quote_bars(paint, block.quote, self.height)
        if block.marker:
            self._paint_marker(paint)
        underline = None
        if paint.hover is not None and paint.hover.kind == "link":
            underline = next((s for s in self._para.rich.spans if s.url == paint.hover.value), None)
        self._para.paint(
            painter, self._left, 0, selected=paint.selected, found=paint.found, underline=underline
        )

    def _paint_marker(self, paint: Paint) -> None:
        appearance, line = look(), self._para.line_px
        column = QRectF(self._left - appearance.px(INDENT_PX), 0, appearance.px(INDENT_PX) - 8, line)
        match self._block.marker:
            case "•":
                side = 5 if self._block.indent % 2 else 4
                centre = QPointF(column.right() - 3, line / 2 + 0.5)
                box = QRectF(centre.x() - side / 2, centre.y() - side / 2, side, side)
                if self._block.indent % 2:
                    rounded(paint.painter, box, side / 2, fill="text.secondary")
                else:
                    rounded(paint.painter, box, side / 2, line="text.secondary")
            case "☐" | "☑" as box_sign:
                box = QRectF(column.right() - 12, round(line / 2 - 6.5), 13, 13)
                on = box_sign == "☑"
                rounded(
                    paint.painter,
                    box,
                    3,
                    fill="accent.fill" if on else "bg.content",
                    line="accent.fill" if on else "line.strong",
                )
                if on:
                    paint.painter.drawPixmap(
                        box.topLeft() + QPointF(1, 1), pixmap("check", "text.onAccent", 11, paint.dpr)
                    )
            case number:
                metrics = look().metrics("body")
                wide = metrics.horizontalAdvance(number)
                room = QRectF(min(column.x(), column.right() - wide), 0, max(column.width(), wide + 2), line)
                text(paint.painter, room, number, "body", "text.secondary", align=RIGHT)

    def position_at(self, x: float, y: float) -> int:
        return self._para.position_at(x - self._left, y)

    def word_at(self, position: int) -> tuple[int, int]:
        return self._para.word_at(position)

    def spot_at(self, x: float, y: float) -> Spot | None:
        span = self._para.span_at(x - self._left, y)
        return link_spot(span) if span else None

    def is_text_at(self, x: float, y: float) -> bool:
        return self._left <= x <= self._left + self._para.used_width

    def copied(self, start: int, end: int, *, as_plain: bool) -> str:
        write = plain if as_plain else markdown
        return write(self._para.rich, start, end)


def text_style(level: int) -> tuple[TextStyle, int | None, int]:
    """Text style, weight and line height of a paragraph (level 0) or heading."""
    match level:
        case 0:
            return "body", None, 0
        case 1:
            return "title", None, look().px(24)
        case 2:
            return "body", 600, 0
        case _:
            return "ui", 600, look().px(20)


def link_spot(span: Span) -> Spot:
    """The spot of a link; its tooltip is the address, since that is what will be opened."""
    return Spot("link", span.url, QRectF(), span.url)


def paint_quote_bars(paint: Paint, quote: int, height: int) -> None:
    """The bars left of a quote, through the gap above so that one quote is one line."""
    colour = look().colour("line.strong", 0.6)
    for depth in range(quote):
        above = paint.gap if depth < paint.joined else 0
        paint.painter.fillRect(QRectF(depth * QUOTE_PX, -above, 2, height + above), colour)


class DividerLaid(Laid):
    """A rule across the column."""

    __slots__ = ()

    def __init__(self, width: int) -> None:
        super().__init__(width, look().px(17))

    def paint(self, paint: Paint) -> None:
        hairline(paint.painter, 0, self.height // 2, self.width, "line.normal")


class OwnLaid(Laid):
    """A stretch of the user's own words in the bubble; long ones are several rows with one bubble around."""

    __slots__ = ("_bottom", "_box", "_fold", "_para", "_top")

    def __init__(
        self, words: str, width: int, *, first: bool, last: bool, fold: str = "", bubble: int = 0
    ) -> None:
        appearance = look()
        room = width - OWN_INDENT_PX
        self._top = OWN_PAD_Y if first else 0
        self._bottom = OWN_PAD_Y if last else 0
        self._fold = fold
        self._para = Para(Rich(words), room - 2 * OWN_PAD_X - 2, "body")
        tall = self._para.height + self._top + self._bottom + (appearance.px(24) if fold else 0)
        taken = bubble or min(room, self._para.used_width + 2 * OWN_PAD_X + 2)
        self._box = QRectF(width - taken, 0, taken, tall)
        super().__init__(width, tall)

    @property
    def letters(self) -> int:
        return len(self._para.rich.text)

    @property
    def words(self) -> str:
        return self._para.rich.text

    def paint(self, paint: Paint) -> None:
        painter, box = paint.painter, self._box
        painter.save()
        painter.setClipRect(box)
        # Stretches in the middle reach past their row, so that only the ends of the bubble are round.
        grown = box.adjusted(0, 0 if self._top else -12, 0, 0 if self._bottom else 12)
        rounded(painter, grown, look().tokens.radius("m"), fill="bg.sunken", line="line.subtle")
        painter.restore()
        self._para.paint(
            painter, box.x() + OWN_PAD_X + 1, self._top, selected=paint.selected, found=paint.found
        )
        if self._fold:
            text(painter, self._fold_rect(), self._fold, "small", "accent.text")

    def _fold_rect(self) -> QRectF:
        top = self._top + self._para.height
        return QRectF(self._box.x() + OWN_PAD_X + 1, top, self._box.width() - 2 * OWN_PAD_X, look().px(24))

    def position_at(self, x: float, y: float) -> int:
        return self._para.position_at(x - self._box.x() - OWN_PAD_X - 1, y - self._top)

    def word_at(self, position: int) -> tuple[int, int]:
        return self._para.word_at(position)

    def spot_at(self, x: float, y: float) -> Spot | None:
        if self._fold and self._fold_rect().contains(x, y):
            return Spot("fold", "own", self._fold_rect())
        return None

    def is_text_at(self, x: float, y: float) -> bool:
        return self._box.contains(x, y)


OWN_INDENT_PX = 64
OWN_PAD_X = 12
OWN_PAD_Y = 8
