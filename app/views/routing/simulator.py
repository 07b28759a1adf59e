# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The lower part of the inspector: a text and its needs, and every lane with what the router says to it."""

from collections.abc import Callable

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QComboBox, QSizePolicy, QVBoxLayout, QWidget

from app.theme.apply import look
from app.theme.focus import has_keyboard_focus
from app.theme.icons import paint_tier
from app.theme.paint import RIGHT, focus_ring, pill, pill_size, text
from app.viewmodels.routing_simulator import CONTEXTS, NEEDS, REACHES, Candidate, SimulatorViewModel
from app.views.parts import TextArea, bind, column, fill, label, row
from app.widgets.flow import FlowLayout

QUESTION_HEIGHT, QUESTION_WIDTH_MIN, WIDTH_ANY = 56, 120, 16_777_215


class NeedPill(QAbstractButton):
    """A need that can be switched on."""

    def __init__(self, name: str, words: str, tip: str = "") -> None:
        super().__init__()
        self.setObjectName(f"routing.need.{name}")
        self.setText(words)
        self.setAccessibleName(words if tip else f"Needs {words.lower()}")
        self.setToolTip(tip or f"The request cannot do without {words.lower()}")
        self.setCheckable(True)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.toggled.connect(bind(self.updateGeometry))
        look().theme_changed.connect(self.updateGeometry)

    def sizeHint(self) -> QSize:
        width, _ = pill_size(self.text(), icon="check" if self.isChecked() else "")
        return QSize(round(width) + 4, look().px(22) + 4)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        is_on = self.isChecked()
        pill(
            painter, 2, self.height() / 2, self.text(), "accent" if is_on else "outline",
            icon="check" if is_on else "", height=22, dpr=self.devicePixelRatioF(),
        )  # fmt: skip
        if has_keyboard_focus(self):
            focus_ring(painter, QRectF(self.rect()), self.height() / 2, inside=True)
        painter.end()


class CandidateRow(QWidget):
    """One lane: mark and name, the word at the right, and the sentence below where there is more to say."""

    def __init__(self, candidate: Candidate) -> None:
        super().__init__()
        self.setObjectName("routing.candidate")
        self.candidate = candidate
        self.setAccessibleName(candidate.spoken)
        self.setToolTip(candidate.spoken)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    @property
    def _has_why(self) -> bool:
        found = self.candidate
        is_told = found.is_left_out or found.is_chosen or found.is_stepped_back
        return bool(found.why) and found.why != found.word and is_told

    def sizeHint(self) -> QSize:
        return QSize(200, look().px(24) + (look().px(16) if self._has_why else 0))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        found = self.candidate
        if found.is_chosen:
            painter.fillRect(self.rect(), look().colour("accent.soft"))
        height = look().px(24)
        paint_tier(painter, found.tier, 12, (height - 12) / 2, failed=found.is_left_out)
        face = "uiStrong" if found.is_chosen else "small"
        width = look().metrics("small", 500 if found.is_chosen else None).horizontalAdvance(found.word) + 2
        ink = "accent.text" if found.is_chosen else "text.tertiary" if found.is_left_out else "text.secondary"
        text(
            painter, QRectF(self.width() - 12 - width, 0, width, height), found.word, "small", ink,
            weight=500 if found.is_chosen else None, align=RIGHT,
        )  # fmt: skip
        room = QRectF(32, 0, self.width() - 32 - width - 24, height)
        text(painter, room, found.name, "small", "text.primary", weight=500 if face == "uiStrong" else None)
        if self._has_why:
            below = QRectF(32, height - look().px(5), self.width() - 44, look().px(17))
            text(painter, below, found.why, "caption", "text.tertiary", weight=400)
        painter.end()


class Question(TextArea):
    """The text to try; Tab leaves it, Ctrl Enter asks at once."""

    def __init__(self, ask: Callable[[], None]) -> None:
        super().__init__(QUESTION_WIDTH_MIN, look().px(QUESTION_HEIGHT))
        self._ask = ask
        self.setObjectName("routing.question")
        self.setAccessibleName("Text to try")
        self.setPlaceholderText("Paste a text to see where it would go…")
        self.setMaximumWidth(WIDTH_ANY)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        look().theme_changed.connect(self._fit)

    def _fit(self) -> None:
        self.setFixedHeight(look().px(QUESTION_HEIGHT))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        is_enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if is_enter and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self._ask()
            return
        super().keyPressEvent(event)


class SimulatorPanel(QWidget):
    """What would happen to this text with these needs. Nothing is sent."""

    def __init__(self, simulator: SimulatorViewModel) -> None:
        super().__init__()
        self.setObjectName("routing.simulator")
        self.setAccessibleName("Try a route")
        self._simulator = simulator
        layout = column(self, (0, 0, 0, 12))
        caption = label("Try a route", "caption", "tertiary")
        self.question = Question(simulator.ask)
        self.question.textChanged.connect(bind(self._ask_text))
        needs = QWidget()
        flow = FlowLayout(needs, 2)
        self.needs: dict[str, NeedPill] = {}
        for need, words, _ in NEEDS:
            made = NeedPill(need, words)
            made.toggled.connect(bind(self._ask_needs))
            flow.addWidget(made)
            self.needs[need] = made
        self.private = NeedPill("private", "Private", "Nothing of it may leave this computer")
        self.private.toggled.connect(bind(self._ask_private))
        flow.addWidget(self.private)
        self.context = self._box("context", "Length of the conversation before it", CONTEXTS)
        self.context.activated.connect(bind(self._ask_context))
        self.reach = self._box("reach", "How far it may go", REACHES)
        self.reach.activated.connect(bind(self._ask_reach))
        boxes = row(spacing=6)
        boxes.addWidget(self.context, 1)
        boxes.addWidget(self.reach, 1)
        top = column(margins=(12, 10, 12, 8), spacing=6)
        self.verdict = label("", "small", "secondary", wraps=True, name="routing.verdict")
        fill(top, caption, self.question, needs, boxes, 2, self.verdict)
        layout.addLayout(top)
        self._rows: QVBoxLayout = column()
        layout.addLayout(self._rows)
        self.more = label("", "small", "tertiary")
        self.more.setContentsMargins(32, 4, 12, 0)
        layout.addWidget(self.more)
        simulator.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """The router's answer."""
        simulator = self._simulator
        self.verdict.setText(simulator.verdict)
        while (item := self._rows.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.hide()
                old.deleteLater()
        for candidate in simulator.candidates:
            self._rows.addWidget(CandidateRow(candidate))
        self.more.setText(f"and {simulator.hidden} more" if simulator.hidden else "")
        self.more.setVisible(bool(simulator.hidden))

    def rows(self) -> list[Candidate]:
        """What is listed, for tests and for who reads it aloud."""
        return list(self._simulator.candidates)

    def take_focus(self) -> None:
        """The text."""
        self.question.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _ask_text(self) -> None:
        self._simulator.set_text(self.question.toPlainText())

    def _ask_needs(self) -> None:
        self._simulator.set_needs({need for need, made in self.needs.items() if made.isChecked()})

    def _ask_private(self) -> None:
        self._simulator.set_private(self.private.isChecked())

    def _ask_context(self) -> None:
        self._simulator.set_context(int(self.context.currentData()))

    def _ask_reach(self) -> None:
        self._simulator.set_reach(str(self.reach.currentData()))

    def _box(self, name: str, title: str, choices: tuple[tuple[object, str], ...]) -> QComboBox:
        made = QComboBox()
        made.setObjectName(f"routing.{name}")
        made.setAccessibleName(title)
        made.setToolTip(title)
        made.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        for value, words in choices:
            made.addItem(words, value)
        return made
