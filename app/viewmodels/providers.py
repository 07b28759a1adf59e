"""Providers: the instances there are, and the form that adds one only once its test succeeded."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from PySide6.QtCore import QObject, Signal

from app.bridge import Bridge
from app.viewmodels import wording
from legion_core.api.types import Event, ProviderChanged, ProviderRow, ProviderSpec, TestResult

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
CIRCUIT_WORDS = {
    "closed": ("Ready", "ok", "circle-check"),
    "half_open": ("Trying", "warn", "circle-dot-dashed"),
    "open": ("Resting", "err", "circle-x"),
}


class KindRow(Protocol):
    """A family of providers that can be added; read only."""

    kind: str
    title: str
    default_base_url: str
    needs_key: bool
    tier: Any


def circuit_pill(row: ProviderRow) -> tuple[str, str, str]:
    """The words, tone and icon of an instance's state."""
    if row.problem:
        return "Problem", "err", "circle-x"
    words, tone, icon = CIRCUIT_WORDS[row.circuit]
    if row.circuit == "open" and row.retry_in_s > 0:
        words = f"{words}, {round(row.retry_in_s)} s"
    return words, tone, icon


@dataclass(frozen=True, slots=True)
class FormState:
    """What the form says now. `errors` is by field name; `can_save` holds only after a good test of these very words."""

    errors: dict[str, str]
    result: str = ""
    is_ok: bool = False
    is_testing: bool = False
    can_test: bool = False
    can_save: bool = False


class ProvidersViewModel(QObject):
    """The Providers tab and its form."""

    changed = Signal()
    form_changed = Signal()
    saved = Signal(str)
    removed = Signal(str)

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.setObjectName("viewmodel.providers")
        self._bridge = bridge
        self.rows: tuple[ProviderRow, ...] = ()
        self.kinds: tuple[KindRow, ...] = ()
        self.results: dict[str, TestResult] = {}
        self.testing: frozenset[str] = frozenset()
        self.form = FormState(errors={})
        self.kind = ""
        self.name = ""
        self.base_url = ""
        self._key = ""
        self._tested: tuple[str, str, str, str] | None = None
        self._is_visited = False
        bridge.watch(self._on_facts, ProviderChanged)

    def visit(self) -> None:
        """The tab is shown for the first time."""
        if not self._is_visited:
            self._is_visited = True
            self.refresh()

    def refresh(self) -> None:
        """Load the instances again."""
        if not self._is_visited:
            return

        async def load(legion: Any) -> tuple[tuple[ProviderRow, ...], tuple[KindRow, ...]]:
            return await legion.providers.list(), legion.providers.kinds()

        self._bridge.launch("providers.list", load, self._on_list)

    # The list

    def test(self, name: str) -> None:
        """Ask an instance whether it is there."""
        if name in self.testing:
            return
        self.testing = self.testing | {name}
        self.changed.emit()

        def done(result: TestResult) -> None:
            self.testing = self.testing - {name}
            self.results[name] = result
            self.changed.emit()
            self.refresh()

        def failed(sentence: str) -> None:
            done(TestResult(is_ok=False, why=sentence))

        self._bridge.launch("providers.test", lambda legion: legion.providers.test(name), done, failed)

    def remove(self, name: str) -> None:
        """Forget an instance and its key."""

        def done(_: object) -> None:
            self.results.pop(name, None)
            self.removed.emit(name)
            self.refresh()

        self._bridge.launch("providers.remove", lambda legion: legion.providers.remove(name), done)

    def trip(self, name: str) -> None:
        """Let an instance rest until it is reset."""

        async def act(legion: Any) -> None:
            legion.providers.trip(name)

        self._bridge.launch("providers.trip", act, lambda _: self.refresh())

    def reset(self, name: str) -> None:
        """Forget an instance's failures."""

        async def act(legion: Any) -> None:
            legion.providers.reset(name)

        self._bridge.launch("providers.reset", act, lambda _: self.refresh())

    # The form

    def kind_row(self, kind: str) -> KindRow | None:
        """The family of that name."""
        return next((found for found in self.kinds if found.kind == kind), None)

    def begin_form(self, kind: str = "") -> None:
        """An empty form for a family; its address is filled in where there is a usual one."""
        self.kind = kind or (self.kinds[0].kind if self.kinds else "")
        row = self.kind_row(self.kind)
        self.base_url = row.default_base_url if row else ""
        self.name = self._free_name(self.kind)
        self._key = ""
        self._tested = None
        self._judge()

    def edit_form(
        self, *, name: str | None = None, base_url: str | None = None, key: str | None = None
    ) -> None:
        """A field changed: an earlier test no longer counts."""
        self.name = self.name if name is None else name.strip()
        self.base_url = self.base_url if base_url is None else base_url.strip()
        self._key = self._key if key is None else key.strip()
        self._judge()

    @property
    def spec(self) -> ProviderSpec:
        """What the form describes."""
        return ProviderSpec(name=self.name, kind=self.kind, base_url=self.base_url)

    def test_form(self) -> None:
        """Ask the described instance whether it is there and the key is right."""
        if not self.form.can_test:
            return
        asked, spec, key = self._words(), self.spec, self._key or None
        self._judge(is_testing=True)

        def done(result: TestResult) -> None:
            if asked != self._words():
                return  # the words changed while it was asked
            self._tested = asked if result.is_ok else None
            count = (
                f" {wording.plural(len(result.models), 'model')}." if result.is_ok and result.models else ""
            )
            self._judge(
                result=f"{result.why}{count if 'model' not in result.why else ''}", is_ok=result.is_ok
            )

        def failed(sentence: str) -> None:
            self._tested = None
            self._judge(result=sentence)

        self._bridge.launch("providers.test", lambda legion: legion.providers.test(spec, key), done, failed)

    def save_form(self, *, untested: bool = False) -> None:
        """Save; without `untested` only what was tested as it stands."""
        if not untested and not self.form.can_save:
            return
        if self.form.errors:
            return
        spec, key = self.spec, self._key or None

        def done(_: ProviderRow) -> None:
            self._key = ""
            self.saved.emit(spec.name)
            self.refresh()

        def failed(sentence: str) -> None:
            self._tested = None
            self._judge(result=sentence)

        self._bridge.launch(
            "providers.add", lambda legion: legion.providers.add(spec, key, test=not untested), done, failed
        )

    def _words(self) -> tuple[str, str, str, str]:
        return self.kind, self.name, self.base_url, self._key

    def _judge(self, *, result: str = "", is_ok: bool = False, is_testing: bool = False) -> None:
        errors: dict[str, str] = {}
        row = self.kind_row(self.kind)
        if not self.name:
            errors["name"] = "Give it a name, such as box-a."
        elif not NAME.fullmatch(self.name):
            errors["name"] = "Use lower-case letters, digits, dots and dashes."
        elif any(found.name == self.name for found in self.rows):
            errors["name"] = f"There is a provider {self.name} already."
        if not self.base_url:
            errors["base_url"] = "Enter the address, such as http://box-a:9001/v1."
        elif not self.base_url.startswith(("http://", "https://")):
            errors["base_url"] = "Not an address. Start with http:// or https://"
        # A server of one's own may speak a paid provider's protocol and want no key.
        is_paid = row is not None and row.needs_key and self.base_url == row.default_base_url
        if row is not None and is_paid and not self._key:
            errors["key"] = f"{row.title} needs a key."
        self.form = FormState(
            errors=errors,
            result=result,
            is_ok=is_ok,
            is_testing=is_testing,
            can_test=not errors and not is_testing,
            can_save=not errors and not is_testing and self._tested == self._words(),
        )
        self.form_changed.emit()

    def _free_name(self, kind: str) -> str:
        taken = {row.name for row in self.rows}
        base = kind.replace("_", "-") or "provider"
        names = [base, *(f"{base}-{number}" for number in range(2, 100))]
        return next((name for name in names if name not in taken), base)

    def _on_list(self, found: tuple[tuple[ProviderRow, ...], tuple[KindRow, ...]]) -> None:
        self.rows, self.kinds = found
        if not self.kind and self.kinds:
            self.begin_form()
        self.changed.emit()

    def _on_facts(self, _: Sequence[Event]) -> None:
        self.refresh()
