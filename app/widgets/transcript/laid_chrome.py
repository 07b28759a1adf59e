# ruff: noqa: D102  (what an override does is said in `Laid`)
"""Rows around the text: the seam, the routing badge, what is waited for, notices, errors and tool cards."""

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QPainter

from app.theme.apply import look
from app.theme.icons import paint_tier, pixmap
from app.theme.paint import CENTRE, LEFT, hairline, rounded, text
from app.widgets.transcript.inline import Rich
from app.widgets.transcript.laid import Laid, Paint, Spot, SpotKind
from app.widgets.transcript.model import Message, Seam, Tool
from app.widgets.transcript.para import Para

SEAM_LEAD_PX = 20
FOOTER_PX = 20
TOOL_HEAD_PX = 30
TOOL_LINES_MAX = 24


class SeamLaid(Laid):
    """The line where another instance went on."""

    __slots__ = ("_seam",)

    def __init__(self, seam: Seam, width: int) -> None:
        self._seam = seam
        super().__init__(width, look().px(16))

    @property
    def words(self) -> str:
        return self._seam.words

    def spot_at(self, x: float, y: float) -> Spot | None:
        wide = SEAM_LEAD_PX + 28 + look().metrics("small").horizontalAdvance(self.words)
        box = QRectF(0, 0, min(wide, self.width), self.height)
        return Spot("seam", "", box, self._seam.detail) if box.contains(x, y) else None

    def paint(self, paint: Paint) -> None:
        painter, appearance = paint.painter, look()
        middle = self.height // 2
        ink = "text.primary" if paint.hover is not None and paint.hover.kind == "seam" else "text.secondary"
        hairline(painter, 0, middle, SEAM_LEAD_PX, "line.normal")
        x: float = SEAM_LEAD_PX + 8
        paint_tier(painter, self._seam.tier, x, middle - 6)
        x += 20
        room = QRectF(x, 0, self.width - x, self.height)
        x += text(painter, room, "continued on ", "small", ink)
        x += text(
            painter,
            room.adjusted(x - room.x(), 0, 0, 0),
            self._seam.instance,
            "small",
            ink,
            weight=500,
        )
        blank = appearance.metrics("small").horizontalAdvance(" ")
        rest = QRectF(x + blank, 0, max(0.0, self.width - x - blank - 28), self.height)
        x += blank + text(painter, rest, self._seam.reason, "small", ink)
        if self.width - x > 16:
            hairline(painter, round(x + 8), middle, self.width, "line.normal")


class FooterLaid(Laid):
    """The line under an answer: its routing badge as one button, the variants, the actions."""

    __slots__ = ("_message", "_spots")

    def __init__(self, message: Message, width: int) -> None:
        self._message = message
        super().__init__(width, look().px(FOOTER_PX))
        self._spots = self._place()

    def _place(self) -> list[Spot]:
        """The clickable places, right to left, then the badge in what is left."""
        spots: list[Spot] = []
        x = float(self.width)
        actions: list[tuple[SpotKind, str]] = [
            ("more", "More"),
            ("regenerate", "Answer again"),
            ("copy", "Copy answer"),
        ]
        for kind, tip in actions:
            x -= 14 + 8
            spots.append(Spot(kind, self._message.id, QRectF(x + 4, 0, 22, self.height), tip))
        if self._message.variants > 1:
            wide = look().metrics("small").horizontalAdvance(self._variant_words())
            spots.append(Spot("variant", "next", QRectF(x - 14, 0, 20, self.height), "Next variant  ]"))
            x -= 14 + wide + 8
            spots.append(Spot("variant", "words", QRectF(x, 0, wide, self.height)))
            spots.append(
                Spot("variant", "previous", QRectF(x - 20, 0, 20, self.height), "Previous variant  [")
            )
            x -= 22
        badge = self._message.badge
        if badge is not None:
            wide = min(self._badge_width(), x - 8)
            spots.append(Spot("badge", self._message.id, QRectF(0, 0, wide, self.height), badge.detail))
        return spots

    def _variant_words(self) -> str:
        return f"{self._message.variant + 1}/{self._message.variants}"

    def _badge_width(self) -> float:
        badge = self._message.badge
        assert badge is not None
        metrics = look().metrics("small")
        chain = sum(
            12 + (28 if i + 1 < len(badge.chain) else 0) + (14 if s.failed else 0)
            for i, s in enumerate(badge.chain)
        )
        words = sum(metrics.horizontalAdvance(part) for part in badge.parts())
        return chain + 6 + words + 13 * max(0, len(badge.parts()) - 1) + 4

    @property
    def words(self) -> str:
        badge = self._message.badge
        return "" if badge is None else " · ".join(badge.parts())

    def paint(self, paint: Paint) -> None:
        painter = paint.painter
        for spot in self._spots:
            over = paint.hover is not None and (paint.hover.kind, paint.hover.value) == (
                spot.kind,
                spot.value,
            )
            ink = "text.primary" if over else "text.tertiary"
            match spot.kind:
                case "badge":
                    if over:
                        rounded(painter, spot.rect.adjusted(-4, 0, 4, 0), 5, fill="bg.hover")
                    self._paint_badge(paint, spot.rect.right())
                case "variant":
                    self._paint_variant(paint, spot, ink)
                case _:
                    name = {"copy": "copy", "regenerate": "refresh-cw", "more": "ellipsis"}[spot.kind]
                    if spot.kind == "copy" and paint.copied:
                        name = "check"
                    _icon(painter, name, ink, 14, spot.rect, paint.dpr)
        if self._message.badge is None and self._message.status in {"stopped", "failed"}:
            began = bool(self._message.whole_text())
            words = "Stopped" if self._message.status == "stopped" else "Broke off" if began else "No answer"
            text(painter, QRectF(0, 0, 200, self.height), words, "small", "text.secondary")

    def _paint_variant(self, paint: Paint, spot: Spot, ink: str) -> None:
        match spot.value:
            case "words":
                text(paint.painter, spot.rect, self._variant_words(), "small", "text.secondary")
            case "next":
                usable = self._message.variant + 1 < self._message.variants
                _icon(
                    paint.painter,
                    "chevron-right",
                    ink if usable else "text.disabled",
                    12,
                    spot.rect,
                    paint.dpr,
                )
            case _:
                usable = self._message.variant > 0
                _icon(
                    paint.painter,
                    "chevron-left",
                    ink if usable else "text.disabled",
                    12,
                    spot.rect,
                    paint.dpr,
                )

    def _paint_badge(self, paint: Paint, right: float) -> None:
        painter, badge = paint.painter, self._message.badge
        assert badge is not None
        x, middle = 0.0, self.height / 2
        for index, step in enumerate(badge.chain):
            paint_tier(painter, step.tier, x, round(middle - 6), failed=step.failed)
            x += 15
            if step.failed:
                painter.drawPixmap(QPointF(x, round(middle - 5.5)), pixmap("x", "err.text", 11, paint.dpr))
                x += 14
            if index + 1 < len(badge.chain):
                painter.drawPixmap(
                    QPointF(x, round(middle - 5.5)), pixmap("arrow-right", "text.tertiary", 11, paint.dpr)
                )
                x += 14
        x += 3
        for index, part in enumerate(badge.parts()):
            if index:
                text(painter, QRectF(x, 0, 13, self.height), "·", "small", "text.disabled", align=CENTRE)
                x += 13
            room = right - x
            if room < 12:
                break
            x += text(painter, QRectF(x, 0, room, self.height), part, "small", "text.secondary")

    def spot_at(self, x: float, y: float) -> Spot | None:
        found = next((spot for spot in self._spots if spot.rect.contains(x, y)), None)
        return None if found is not None and found.value == "words" else found


class WaitLaid(Laid):
    """What a growing answer waits for: a stepping glyph and a word."""

    __slots__ = ("_words",)

    def __init__(self, words: str, width: int) -> None:
        self._words = words
        super().__init__(width, look().px(FOOTER_PX))

    @property
    def words(self) -> str:
        return self._words

    def paint(self, paint: Paint) -> None:
        painter = paint.painter
        painter.save()
        painter.translate(7, self.height / 2)
        painter.rotate(45.0 * paint.step)
        painter.drawPixmap(QPointF(-7, -7), pixmap("loader", "accent.text", 14, paint.dpr))
        painter.restore()
        text(painter, QRectF(20, 0, self.width - 20, self.height), self._words, "small", "text.secondary")


class NoticeLaid(Laid):
    """A quiet sentence between messages."""

    __slots__ = ("_para",)

    def __init__(self, message: Message, width: int) -> None:
        self._para = Para(Rich(message.whole_text()), width - 20, "small", colour="text.secondary")
        super().__init__(width, max(self._para.height, look().px(16)))

    @property
    def words(self) -> str:
        return self._para.rich.text

    def paint(self, paint: Paint) -> None:
        paint.painter.drawPixmap(QPointF(0, 1), pixmap("info", "text.tertiary", 14, paint.dpr))
        self._para.paint(paint.painter, 20, 0, selected=paint.selected, found=paint.found)


class ErrorLaid(Laid):
    """A failure in the transcript: what, why, and buttons for what to do."""

    __slots__ = ("_message", "_para", "_spots", "_title")

    def __init__(self, message: Message, width: int) -> None:
        self._message = message
        metrics = look().metrics("small", 500)
        buttons = [(action, metrics.horizontalAdvance(action.label) + 16) for action in message.actions]
        beside = sum(wide + 12 for _, wide in buttons)
        below = beside > width * 0.5
        room = width - 41 - 12 - (0 if below else beside)
        self._title = Para(Rich(message.note or "This did not work"), room, "uiStrong")
        self._para = Para(Rich(message.whole_text()), room, "small", colour="text.secondary")
        tall = (
            10 + self._title.height + 2 + self._para.height + 12 + (look().px(30) if below and buttons else 0)
        )
        super().__init__(width, tall)
        side = look().px(22)
        top = float(tall - 10 - side if below else 10)
        x = 41.0 if below else width - 12.0 - beside + 12
        self._spots: list[Spot] = []
        for action, wide in buttons:
            self._spots.append(Spot("action", action.id, QRectF(round(x), top, round(wide), side)))
            x += wide + 12

    @property
    def words(self) -> str:
        return f"{self._message.note}\n{self._para.rich.text}"

    def paint(self, paint: Paint) -> None:
        painter = paint.painter
        rounded(painter, QRectF(0, 0, self.width, self.height), 7, fill="bg.raised", line="err.mark")
        painter.drawPixmap(QPointF(12, 11), pixmap("circle-x", "err.mark", 16, paint.dpr))
        self._title.paint(painter, 40, 10)
        self._para.paint(painter, 40, 10 + self._title.height + 2)
        for spot, action in zip(self._spots, self._message.actions, strict=True):
            over = paint.hover is not None and paint.hover.value == spot.value
            rounded(painter, spot.rect, 5, fill="bg.hover" if over else "bg.raised", line="line.normal")
            text(painter, spot.rect, action.label, "small", weight=500, align=CENTRE)

    def spot_at(self, x: float, y: float) -> Spot | None:
        return next((spot for spot in self._spots if spot.rect.contains(x, y)), None)


class ToolLaid(Laid):
    """A tool's run: a head that says what and how it went, a body that unfolds."""

    __slots__ = ("_lines", "_message", "_open", "_tool")

    def __init__(self, message: Message, tool: Tool, width: int, *, is_open: bool) -> None:
        self._message, self._tool, self._open = message, tool, is_open
        body = message.whole_text().rstrip("\n")
        self._lines = body.split("\n")[-TOOL_LINES_MAX:] if is_open and body else []
        head = look().px(TOOL_HEAD_PX)
        tall = head + (len(self._lines) * look().px(17) + 13 if self._lines else 0)
        super().__init__(width, tall)

    @property
    def words(self) -> str:
        return f"{self._tool.name} {self._tool.argument} {self._tool.result}"

    def paint(self, paint: Paint) -> None:
        painter, tool, head = paint.painter, self._tool, look().px(TOOL_HEAD_PX)
        rounded(painter, QRectF(0, 0, self.width, self.height), 7, fill="bg.sunken", line="line.subtle")
        _icon(painter, tool.icon, "text.secondary", 14, QRectF(12, 0, 14, head), paint.dpr)
        x = 35.0
        x += text(painter, QRectF(x, 0, 200, head), tool.name, "small", "text.secondary", weight=500) + 8
        right = self._paint_state(paint, head)
        text(
            painter, QRectF(x, 0, max(0.0, right - x - 8), head), tool.argument, "codeSmall", "text.secondary"
        )
        if self._lines:
            hairline(painter, 1, head, self.width - 1)
            for index, line in enumerate(self._lines):
                row = QRectF(12, head + 6 + index * look().px(17), self.width - 24, look().px(17))
                text(painter, row, line, "codeSmall", "text.primary")

    def _paint_state(self, paint: Paint, head: int) -> float:
        """Result, state and chevron from the right; returns where they begin."""
        painter, tool = paint.painter, self._tool
        x = self.width - 26.0
        over = paint.hover is not None and paint.hover.kind == "fold"
        ink = "text.primary" if over else "text.tertiary"
        _icon(
            painter,
            "chevron-up" if self._open else "chevron-down",
            ink,
            14,
            QRectF(x, 0, 14, head),
            paint.dpr,
        )
        x -= 8
        name, colour = {
            "running": ("loader", "accent.text"), "done": ("circle-check", "ok.text"), "failed": ("circle-x", "err.text"),
            "waiting": ("clock", "warn.text"), "stopped": ("circle-minus", "text.secondary"),
        }[tool.state]  # fmt: skip
        words = tool.result
        ink = "text.tertiary" if tool.state == "done" else colour
        wide = look().metrics("small").horizontalAdvance(words)
        text(painter, QRectF(x - wide, 0, wide + 1, head), words, "small", ink, align=LEFT)
        x -= wide + 18
        _icon(painter, name, colour, 14, QRectF(x, 0, 14, head), paint.dpr)
        return x

    def spot_at(self, x: float, y: float) -> Spot | None:
        head = QRectF(0, 0, self.width, look().px(TOOL_HEAD_PX))
        return Spot("fold", "tool", head) if head.contains(x, y) else None


def _icon(painter: QPainter, name: str, colour: str, size: int, rect: QRectF, dpr: float) -> None:
    centre = rect.center()
    painter.drawPixmap(
        QPointF(round(centre.x() - size / 2), round(centre.y() - size / 2)), pixmap(name, colour, size, dpr)
    )
