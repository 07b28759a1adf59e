# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The programs of this computer as cards: a letter, the state, and what can be done."""

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QSizePolicy, QVBoxLayout, QWidget

from app.theme.apply import look, repolish
from app.theme.icons import pixmap
from app.theme.paint import CENTRE, rounded, text
from app.viewmodels.connect import ConnectViewModel
from app.viewmodels.connect_words import CardWords
from app.views.parts import ElidedLabel, bind, button, column, fill, row

CARD_HEIGHT, CARD_MIN = 104, 250
ACT_WORDS = {
    "preview": ("Preview", "What would be written into its file"),
    "review": ("Review", "What stands there, and what we would write"),
    "apply": ("Apply", "Write our entry, and keep a copy of the file"),
    "undo": ("Undo", "Take our entry out again"),
    "copy": ("Copy JSON", "The entry, to be put in by hand"),
}


class Monogram(QWidget):
    """The letter of a program on a rounded square."""

    def __init__(self) -> None:
        super().__init__()
        self._letter, self._ink = "", "text.primary"
        self._resize()
        look().theme_changed.connect(self._resize)

    def _resize(self) -> None:
        self.setFixedSize(look().px(28), look().px(28))

    def show_letter(self, letter: str, ink: str) -> None:
        """Draw this."""
        self._letter, self._ink = letter, ink
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        rounded(painter, QRectF(self.rect()), 7, fill="bg.pressed")
        text(painter, QRectF(self.rect()), self._letter, "uiStrong", self._ink, weight=600, align=CENTRE)
        painter.end()


class StateMark(QWidget):
    """The icon of a state."""

    def __init__(self) -> None:
        super().__init__()
        self._icon, self._ink = "", ""
        self.setFixedSize(16, 16)

    def show_state(self, icon: str, ink: str, title: str) -> None:
        """Draw this."""
        self._icon, self._ink = icon, ink
        self.setAccessibleName(title)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.drawPixmap(0, 0, pixmap(self._icon, self._ink, 16, self.devicePixelRatioF()))
        painter.end()


MARKS = {"ok": "ok.mark", "warn": "warn.mark", "error": "err.mark", "tertiary": "text.tertiary"}


class ProgramCard(QFrame):
    """One program: its state, and what can be done. Enter shows what would be written."""

    chosen = Signal(str)
    acted = Signal(str, str)
    """A program, and the key of what to do."""

    def __init__(self, words: CardWords) -> None:
        super().__init__()
        self.setProperty("role", "card")
        self.setObjectName(f"connect.card.{words.name}")
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.name = words.name
        self._acts: tuple[str, ...] = ()
        self.monogram, self.mark = Monogram(), StateMark()
        self.title = ElidedLabel("", "uiStrong")
        self.state = ElidedLabel("", "small")
        for words_of in (self.title, self.state):
            words_of.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        beside: QVBoxLayout = column(spacing=0)
        fill(beside, self.title, self.state)
        head = row(spacing=8)
        head.addWidget(self.monogram, 0, Qt.AlignmentFlag.AlignTop)
        head.addLayout(beside, 1)
        head.addWidget(self.mark, 0, Qt.AlignmentFlag.AlignTop)
        self._foot = row(spacing=6)
        self._outer = column(self, (12, 12, 12, 12), 8)
        fill(self._outer, head, None, self._foot)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._resize()
        look().theme_changed.connect(self._resize)
        self.show_words(words)

    def show_words(self, words: CardWords) -> None:
        """Show this state."""
        self.setAccessibleName(words.spoken)
        self.setToolTip(words.problem)
        self.title.set_words(words.title)
        self.state.set_words(words.words)
        self.state.setProperty("tone", words.tone)
        repolish(self.state)
        self.monogram.show_letter(
            words.letter, "text.tertiary" if words.state == "missing" else "text.primary"
        )
        self.mark.show_state(words.icon, MARKS[words.tone], words.words)
        if words.acts == self._acts:
            return
        self._acts = words.acts
        gone: list[QWidget] = []
        while self._foot.count():
            item = self._foot.takeAt(0)
            old = item.widget() if item is not None else None
            if old is not None:
                gone.append(old)
        had_focus = any(old.hasFocus() for old in gone)
        for act in words.acts:
            shown, tip = ACT_WORDS[act]
            made = button(shown, f"connect.{act}.{words.name}", small=True, tip=tip)
            made.setAccessibleName(f"{shown}: {words.title}")
            made.clicked.connect(bind(self.acted.emit, words.name, act))
            self._foot.addWidget(made)
            if had_focus:  # what was pressed goes away: the keyboard stays in this card
                made.show()
                made.setFocus(Qt.FocusReason.OtherFocusReason)
                had_focus = False
        self._foot.addStretch(1)
        for old in gone:
            old.hide()
            old.deleteLater()

    def set_chosen(self, is_chosen: bool) -> None:
        """Mark it as the one that is shown below: Tab comes to it, arrows go on from there."""
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus if is_chosen else Qt.FocusPolicy.ClickFocus)
        if bool(self.property("selected")) != is_chosen:
            self.setProperty("selected", is_chosen)
            inner = 11 if is_chosen else 12  # the border is a px wider
            self._outer.setContentsMargins(inner, inner, inner, inner)
            repolish(self)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        self.chosen.emit(self.name)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.chosen.emit(self.name)
            return
        super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.chosen.emit(self.name)

    def _resize(self) -> None:
        self.setFixedHeight(look().px(CARD_HEIGHT))


class CardGrid(QWidget):
    """The cards, as many in a row as there is room for; arrows walk."""

    def __init__(self, connect: ConnectViewModel, act: Callable[[str, str], None]) -> None:
        super().__init__()
        self.setObjectName("connect.cards")
        self.setAccessibleName("Apps on this computer")
        self._connect = connect
        self._act = act
        self.cards: dict[str, ProgramCard] = {}
        self._across = 0
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(16, 0, 16, 14)
        self._grid.setSpacing(10)

    def show_cards(self) -> None:
        """Show the programs as they are."""
        words = self._connect.cards
        if list(self.cards) != [card.name for card in words]:
            for old in self.cards.values():
                old.hide()
                old.deleteLater()
            self.cards = {card.name: self._made(card) for card in words}
            self._across = 0
        for card in words:
            self.cards[card.name].show_words(card)
            self.cards[card.name].set_chosen(card.name == self._connect.selected)
        self._arrange()

    def _made(self, words: CardWords) -> ProgramCard:
        made = ProgramCard(words)
        made.chosen.connect(self._connect.select)
        made.acted.connect(self._act)
        return made

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        across = max(1, min(3, (self.width() - 22) // look().px(CARD_MIN)))
        if across == self._across and self._grid.count() == len(self.cards):
            return
        self._across = across
        while self._grid.count():
            self._grid.takeAt(0)
        for at, card in enumerate(self.cards.values()):
            self._grid.addWidget(card, at // across, at % across)
        for at in range(3):
            self._grid.setColumnStretch(at, 1 if at < across else 0)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps: dict[int, int] = {
            Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Up: -self._across, Qt.Key.Key_Down: self._across,
        }  # fmt: skip
        step, order = steps.get(event.key()), list(self.cards.values())
        at = next((at for at, card in enumerate(order) if card.hasFocus()), -1)
        if step is None or at < 0 or not 0 <= at + step < len(order):
            super().keyPressEvent(event)
            return
        order[at + step].setFocus(Qt.FocusReason.TabFocusReason)
