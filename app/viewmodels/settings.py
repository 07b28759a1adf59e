"""Settings as the schema has them: grouped, searched, changed at once, undone and put back, with every fault shown."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from app.bridge import Bridge
from legion_core.api.types import Event, SettingChanged, SettingRow

if TYPE_CHECKING:
    from legion_core.api.facade import Legion

UNDO_MAX = 100
# As a person looks for them; a group that is not named here comes after these.
GROUP_ORDER = (
    "General",
    "Appearance",
    "Chat",
    "Models",
    "Routing",
    "Curation",
    "Budget",
    "Tasks",
    "Network",
    "Privacy",
)
SECRETS_GROUP = "Secrets"
ACCESS_GROUP = "Access"


def matches(row: SettingRow, query: str) -> bool:
    """Whether every word of `query` stands in the setting's words."""
    words = f"{row.title} {row.description} {row.key} {row.group}".lower()
    return all(part in words for part in query.lower().split())


def is_changed(row: SettingRow) -> bool:
    """Whether somebody set it to another value than the default; the environment's values are not set here."""
    return row.value != row.default and not row.from_environment


class SettingsViewModel(QObject):
    """The Settings page. Every change is in force at once; `undo` takes the last one back."""

    changed = Signal()
    """Rows, faults or secrets are new."""
    value_changed = Signal(str)
    """The setting of this key has another value or another error."""
    undo_changed = Signal()
    secrets_changed = Signal()

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.setObjectName("viewmodel.settings")
        self._bridge = bridge
        self.rows: tuple[SettingRow, ...] = ()
        self.faults: tuple[str, ...] = ()
        self.path = ""
        self.errors: dict[str, str] = {}
        self.secret_names: tuple[str, ...] = ()
        self.secret_backend = ""
        self.is_full = False
        self.query = ""
        self._undo: list[tuple[str, Any]] = []
        bridge.connected.connect(self.refresh)
        bridge.watch(self._on_facts, SettingChanged)

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that have something to show at this level, secrets and access last."""
        seen = dict.fromkeys(row.group for row in self.shown())
        known = [group for group in GROUP_ORDER if group in seen]
        return (*known, *(group for group in seen if group not in known), SECRETS_GROUP, ACCESS_GROUP)

    def shown(self, group: str = "") -> tuple[SettingRow, ...]:
        """The rows of a group (or all) at this level; a search shows matches of every level."""
        return tuple(
            row
            for row in self.rows
            if (not group or row.group == group)
            and (matches(row, self.query) if self.query else self.is_full or row.level == "simple")
        )

    def row(self, key: str) -> SettingRow | None:
        """The setting of a key."""
        return next((row for row in self.rows if row.key == key), None)

    def value(self, key: str, default: Any = None) -> Any:
        """A setting's value, or `default` where there is no such setting (yet)."""
        found = self.row(key)
        return default if found is None else found.value

    def changed_count(self, group: str = "") -> int:
        """How many settings of a group differ from their default."""
        return sum(1 for row in self.rows if (not group or row.group == group) and is_changed(row))

    def hits(self, group: str) -> int:
        """How many settings of a group match the search."""
        return (
            sum(1 for row in self.rows if row.group == group and matches(row, self.query))
            if self.query
            else 0
        )

    @property
    def can_undo(self) -> bool:
        """Whether a change of this run can be taken back."""
        return bool(self._undo)

    def refresh(self) -> None:
        """Read everything again."""

        async def load(legion: Any) -> tuple[tuple[SettingRow, ...], tuple[str, ...], str]:
            return legion.settings.rows(), legion.settings.faults(), str(legion.settings.path)

        self._bridge.launch("settings.rows", load, self._on_rows)

    def look_again(self) -> None:
        """Have what was written into the file by hand put in force; facts tell what became of it."""
        if self._bridge.legion is not None:
            self._bridge.launch("settings.look", lambda legion: legion.settings.look_again())

    def search(self, query: str) -> None:
        """Show only what matches, in every group and level."""
        self.query = query.strip()
        self.changed.emit()

    def show_full(self, is_full: bool) -> None:
        """Show every setting, or the simple ones."""
        self.is_full = is_full
        self.changed.emit()

    def set(self, key: str, value: Any) -> None:
        """Put a value in force; a refusal is shown at the field and the old value stays."""
        row = self.row(key)
        if row is None or row.value == value:
            self._set_error(key, "")
            return
        before = row.value
        self._write(key, lambda legion: legion.settings.set(key, value), before)

    def reset(self, key: str) -> None:
        """Put the default back."""
        row = self.row(key)
        if row is not None and is_changed(row):
            self._write(key, lambda legion: legion.settings.reset(key), row.value)

    def undo(self) -> None:
        """Take the last change back."""
        if self._undo:
            key, value = self._undo.pop()
            self.undo_changed.emit()
            self._write(key, lambda legion: legion.settings.set(key, value), None)

    def refresh_secrets(self) -> None:
        """Read the names of the secrets and where they are kept."""

        async def load(legion: Any) -> tuple[tuple[str, ...], str]:
            backend = str(await legion.secrets.backend())
            return (() if backend == "locked" else await legion.secrets.names()), backend

        def done(found: tuple[tuple[str, ...], str]) -> None:
            self.secret_names, self.secret_backend = found
            self.secrets_changed.emit()

        self._bridge.launch("secrets.names", load, done)

    def set_secret(self, name: str, value: str, done: Callable[[], None] | None = None) -> None:
        """Keep a secret under a name; it is never shown again."""
        self._secret(lambda legion: legion.secrets.set(name.strip(), value), done)

    def remove_secret(self, name: str) -> None:
        """Forget a secret."""
        self._secret(lambda legion: legion.secrets.remove(name), None)

    def unlock(self, passphrase: str, done: Callable[[], None] | None = None) -> None:
        """Open the encrypted file for this run."""
        self._secret(lambda legion: legion.secrets.unlock(passphrase), done)

    def _secret(
        self, intent: "Callable[[Legion], Awaitable[object]]", done: Callable[[], None] | None
    ) -> None:
        def finish(_: object) -> None:
            self.refresh_secrets()
            if done is not None:
                done()

        self._bridge.launch("secrets.write", intent, finish)

    def _write(self, key: str, intent: "Callable[[Legion], Awaitable[object]]", before: Any) -> None:
        def done(_: object) -> None:
            if before is not None:
                self._undo.append((key, before))
                del self._undo[:-UNDO_MAX]
                self.undo_changed.emit()
            self._set_error(key, "")
            self.refresh()

        self._bridge.launch("settings.set", intent, done, lambda sentence: self._set_error(key, sentence))

    def _set_error(self, key: str, sentence: str) -> None:
        if sentence:
            self.errors[key] = sentence
        else:
            self.errors.pop(key, None)
        self.value_changed.emit(key)

    def _on_rows(self, found: tuple[tuple[SettingRow, ...], tuple[str, ...], str]) -> None:
        before = {row.key: row.value for row in self.rows}
        keys = tuple(row.key for row in self.rows)
        rows, faults, path = found
        is_same = keys == tuple(row.key for row in rows) and faults == self.faults
        self.rows, self.faults, self.path = rows, faults, path
        if not is_same:
            self.changed.emit()
        for row in rows:
            if row.key not in before or before[row.key] != row.value:
                self.value_changed.emit(row.key)

    def _on_facts(self, _: Sequence[Event]) -> None:
        self.refresh()
