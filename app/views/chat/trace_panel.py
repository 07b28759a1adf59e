# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The inspector of the chat page: the route of one answer, from the verdict down to the raw record."""

from collections.abc import Callable
from typing import cast

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QGuiApplication, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QLabel, QPlainTextEdit, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from app.theme.apply import look
from app.theme.icons import paint_tier
from app.theme.paint import PillTone, pill, pill_size, rounded, text
from app.viewmodels import wording
from app.viewmodels.trace import Bar, Out, Trace
from app.views.painted import KeyValues
from app.views.parts import ElidedLabel, Head, button, column, fill, frame, icon_button, label, line, row
from app.widgets.flow import FlowLayout
from app.widgets.waterfall import reserve

LABEL_WIDTH, BAR_ROW, BAR_HEIGHT = 88, 24, 14


class Attempts(QWidget):
    """Every attempt on one time axis: the wait in grey, what streamed in the tier's colour, a cross where it failed."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("trace.attempts")
        self._bars: tuple[Bar, ...] = ()
        self._total_s = 1.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        look().theme_changed.connect(self.update)

    def show_bars(self, bars: tuple[Bar, ...], total_s: float) -> None:
        """Draw these."""
        self._bars, self._total_s = bars, total_s
        spoken = [
            f"{bar.label}, {bar.tier}: {bar.note or 'answered'}, {wording.duration(bar.wait_s + bar.stream_s)}"
            for bar in bars
        ]
        self.setAccessibleName("Attempts: " + "; ".join(spoken))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(200, look().px(BAR_ROW) * max(1, len(self._bars)) + look().px(16))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        height = look().px(BAR_ROW)
        axis = QRectF(LABEL_WIDTH, 0, self.width() - LABEL_WIDTH - 2, height * len(self._bars))
        axis.setWidth(axis.width() - self._reserve(axis.width()))
        painter.setPen(QPen(look().colour("line.normal"), 1))
        for part in range(4):
            x = round(axis.left() + axis.width() * part / 3) + 0.5
            painter.drawLine(QPointF(x, 0), QPointF(x, axis.bottom()))
        for at, bar in enumerate(self._bars):
            self._paint_bar(painter, bar, at * height, height, axis)
        foot = QRectF(axis.left(), axis.bottom() + 2, axis.width(), look().px(14))
        text(painter, foot, "0 s", "caption", "text.tertiary", weight=400)
        text(
            painter, foot, wording.duration(self._total_s), "caption", "text.tertiary", weight=400,
            align=Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter,
        )  # fmt: skip
        painter.end()

    def _reserve(self, width: float) -> float:
        metrics, total_s = look().metrics("small"), self._total_s
        return reserve(
            width,
            [
                (
                    bar.start_s / total_s,
                    (bar.start_s + bar.wait_s + bar.stream_s) / total_s,
                    metrics.horizontalAdvance(bar.note) + 22,
                )
                for bar in self._bars
                if bar.note
            ],
            is_before=False,
        )

    def _paint_bar(self, painter: QPainter, bar: Bar, top: float, height: float, axis: QRectF) -> None:
        text(painter, QRectF(0, top, LABEL_WIDTH - 8, height), bar.label, "small", "text.secondary")
        scale = axis.width() / self._total_s
        left = axis.left() + bar.start_s * scale
        y = top + (height - BAR_HEIGHT) / 2
        wait = max(4.0 if not bar.stream_s else 0.0, bar.wait_s * scale)
        streamed = bar.stream_s * scale
        # A short attempt is still a mark that can be seen.
        left = min(left, axis.right() - max(4.0, wait + streamed))
        if wait >= 1:
            rounded(
                painter,
                QRectF(left, y, wait, BAR_HEIGHT),
                min(2.0, wait / 2),
                fill="line.strong" if bar.is_failed and not bar.stream_s else "line.normal",
            )
        if streamed >= 1:
            rounded(
                painter,
                QRectF(left + wait + 1, y, max(2.0, streamed - 1), BAR_HEIGHT),
                2,
                fill=f"tier.{bar.tier}",
            )
        if bar.is_failed:
            x = left + wait + streamed + 6
            painter.setPen(QPen(look().colour("err.mark"), 1.6))
            painter.drawLine(QPointF(x, y + 3), QPointF(x + 8, y + 11))
            painter.drawLine(QPointF(x + 8, y + 3), QPointF(x, y + 11))
            room = QRectF(x + 14, top, max(0.0, self.width() - x - 14), height)
            text(painter, room, bar.note, "small", "err.text")


class LeftOutRow(QWidget):
    """A lane that was not tried: mark, name, why, and the reason as a pill."""

    def __init__(self, out: Out) -> None:
        super().__init__()
        self.setObjectName("trace.leftOut")
        self._out = out
        self.setAccessibleName(f"tier: {out.tier}, {out.name}: {out.reason}. {out.why}")
        self._why = label(out.why, "small", "tertiary", wraps=True)
        name = ElidedLabel(out.name, "small")
        body = column(spacing=1)
        fill(body, name, self._why)
        pill_width, _ = pill_size(out.reason)
        layout = row(self, (34, 5, 12 + round(pill_width) + 8, 5))
        layout.addLayout(body, 1)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        paint_tier(painter, self._out.tier, 12, 7)
        width, _ = pill_size(self._out.reason)
        pill(
            painter,
            self.width() - 12 - width,
            5 + look().px(9),
            self._out.reason,
            cast("PillTone", self._out.tone),
        )
        painter.end()


class Verdict(QWidget):
    """Who answered, and how it went, in a sentence."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("trace.verdict")
        self._trace: Trace | None = None
        self.sentence = label("", "small", "secondary", wraps=True)
        self._layout = column(self)
        self._layout.addWidget(self.sentence)
        look().theme_changed.connect(self._restyle)
        self._restyle()

    def _restyle(self) -> None:
        self._layout.setContentsMargins(12, 14 + look().px(18), 12, 8)  # the painted line stands above

    def show_trace(self, trace: Trace) -> None:
        """Say it."""
        self._trace = trace
        self.sentence.setText(trace.verdict)
        self.setAccessibleName(f"{trace.name}, {trace.state}. {trace.verdict}")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._trace is None:
            return
        painter = QPainter(self)
        line_px = look().px(18)
        left = 12.0
        if self._trace.tier:
            paint_tier(painter, self._trace.tier, left, 10 + (line_px - 14) / 2, 14)
            left += 20
        width, _ = pill_size(self._trace.state)
        text(
            painter,
            QRectF(left, 10, self.width() - left - width - 20, line_px),
            self._trace.name,
            "ui",
            weight=600,
        )
        pill(
            painter,
            self.width() - 12 - width,
            10 + line_px / 2,
            self._trace.state,
            cast("PillTone", self._trace.state_tone),
        )
        painter.end()


class TracePanel(QWidget):
    """Shows the trace of one answer, or says how to get one."""

    def __init__(
        self, close: Callable[[], None], regenerate: Callable[[], None], pin: Callable[[], None]
    ) -> None:
        super().__init__()
        self.setObjectName("trace")
        self.setAccessibleName("Route trace")
        self.trace: Trace | None = None
        outer = column(self)
        head = Head(left=12, right=8, spacing=4)
        self.json_button = button(
            "JSON", "trace.json", self._toggle_json, icon="braces", kind="ghost", small=True,
            tip="Show the raw record of this answer",
        )  # fmt: skip
        self.json_button.setCheckable(True)
        self.copy_button = icon_button("copy", "trace.copy", "Copy the raw record", self._copy, small=True)
        head.add(
            ElidedLabel("Route trace", "section"), None, self.copy_button, self.json_button,
            icon_button("x", "trace.close", "Close the inspector", close, small=True, keys="Ctrl I"),
        )  # fmt: skip
        outer.addWidget(head)
        self._empty = label(
            "Choose the line under an answer to see where it went and why.", "small", "tertiary", wraps=True
        )
        self._empty.setContentsMargins(12, 12, 12, 12)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignTop)
        outer.addWidget(self._empty)
        self._scroll = QScrollArea()
        self._scroll.setObjectName("trace.scroll")
        self._scroll.setAccessibleName("Route of the answer")
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        outer.addWidget(self._scroll, 1)
        body = frame("scrolled")
        self._body = column(body)
        self.verdict = Verdict()
        self.attempts = Attempts()
        self.figures = KeyValues("trace.figures")
        self._outs_caption = self._caption("Left out")
        self._outs: QVBoxLayout = column()
        self._outs_line = line()
        attempts_box = column(margins=(12, 4, 12, 10))
        attempts_box.addWidget(self.attempts)
        actions = QWidget()
        buttons = QWidget()
        flow = FlowLayout(buttons)
        column(actions, (12, 10, 12, 10)).addWidget(buttons)
        self._pin = button(
            "Pin this tier here", "trace.pin", pin, icon="pin", small=True, tip="Later answers in this chat stay on this tier"
        )  # fmt: skip
        for made in (
            button("Answer again", "trace.again", regenerate, icon="rotate-ccw", small=True),
            self._pin,
        ):
            flow.addWidget(made)
        tried, sums = self._caption("Attempts"), self._caption("Cost and time")
        ruled, summed = line(), line()
        # Shown where there is anything to show: of an answer written elsewhere nothing is known.
        self._of_bars, self._of_figures = (tried, self.attempts, ruled), (sums, self.figures, summed)
        fill(
            self._body, self.verdict, line(), tried, attempts_box, ruled, self._outs_caption,
            self._outs, self._outs_line, sums, self.figures, summed, actions, None,
        )  # fmt: skip
        self._scroll.setWidget(body)
        self.raw = QPlainTextEdit()
        self.raw.setObjectName("trace.raw")
        self.raw.setAccessibleName("Raw record of the answer")
        self.raw.setReadOnly(True)
        self.raw.setProperty("bare", True)
        self.raw.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        outer.addWidget(self.raw, 1)
        self._restyle()
        look().theme_changed.connect(self._restyle)
        self.show_trace(None)

    def show_trace(self, trace: Trace | None) -> None:
        """Show this answer's route."""
        self.trace = trace
        is_raw = self.json_button.isChecked()
        self._empty.setVisible(trace is None)
        self._scroll.setVisible(trace is not None and not is_raw)
        self.raw.setVisible(trace is not None and is_raw)
        self.json_button.setVisible(trace is not None)
        self.copy_button.setVisible(trace is not None)
        if trace is None:
            return
        self.verdict.show_trace(trace)
        self.attempts.show_bars(trace.bars, trace.total_s)
        self.figures.show_pairs(trace.figures)
        self.raw.setPlainText(trace.raw_json)
        for part in self._of_bars:
            part.setVisible(bool(trace.bars))
        for part in self._of_figures:
            part.setVisible(bool(trace.figures))
        self._pin.setVisible(bool(trace.tier))
        while (item := self._outs.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.hide()
                old.deleteLater()
        for out in trace.left_out:
            self._outs.addWidget(LeftOutRow(out))
        self._outs_caption.setText("Left out, were it asked now" if trace.is_of_now else "Left out")
        for part in (self._outs_caption, self._outs_line):
            part.setVisible(bool(trace.left_out))

    def _caption(self, words: str) -> QLabel:
        made = label(words, "caption", "tertiary")
        made.setContentsMargins(12, 12, 12, 4)
        return made

    def _toggle_json(self) -> None:
        self.show_trace(self.trace)

    def _copy(self) -> None:
        if self.trace is not None:
            QGuiApplication.clipboard().setText(self.trace.raw_json)

    def _restyle(self) -> None:
        self.raw.setFont(look().font("codeSmall"))
        self.raw.document().setDocumentMargin(12)
        self.figures.updateGeometry()
        self.attempts.updateGeometry()
