"""Tokens of clients and the policy, as the Access group of the Settings page shows them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal

from app.bridge import Bridge
from legion_core.api.rbac import PreviewRow
from legion_core.api.tokens import RightsChanged, TokenRow
from legion_core.api.types import Event

if TYPE_CHECKING:
    from legion_core.api.facade import Legion

CHECK_AFTER_MS = 300  # after the last key
PRESET_WORDS: Mapping[str, str] = {
    "connected-app": "An editor or agent: models and tools",
    "chat": "Ask models only",
    "tasks": "Run tasks and see what became of them",
    "read": "See everything, change nothing",
    "": "Nothing by itself; the policy gives it a role",
}
SPANS: Mapping[str, float | None] = {
    "never expires": None,
    "for 90 days": 90 * 86_400.0,
    "for 30 days": 30 * 86_400.0,
    "for 1 day": 86_400.0,
}
EXAMPLE = """\
version = 1

[roles.fetcher]
description = "Fetches pages; posts nothing."
allow = [{ path = "tasks/http/*", actions = ["run"] }]
deny = [{ path = "tasks/http/request/post", actions = ["*"] }]

[[assign]]
subject = "my-editor"
roles = ["fetcher"]
"""


def who_may(rows: Sequence[PreviewRow]) -> tuple[tuple[str, str, str, str], ...]:
    """For each subject: `(name, what it may, what it gains, what it loses)`, as words."""
    subjects = dict.fromkeys(row.subject for row in rows)
    told: list[tuple[str, str, str, str]] = []
    for subject in subjects:
        own = [row for row in rows if row.subject == subject]
        may = [_words(row) for row in own if row.is_allowed_then]
        gains = [_words(row) for row in own if row.is_allowed_then and not row.is_allowed_now]
        loses = [_words(row) for row in own if row.is_allowed_now and not row.is_allowed_then]
        told.append(
            (subject, ", ".join(may) or "nothing of what was asked", ", ".join(gains), ", ".join(loses))
        )
    return tuple(told)


def _words(row: PreviewRow) -> str:
    return f"{row.action} {row.path}"


class AccessViewModel(QObject):
    """Reads when somebody looks; a secret is held here from its making until it is put away."""

    changed = Signal()
    """Tokens, the policy in force, or the secret to be shown are new."""
    checked = Signal()
    """The draft was checked: its faults, and what it would change."""
    failed = Signal(str)
    """Something was refused; the sentence says why."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.setObjectName("viewmodel.access")
        self._bridge = bridge
        self.tokens: tuple[TokenRow, ...] = ()
        self.secret = ""
        self.secret_name = ""
        self.text = ""
        self.path = ""
        self.is_in_force = False
        self.file_faults: tuple[str, ...] = ()
        self.draft = ""
        self.faults: tuple[str, ...] = ()
        self.preview: tuple[PreviewRow, ...] = ()
        self._wait = QTimer(self)
        self._wait.setSingleShot(True)
        self._wait.setInterval(CHECK_AFTER_MS)
        self._wait.timeout.connect(self._check)
        bridge.connected.connect(self.refresh)
        bridge.watch(self._on_facts, RightsChanged)

    @property
    def live(self) -> tuple[TokenRow, ...]:
        """The tokens that open something."""
        return tuple(row for row in self.tokens if row.state == "active")

    @property
    def is_edited(self) -> bool:
        """Whether the draft is another text than what is in force."""
        return self.draft != self.text

    def refresh(self) -> None:
        """Read tokens and policy again; a draft that was edited stays."""

        async def load(legion: Any) -> tuple[Any, Any]:
            return await legion.tokens.list(), await legion.rbac.policy()

        self._bridge.launch("access.load", load, self._loaded, self.failed.emit)

    def _loaded(self, found: tuple[Any, Any]) -> None:
        was_edited = self.is_edited
        self.tokens, policy = found
        self.text, self.path, self.is_in_force = policy.text, policy.path, policy.is_in_force
        self.file_faults = policy.faults
        if not was_edited:
            self.draft = self.text
        self.changed.emit()
        self._check()

    # Tokens

    def create(self, name: str, preset: str, expires_s: float | None, client: str = "") -> None:
        """Make a token; its secret is then shown until `put_away`."""

        def done(made: Any) -> None:
            self.secret, self.secret_name = made.secret, made.row.name
            self.refresh()

        scopes = (preset,) if preset else ()
        self._bridge.launch(
            "access.create",
            lambda legion: legion.tokens.create(name.strip(), scopes, client=client, expires_s=expires_s),
            done,
            self.failed.emit,
        )

    def put_away(self) -> None:
        """Forget the secret that is shown: it cannot be shown again."""
        self.secret = self.secret_name = ""
        self.changed.emit()

    def revoke(self, name: str) -> None:
        """End a token, and what it holds open."""
        self._bridge.launch(
            "access.revoke",
            lambda legion: legion.tokens.revoke(name),
            lambda _: self.refresh(),
            self.failed.emit,
        )

    # The policy

    def edit(self, text: str) -> None:
        """The draft as it is written; it is checked once the keys rest."""
        if text != self.draft:
            self.draft = text
            self._wait.start()

    def take_example(self) -> None:
        """Begin with an example."""
        self.draft = EXAMPLE
        self.changed.emit()
        self._check()

    def put_back(self) -> None:
        """What is in force, instead of the draft."""
        self.draft = self.text
        self.changed.emit()
        self._check()

    def apply(self) -> None:
        """Put the draft in force: whole, or refused."""
        draft = self.draft
        self._bridge.launch(
            "access.apply", lambda legion: legion.rbac.apply(draft), lambda _: self.refresh(), self._refused
        )

    def remove(self) -> None:
        """Have no policy."""

        def done(_: object) -> None:
            self.draft = self.text = ""
            self.refresh()

        self._bridge.launch("access.remove", lambda legion: legion.rbac.remove(), done, self.failed.emit)

    def _refused(self, sentence: str) -> None:
        self.failed.emit(sentence)
        self._check()

    def _check(self) -> None:
        draft = self.draft

        async def look(legion: "Legion") -> tuple[tuple[str, ...], tuple[PreviewRow, ...]]:
            faults = legion.rbac.faults(draft) if draft.strip() else ()
            return faults, () if faults or not draft.strip() else legion.rbac.preview(draft)

        def done(found: tuple[tuple[str, ...], tuple[PreviewRow, ...]]) -> None:
            if draft == self.draft:
                self.faults, self.preview = found
                self.checked.emit()

        self._bridge.launch("access.check", look, done, self.failed.emit)

    def _on_facts(self, _: Sequence[Event]) -> None:
        self.refresh()
