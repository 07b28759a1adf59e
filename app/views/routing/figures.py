# ruff: noqa: D102  (Qt overrides do what Qt says)
"""Key figures in a row: a caption, the figure, and what stands behind it in a smaller hand."""

from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.theme.apply import look
from app.theme.paint import hairline, text

GAP = 36


class Figures(QWidget):
    """Painted; those on the right fall away where there is no room, the accessible name keeps them."""

    def __init__(self, name: str, title: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self._title = title
        self._figures: tuple[tuple[str, str, str], ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        look().theme_changed.connect(self.updateGeometry)

    def show_figures(self, figures: tuple[tuple[str, str, str], ...], tip: str = "") -> None:
        """Each is `(caption, figure, note)`."""
        self._figures = figures
        told = [f"{caption}: {figure}{', ' + note if note else ''}" for caption, figure, note in figures]
        self.setAccessibleName(f"{self._title}. {'; '.join(told)}")
        self.setToolTip(tip)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(300, look().px(56))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, look().px(56))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        x = 16.0
        caption_top, figure_top = look().px(9), look().px(25)
        for caption, figure, note in self._figures:
            figure_wide = look().metrics("title").horizontalAdvance(figure)
            note_wide = look().metrics("small").horizontalAdvance(note) + 6 if note else 0.0
            width = max(look().metrics("caption").horizontalAdvance(caption), figure_wide + note_wide) + 2
            if x + width > self.width() - 8 and x > 16:
                break
            text(painter, QRectF(x, caption_top, width, look().px(16)), caption, "caption", "text.tertiary")
            text(painter, QRectF(x, figure_top, figure_wide + 2, look().px(22)), figure, "title")
            if note:
                place = QRectF(x + figure_wide + 6, figure_top + 1, note_wide, look().px(22))
                text(painter, place, note, "small", "text.tertiary")
            x += width + GAP
        hairline(painter, 0, self.height() - 1, self.width(), "line.normal")
        painter.end()
