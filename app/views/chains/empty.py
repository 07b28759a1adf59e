"""Before there is a chain: what chains are for in a sentence, two that run at once, and an empty one."""

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QLabel, QWidget

from app.theme.apply import look
from app.theme.icons import pixmap
from app.viewmodels.chain_examples import EXAMPLES, Example
from app.views.parts import button, column, fill, frame, label, row

WIDTH = 560


class EmptyChains(QFrame):
    """`begin` takes an example and whether it shall run at once; `new` makes an empty chain."""

    def __init__(self, begin: Callable[[Example], None], new: Callable[[], None]) -> None:
        super().__init__()
        self.setObjectName("chains.empty")
        self.setProperty("role", "page")
        self.setAccessibleName("No chains yet")
        outer = column(self, (24, 24, 24, 24))
        inner = QWidget()
        inner.setMaximumWidth(WIDTH)
        layout = column(inner, spacing=10)
        self._glyph = QLabel()
        self._glyph.setAlignment(Qt.AlignmentFlag.AlignCenter)
        title = label("Let tasks follow tasks", "display")
        title.setAlignment(Qt.AlignmentFlag.AlignCenter)
        words = label(
            "A chain runs one task after another, asks a condition between them, hands on what came out, and says "
            "why something did not run. Both examples work on this computer alone.",
            "",
            "secondary",
            wraps=True,
        )
        words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        fill(layout, self._glyph, title, words, 8)
        self.buttons = [
            self._card(layout, example, begin, is_first=at == 0) for at, example in enumerate(EXAMPLES)
        ]
        self.new = button("New empty chain", "chains.empty.new", new, icon="plus", tip="Begin with nothing")
        foot = row()
        fill(foot, None, self.new, None)
        layout.addSpacing(6)
        layout.addLayout(foot)
        across = row()
        fill(across, None, inner, None)
        across.setStretch(1, 1000)
        fill(outer, None, across, None)
        look().theme_changed.connect(self._restyle)
        self._restyle()

    def _card(
        self, layout: object, example: Example, begin: Callable[[Example], None], *, is_first: bool
    ) -> QWidget:
        from PySide6.QtWidgets import QBoxLayout

        card = frame("card", f"chains.empty.{example.name}")
        inner = row(card, (14, 12, 12, 12), 12)
        words = column(spacing=2)
        fill(words, label(example.title, "uiStrong"), label(example.about, "small", "secondary", wraps=True))
        inner.addLayout(words, 1)
        made = button(
            "Open and run",
            f"chains.empty.run.{example.name}",
            lambda: begin(example),
            icon="play",
            kind="primary" if is_first else "",
            tip=f"Make the chain {example.name} and run it",
        )
        made.setAccessibleName(f"Open and run {example.title}")
        inner.addWidget(made, 0, Qt.AlignmentFlag.AlignVCenter)
        assert isinstance(layout, QBoxLayout)
        layout.addWidget(card)
        return made

    def _restyle(self) -> None:
        self._glyph.setPixmap(pixmap("workflow", "text.tertiary", 28))
