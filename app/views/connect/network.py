"""The Network tab: every host this workbench contacted, for what, and when. A record instead of a promise."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QStackedWidget, QWidget

from app.viewmodels import wording
from app.viewmodels.connect import ConnectViewModel
from app.views.connect.grid import Col, Grid, Row
from app.views.emptiness import EmptyState
from app.views.parts import ElidedLabel, button, column, fill, label, line, row

COLUMNS = (
    Col("Host", 0.45, style="codeSmall"),
    Col("For", 0.55, colour="text.secondary"),
    Col("Contacts", 72, is_number=True),
    Col("First", 84, colour="text.tertiary", is_number=True),
    Col("Last", 84, colour="text.tertiary", is_number=True),
)


class NetworkTab(QWidget):
    """The list, the latest first."""

    def __init__(self, connect: ConnectViewModel) -> None:
        super().__init__()
        self._connect = connect
        self.words = ElidedLabel("", "small", "tertiary", "connect.network.words")
        again = button(
            "Look again", "connect.network.again", connect.refresh_hosts, icon="refresh-cw", small=True
        )
        head = row(margins=(16, 8, 12, 8), spacing=8)
        fill(head, label("Hosts contacted", "section"), self.words, None, again)
        self.grid = Grid("connect.hosts", "Hosts contacted", COLUMNS)
        listed = QWidget()
        fill(column(listed), self.grid.head(), self.grid)
        empty = EmptyState("connect.hosts.none", "wifi-off")
        empty.say(
            "No host was contacted", "Nothing has left this computer since the engine began to keep count."
        )
        self.stack = QStackedWidget()
        self.stack.addWidget(empty)
        self.stack.addWidget(listed)
        layout = column(self)
        fill(layout, head, line())
        layout.addWidget(self.stack, 1)
        connect.hosts_changed.connect(self._show)
        self._show()

    def take_focus(self, reason: Qt.FocusReason) -> None:
        """The list."""
        self.grid.setFocus(reason)

    def _show(self) -> None:
        now = self._connect.now()
        hosts = sorted(self._connect.hosts, key=lambda host: host.last_at, reverse=True)
        self.grid.show_rows(
            [
                Row(
                    key=f"{host.host}:{host.port} {host.purpose}",
                    cells=(
                        f"{host.host}:{host.port}", host.purpose, wording.count(host.count),
                        wording.ago(host.first_at, now), wording.ago(host.last_at, now),
                    ),
                )
                for host in hosts
            ]
        )  # fmt: skip
        self.words.set_words(wording.plural(len({host.host for host in hosts}), "host") if hosts else "")
        self.stack.setCurrentIndex(1 if hosts else 0)
