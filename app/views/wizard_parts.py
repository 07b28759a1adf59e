# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The painted parts of the set-up: the steps at its side, a card with a choice, what was found."""

from typing import cast

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QWidget

from app.theme.apply import look
from app.theme.focus import has_keyboard_focus
from app.theme.icons import app_mark, pixmap
from app.theme.paint import PillTone, focus_ring, hairline, pill, pill_size, rounded, text

SIDE = 264
NOTE = (
    "Nothing about you is sent. Only a model that you pick is downloaded. "
    "You can run this again from the palette."
)
NOTE_PX = 112  # also at twice the text size, where the side is as narrow as ever
STEPS = ("Welcome", "This computer", "Privacy", "Try it")


class Steps(QWidget):
    """The steps at the left: done with a tick, the current one filled."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("wizard.steps")
        self.setFixedWidth(SIDE)
        self.at = 0

    def show_step(self, at: int) -> None:
        """Stand at this one."""
        self.at = at
        self.setAccessibleName(f"Step {at + 1} of {len(STEPS)}: {STEPS[at]}")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), look().colour("bg.side"))
        painter.fillRect(self.width() - 1, 0, 1, self.height(), look().colour("line.normal"))
        dpr = self.devicePixelRatioF()
        painter.drawPixmap(QPointF(24, 28), app_mark("text.primary", 22, dpr))
        text(painter, QRectF(54, 28, 200, 22), "Legion Workbench", "heading")
        height = look().px(32)
        for at, words in enumerate(STEPS):
            top = 78 + at * height
            circle = QRectF(24.5, top + (height - 20) / 2 + 0.5, 19, 19)
            is_now, is_done = at == self.at, at < self.at
            fill_token = "accent.fill" if is_now else ""
            line_token = "accent.fill" if is_now else "ok.mark" if is_done else "line.strong"
            rounded(painter, circle, 9.5, fill=fill_token, line=line_token)
            if is_done:
                painter.drawPixmap(
                    QPointF(circle.center().x() - 6, circle.center().y() - 6),
                    pixmap("check", "ok.text", 12, dpr),
                )
            else:
                ink = "text.onAccent" if is_now else "text.secondary"
                text(painter, circle, str(at + 1), "caption", ink, align=Qt.AlignmentFlag.AlignCenter)
            style, ink = ("uiStrong", "text.primary") if is_now else ("ui", "text.secondary")
            text(painter, QRectF(54, top, SIDE - 70, height), words, style, ink)
        painter.setFont(look().font("small"))
        painter.setPen(look().colour("text.secondary"))
        tall = look().px(NOTE_PX)
        note = QRectF(24, self.height() - look().px(16) - tall, SIDE - 48, tall)
        painter.drawText(
            note, int(Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignBottom),
            NOTE,
        )  # fmt: skip
        painter.end()


class Option(QAbstractButton):
    """A card with a radio button, a title, a sentence and a pill."""

    def __init__(
        self, key: str, title: str, detail: str, words: str = "", tone: str = "neutral", icon: str = ""
    ) -> None:
        super().__init__()
        self.key = key
        self._detail, self._pill = detail, (words, tone, icon)
        self.setText(title)
        self.setObjectName(f"wizard.option.{key}")
        self.setCheckable(True)
        self.setAccessibleName(title)
        self.setAccessibleDescription(f"{detail} {words}".strip())
        self.setToolTip(detail)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(320, look().px(62))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        is_on = self.isChecked()
        box = QRectF(self.rect())
        rounded(
            painter, box, 7, fill="bg.hover" if self.underMouse() and not is_on else "bg.raised",
            line="accent.fill" if is_on else "line.normal", width=2 if is_on else 1,
        )  # fmt: skip
        radio = QRectF(14.5, box.center().y() - 7.5, 15, 15)
        if is_on:
            rounded(painter, radio, 7.5, fill="accent.fill")
            rounded(painter, radio.adjusted(4.5, 4.5, -4.5, -4.5), 3, fill="text.onAccent")
        else:
            rounded(painter, radio, 7.5, fill="bg.content", line="line.strong")
        line = look().px(18)
        top = box.center().y() - line
        words, tone, icon = self._pill
        width = pill_size(words, icon=icon)[0] if words else 0.0
        room = box.width() - 44 - width - 28
        text(painter, QRectF(44, top, room, line), self.text(), "uiStrong")
        text(painter, QRectF(44, top + line, room, look().px(17)), self._detail, "small", "text.secondary")
        if words:
            pill(
                painter,
                box.right() - 14 - width,
                box.center().y(),
                words,
                cast("PillTone", tone),
                icon=icon,
                dpr=self.devicePixelRatioF(),
            )
        if has_keyboard_focus(self):
            focus_ring(painter, box, 7, inside=True)
        painter.end()


class Findings(QWidget):
    """What was found on this computer: icon, name, value, in a card."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("wizard.findings")
        self._rows: tuple[tuple[str, str, str], ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_rows(self, rows: tuple[tuple[str, str, str], ...]) -> None:
        """Each is `(icon, name, value)`."""
        self._rows = rows
        self.setAccessibleName("; ".join(f"{name}: {value}" for _, name, value in rows))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(320, look().px(34) * max(1, len(self._rows)) + 2)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        box = QRectF(self.rect())
        rounded(painter, box, 7, fill="bg.raised", line="line.normal")
        height = look().px(34)
        for at, (icon, name, value) in enumerate(self._rows):
            top = 1 + at * height
            if at:
                hairline(painter, 1, top, box.right() - 1)
            painter.drawPixmap(
                QPointF(14, round(top + (height - 16) / 2)),
                pixmap(icon, "text.secondary", 16, self.devicePixelRatioF()),
            )
            used = text(painter, QRectF(44, top, box.width() * 0.5, height), name)
            text(
                painter, QRectF(56 + used, top, box.width() - 70 - used, height), value, "ui", "text.secondary",
                align=Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter,
            )  # fmt: skip
        painter.end()
