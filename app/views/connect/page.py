# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The Connect page: our tools for other programs, other people's tools for us, addresses, and hosts contacted."""

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QHideEvent, QKeyEvent, QShowEvent
from PySide6.QtWidgets import QStackedWidget, QWidget

from app.viewmodels.connect import ConnectViewModel
from app.viewmodels.network import NetworkViewModel
from app.views.connect.api import ApiTab
from app.views.connect.inspector import RightsPanel
from app.views.connect.network import NetworkTab
from app.views.connect.serve import ServeTab
from app.views.connect.use import UseTab
from app.views.frame import PageFrame, opener
from app.views.parts import Head, column, focus_quietly, frame, label
from app.views.services import Services
from app.views.tabs import Tabs
from app.widgets.switch import Switch

TABS = (("serve", "Serve"), ("use", "Use"), ("api", "API"), ("network", "Network"))


class ConnectPage(PageFrame):
    """Tabs in the head; the inspector belongs to Serve."""

    def __init__(self, services: Services, tell: Callable[..., None]) -> None:
        self._tell = tell
        self.connect_model = ConnectViewModel(services.bridge, services.now)
        self.network_model = NetworkViewModel(services.bridge, services.now)
        main = self._make_main()
        self.rights = RightsPanel(self.connect_model)
        super().__init__("connect", main, None, self.rights)
        self.connect_model.setParent(self)
        self.network_model.setParent(self)
        self.network_model.told.connect(self._say)
        self._wants_inspector = True
        self.connect_model.told.connect(self._say)
        self.connect_model.changed.connect(self._show_server)
        self._show_tab("serve")

    def _make_main(self) -> QWidget:
        main = frame("page", "connect.main")
        main.setAccessibleName("Connect")
        layout = column(main)
        head = Head(left=16, right=12, spacing=8)
        self.tabs = Tabs("connect.tabs", "Sections of Connect", TABS, self._show_tab)
        self.server = Switch("MCP server takes calls")
        self.server.setObjectName("connect.server")
        self.server.setChecked(True)
        self.server.clicked.connect(self._switch_server)
        head.add(
            label("Connect", "heading"),
            8,
            self.tabs,
            None,
            label("MCP server", "small", "secondary"),
            self.server,
            opener("connect"),
        )
        layout.addWidget(head)
        self.serve = ServeTab(self.connect_model)
        self.use = UseTab(self.connect_model)
        self.api = ApiTab(self.connect_model)
        self.network = NetworkTab(self.network_model)
        self.stack = QStackedWidget()
        for tab in (self.serve, self.use, self.api, self.network):
            self.stack.addWidget(tab)
        layout.addWidget(self.stack, 1)
        return main

    def run(self, verb: str) -> None:
        """Do what a command of this page says: serve, use, api, network, add."""
        if verb == "add":
            self.tabs.choose("use")
            self.use.open_add()
            return
        self.tabs.choose(verb)
        self.take_focus()

    def take_focus(self, reason: Qt.FocusReason = Qt.FocusReason.OtherFocusReason) -> None:
        """The part of the tab that the arrows move in."""
        match self.tabs.current:
            case "use":
                self.use.take_focus(reason)
            case "api":
                self.api.take_focus(reason)
            case "network":
                self.network.take_focus(reason)
            case _:
                card = self.serve.grid.cards.get(self.connect_model.selected)
                if card is not None:
                    focus_quietly(card, reason)
                else:
                    self.serve.take_focus(reason)

    def _show_tab(self, key: str) -> None:
        self.stack.setCurrentIndex([name for name, _ in TABS].index(key))
        if getattr(self, "inspector", None) is not None:
            self.offer_inspector(key == "serve")

    def _show_server(self) -> None:
        self.server.setChecked(not self.connect_model.is_paused)
        self.server.setToolTip("Every call is refused" if self.connect_model.is_paused else "Calls are taken")

    def _switch_server(self) -> None:
        self.connect_model.set_paused(not self.server.isChecked())

    def _say(self, words: str, icon: str) -> None:
        self._tell(words, icon=icon)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.connect_model.watch(True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.connect_model.watch(False)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps: dict[int, int] = {Qt.Key.Key_PageDown: 1, Qt.Key.Key_PageUp: -1}
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier and event.key() in steps:
            self.tabs.step(steps[event.key()])
            return
        super().keyPressEvent(event)
