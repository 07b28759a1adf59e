# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The meter under the composer: what of the chat is sent, what is left out, and the way to see which."""

from collections.abc import Callable

from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.theme.apply import look
from app.theme.paint import meter
from app.viewmodels import wording
from app.viewmodels.curation import CurationViewModel
from app.views.parts import button, column, fill, label, row

BAR_PX = 6


class Bar(QWidget):
    """Sent in colour, left out hatched."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self._parts: list[tuple[float, str]] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_parts(self, parts: list[tuple[float, str]], spoken: str) -> None:
        """Shares of the whole with their colours."""
        self._parts = parts
        self.setAccessibleName(spoken)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(80, BAR_PX)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        meter(painter, QRectF(self.rect()), self._parts)
        painter.end()


class CurationMeterBar(QWidget):
    """Shown once a chat has something in it; at its first turn it says that there is nothing to curate."""

    def __init__(self, model: CurationViewModel, open_panel: Callable[[], None], parent: QWidget) -> None:
        super().__init__(parent)  # one that shows itself without a parent would be a window for a moment
        self.setObjectName("curation.meter")
        self._model = model
        self.bar = Bar("curation.bar")
        self._sent = label("", "small", "secondary", name="curation.sent")
        self.link = button(
            "", "curation.open", open_panel, kind="link", small=True, tip="What the model will see"
        )
        legend = row(spacing=6)
        fill(legend, self._sent, None, self.link)
        layout = column(self, (2, 8, 2, 0), 2)
        layout.addWidget(self.bar)
        layout.addLayout(legend)
        model.changed.connect(self._say)
        look().theme_changed.connect(self.bar.update)
        self._say()

    def _say(self) -> None:
        told, share = self._model.meter, self._model.share
        self.setVisible(told is not None)
        if told is None:
            return
        headline = self._model.headline
        sent = told.curated_tokens if told.is_on else told.naive_tokens
        self._sent.setText(
            f"About {wording.short_count(sent)} tokens are sent" if sent else "All of it is sent"
        )
        self.link.setText(headline)
        self.link.setAccessibleName(f"{headline}. Show what the model will see")
        # Where nothing is left out there is nothing to measure: the bar stays empty.
        self.bar.show_parts([(1 - share, "data.3"), (share, "hatch")] if share else [], headline)
