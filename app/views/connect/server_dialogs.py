"""Two dialogs about servers of others: what to start or call, and the yes to exactly what was found."""

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QLineEdit, QPlainTextEdit, QWidget

from app.theme.apply import look
from app.viewmodels.connect import ConnectViewModel
from app.viewmodels.server_words import asked_of, change_said, changes_of, parsed_command, parsed_env
from app.views.connect.diff import DiffView
from app.views.parts import ElidedLabel, button, column, fill, label, row, taking
from app.widgets.segmented import Segmented

WIDTH = 560
CHANGES_SEEN, LINES_SEEN = 4, 8


class AddServer(QDialog):
    """Name, command or address, environment. Registering starts it once to read its tools; approving is the next step."""

    def __init__(self, parent: QWidget, connect: ConnectViewModel, found: Callable[[Any], None]) -> None:
        super().__init__(parent)
        self.setObjectName("connect.addServer")
        self.setWindowTitle("Add a server")
        self.setAccessibleName("Add a server")
        self.setModal(True)
        self.setFixedWidth(WIDTH)
        self._connect = connect
        self._found = found
        self.kind = Segmented((("command", "Command"), ("url", "Address")), "How it is reached")
        self.kind.changed.connect(taking(str, self._show_kind))
        self.name = self._field("connect.addServer.name", "Name", "such as files")
        self.command = self._field(
            "connect.addServer.command", "Command with its arguments", "npx -y @modelcontextprotocol/server-…"
        )
        self.url = self._field("connect.addServer.url", "Address", "https://…/mcp")
        self.env = QPlainTextEdit()
        self.env.setObjectName("connect.addServer.env")
        self.env.setAccessibleName("Environment, NAME=value, one a line")
        self.env.setPlaceholderText("NAME=value, one a line; a secret as keyring://NAME")
        self.env.setTabChangesFocus(True)
        self.env.setFixedHeight(look().px(66))
        self.warning = label(
            "It runs as you, with your rights. Start only what you trust.", "small", "warn", wraps=True
        )
        self.fault = label("", "small", "error", wraps=True, name="connect.addServer.fault")
        self.fault.hide()
        cancel = button("Cancel", "connect.addServer.cancel", self.reject)
        self.act = button("Start and look", "connect.addServer.act", self._add, kind="primary")
        self.act.setDefault(True)
        buttons = row(margins=(0, 8, 0, 0), spacing=8)
        fill(buttons, None, cancel, self.act)
        fill(
            column(self, (20, 18, 20, 18), 8),
            label("Add a server", "heading"), self.kind, self.name, self.command, self.url, self.env,
            self.warning, self.fault, buttons,
        )  # fmt: skip
        self._show_kind("command")
        self.name.setFocus(Qt.FocusReason.TabFocusReason)

    def _field(self, name: str, title: str, placeholder: str) -> QLineEdit:
        made = QLineEdit()
        made.setObjectName(name)
        made.setAccessibleName(title)
        made.setPlaceholderText(f"{title}, {placeholder}")
        return made

    def _show_kind(self, kind: str) -> None:
        is_command = kind == "command"
        self.command.setVisible(is_command)
        self.env.setVisible(is_command)
        self.warning.setVisible(is_command)
        self.url.setVisible(not is_command)
        self.act.setText("Start and look" if is_command else "Look")

    def _add(self) -> None:
        is_command = self.kind.choice == "command"
        try:
            command = parsed_command(self.command.text()) if is_command else ()
            env = parsed_env(self.env.toPlainText()) if is_command else {}
        except ValueError as error:
            self._refuse(str(error))
            return
        url = "" if is_command else self.url.text().strip()
        self.act.setEnabled(False)
        self._connect.add_server(self.name.text().strip(), command, env, url, self._done, self._refuse)

    def _done(self, server: Any) -> None:
        self.accept()
        self._found(server)

    def _refuse(self, sentence: str) -> None:
        self.act.setEnabled(True)
        self.fault.setText(sentence)
        self.fault.show()


class ApproveServer(QDialog):
    """Everything the yes stands for. The safe button has the focus."""

    def __init__(self, parent: QWidget, server: Any) -> None:
        super().__init__(parent)
        title = f"Let chats and chains call {server.name}?"
        self.setObjectName("connect.approveServer")
        self.setWindowTitle(title)
        self.setAccessibleName(title)
        self.setModal(True)
        self.setFixedWidth(WIDTH)
        self.shown = QPlainTextEdit("\n".join(asked_of(server)))
        self.shown.setObjectName("connect.approveServer.shown")
        self.shown.setAccessibleName("What you approve")
        self.shown.setReadOnly(True)
        self.shown.setTabChangesFocus(True)
        self.shown.setFont(look().font("codeSmall"))
        self.shown.setFixedHeight(look().px(260))
        changes = changes_of(server)
        is_changed = bool(changes) and bool(server.approved)
        self.changed = label(
            "Changed since you approved it:\n" + "\n".join(changes), "small", "warn", wraps=True
        )
        self.changed.setVisible(is_changed)
        self.diffs = column(spacing=4)
        if is_changed:
            # What is new is what matters; all of it stands below, lower.
            self.shown.setFixedHeight(look().px(120))
            self._show_changes(server.changes)
        words = label(
            "The yes holds for exactly this. If the command, the environment or a tool changes, you are asked again.",
            "small", "secondary", wraps=True,
        )  # fmt: skip
        self.safe = button("Not now", "connect.approveServer.keep", self.reject)
        self.act = button("Approve", "connect.approveServer.act", self.accept)
        self.safe.setDefault(True)
        buttons = row(margins=(0, 8, 0, 0), spacing=8)
        fill(buttons, None, self.safe, self.act)
        fill(
            column(self, (20, 18, 20, 18), 8),
            label(title, "heading", wraps=True), words, self.changed, self.diffs, self.shown, buttons,
        )  # fmt: skip
        self.safe.setFocus(Qt.FocusReason.TabFocusReason)

    def _show_changes(self, changes: Sequence[Any]) -> None:
        for number, change in enumerate(changes[:CHANGES_SEEN]):
            diff = DiffView(f"connect.approveServer.diff.{number}")
            diff.lines_seen = LINES_SEEN
            diff.show_lines(change.lines)
            head = ElidedLabel(
                change_said(change), "small", "secondary", f"connect.approveServer.change.{number}"
            )
            fill(self.diffs, head, diff)
        if len(changes) > CHANGES_SEEN:
            self.diffs.addWidget(label(f"{len(changes) - CHANGES_SEEN} more changes", "small", "tertiary"))
