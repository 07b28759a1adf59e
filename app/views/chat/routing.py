"""Where answers of the open chat may come from: the selector of tiers, and the lock that keeps all of it here."""

from PySide6.QtCore import QPoint
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu

from app.theme.icons import set_icon, tier_icon
from app.viewmodels.chat import ChatViewModel
from app.viewmodels.chat_tiers import TIER_CHOICES, TierChoice
from app.views.parts import MenuButton, bind, icon_button

KEEP, KEPT = "Keep on this computer", "Kept on this computer: nothing of this chat leaves it"


class ChatRouting:
    """Two controls of the page's head, bound to the chat."""

    def __init__(self, chat: ChatViewModel) -> None:
        self._chat = chat
        self.button = MenuButton(TIER_CHOICES[0].title, "chat.tier", "route", "Where answers may come from")
        self.menu = self._make_menu()
        self.button.clicked.connect(self._open_menu)
        self.lock = icon_button("lock-open", "chat.private", KEEP, self.toggle_private, checkable=True)

    def say(self) -> None:
        """Show what holds for the chat now."""
        self.button.set_words(self._chat.pins_title)
        self.button.setAccessibleName(f"Where answers may come from: {self._chat.pins_title}")
        is_private = self._chat.is_private
        self.lock.setChecked(is_private)
        set_icon(
            self.lock,
            "lock" if is_private else "lock-open",
            "accent.text" if is_private else "text.secondary",
        )
        self.lock.setToolTip(KEPT if is_private else KEEP)
        self.lock.setAccessibleName(KEPT if is_private else KEEP)

    def toggle_private(self) -> None:
        """Keep the chat on this computer, or no longer."""
        self._chat.keep_private(not self._chat.is_private)

    def pin_tier(self, tier: str) -> None:
        """Hold later answers to the tier of this word."""
        choice = next((found for found in TIER_CHOICES if found.key in (f"max.{tier}", f"only.{tier}")), None)
        if choice is not None:
            self._choose(choice)

    def _make_menu(self) -> QMenu:
        menu = QMenu()
        menu.setObjectName("chat.tierMenu")
        menu.setToolTipsVisible(True)
        group = QActionGroup(menu)
        for choice in TIER_CHOICES:
            action: QAction = menu.addAction(choice.title)
            action.setObjectName(f"chat.tier.{choice.key}")
            action.setCheckable(True)
            action.setToolTip(choice.detail)
            if choice.tier:
                action.setIcon(tier_icon(choice.tier))  # type: ignore[arg-type]
            group.addAction(action)
            action.triggered.connect(bind(self._choose, choice))
        return menu

    def _open_menu(self) -> None:
        titles = {action.text(): action for action in self.menu.actions()}
        if (now := titles.get(self._chat.pins_title)) is not None:
            now.setChecked(True)
        self.menu.popup(self.button.mapToGlobal(QPoint(0, self.button.height() + 2)))

    def _choose(self, choice: TierChoice) -> None:
        self._chat.pin_route(choice.title, choice.pins)
