# ruff: noqa: D102  (what an override does is said in `Laid`)
"""The reasoning above an answer: a caption that folds it, and its paragraphs in quieter text.

Nothing of it can be selected with the answer: what is copied is what the model said, not what it told itself.
"""

from PySide6.QtCore import QPointF, QRectF

from app.theme.apply import look
from app.theme.icons import pixmap
from app.theme.paint import rounded, text
from app.widgets.transcript.inline import Rich
from app.widgets.transcript.laid import QUOTE_PX, Laid, Paint, Spot, paint_quote_bars
from app.widgets.transcript.para import Para

HEAD_PX = 22
CAPTION = "Reasoning"


class ReasoningLaid(Laid):
    """The caption with its chevron."""

    __slots__ = ("_open", "_spot")

    def __init__(self, width: int, *, is_open: bool) -> None:
        self._open = is_open
        super().__init__(width, look().px(HEAD_PX))
        wide = 18 + look().metrics("small", 500).horizontalAdvance(CAPTION) + 6
        tip = "Fold the reasoning  T" if is_open else "Show the reasoning  T"
        self._spot = Spot("fold", "reasoning", QRectF(0, 0, wide, self.height), tip)

    @property
    def words(self) -> str:
        return ""

    def paint(self, paint: Paint) -> None:
        over = paint.hover is not None and paint.hover.value == "reasoning"
        if over:
            rounded(paint.painter, self._spot.rect.adjusted(-4, 0, 4, 0), 5, fill="bg.hover")
        ink = "text.primary" if over else "text.secondary"
        name = "chevron-down" if self._open else "chevron-right"
        top = round((self.height - 12) / 2)
        paint.painter.drawPixmap(QPointF(0, top), pixmap(name, ink, 12, paint.dpr))
        room = QRectF(18, 0, self.width - 18, self.height)
        text(paint.painter, room, CAPTION, "small", ink, weight=500)

    def spot_at(self, x: float, y: float) -> Spot | None:
        return self._spot if self._spot.rect.contains(x, y) else None


class ThoughtLaid(Laid):
    """A paragraph of reasoning beside a bar."""

    __slots__ = ("_para",)

    def __init__(self, words: str, width: int) -> None:
        rich = Rich(words.replace("\n", "\u2028"))
        self._para = Para(rich, max(60, width - QUOTE_PX), "small", colour="text.secondary")
        super().__init__(width, self._para.height)

    def paint(self, paint: Paint) -> None:
        paint_quote_bars(paint, 1, self.height)
        self._para.paint(paint.painter, QUOTE_PX, 0)


def paragraphs(thinking: str) -> list[str]:
    """The reasoning cut at blank lines; what was cut once is cut the same while more comes."""
    return [part.strip("\n") for part in thinking.split("\n\n") if part.strip()]
