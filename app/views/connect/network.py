# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The Network tab: every host this workbench contacted, by whom and how much, and the switches that stop it."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QLineEdit, QStackedWidget, QWidget

from app.theme.apply import look
from app.viewmodels.network import NetworkViewModel
from app.views.connect.grid import Col, Grid, Row
from app.views.emptiness import EmptyState
from app.views.painted import KeyValues
from app.views.parts import ElidedLabel, bind, button, column, fill, label, line, row
from app.widgets.switch import Switch

COLUMNS = (
    Col("Host", 0.42, style="codeSmall"),
    Col("For", 0.28, colour="text.secondary"),
    Col("By", 0.3, colour="text.secondary"),
    Col("Contacts", 64, is_number=True),
    Col("Sent", 72, is_number=True),
    Col("Received", 72, is_number=True),
    Col("Last", 104, colour="text.tertiary", is_number=True),
    Col("", 60, colour="err.text"),
)
LIMIT = (
    "Programs that the workbench starts, such as servers by command, tasks that run a program and extensions, "
    "have connections of their own: they are neither counted nor stopped here."
)


class NetworkTab(QWidget):
    """The list above, the chosen host below; the latest first."""

    def __init__(self, network: NetworkViewModel) -> None:
        super().__init__()
        self.network = network
        self.words = ElidedLabel("", "small", "tertiary", "connect.network.words")
        self.offline = Switch("Offline: only this computer is contacted")
        self.offline.setObjectName("connect.network.offline")
        self.offline.setToolTip(
            "No provider, download, server or page elsewhere is contacted, until you go online again"
        )
        self.offline.clicked.connect(bind(self._switch_offline))
        self.host = QLineEdit()
        self.host.setObjectName("connect.network.host")
        self.host.setAccessibleName("Host to block")
        self.host.setPlaceholderText("host or *.example.com")
        self.host.setFixedWidth(look().px(176))
        self.host.setMaxLength(255)
        self.host.returnPressed.connect(bind(self._block_named))
        self.add = button("Block", "connect.network.block", self._block_named, icon="shield-off", small=True)
        again = button("Look again", "connect.network.again", network.refresh, icon="refresh-cw", small=True)
        head = row(margins=(16, 8, 12, 8), spacing=8)
        fill(
            head, label("Hosts contacted", "section"), self.words, None,
            label("Offline", "small", "secondary"), self.offline, 8, self.host, self.add, again,
        )  # fmt: skip
        self.grid = Grid("connect.hosts", "Hosts contacted", COLUMNS)
        self.grid.chosen.connect(self._show_one)
        self.grid.opened.connect(self._focus_switch)
        self.grid.deleted.connect(self._switch)
        listed = QWidget()
        fill(column(listed), self.grid.head(), self.grid)
        empty = EmptyState("connect.hosts.none", "wifi-off")
        empty.say("No host was contacted", "Nothing has left this computer.")
        self.stack = QStackedWidget()
        self.stack.addWidget(empty)
        self.stack.addWidget(listed)
        layout = column(self)
        fill(layout, head, line())
        layout.addWidget(self.stack, 1)
        layout.addWidget(self._make_detail())
        layout.addWidget(line())
        foot = row(margins=(16, 6, 12, 8))
        foot.addWidget(label(LIMIT, "small", "tertiary", wraps=True, name="connect.network.limit"), 1)
        layout.addLayout(foot)
        network.changed.connect(self._show)
        self._show()

    def _make_detail(self) -> QWidget:
        self.detail = QWidget()
        self.title = ElidedLabel("", "section", name="connect.network.title")
        self.why = label("", "small", "secondary", name="connect.network.why")
        self.blocked = Switch("Block this host")
        self.blocked.setObjectName("connect.network.blocked")
        self.blocked.clicked.connect(bind(self._switch))
        self.facts = KeyValues("connect.network.facts")
        head = row(spacing=8)
        fill(head, self.title, None, self.why, label("Block", "small", "secondary"), self.blocked)
        inner = column(margins=(16, 10, 12, 8), spacing=4)
        fill(inner, head, self.facts)
        outer = column(self.detail)
        outer.addWidget(line("lineNormal"))
        outer.addLayout(inner)
        return self.detail

    def take_focus(self, reason: Qt.FocusReason) -> None:
        """The list, or the switch where there is nothing to list."""
        (self.grid if self.network.rows else self.offline).setFocus(reason)

    def _show(self) -> None:
        network = self.network
        self.offline.setChecked(network.is_offline)
        self.words.set_words("Offline" if network.is_offline and not network.rows else network.summary)
        self.grid.show_rows(
            [
                Row(
                    key=each.key,
                    cells=(
                        each.place, each.purpose, each.by, each.contacts, each.sent, each.received, each.last, each.state,
                    ),
                    spoken=", ".join(
                        word
                        for word in (
                            each.place, each.state, f"for {each.purpose}", f"by {each.by}" if each.by else "",
                            f"{each.contacts} contacts" if each.contacts else "", f"{each.sent} sent" if each.sent else "",
                            f"{each.received} received" if each.received else "", each.last,
                        )
                        if word
                    ),
                    colours={0: "err.text"} if each.state else {},
                )
                for each in network.rows
            ]
        )  # fmt: skip
        self.stack.setCurrentIndex(1 if network.rows else 0)
        if network.rows and not self.grid.current_key:
            self.grid.setCurrentIndex(self.grid.rows.index(0))
        self._show_one()

    def _show_one(self, *_: object) -> None:
        found = self.network.row(self.grid.current_key)
        self.detail.setVisible(found is not None)
        if found is None:
            return
        self.title.set_words(found.host)
        self.blocked.setChecked(bool(found.blocked_by))
        self.blocked.setAccessibleName(f"Block {found.host}")
        wider = found.blocked_by if found.blocked_by not in ("", found.host) else ""
        self.why.setText(f"Blocked by {wider}" if wider else "")
        self.facts.show_pairs(found.facts)
        self.facts.setVisible(bool(found.facts))

    def _focus_switch(self, *_: object) -> None:
        self.blocked.setFocus(Qt.FocusReason.TabFocusReason)

    def _switch(self, *_: object) -> None:
        found = self.network.row(self.grid.current_key)
        if found is not None:
            self.network.switch(found)

    def _switch_offline(self) -> None:
        self.network.set_offline(self.offline.isChecked())

    def _block_named(self) -> None:
        if self.host.text().strip():
            self.network.block(self.host.text().strip())
            self.host.clear()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.network.watch(True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.network.watch(False)
