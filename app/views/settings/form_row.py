# ruff: noqa: D102  (Qt overrides do what Qt says)
"""One setting: what it is, what it does, its control at the right, a dot when changed, a way back, a fault below."""

from PySide6.QtCore import QEasingCurve, QRectF, Qt, QVariantAnimation, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.theme.apply import look, repolish
from app.theme.icons import pixmap
from app.theme.paint import hairline, rounded
from app.views.parts import column, icon_button, label, row

DOT_COLUMN_PX = 36
DOT_X_PX = 12
CONTROL_PX = 232
FADE_MS = 200


class FormRow(QWidget):
    """Give it the control; it lays out the rest and keeps the control's accessible name and description."""

    reset_requested = Signal()

    def __init__(self, name: str, title: str, sentence: str, control: QWidget) -> None:
        super().__init__()
        self.setObjectName(name)
        self._is_changed = False
        self._lit = 0.0
        self.control = control
        if not control.accessibleName():
            control.setAccessibleName(title)
        control.setAccessibleDescription(sentence)
        self._fault = label("", "small", "error", wraps=True, name=f"{name}.error")
        self._fault.setMaximumWidth(CONTROL_PX)
        self._fault.hide()
        self.reset = icon_button(
            "rotate-ccw",
            f"{name}.reset",
            f"Back to the default: {title}",
            self.reset_requested.emit,
            small=True,
        )
        policy = self.reset.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.reset.setSizePolicy(policy)
        self.reset.hide()
        words = column(margins=(0, 4, 0, 0), spacing=2)
        words.addWidget(label(title, "uiStrong", wraps=True))
        described = label(sentence, "small", "secondary", wraps=True)
        if not sentence:
            described.hide()  # never `setVisible(True)` here: without a parent yet it would be a window of its own
        words.addWidget(described)
        words.addStretch(1)
        right = column(spacing=4)
        right.addWidget(control, 0, Qt.AlignmentFlag.AlignRight)
        right.addWidget(self._fault, 0, Qt.AlignmentFlag.AlignRight)
        right.addStretch(1)
        layout = row(self, (DOT_COLUMN_PX, 12, 12, 12), 12)
        layout.addLayout(words, 1)
        layout.addLayout(right)
        layout.addWidget(self.reset, 0, Qt.AlignmentFlag.AlignTop)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._fade = QVariantAnimation(self)
        self._fade.setDuration(FADE_MS)
        self._fade.setStartValue(1.0)
        self._fade.setEndValue(0.0)
        self._fade.setEasingCurve(QEasingCurve.Type.OutCubic)
        self._fade.valueChanged.connect(self._faded)

    @property
    def fault(self) -> str:
        """What is wrong, or empty."""
        return self._fault.text() if not self._fault.isHidden() else ""

    def set_changed(self, is_changed: bool) -> None:
        """Show the dot and the way back to the default."""
        self._is_changed = is_changed
        self.reset.setVisible(is_changed)
        self.update()

    def set_fault(self, sentence: str) -> None:
        """Show what is wrong, and what would be right; empty takes it away."""
        if sentence == self.fault:
            return
        self._fault.setText(sentence)
        self._fault.setVisible(bool(sentence))
        self.control.setProperty("error", bool(sentence))
        repolish(self.control)
        self.updateGeometry()

    def light(self, *, animated: bool = True) -> None:
        """Light the row up, as a search hit; it fades once."""
        self._lit = 1.0
        if animated:
            self._fade.start()
        self.update()

    def darken(self) -> None:
        """Take the light away."""
        self._fade.stop()
        self._lit = 0.0
        self.update()

    def _faded(self, value: object) -> None:
        self._lit = float(value) if isinstance(value, float) else 0.0
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        if self._lit:
            painter.setOpacity(self._lit)
            rounded(painter, QRectF(self.rect()), 7, fill="accent.soft")
            painter.setOpacity(1.0)
        if self._is_changed:
            middle = 12 + 4 + look().px(9)
            rounded(painter, QRectF(DOT_X_PX, middle - 3, 6, 6), 3, fill="accent.fill")
        if not self._lit:
            hairline(painter, DOT_X_PX, self.height() - 1, self.width() - DOT_X_PX, "line.subtle")
        if not self._fault.isHidden():
            glyph = pixmap("circle-x", "err.text", 14, self.devicePixelRatioF())
            place = self._fault.geometry()
            painter.drawPixmap(place.x() - 18, place.y() + 1, glyph)
        painter.end()
