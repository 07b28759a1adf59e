"""A few choices side by side, one of them taken."""

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QButtonGroup, QFrame, QHBoxLayout, QPushButton, QSizePolicy, QWidget


class Segmented(QFrame):
    """One tab stop: left and right arrows, Home and End move the choice, as a click does."""

    changed = Signal(str)
    """The key of the choice the user made; not emitted by `choose`."""

    def __init__(
        self,
        choices: Sequence[tuple[str, str]],
        name: str = "",
        *,
        small: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        """`choices` are (key, label); the first is taken. `name` is for who cannot see it."""
        super().__init__(parent)
        assert choices, "a segmented control without choices"
        self.setProperty("role", "segmented")
        if name:
            self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self._group = QButtonGroup(self)
        self._buttons: dict[str, QPushButton] = {}
        layout = QHBoxLayout(self)
        layout.setContentsMargins(1, 1, 1, 1)
        layout.setSpacing(0)
        for key, words in choices:
            button = _Segment(words, self)
            button.setObjectName(f"segment.{key}")
            button.setAccessibleName(f"{name}: {words}" if name else words)
            button.setProperty("small", small)
            self._group.addButton(button)
            self._buttons[key] = button
            layout.addWidget(button)
        self._group.buttonClicked.connect(self._clicked)
        self.choose(choices[0][0])

    @property
    def choice(self) -> str:
        """The key of what is taken."""
        return next(key for key, button in self._buttons.items() if button.isChecked())

    def choose(self, key: str) -> None:
        """Takes a choice without telling."""
        self._buttons[key].setChecked(True)
        for other, button in self._buttons.items():
            button.setFocusPolicy(Qt.FocusPolicy.StrongFocus if other == key else Qt.FocusPolicy.ClickFocus)

    def _clicked(self) -> None:
        key = self.choice
        self.choose(key)
        self.changed.emit(key)

    def step(self, key: int) -> bool:
        """Moves the choice for an arrow key; False for any other."""
        keys = list(self._buttons)
        at = keys.index(self.choice)
        mirrored = self.layoutDirection() == Qt.LayoutDirection.RightToLeft
        match key:
            case Qt.Key.Key_Left:
                at += 1 if mirrored else -1
            case Qt.Key.Key_Right:
                at += -1 if mirrored else 1
            case Qt.Key.Key_Home:
                at = 0
            case Qt.Key.Key_End:
                at = len(keys) - 1
            case _:
                return False
        wanted = keys[min(max(at, 0), len(keys) - 1)]
        if wanted != self.choice:
            self.choose(wanted)
            self._buttons[wanted].setFocus(Qt.FocusReason.ShortcutFocusReason)
            self.changed.emit(wanted)
        return True


class _Segment(QPushButton):
    def __init__(self, words: str, owner: Segmented) -> None:
        super().__init__(words, owner)
        self._owner = owner
        self.setCheckable(True)
        self.setAutoDefault(False)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if not self._owner.step(event.key()):
            super().keyPressEvent(event)
