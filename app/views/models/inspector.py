# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The inspector of an installed model: what it is, how it fits at which context, what was measured, where it lies."""

from collections.abc import Callable

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QSlider, QWidget

from app.theme.apply import look, repolish
from app.theme.paint import RIGHT, pill, pill_size, rounded, text
from app.viewmodels import wording
from app.viewmodels.models import FIT_WORDS, FitBar, ModelsViewModel, context_steps, fit_bar
from app.views.painted import KeyValues, PillRow
from app.views.parts import ElidedLabel, Head, button, column, fill, frame, icon_button, label, line, row
from app.views.scrolled import Scrolled


class FitView(QWidget):
    """The stacked bar with its headline and legend."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("models.fit")
        self._bar: FitBar | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        look().theme_changed.connect(self.updateGeometry)

    def show_bar(self, bar: FitBar | None) -> None:
        """Draw this, or nothing."""
        self._bar = bar
        self.setVisible(bar is not None)
        if bar is not None:
            parts = ", ".join(f"{name} {size}" for _, _, name, size in bar.parts)
            self.setAccessibleName(f"{bar.pill}. {bar.headline}: {parts}")
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        rows = len(self._bar.parts) if self._bar else 4
        return QSize(200, look().px(18) + 8 + 14 + 8 + rows * look().px(21))

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._bar is None:
            return
        painter = QPainter(self)
        line_px = look().px(18)
        width, _ = pill_size(self._bar.pill)
        pill(painter, self.width() - width, line_px / 2, self._bar.pill, self._bar.tone)  # type: ignore[arg-type]
        text(
            painter, QRectF(0, 0, self.width() - width - 8, line_px), self._bar.headline, "small", weight=500
        )
        bar = QRectF(0, line_px + 8, self.width(), 14)
        rounded(painter, bar, 3, fill="bg.pressed")
        painter.save()
        painter.setClipRect(bar)
        left = bar.left()
        for share, colour, _, _ in self._bar.parts:
            span = bar.width() * min(1.0, share)
            painter.fillRect(QRectF(left, bar.top(), max(1.0, span - 1), 14), look().colour(colour))
            left += span
        painter.restore()
        height = look().px(21)
        for at, (_, colour, words, size) in enumerate(self._bar.parts):
            top = bar.bottom() + 6 + at * height
            rounded(painter, QRectF(0, top + (height - 8) / 2, 8, 8), 2, fill=colour)
            text(painter, QRectF(14, top, self.width() - 90, height), words, "small", "text.secondary")
            text(painter, QRectF(self.width() - 80, top, 80, height), size, "small", align=RIGHT)
        painter.end()


class ModelInspector(QWidget):
    """Follows the view-model's selection."""

    def __init__(
        self,
        models: ModelsViewModel,
        chat: Callable[[str], None],
        remove: Callable[[str], None],
        close: Callable[[], None],
    ) -> None:
        super().__init__()
        self.setObjectName("models.inspector")
        self.setAccessibleName("Model")
        self._models = models
        outer = column(self)
        self._head = Head(left=12, right=8, spacing=4)
        self.title = ElidedLabel("", "section", name="models.name")
        self._head.add(
            self.title,
            None,
            icon_button(
                "x", "models.closeInspector", "Close the inspector", close, small=True, keys="Ctrl I"
            ),
        )
        outer.addWidget(self._head)
        body = frame("scrolled")
        layout = column(body)
        self.pills = PillRow("models.pills")
        self.about = label("", "small", "secondary", wraps=True)
        self.chat_button = button(
            "Chat with it",
            "models.chat",
            lambda: chat(models.selected),
            icon="message-square",
            kind="primary",
        )
        self.unload_button = button(
            "Unload",
            "models.unload",
            lambda: models.unload(models.selected),
            icon="upload",
            tip="Free its memory",
        )
        self.remove_button = button(
            "Remove…",
            "models.remove",
            lambda: remove(models.selected),
            kind="ghostDanger",
            tip="Delete the file",
        )
        buttons = row(spacing=6)
        fill(buttons, self.chat_button, self.unload_button, None)
        top = column(margins=(12, 12, 12, 12), spacing=10)
        fill(top, self.pills, self.about, buttons)
        self.problem = label("", "small", "error", wraps=True)
        top.addWidget(self.problem)
        layout.addLayout(top)
        layout.addWidget(line())
        self._fit_caption = _caption("Will it fit")
        self.fit = FitView()
        self.context_name = label("Context", "small")
        self.context_value = label("", "small", name="models.contextValue")
        self.context = QSlider(Qt.Orientation.Horizontal)
        self.context.setObjectName("models.context")
        self.context.setAccessibleName("Context length")
        self.context.setToolTip("How many tokens the model holds; more need more memory")
        self.context.setPageStep(1)
        self.context.valueChanged.connect(self._moved)
        self._ticks = Ticks()
        context_row = row()
        fill(context_row, self.context_name, None, self.context_value)
        fit_box = column(margins=(12, 4, 12, 12), spacing=4)
        fill(fit_box, self.fit, 8, context_row, self.context, self._ticks)
        self._fit_line = line()
        fill(layout, self._fit_caption, fit_box, self._fit_line)
        self.measure_button = button(
            "Measure",
            "models.measure",
            lambda: models.measure(models.selected),
            small=True,
            tip="Time a short run on this computer",
        )
        measured_head = row(margins=(0, 6, 12, 0))
        fill(measured_head, _caption("Measured here"), None, self.measure_button)
        self.measured = KeyValues("models.measured")
        fill(layout, measured_head, self.measured, line())
        self.verify_button = button(
            "Verify",
            "models.verify",
            lambda: models.verify(models.selected),
            small=True,
            tip="Read the whole file and compare its SHA-256",
        )
        file_head = row(margins=(0, 6, 12, 0))
        fill(file_head, _caption("File"), None, self.verify_button)
        layout.addLayout(file_head)
        self.file = KeyValues("models.file")
        self.sum = label("", "small", wraps=True, name="models.sum")
        self.sum.setContentsMargins(12, 0, 12, 10)
        remove_row = row(margins=(6, 8, 12, 12))
        fill(remove_row, self.remove_button, None)
        fill(layout, self.file, self.sum, line(), remove_row, None)
        self._scroll = Scrolled(body, "models.inspectorScroll", "Details of the model", is_focusable=True)
        outer.addWidget(self._scroll, 1)
        models.selected_changed.connect(self.refresh)
        models.changed.connect(self.refresh)
        models.fit_changed.connect(self._show_fit)
        models.busy_changed.connect(self._show_busy)
        look().theme_changed.connect(self._restyle)
        self._steps: tuple[int, ...] = (2048,)
        self._restyle()
        self.refresh()

    def refresh(self) -> None:
        """Show the selected model."""
        model = self._models.current
        self._scroll.setVisible(model is not None)
        if model is None:
            self.title.set_words("No model chosen")
            return
        self.title.set_words(model.name)
        pills = [("Loaded", "ok", "circle-check")] if model.is_loaded else []
        if model.is_starter:
            pills.append(("Starter", "neutral", "star"))
        if model.fit is not None and not model.is_loaded:
            words, tone, icon = FIT_WORDS[model.fit.label]
            pills.append((words, tone, icon))
        self.pills.show_pills(*pills)
        licence = f"{wording.licence(model.licence)}, " if model.licence else ""
        kind = (
            f"{model.architecture}, {wording.parameters(model.parameters)} weights. "
            if model.architecture
            else ""
        )
        self.about.setText(f"{kind}{licence}{wording.size(model.size_bytes)} on disk.")
        self.problem.setText(model.problem)
        self.problem.setVisible(bool(model.problem))
        self.chat_button.setEnabled(not model.problem)
        self.unload_button.setVisible(model.is_loaded)
        self.remove_button.setEnabled(not model.is_starter)
        # What cannot be pressed is not red.
        kind = "ghost" if model.is_starter else "ghostDanger"
        if self.remove_button.property("kind") != kind:
            self.remove_button.setProperty("kind", kind)
            repolish(self.remove_button)
        self.remove_button.setToolTip(
            "The starter stays, so that there is always a model" if model.is_starter else "Delete the file"
        )
        steps = context_steps(model.context_max)
        if steps != self._steps:
            self._steps = steps
            self.context.blockSignals(True)
            self.context.setRange(0, len(steps) - 1)
            self.context.blockSignals(False)
            self._ticks.show_words(tuple(wording.short_count(step) for step in steps))
        self.measured.show_pairs(
            (
                ("Generation", wording.rate(model.tokens_per_s)),
                (
                    "Last used",
                    wording.ago(model.last_used_at, self._models.now()) if model.last_used_at else "never",
                ),
            )
        )
        self.file.show_pairs(
            (
                ("Template", "built in" if model.has_template else "none, a plain one is used"),
                ("Context at most", wording.count(model.context_max) if model.context_max else wording.DASH),
                ("SHA-256", f"{model.sha256[:4]}…{model.sha256[-4:]}" if model.sha256 else "not checked"),
                ("Source", _source(model.source)),
                ("File", model.path.replace("\\", "/").rpartition("/")[2]),
            )
        )
        self._show_sum()
        self._show_fit()
        self._show_busy()

    def _show_sum(self) -> None:
        words, tone = self._models.sums.get(self._models.selected, ("", ""))
        self.sum.setText(words)
        self.sum.setVisible(bool(words))
        if self.sum.property("tone") != tone:
            self.sum.setProperty("tone", tone)
            repolish(self.sum)

    def _show_fit(self) -> None:
        model, fit = self._models.current, self._models.fit
        has_fit = model is not None and fit is not None
        self.fit.show_bar(fit_bar(model, fit) if model is not None and fit is not None else None)
        for part in (
            self._fit_caption,
            self._fit_line,
            self.context,
            self.context_name,
            self.context_value,
            self._ticks,
        ):
            part.setVisible(has_fit)
        nearest = min(range(len(self._steps)), key=lambda at: abs(self._steps[at] - self._models.context))
        if self.context.value() != nearest:
            self.context.blockSignals(True)
            self.context.setValue(nearest)
            self.context.blockSignals(False)
        self.context_value.setText(wording.count(self._models.context))

    def _show_busy(self) -> None:
        is_busy = self._models.selected in self._models.busy
        # They stay enabled while they work: a button that is shut gives its focus on, here to the one that removes.
        self.measure_button.setEnabled(self._models.current is not None)
        self.measure_button.setText("Working" if is_busy else "Measure")
        self.verify_button.setEnabled(self._models.current is not None)

    def _moved(self, place: int) -> None:
        self._models.set_context(self._steps[place])
        self.context_value.setText(wording.count(self._steps[place]))
        self.context.setAccessibleDescription(f"{wording.count(self._steps[place])} tokens")

    def _restyle(self) -> None:
        self.context_value.setFont(look().font("codeSmall"))


class Ticks(QWidget):
    """Captions under a slider, one for each stop, the ends flush with the groove."""

    def __init__(self) -> None:
        super().__init__()
        self._words: tuple[str, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_words(self, words: tuple[str, ...]) -> None:
        """Show these; where there are many, every other one."""
        self._words = words
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(100, look().px(14))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        last = len(self._words) - 1
        step = 1 if last < 6 else 2
        for at, words in enumerate(self._words):
            if (at % step and at != last) or (at != last and last - at < step and at % step):
                continue
            width = look().metrics("caption").horizontalAdvance(words)
            centre = 7 + (self.width() - 14) * (at / last if last else 0.5)
            left = max(0.0, min(self.width() - width, centre - width / 2))
            text(painter, QRectF(left, 0, width + 2, self.height()), words, "caption", "text.tertiary")
        painter.end()


def _source(source: str) -> str:
    if source.startswith("http"):
        return source.split("/")[2]
    return source or "imported"


def _caption(words: str) -> QWidget:
    made = label(words, "caption", "tertiary")
    made.setContentsMargins(12, 12, 12, 4)
    return made
