# ruff: noqa: D102  (Qt overrides do what Qt says)
"""A well of fixed-width text to be read and copied: as high as its lines, up to a bound, then it scrolls."""

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QPlainTextEdit, QSizePolicy

from app.theme.apply import look
from app.views.parts import column

LINES_MAX = 12


class Well(QFrame):
    """Read-only. Empty text hides it."""

    def __init__(self, name: str, title: str, lines_max: int = LINES_MAX) -> None:
        super().__init__()
        self.setProperty("role", "well")
        self._lines_max = lines_max
        self.field = QPlainTextEdit()
        self.field.setObjectName(name)
        self.field.setAccessibleName(title)
        self.field.setReadOnly(True)
        self.field.setProperty("bare", True)
        self.field.setTabChangesFocus(True)
        self.field.setFrameShape(QFrame.Shape.NoFrame)
        self.field.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.field.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        column(self, (1, 1, 1, 1)).addWidget(self.field)
        look().theme_changed.connect(self._restyle)
        self._restyle()

    def show_text(self, words: str) -> None:
        """Show this."""
        self.setVisible(bool(words))
        if words != self.field.toPlainText():
            self.field.setPlainText(words)
        self._fit()

    def copy(self) -> None:
        """All of it to the clipboard."""
        QGuiApplication.clipboard().setText(self.field.toPlainText())

    def sizeHint(self) -> QSize:
        return QSize(200, self.height())

    def _restyle(self) -> None:
        self.field.setFont(look().font("codeSmall"))
        self.field.document().setDocumentMargin(8)
        self._fit()

    def _fit(self) -> None:
        # A bar below must not bring one at the side.
        fits = self.field.blockCount() <= self._lines_max
        policy = Qt.ScrollBarPolicy.ScrollBarAlwaysOff if fits else Qt.ScrollBarPolicy.ScrollBarAsNeeded
        self.field.setVerticalScrollBarPolicy(policy)
        lines = min(self._lines_max, max(1, self.field.blockCount()))
        longest = max((len(line) for line in self.field.toPlainText().split("\n")[:200]), default=0)
        bar = 12 if longest * look().metrics("codeSmall").averageCharWidth() > self.width() - 20 else 0
        self.setFixedHeight(round(lines * self.field.fontMetrics().lineSpacing()) + 24 + bar)
