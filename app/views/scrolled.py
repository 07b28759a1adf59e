# ruff: noqa: D102  (Qt overrides do what Qt says)
"""A column that scrolls up and down; its bar lies over the padding at the right, so that nothing shifts when it comes."""

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QScrollArea, QWidget

from app.views.parts import column, fill, frame


class Scrolled(QScrollArea):
    """See the module. `says` is what it holds, for a screen reader; a bare widget is put on its ground."""

    def __init__(self, content: QWidget, name: str, says: str, *, is_focusable: bool = False) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(says)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        if not is_focusable:
            self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        if content.property("role") != "scrolled":
            ground = frame("scrolled")
            fill(column(ground), content)
            content = ground
        # Put in when it is first shown: from then on what it holds is styled at once, and anew each time that it or
        # anything around it finds its place.
        self._content = content
        content.setParent(self.viewport())
        self.verticalScrollBar().installEventFilter(self)

    def showEvent(self, event: QShowEvent) -> None:
        if self.widget() is None:
            self.setWidget(self._content)
        super().showEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        kind = event.type()
        if kind in (QEvent.Type.Show, QEvent.Type.Hide) and watched is self.verticalScrollBar():
            over = self.verticalScrollBar().sizeHint().width() if kind == QEvent.Type.Show else 0
            self.setViewportMargins(0, 0, -over, 0)
        return super().eventFilter(watched, event)
