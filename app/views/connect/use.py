"""The Use tab: other people's MCP servers, added and approved by the person alone."""

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QPlainTextEdit, QStackedWidget, QWidget

from app.theme.apply import look
from app.viewmodels.connect import ConnectViewModel
from app.viewmodels.server_words import command_said, facts_of, state_said
from app.viewmodels.wording import plural
from app.views.connect.grid import Col, Grid, Row
from app.views.connect.server_dialogs import AddServer, ApproveServer
from app.views.emptiness import EmptyState
from app.views.links import ask_then_open
from app.views.painted import KeyValues
from app.views.parts import ElidedLabel, button, column, fill, label, line, row
from app.views.question import Question

COLUMNS = (
    Col("Server", 0.3, style="ui"),
    Col("Starts or calls", 0.7, style="codeSmall", colour="text.secondary"),
    Col("Tools", 60, is_number=True),
    Col("State", 150),
)


class UseTab(QWidget):
    """The list above, the chosen server below."""

    def __init__(self, connect: ConnectViewModel) -> None:
        super().__init__()
        self._connect = connect
        self.dialog: QDialog | None = None
        self._to_sign_in = ""
        self.add = button("Add a server…", "connect.server.add", self.open_add, icon="plus", small=True)
        head = row(margins=(16, 8, 12, 8), spacing=8)
        fill(
            head,
            label("Servers of others", "section"),
            ElidedLabel("Nothing is started or called before you approve what it is", "small", "tertiary"),
            None,
            self.add,
        )
        self.grid = Grid("connect.servers", "Servers of others", COLUMNS)
        self.grid.chosen.connect(self._show_one)
        self.grid.opened.connect(self._look)
        self.grid.deleted.connect(self._remove)
        listed = QWidget()
        fill(column(listed), self.grid.head(), self.grid)
        empty = EmptyState(
            "connect.servers.none", "server",
            button("Add a server…", "connect.server.first", self.open_add, small=True),
        )  # fmt: skip
        empty.say(
            "No server of others", "An MCP server brings tools for chats and chains: its own or from the web."
        )
        self.stack = QStackedWidget()
        self.stack.addWidget(empty)
        self.stack.addWidget(listed)
        layout = column(self)
        fill(layout, head, line())
        layout.addWidget(self.stack, 1)
        layout.addWidget(self._make_detail())
        connect.servers_changed.connect(self._show)
        self._show()

    def _make_detail(self) -> QWidget:
        self.detail = QWidget()
        self.title = ElidedLabel("", "section", name="connect.server.title")
        self.problem = label("", "small", "error", wraps=True, selectable=True)
        self.facts = KeyValues("connect.server.facts")
        self.said = QPlainTextEdit()
        self.said.setObjectName("connect.server.said")
        self.said.setAccessibleName("What it wrote last")
        self.said.setReadOnly(True)
        self.said.setTabChangesFocus(True)
        self.approve = button("Look and approve…", "connect.server.approve", self._look, small=True)
        self.sign = button("Sign in…", "connect.server.signIn", self._sign, small=True, icon="key-round")
        self.switch = button("Switch off", "connect.server.switch", self._switch, small=True)
        self.remove = button("Remove…", "connect.server.remove", self._remove, small=True, kind="danger")
        head = row(spacing=6)
        fill(head, self.title, None, self.sign, self.approve, self.switch, self.remove)
        inner = column(margins=(16, 10, 12, 12), spacing=6)
        fill(inner, head, self.problem, self.facts, self.said)
        outer = column(self.detail)
        outer.addWidget(line("lineNormal"))
        outer.addLayout(inner)
        self._resize()
        look().theme_changed.connect(self._resize)
        return self.detail

    def take_focus(self, reason: Qt.FocusReason) -> None:
        """The list, or the button that begins one."""
        (self.grid if self._connect.servers else self.add).setFocus(reason)

    def open_add(self) -> None:
        """Ask what to start or call."""
        dialog = AddServer(self, self._connect, self._approve)
        self._open(dialog)

    def _open(self, dialog: QDialog) -> None:
        self.dialog = dialog
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _approve(self, server: Any) -> None:
        if server.state == "signin":
            self._to_sign_in = server.name  # nothing to decide yet: its tools are seen after the sign-in
            self._show()
            return
        dialog = ApproveServer(self, server)
        dialog.accepted.connect(lambda: self._connect.approve(server.name, server.fingerprint))
        self._open(dialog)

    def _look(self, *_: object) -> None:
        if self.grid.current_key:
            self._connect.look_at(self.grid.current_key, self._approve)

    def _sign(self) -> None:
        server = self._connect.server(self.grid.current_key)
        if server is None:
            return
        if server.is_signed_in and server.state != "signin":
            self._connect.sign_out(server.name)
        else:
            self._connect.sign_in(server.name, lambda url: ask_then_open(self, url))

    def _switch(self) -> None:
        server = self._connect.server(self.grid.current_key)
        if server is not None:
            self._connect.switch_server(server.name, not server.spec.is_on)

    def _remove(self, *_: object) -> None:
        server = self._connect.server(self.grid.current_key)
        if server is None:
            return
        loss = f"{plural(len(server.tools), 'tool')} can no longer be called by chats and chains."
        dialog = Question(self, f"Remove {server.name}?", loss, act="Remove", keep="Keep")
        dialog.accepted.connect(lambda: self._connect.remove_server(server.name))
        self._open(dialog)

    def _resize(self) -> None:
        self.said.setFixedHeight(look().px(72))

    def _show(self) -> None:
        rows = [
            Row(
                key=server.name,
                cells=(
                    server.name, command_said(server.spec), str(len(server.tools)), state_said(server)[0],
                ),
                colours={3: state_said(server)[1]},
            )
            for server in self._connect.servers
        ]  # fmt: skip
        self.grid.show_rows(rows)
        self.stack.setCurrentIndex(1 if rows else 0)
        if rows and not self.grid.current_key:
            self.grid.setCurrentIndex(self.grid.rows.index(0))
        self._show_one()
        server = self._connect.server(self._to_sign_in)
        if server is not None and server.state == "signin":
            self._to_sign_in = ""
            self.grid.choose(server.name)
            self.sign.setFocus(Qt.FocusReason.OtherFocusReason)

    def _show_one(self, *_: object) -> None:
        server = self._connect.server(self.grid.current_key)
        self.detail.setVisible(server is not None)
        if server is None:
            return
        self.title.set_words(server.name)
        self.problem.setText(server.problem)
        self.problem.setVisible(bool(server.problem))
        self.facts.show_pairs(facts_of(server))
        self.said.setPlainText(server.said)
        self.said.setVisible(bool(server.said))
        self.switch.setText("Switch off" if server.spec.is_on else "Switch on")
        self.sign.setVisible(bool(server.spec.url) and (server.state == "signin" or server.is_signed_in))
        words = "Sign out" if server.is_signed_in and server.state != "signin" else "Sign in…"
        self.sign.setText(words)
        self.sign.setAccessibleName(words)
        is_asking = server.fingerprint != server.approved or not server.approved
        self.approve.setText("Look and approve…" if is_asking else "Look again…")
