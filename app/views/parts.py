"""Small constructors every view uses: named, without Qt's default margins, styled by the sheet's properties."""

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QIcon, QKeySequence, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from app.commands import BY_ID, spoken
from app.theme.apply import look
from app.theme.icons import pixmap, set_icon
from app.theme.paint import RIGHT, rounded, text
from app.widgets.push_button import KeyButton, PushButton

Args = TypeVarTuple("Args")
Carried = TypeVar("Carried")
Margins = tuple[int, int, int, int]
NO_MARGINS: Margins = (0, 0, 0, 0)


def bind(run: Callable[[*Args], object], *args: *Args) -> Callable[..., None]:
    """A slot that runs `run(*args)` and lets go what the signal carries."""

    def slot(*_: object) -> None:
        run(*args)

    return slot


def taking(_: type[Carried], run: Callable[[Carried], object]) -> Callable[[Carried], object]:
    """`run` as a slot of a signal that carries one value of that type."""
    return run


def row(parent: QWidget | None = None, margins: Margins = NO_MARGINS, spacing: int = 0) -> QHBoxLayout:
    """A horizontal layout with only the margins given."""
    made = QHBoxLayout() if parent is None else QHBoxLayout(parent)
    made.setContentsMargins(*margins)
    made.setSpacing(spacing)
    return made


def column(parent: QWidget | None = None, margins: Margins = NO_MARGINS, spacing: int = 0) -> QVBoxLayout:
    """A vertical layout with only the margins given."""
    made = QVBoxLayout() if parent is None else QVBoxLayout(parent)
    made.setContentsMargins(*margins)
    made.setSpacing(spacing)
    return made


def fill(layout: QBoxLayout, *items: QWidget | QLayout | int | None) -> QBoxLayout:
    """Add in order: widgets, layouts, a number as fixed space, None as stretch."""
    for item in items:
        if item is None:
            layout.addStretch(1)
        elif isinstance(item, int):
            layout.addSpacing(item)
        elif isinstance(item, QWidget):
            layout.addWidget(item)
        else:
            layout.addLayout(item)
    return layout


def frame(role: str, name: str = "", parent: QWidget | None = None) -> QFrame:
    """A surface of the sheet: `side`, `page`, `head`, `card`, `well`, `line` and so on."""
    made = QFrame(parent)
    made.setProperty("role", role)
    if name:
        made.setObjectName(name)
    return made


def line(role: str = "line") -> QFrame:
    """A horizontal rule of one px."""
    made = frame(role)
    made.setFixedHeight(1)
    return made


def label(
    words: str = "",
    face: str = "",
    tone: str = "",
    *,
    wraps: bool = False,
    name: str = "",
    selectable: bool = False,
) -> QLabel:
    """Plain text in a text style and tone of the sheet."""
    made = QLabel(words)
    made.setTextFormat(Qt.TextFormat.PlainText)
    if face:
        made.setProperty("face", face)
    if tone:
        made.setProperty("tone", tone)
    if name:
        made.setObjectName(name)
    if wraps:
        made.setWordWrap(True)
        made.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
    if selectable:
        made.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return made


def button(
    words: str,
    name: str,
    run: Callable[[], None] | None = None,
    *,
    icon: str = "",
    kind: str = "",
    small: bool = False,
    tip: str = "",
    colour: str = "",
    key: str = "",
) -> QPushButton:
    """A push button; `kind` is primary, ghost, danger, ghostDanger or link. Its accessible name is its text.

    `key` is shown on it as a cap; who owns the button presses it by that key.
    """
    made = KeyButton(words, key) if key else PushButton(words)
    made.setObjectName(name)
    if kind:
        made.setProperty("kind", kind)
    if small:
        made.setProperty("small", True)
    if icon:
        ink = colour or (
            "text.onAccent" if kind == "primary" else "text.secondary" if kind == "ghost" else "text.primary"
        )
        set_icon(made, icon, ink, 14 if small else 16)
    made.setAccessibleName(words or tip)
    if tip:
        made.setToolTip(tip)
    made.setAutoDefault(False)
    if run is not None:
        made.clicked.connect(bind(run))
    return made


def icon_button(
    icon: str,
    name: str,
    title: str,
    run: Callable[[], None] | None = None,
    *,
    keys: str = "",
    small: bool = False,
    checkable: bool = False,
    size: int = 0,
) -> QPushButton:
    """A square button with only an icon: its title is its tooltip and its accessible name."""
    made = PushButton()
    made.setObjectName(name)
    made.setProperty("kind", "ghost")
    made.setProperty("square", True)
    if small:
        made.setProperty("small", True)
    made.setCheckable(checkable)
    set_icon(
        made, icon, "text.secondary", size or (14 if small else 16), on="text.primary" if checkable else None
    )
    made.setAccessibleName(title)
    made.setToolTip(f"{title}  {keys}" if keys else title)
    made.setAutoDefault(False)
    if run is not None:
        made.clicked.connect(bind(run))
    return made


def command_button(command_id: str, name: str, run: Callable[[], None], *, title: str = "") -> QPushButton:
    """An icon button for a command of the registry: its icon, title and keys."""
    command = BY_ID[command_id]
    return icon_button(command.icon, name, title or command.title, run, keys=spoken(command.shortcut))


class SearchField(QLineEdit):
    """A field with a search glass; while it is empty and idle it shows the keys that reach it."""

    def __init__(self, placeholder: str, name: str, keys: str = "") -> None:
        super().__init__()
        self._keys = keys
        self.setObjectName(name)
        self.setPlaceholderText(placeholder)
        self.setAccessibleName(placeholder)
        self.setProperty("leading", True)
        self.setProperty("raised", True)
        self.setToolTip(f"{placeholder}  {keys}" if keys else placeholder)
        self._glass = self.addAction(QIcon(), QLineEdit.ActionPosition.LeadingPosition)
        self._restyle()
        look().theme_changed.connect(self._restyle)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The field, and the keys at its right."""
        super().paintEvent(event)
        if not self._keys or self.text() or self.hasFocus():
            return
        painter = QPainter(self)
        room = QRectF(0, 0, self.width() - 9, self.height())
        words = look().metrics("ui").horizontalAdvance(self.placeholderText())
        if self.width() - 44 - words > look().metrics("caption").horizontalAdvance(self._keys):
            text(painter, room, self._keys, "caption", "text.tertiary", align=RIGHT)
        painter.end()

    def _restyle(self) -> None:
        self._glass.setIcon(QIcon(pixmap("search", "text.tertiary", 14)))


def search_field(placeholder: str, name: str, keys: str = "") -> SearchField:
    """A `SearchField`."""
    return SearchField(placeholder, name, keys)


class MenuButton(PushButton):
    """A small ghost button that opens a menu: a chevron after its words."""

    def __init__(self, words: str, name: str, icon: str, tip: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setProperty("kind", "ghost")
        self.setProperty("small", True)
        self.setToolTip(tip)
        self.setAutoDefault(False)
        self.set_words(words)
        set_icon(self, icon, "text.secondary", 14)  # after the words, so that there is a gap between

    def set_words(self, words: str) -> None:
        """Say this; the blanks at its end are the chevron's room."""
        self.setText(f"{words}    ")

    def paintEvent(self, event: QPaintEvent) -> None:
        """The button, and its chevron."""
        super().paintEvent(event)
        painter = QPainter(self)
        place = QPointF(self.width() - 18, round((self.height() - 12) / 2))
        painter.drawPixmap(place, pixmap("chevron-down", "text.tertiary", 12, self.devicePixelRatioF()))
        painter.end()


class Head(QFrame):
    """The head of a page, a column or an inspector: 44 high, its line inside."""

    def __init__(self, *, left: int = 16, right: int = 12, spacing: int = 6, has_line: bool = True) -> None:
        super().__init__()
        self._has_line = has_line
        self.row = row(self, (left, 0, right, 0), spacing)
        self._resize()
        look().theme_changed.connect(self._resize)

    def add(self, *items: QWidget | int | None) -> None:
        """Add in order: widgets in the middle of the height, a number as fixed space, None as stretch."""
        for item in items:
            if item is None:
                self.row.addStretch(1)
            elif isinstance(item, int):
                self.row.addSpacing(item)
            else:
                self.row.addWidget(item, 0, Qt.AlignmentFlag.AlignVCenter)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The line at its lower edge."""
        if self._has_line:
            painter = QPainter(self)
            painter.fillRect(0, self.height() - 1, self.width(), 1, look().colour("line.normal"))
            painter.end()

    def _resize(self) -> None:
        self.setFixedHeight(look().px(44))


def native_keys(shortcut: str) -> QKeySequence:
    """A shortcut of the registry as Qt takes it."""
    return QKeySequence(shortcut, QKeySequence.SequenceFormat.PortableText)


def square(px: int) -> QSize:
    """A size as wide as high."""
    return QSize(px, px)


def elide(words: str, widget: QWidget, width: int) -> str:
    """`words` cut to `width` px in the widget's own font."""
    return widget.fontMetrics().elidedText(words, Qt.TextElideMode.ElideRight, max(0, width))


class ElidedLabel(QLabel):
    """A label of one line that gives way: it shrinks with an ellipsis instead of pushing its neighbours out."""

    def __init__(self, words: str = "", face: str = "", tone: str = "", name: str = "") -> None:
        super().__init__()
        self._words = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        if face:
            self.setProperty("face", face)
        if tone:
            self.setProperty("tone", tone)
        if name:
            self.setObjectName(name)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        self.setMinimumWidth(24)
        self.set_words(words)

    def set_words(self, words: str) -> None:
        """Show these words."""
        self._words = words
        self.setAccessibleName(words)
        self.updateGeometry()
        self._fit()

    def words(self) -> str:
        """The whole text."""
        return self._words

    def sizeHint(self) -> QSize:
        """As wide as the whole text."""
        self.ensurePolished()
        return QSize(self.fontMetrics().horizontalAdvance(self._words) + 2, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """As narrow as a few letters."""
        return QSize(24, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Cut the text anew."""
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        """A new font needs a new cut."""
        super().changeEvent(event)
        self.updateGeometry()

    def _fit(self) -> None:
        shown = self.fontMetrics().elidedText(self._words, Qt.TextElideMode.ElideRight, self.width())
        if shown != self.text():
            self.setText(shown)
        self.setToolTip(self._words if shown != self._words else "")


class TextArea(QPlainTextEdit):
    """A field of several lines with the border of a field: the sheet gives scrolling surfaces none."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__()
        self.setProperty("bare", True)
        self.setTabChangesFocus(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setViewportMargins(6, 4, 4, 4)
        self.document().setDocumentMargin(0)
        self.viewport().setAutoFillBackground(False)
        self.setFixedSize(width, height)

    def event(self, event: QEvent) -> bool:
        """Paints the border; all else is the editor's own."""
        if event.type() == QEvent.Type.Paint:
            painter = QPainter(self)
            focused = self.hasFocus()
            border = "focus.ring" if focused else "err.mark" if self.property("error") else "line.normal"
            rounded(
                painter, QRectF(self.rect()), 5, fill="bg.content", line=border, width=2 if focused else 1
            )
            painter.end()
            return True
        if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            self.update()
        return super().event(event)


def focus_quietly(widget: QWidget, reason: Qt.FocusReason) -> None:
    """Give the focus; a focus that came with a page and not from the keyboard shows no ring."""
    widget.setFocus(reason)
    if reason == Qt.FocusReason.OtherFocusReason and widget.property("kbd"):
        widget.setProperty("kbd", False)
        widget.update()
