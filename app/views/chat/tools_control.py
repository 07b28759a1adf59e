"""The control in the composer for the tools of the open chat: how many there are, and a menu to switch them."""

from collections.abc import Callable

from PySide6.QtCore import QPoint
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu

from app.theme.icons import set_icon
from app.viewmodels.chat_tools import ChatToolsViewModel
from app.viewmodels.wording import plural
from app.views.parts import MenuButton, bind
from app.views.services import Services

TIP = "Tools this chat may use"


class ToolsControl:
    """Bound to one button of the composer and its view-model."""

    def __init__(
        self, services: Services, button: MenuButton, tools: ChatToolsViewModel, done: Callable[[], None]
    ) -> None:
        """`done` takes the focus once the menu is closed."""
        self._services = services
        self._button = button
        self._tools = tools
        self._is_wanted = False
        self.menu = QMenu()
        self.menu.setObjectName("chat.toolsMenu")
        self.menu.setToolTipsVisible(True)
        tools.changed.connect(self._say)
        tools.menu_ready.connect(self._open)
        self.menu.aboutToHide.connect(bind(done))
        self._say()

    def open_menu(self) -> None:
        """Ask what there is, then show it."""
        self._is_wanted = True
        self._tools.look()

    def _say(self) -> None:
        told, words = self._tools.tools, self._tools.words
        self._button.set_words(words)
        self._button.setToolTip(told.problem or TIP)
        name = f"Tools of this chat: {told.count or 'none'}"
        self._button.setAccessibleName(f"{name}. {told.problem}" if told.problem else name)
        ink = "warn.text" if told.problem else "accent.text" if told.count else "text.secondary"
        set_icon(self._button, "triangle-alert" if told.problem else "wrench", ink, 14)

    def _open(self) -> None:
        if not self._is_wanted:
            return
        self._is_wanted = False
        self._fill()
        self.menu.popup(self._button.mapToGlobal(QPoint(0, -self.menu.sizeHint().height() - 2)))

    def _fill(self) -> None:
        menu, told = self.menu, self._tools.tools
        menu.clear()
        servers = [source for source in told.sources if source.key.startswith("server:")]
        own = [source for source in told.sources if not source.key.startswith("server:")]
        if told.problem:
            note = menu.addAction(told.problem)
            note.setEnabled(False)
        for title, sources in (("Servers of others", servers), ("This workbench", own)):
            if sources:
                self._head(title)
            for source in sources:
                words = f"{source.title}, {plural(source.tools, 'tool')}"
                act: QAction = menu.addAction(words)
                act.setObjectName(f"chat.tools.{source.key}")
                act.setCheckable(True)
                act.setChecked(source.is_on)
                # One that cannot be used now can still be switched off.
                act.setEnabled(not source.problem or source.is_on)
                act.setToolTip(source.problem or ("Reaches beyond this computer" if source.is_remote else ""))
                act.toggled.connect(bind(self._switch, source.key, not source.is_on))
        if self._tools.yeses:
            self._head("Always allowed")
            for yes in self._tools.yeses:
                act = menu.addAction(f"Ask again before {yes.title}")
                act.setObjectName(f"chat.tools.forget.{yes.tool}")
                act.triggered.connect(bind(self._tools.forget, yes.tool))
        menu.addSeparator()
        add = menu.addAction("Add a server…")
        add.setObjectName("chat.tools.add")
        add.triggered.connect(bind(self._services.commands.run, "connect.add"))

    def _head(self, words: str) -> None:
        if not self.menu.isEmpty():
            self.menu.addSeparator()
        self.menu.addAction(words).setEnabled(False)

    def _switch(self, source: str, is_on: bool) -> None:
        self._tools.switch(source, is_on)
