# ruff: noqa: D102  (Qt overrides do what Qt says)
"""Painted lines that several inspectors share: pairs of words, and pills in a row."""

from typing import cast

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.theme.apply import look
from app.theme.paint import PillTone, pill, text


class KeyValues(QWidget):
    """Two columns of words: labels tertiary, values right-aligned."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self._pairs: tuple[tuple[str, str], ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        look().theme_changed.connect(self.updateGeometry)

    def show_pairs(self, pairs: tuple[tuple[str, str], ...]) -> None:
        """Show these."""
        self._pairs = pairs
        self.setAccessibleName(", ".join(f"{key}: {value}" for key, value in pairs))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(200, len(self._pairs) * look().px(21) + 14)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        height = look().px(21)
        for at, (key, value) in enumerate(self._pairs):
            box = QRectF(12, 4 + at * height, self.width() - 24, height)
            used = text(painter, box, key, "small", "text.tertiary")
            is_code = key in ("Request", "SHA-256", "File")
            text(
                painter, box.adjusted(used + 12, 0, 0, 0), value, "codeSmall" if is_code else "small",
                align=Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter,
                elide=Qt.TextElideMode.ElideMiddle,
            )  # fmt: skip
        painter.end()


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
