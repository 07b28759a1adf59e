"""The secrets section: names, where they are kept, set, remove, unlock. A value goes in and is never shown."""

from collections.abc import Callable

from PySide6.QtWidgets import QLineEdit, QWidget

from app.theme.paint import PillTone
from app.viewmodels.settings import SettingsViewModel
from app.views.about import ask_remove_secret
from app.views.painted import PillRow
from app.views.parts import button, column, fill, label, line, row

BACKEND_LOCKED = "locked"
BACKENDS: dict[str, tuple[str, PillTone, str, str]] = {
    "keyring": ("Keyring", "ok", "shield-check", "Secrets are kept in the system's keyring."),
    "file": ("Encrypted file", "ok", "lock", "Secrets are kept in an encrypted file, unlocked for this run."),
    "locked": ("Locked", "warn", "lock", "The encrypted file is locked. Unlock it to use what is in it."),
    "none": (
        "No store", "err", "circle-x",
        "No keyring answers here. Choose a passphrase to keep secrets in an encrypted file, or write env://NAME in the configuration.",
    ),
}  # fmt: skip


class SecretsSection(QWidget):
    """Follows the view-model."""

    def __init__(self, settings: SettingsViewModel) -> None:
        super().__init__()
        self.setObjectName("secrets")
        self.setAccessibleName("Secrets")
        self._settings = settings
        layout = column(self, (12, 4, 12, 12), 10)
        self.pill = PillRow("secrets.backend")
        self.words = label("", "small", "secondary", wraps=True)
        fill(layout, self.pill, self.words)
        self._unlock_row = QWidget()
        self.passphrase = _field("secrets.passphrase", "Passphrase", "Passphrase", hides=True)
        self.unlock_button = button("Unlock", "secrets.unlock", self._unlock, kind="primary")
        self.passphrase.returnPressed.connect(self._unlock)
        fill(row(self._unlock_row, spacing=6), self.passphrase, self.unlock_button, None)
        layout.addWidget(self._unlock_row)
        self._names = column()
        layout.addLayout(self._names)
        self._set_row = QWidget()
        self.name = _field("secrets.name", "Name of the secret", "Name, such as provider-openai")
        self.value = _field("secrets.value", "Value of the secret", "Value", hides=True)
        self.set_button = button("Set", "secrets.set", self._set)
        self.value.returnPressed.connect(self._set)
        fill(row(self._set_row, spacing=6), self.name, self.value, self.set_button)
        layout.addWidget(self._set_row)
        settings.secrets_changed.connect(self.refresh)
        settings.refresh_secrets()
        self.refresh()

    def refresh(self) -> None:
        """As it is now."""
        settings = self._settings
        words, tone, icon, sentence = BACKENDS.get(
            settings.secret_backend, ("Looking", "neutral", "clock", "")
        )
        self.pill.show_pills((words, tone, icon))
        self.words.setText(sentence)
        is_closed = settings.secret_backend in ("locked", "none")
        self._unlock_row.setVisible(is_closed)
        self.unlock_button.setText(
            "Unlock" if settings.secret_backend == BACKEND_LOCKED else "Use this passphrase"
        )
        self._set_row.setVisible(not is_closed)
        while (item := self._names.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.hide()
                old.deleteLater()
        for name in settings.secret_names:
            self._names.addWidget(
                _NameRow(name, lambda what=name: self._remove(what), lambda what=name: self._replace(what))
            )

    def _set(self) -> None:
        name, value = self.name.text().strip(), self.value.text()
        if not name or not value:
            (self.name if not name else self.value).setFocus()
            return
        self.value.clear()
        self._settings.set_secret(name, value, self.name.clear)

    def _replace(self, name: str) -> None:
        self.name.setText(name)
        self.value.setFocus()

    def _remove(self, name: str) -> None:
        if ask_remove_secret(self, name):
            self._settings.remove_secret(name)

    def _unlock(self) -> None:
        words = self.passphrase.text()
        if words:
            self.passphrase.clear()
            self._settings.unlock(words)


class _NameRow(QWidget):
    def __init__(self, name: str, remove: Callable[[], None], replace: Callable[[], None]) -> None:
        super().__init__()
        self.setObjectName(f"secret.{name}")
        outer = column(self)
        inner = row(margins=(0, 6, 0, 6), spacing=6)
        fill(
            inner, label(name, "uiStrong"), None, label("••••", "small", "tertiary"), 8,
            button("Replace…", f"secret.{name}.replace", replace, small=True, tip=f"Set {name} again"),
            button("Remove…", f"secret.{name}.remove", remove, small=True, kind="ghostDanger", tip=f"Remove {name}"),
        )  # fmt: skip
        fill(outer, inner, line())


def _field(name: str, title: str, placeholder: str, *, hides: bool = False) -> QLineEdit:
    made = QLineEdit()
    made.setObjectName(name)
    made.setAccessibleName(title)
    made.setToolTip(title)
    made.setPlaceholderText(placeholder)
    if hides:
        made.setEchoMode(QLineEdit.EchoMode.Password)
    return made
