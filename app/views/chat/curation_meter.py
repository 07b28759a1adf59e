# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The meter under the composer: what of the chat is sent, what is left out, and the way to see which."""

from collections.abc import Callable

from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.theme.apply import look
from app.theme.paint import meter, text
from app.viewmodels import wording
from app.viewmodels.curation import CurationViewModel, Segment
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


class Legend(QWidget):
    """The parts by name and size, as many as have room; the whole is read out and told by the tooltip."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self._segments: tuple[Segment, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        look().theme_changed.connect(self.update)

    def show_segments(self, segments: tuple[Segment, ...], *, is_measured: bool = False) -> None:
        """These, in order; of several parts only the sum can be `is_measured`."""
        self._segments = segments
        about = "" if is_measured and len(segments) == 1 else "about "
        words = ", ".join(f"{each.title} {about}{each.tokens:,} tokens" for each in segments)
        self.setAccessibleName(words)
        self.setToolTip(words)
        self.setVisible(bool(segments))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(0, look().line("small"))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        metrics = look().metrics("small")
        x, middle = 0.0, self.height() / 2
        for each in self._segments:
            words = f"{each.title} {wording.short_count(each.tokens)}"
            wide = metrics.horizontalAdvance(words)
            if x + 12 + wide > self.width():
                break
            painter.fillRect(QRectF(x, middle - 4, 8, 8), look().colour(each.colour))
            text(painter, QRectF(x + 12, 0, wide + 2, self.height()), words, "small", "text.secondary")
            x += 12 + wide + 12
        painter.end()


class CurationMeterBar(QWidget):
    """Shown once a chat has something in it; at its first turn it says that there is nothing to curate."""

    def __init__(self, model: CurationViewModel, open_panel: Callable[[], None], parent: QWidget) -> None:
        super().__init__(parent)  # one that shows itself without a parent would be a window for a moment
        self.setObjectName("curation.meter")
        self._model = model
        self.bar = Bar("curation.bar")
        self._sent = label("", "small", "secondary", name="curation.sent")
        self.legend = Legend("curation.legend")
        self.link = button(
            "", "curation.open", open_panel, kind="link", small=True, tip="What the model will see"
        )
        legend = row(spacing=6)
        fill(legend, self._sent)
        legend.addWidget(self.legend, 1)
        legend.addWidget(self.link)
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
        segments = self._model.segments
        sent = self._model.sent_tokens
        self._sent.setText("" if segments else "All of it is sent")
        self._sent.setVisible(not segments)
        measured = bool(self._model.measured_tokens)
        self.legend.show_segments(segments, is_measured=measured)
        self.link.setText(headline)
        self.link.setAccessibleName(f"{headline}. Show what the model will see")
        whole = sent + self._model.left_out
        parts = [(each.tokens / whole, each.colour) for each in segments] if whole else []
        # At the first turn there is nothing to measure: the bar is what is sent, and no part of it is hatched.
        self.bar.show_parts(
            [*parts, (self._model.left_out / whole, "hatch")] if share and whole else parts, headline
        )
        spoken = ", ".join(f"{each.title} {each.tokens:,}" for each in segments)
        self.bar.setAccessibleDescription(
            f"{'' if measured else 'About '}{sent:,} tokens are sent: {spoken}" if spoken else ""
        )
