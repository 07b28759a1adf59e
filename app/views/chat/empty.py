# ruff: noqa: D102  (Qt overrides do what Qt says)
"""A new chat before its first question: a greeting, what will answer, and three things to try."""

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QWidget

from app.theme.apply import look
from app.theme.focus import has_keyboard_focus
from app.theme.icons import paint_tier, pixmap
from app.theme.paint import focus_ring, rounded, text
from app.views.parts import bind, button, column, fill, label, row

PADDING = 14


@dataclass(frozen=True, slots=True)
class Example:
    """Something that really works: a question put in the composer, or a page that is opened."""

    key: str
    icon: str
    title: str
    detail: str
    foot: str
    foot_tier: str = ""
    foot_icon: str = ""
    question: str = ""
    command: str = ""


EXAMPLES = (
    Example(
        "explain", "lightbulb", "Explain something", "Ask in your own words and follow up as long as you like.",
        "Local, free", foot_tier="local", question="Explain in simple words why the sky is blue.",
    ),
    Example(
        "chain", "workflow", "Let tasks follow tasks", "Fetch a page, ask a model about it, keep what it says.",
        "Opens Chains", foot_icon="workflow", command="page.chains",
    ),
    Example(
        "editor", "plug", "Use it in your editor", "Give Zed, VS Code or Cursor your models and tasks.",
        "Opens Connect", foot_icon="plug", command="connect.serve",
    ),
)  # fmt: skip
MORE = (
    ("model", "box", "Get a stronger model", "See which models fit this computer, with the arithmetic", "models.discover"),
    ("provider", "plug", "Add a provider", "Ollama on your network, or a cloud model", "models.providers"),
)  # fmt: skip


class ExampleCard(QAbstractButton):
    """A card of the empty state; painted, so that its text wraps and grows with the text size."""

    def __init__(self, example: Example, run: Callable[[Example], None]) -> None:
        super().__init__()
        self.example = example
        self.setObjectName(f"empty.{example.key}")
        self.setAccessibleName(example.title)
        self.setAccessibleDescription(example.detail)
        self.setToolTip(example.detail)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.clicked.connect(bind(run, example))
        look().theme_changed.connect(self.updateGeometry)

    def sizeHint(self) -> QSize:
        return QSize(160, self.heightForWidth(160))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, look().px(124))

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        title, detail = self._heights(width - 2 * PADDING)
        return max(look().px(124), PADDING + 16 + 6 + title + 2 + detail + 8 + look().px(16) + 12)

    def _heights(self, width: float) -> tuple[int, int]:
        room = QRect(0, 0, max(1, int(width)), 10_000)
        wrap = int(Qt.TextFlag.TextWordWrap)
        title = QFontMetrics(look().font("uiStrong")).boundingRect(room, wrap, self.example.title).height()
        detail = QFontMetrics(look().font("small")).boundingRect(room, wrap, self.example.detail).height()
        return max(title, look().px(18)), detail

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        box = QRectF(self.rect())
        hovered = self.underMouse() or self.isDown()
        rounded(painter, box, 7, fill="bg.hover" if hovered else "bg.raised", line="line.normal")
        inner = box.adjusted(PADDING, PADDING, -PADDING, -12)
        dpr = self.devicePixelRatioF()
        painter.drawPixmap(inner.topLeft(), pixmap(self.example.icon, "text.secondary", 16, dpr))
        top = inner.top() + 16 + 6
        title, detail = self._heights(inner.width())
        wrap = int(Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignTop)
        painter.setFont(look().font("uiStrong"))
        painter.setPen(look().colour("text.primary"))
        painter.drawText(QRectF(inner.left(), top, inner.width(), title), wrap, self.example.title)
        painter.setFont(look().font("small"))
        painter.setPen(look().colour("text.secondary"))
        painter.drawText(
            QRectF(inner.left(), top + title + 2, inner.width(), detail), wrap, self.example.detail
        )
        foot = QRectF(inner.left(), inner.bottom() - look().px(16), inner.width(), look().px(16))
        middle = foot.center().y()
        if self.example.foot_tier:
            paint_tier(painter, self.example.foot_tier, foot.left(), middle - 6)
        elif self.example.foot_icon:
            painter.drawPixmap(
                round(foot.left()),
                round(middle - 6),
                pixmap(self.example.foot_icon, "text.tertiary", 12, dpr),
            )
        text(painter, foot.adjusted(18, 0, 0, 0), self.example.foot, "small", "text.tertiary")
        if has_keyboard_focus(self):
            focus_ring(painter, box, 7, inside=True)
        painter.end()


class Lead(QWidget):
    """The mark of the tier that will answer, and a sentence about it."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("empty.lead")
        self._tier = ""
        self.words = label("", "", "secondary", wraps=True)
        row(self, (18, 0, 0, 0)).addWidget(self.words, 1)

    def say(self, words: str, tier: str = "") -> None:
        """Say who answers."""
        self._tier = tier
        self.words.setText(words)
        layout = self.layout()
        if layout is not None:
            layout.setContentsMargins(18 if tier else 0, 0, 0, 0)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._tier:
            painter = QPainter(self)
            paint_tier(painter, self._tier, 0, (look().px(18) - 12) / 2)
            painter.end()


class Greeting(QWidget):
    """What stands above the composer in a new chat."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("empty.greeting")
        layout = column(self, (0, 0, 0, 18), 6)
        self.title = label("What are you working on?", "display")
        self.lead = Lead()
        layout.addWidget(self.title)
        layout.addWidget(self.lead)


class Examples(QWidget):
    """Below the composer in a new chat: three cards, and two ways to more."""

    def __init__(self, run: Callable[[Example], None], command: Callable[[str], object]) -> None:
        super().__init__()
        self.setObjectName("empty.examples")
        layout = column(self, (0, 24, 0, 0), 8)
        cards = row(spacing=10)
        self.cards = [ExampleCard(example, run) for example in EXAMPLES]
        for card in self.cards:
            cards.addWidget(card, 1)
        more = row(spacing=6)
        self.more = [
            button(title, f"empty.{key}", bind(command, name), icon=icon, kind="ghost", small=True, tip=tip)
            for key, icon, title, tip, name in MORE
        ]
        fill(more, *self.more, None)
        layout.addLayout(cards)
        layout.addLayout(more)
