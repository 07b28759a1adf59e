"""Beside the page: what apps may use, tool by tool, and the keys of the programs."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QWidget

from app.theme.apply import look
from app.viewmodels.connect import EVERYBODY, ConnectViewModel
from app.views.connect.grid import Col, Grid, Row
from app.views.connect.tools import ToolList
from app.views.parts import ElidedLabel, Head, button, column, fill, label, line, row, taking
from app.widgets.segmented import Segmented

KEY_COLUMNS = (
    Col("App", 1.0, style="ui"),
    Col("Key", 64, style="codeSmall", colour="text.secondary", is_number=True),
    Col("Used", 64, colour="text.tertiary", is_number=True),
)
KEYS_HEIGHT = 150


class RightsPanel(QWidget):
    """What the chosen app may use. The list asks nothing: each switch is in force at once."""

    def __init__(self, connect: ConnectViewModel) -> None:
        super().__init__()
        self.setObjectName("connect.panel")
        self._connect = connect
        head = Head(left=12, right=8, spacing=8)
        self.kind = Segmented((("read", "Read only"), ("custom", "Custom")), "What apps may use", small=True)
        self.kind.setObjectName("connect.kind")
        self.kind.changed.connect(taking(str, self._choose_kind))
        head.add(ElidedLabel("What apps may use", "section"), None, self.kind)
        self.app = QComboBox()
        self.app.setObjectName("connect.app")
        self.app.setAccessibleName("Which app")
        self.app.setToolTip("Whose rights are shown")
        self.app.activated.connect(self._choose_app)
        which = row(margins=(12, 8, 12, 4))
        which.addWidget(self.app)
        self.tools = ToolList("connect.tools")
        self.tools.switched.connect(connect.set_tool)
        self.none = label(
            "No tool is offered yet: extensions, chains and models bring them.",
            "small",
            "tertiary",
            wraps=True,
        )
        self.none.setContentsMargins(12, 8, 12, 8)
        self.keys = Grid("connect.keys", "Keys of programs", KEY_COLUMNS)
        self.keys.deleted.connect(self._revoke)
        self.keys.chosen.connect(self._mind)
        self.revoke = button(
            "Revoke",
            "connect.revoke",
            self._revoke,
            small=True,
            kind="ghostDanger",
            tip="End this key at once",
        )
        self.revoke.setEnabled(False)
        caption = row(margins=(12, 6, 8, 2))
        fill(caption, label("Tokens", "caption", "tertiary"), None, self.revoke)
        self.no_key = label(
            "No program has a key yet. Connecting one makes a key for it alone.",
            "small",
            "tertiary",
            wraps=True,
        )
        self.no_key.setContentsMargins(12, 2, 12, 8)
        layout = column(self)
        layout.addWidget(head)
        layout.addLayout(which)
        layout.addWidget(self.none)
        layout.addWidget(self.tools, 1)
        fill(layout, line(), caption, self.no_key, self.keys)
        self._resize()
        look().theme_changed.connect(self._resize)
        connect.changed.connect(self._show)
        connect.tools_changed.connect(self._show_tools)
        self._show()
        self._show_tools()

    def take_focus(self, reason: Qt.FocusReason) -> None:
        """The list of tools."""
        self.tools.setFocus(reason)

    def _resize(self) -> None:
        self.keys.setFixedHeight(look().px(KEYS_HEIGHT))

    def _show(self) -> None:
        apps = [(EVERYBODY, "Every app"), *((key.name, key.title) for key in self._connect.keys)]
        if [self.app.itemData(at) for at in range(self.app.count())] != [name for name, _ in apps]:
            self.app.clear()
            for name, title in apps:
                self.app.addItem(title, name)
        place = self.app.findData(self._connect.app)
        if place < 0:
            self._connect.choose_app(EVERYBODY)
        self.app.setCurrentIndex(max(place, 0))
        self.keys.show_rows(
            [
                Row(
                    key=key.name,
                    cells=(key.title, key.tail, key.used),
                    spoken=f"{key.title}, used {key.used}",
                )
                for key in self._connect.keys
            ]
        )
        self.keys.setVisible(bool(self._connect.keys))
        self.no_key.setVisible(not self._connect.keys)
        self._mind()

    def _show_tools(self) -> None:
        self.tools.show_tools(self._connect.tools)
        self.tools.setVisible(bool(self._connect.tools))
        self.none.setVisible(not self._connect.tools)
        self.kind.choose("custom" if self._connect.is_custom else "read")

    def _choose_app(self, at: int) -> None:
        self._connect.choose_app(str(self.app.itemData(at)))

    def _choose_kind(self, kind: str) -> None:
        if kind == "read":
            self._connect.read_only()
        else:
            self.tools.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _mind(self, *_: object) -> None:
        self.revoke.setEnabled(bool(self.keys.current_key))

    def _revoke(self, *_: object) -> None:
        if self.keys.current_key:
            self._connect.revoke(self.keys.current_key)
