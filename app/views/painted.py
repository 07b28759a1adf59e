# ruff: noqa: D102  (Qt overrides do what Qt says)
"""Painted lines that several inspectors share: pairs of words, and pills in a row."""

from typing import cast

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.theme.apply import look
from app.theme.paint import PillTone, pill, text
from app.theme.tokens import TextStyle

CODE_KEYS = ("Request", "SHA-256", "File")


class KeyValues(QWidget):
    """Two columns of words: labels tertiary, values right-aligned. A value too long to stand beside its label stands below."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self._pairs: tuple[tuple[str, str], ...] = ()
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        look().theme_changed.connect(self.updateGeometry)

    def show_pairs(self, pairs: tuple[tuple[str, str], ...]) -> None:
        """Show these."""
        self._pairs = pairs
        self.setAccessibleName(", ".join(f"{key}: {value}" for key, value in pairs))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(200, self._tall(len(self._pairs)))

    def heightForWidth(self, width: int) -> int:
        return self._tall(sum(2 if self._is_below(pair, width) else 1 for pair in self._pairs))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        height, top = look().px(21), 4
        for pair in self._pairs:
            key, value = pair
            box = QRectF(12, top, self.width() - 24, height)
            used = text(painter, box, key, "small", "text.tertiary")
            top += height
            if self._is_below(pair, self.width()):
                box.translate(0, height)
                top += height
            else:
                box.adjust(used + 12, 0, 0, 0)
            text(
                painter, box, value, _style(key),
                align=Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter,
                elide=Qt.TextElideMode.ElideMiddle,
            )  # fmt: skip
        painter.end()

    def _tall(self, lines: int) -> int:
        return lines * look().px(21) + 14

    def _is_below(self, pair: tuple[str, str], width: int) -> bool:
        key, value = pair
        needs = look().metrics("small").horizontalAdvance(key) + look().metrics(
            _style(key)
        ).horizontalAdvance(value)
        return needs + 12 > width - 24


def _style(key: str) -> TextStyle:
    return "codeSmall" if key in CODE_KEYS else "small"


class PillRow(QWidget):
    """Pills in a row, painted."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self._pills: tuple[tuple[str, str, str], ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_pills(self, *pills: tuple[str, str, str]) -> None:
        """Each is `(words, tone, icon)`."""
        self._pills = pills
        self.setVisible(bool(pills))
        self.setAccessibleName(", ".join(words for words, _, _ in pills))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(120, look().px(20))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        left = 0.0
        for words, tone, icon in self._pills:
            left += (
                pill(
                    painter,
                    left,
                    self.height() / 2,
                    words,
                    cast("PillTone", tone),
                    icon=icon,
                    dpr=self.devicePixelRatioF(),
                )
                + 6
            )
        painter.end()
