"""The few dialogs: about and licences, the sheet of shortcuts, and the questions that have no way back."""

import sys
from typing import TYPE_CHECKING, cast

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QGridLayout, QPlainTextEdit, QScrollArea, QWidget

from app.commands import COMMANDS, spoken
from app.theme.apply import look
from app.theme.icons import app_mark
from app.theme.tokens import resource_path
from app.views.parts import bind, button, column, fill, frame, label, row
from app.views.question import Question, ask
from app.views.services import Services
from app.views.shell import Shell

if TYPE_CHECKING:
    from email.message import Message

THIRD_PARTY = (
    ("Inter", "SIL Open Font License 1.1", ("fonts", "OFL-Inter.txt")),
    ("JetBrains Mono", "SIL Open Font License 1.1", ("fonts", "OFL-JetBrainsMono.txt")),
    ("Lucide icons", "ISC, parts MIT", ("icons", "LICENSE")),
)


def ask_closing(parent: QWidget) -> bool | None:
    """What closing the window shall mean: True keeps running in the tray, False quits, None takes it back."""
    question = Question(
        parent,
        "Keep running in the tray?",
        "The engine can stay there, so that other programs reach it and answers finish. Quit always ends everything.",
        act="Keep running",
        keep="Quit",
        danger=False,
    )
    chosen: list[bool] = []
    question.safe.clicked.connect(bind(chosen.append, False))
    question.act.clicked.connect(bind(chosen.append, True))
    question.exec()
    question.deleteLater()
    return chosen[0] if chosen else None


def ask_remove_model(parent: QWidget, name: str, freed: str) -> bool:
    """Whether a model's file shall be deleted."""
    loss = f"{freed} are freed. You would have to download it again."
    return ask(parent, f"Remove {name}?", loss, act="Remove model", keep="Keep")


def ask_remove_provider(parent: QWidget, name: str) -> bool:
    """Whether a provider and its key shall be forgotten."""
    loss = "Its key is deleted too. Nothing is asked of it any more."
    return ask(parent, f"Remove {name}?", loss, act="Remove provider", keep="Keep")


def ask_remove_secret(parent: QWidget, name: str) -> bool:
    """Whether a secret shall be forgotten."""
    loss = "What uses it will fail until it is set again."
    return ask(parent, f"Remove the secret {name}?", loss, act="Remove secret", keep="Keep")


def ask_revoke_token(parent: QWidget, name: str) -> bool:
    """Whether a program shall lose its token."""
    loss = "What it has open is closed, and what it began goes no further. It needs a new token to come back."
    return ask(parent, f"Revoke the token of {name}?", loss, act="Revoke token", keep="Keep")


def ask_remove_policy(parent: QWidget) -> bool:
    """Whether there shall be no policy."""
    loss = "Tokens may then do what they were given when they were made; those that live by a role may do nothing."
    return ask(parent, "Remove the policy?", loss, act="Remove policy", keep="Keep")


def ask_save_untested(parent: QWidget, name: str) -> bool:
    """Whether a provider whose test failed shall be kept all the same."""
    loss = "The test did not succeed. It is tried when an answer needs it, and rests after failures."
    return ask(parent, f"Save {name} untested?", loss, act="Save untested", keep="Back")


def ask_private_download(parent: QWidget, host: str) -> bool:
    """Whether a download from an address of this computer or of the own network is meant."""
    loss = f"{host} is an address of this computer or of your own network, not of the internet."
    return ask(parent, "Download from your own network?", loss, act="Download", keep="Back", danger=False)


def ask_open_link(parent: QWidget, address: str) -> bool:
    """Whether a link of an answer shall be opened in the browser: a model wrote it."""
    return ask(parent, "Open this link in the browser?", address, act="Open link", keep="Back", danger=False)


def show_about(window: Shell, services: Services) -> None:
    """Version, where things are, and the licences of what is inside."""
    dialog = _dialog(window, "about", "About Legion Workbench", 560)
    layout = column(dialog, (20, 20, 20, 18), 6)
    mark = label()
    mark.setPixmap(app_mark("text.primary", 32))
    mark.setAccessibleName("Mark of Legion Workbench")
    status = services.status.status
    version = status.version if status else _version()
    head = row(spacing=12)
    words = column(spacing=2)
    fill(
        words,
        label("Legion Workbench", "title"),
        label(f"Version {version}, Python {sys.version.split()[0]}", "small", "secondary", selectable=True),
    )
    fill(head, mark, words, None)
    layout.addLayout(head)
    lines = [f"Data: {services.home}"]
    if status is not None:
        lines += [f"Address: {status.url or 'none'}", f"Token: {status.token_path}"]
    layout.addSpacing(6)
    for words_of in lines:
        layout.addWidget(label(words_of, "small", "secondary", selectable=True, wraps=True))
    layout.addSpacing(8)
    layout.addWidget(label("Licences", "section"))
    text = QPlainTextEdit()
    text.setObjectName("about.licences")
    text.setAccessibleName("Licences")
    text.setReadOnly(True)
    text.setFont(look().font("codeSmall"))
    text.setMinimumHeight(220)
    text.setPlainText(licences())
    layout.addWidget(text, 1)
    close = button("Close", "about.close", dialog.accept)
    foot = row()
    fill(foot, None, close)
    layout.addLayout(foot)
    close.setFocus(Qt.FocusReason.TabFocusReason)
    dialog.open()


def show_shortcuts(window: Shell) -> None:
    """All keys, in the groups of the registry."""
    dialog = _dialog(window, "shortcuts", "Keyboard shortcuts", 620)
    layout = column(dialog, (20, 18, 20, 18), 8)
    layout.addWidget(label("Keyboard shortcuts", "heading"))
    body = frame("scrolled")
    grid = QGridLayout(body)
    grid.setContentsMargins(0, 0, 8, 0)
    grid.setHorizontalSpacing(24)
    grid.setVerticalSpacing(6)
    at, group = 0, ""
    extra = (
        ("Chat", "Send", "Enter"), ("Chat", "New line", "Shift Enter"), ("Chat", "Stop the answer", "Esc"),
        ("Chat", "Next and previous message, in the transcript", "J, K"), ("Chat", "Variants of a message", "[, ]"),
        ("Chat", "Rename, in the list", "F2"), ("Chat", "Move to Trash, in the list", "Del"),
    )  # fmt: skip
    rows = [
        (command.group, command.title, spoken(command.shortcut)) for command in COMMANDS if command.shortcut
    ]
    for name, title, keys in sorted([*rows, *extra], key=lambda entry: entry[0]):
        if name != group:
            group = name
            caption = label(name, "caption", "tertiary")
            caption.setContentsMargins(0, 8 if at else 0, 0, 0)
            grid.addWidget(caption, at, 0, 1, 2)
            at += 1
        grid.addWidget(label(title), at, 0)
        grid.addWidget(label(keys, "small", "secondary"), at, 1, Qt.AlignmentFlag.AlignRight)
        at += 1
    scroll = QScrollArea()
    scroll.setObjectName("shortcuts.list")
    scroll.setAccessibleName("All keyboard shortcuts")
    scroll.setWidgetResizable(True)
    scroll.setWidget(body)
    scroll.setMinimumHeight(380)
    layout.addWidget(scroll, 1)
    close = button("Close", "shortcuts.close", dialog.accept)
    foot = row()
    fill(foot, None, close)
    layout.addLayout(foot)
    close.setFocus(Qt.FocusReason.TabFocusReason)
    dialog.open()


def licences() -> str:
    """The licences of this program, its fonts and icons, and the names of those of its Python packages."""
    from importlib import metadata

    parts = [_own_licence()]
    for name, kind, path in THIRD_PARTY:
        try:
            words = resource_path(*path).read_text(encoding="utf-8")
        except OSError:
            words = ""
        parts.append(f"{name}: {kind}\n\n{words}")
    names: list[str] = []
    for package in ("PySide6-Essentials", "qasync", "msgspec", "httpx", "starlette", "uvicorn", "apsw", "xllamacpp",
                    "markdown-it-py", "Pygments", "cryptography", "keyring", "platformdirs", "tomlkit"):  # fmt: skip
        try:
            found = metadata.metadata(package)
        except metadata.PackageNotFoundError:
            continue
        fields = dict(cast("Message", found))
        kind = fields.get("License-Expression") or fields.get("License") or ""
        names.append(f"{package} {found['Version']}  {kind.splitlines()[0] if kind else ''}".rstrip())
    parts.append("Python packages\n\n" + "\n".join(names))
    return ("\n\n" + "\u2500" * 40 + "\n\n").join(parts)


def _own_licence() -> str:
    head = "Legion Workbench: Apache License 2.0"
    for place in (resource_path("..", "LICENSE"), resource_path("LICENSE")):
        if place.exists():
            return f"{head}\n\n{place.read_text(encoding='utf-8')}"
    return head


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("legion-workbench")
    except metadata.PackageNotFoundError:
        return "unknown"


def _dialog(window: QWidget, name: str, title: str, width: int) -> QDialog:
    dialog = QDialog(window)
    dialog.setObjectName(name)
    dialog.setWindowTitle(title)
    dialog.setMinimumWidth(width)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    return dialog
