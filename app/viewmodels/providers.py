"""Providers: the instances there are, and the form that adds one only once its test succeeded."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from PySide6.QtCore import QObject, Signal

from app.bridge import Bridge
from app.viewmodels import wording
from legion_core.api.types import Event, ModelOffer, ProviderChanged, ProviderRow, ProviderSpec, TestResult

if TYPE_CHECKING:
    from app.viewmodels.model_facts import ModelFactsViewModel

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
CIRCUIT_WORDS = {
    "closed": ("Ready", "ok", "circle-check"),
    "half_open": ("Half-open", "warn", "circle-dot-dashed"),
    "open": ("Circuit open", "err", "circle-x"),
}
ABLE = {"tools": "tools", "vision": "vision", "thinking": "thinking", "structured_output": "JSON"}


class KindRow(Protocol):
    """A family of providers that can be added; read only."""

    kind: str
    title: str
    default_base_url: str
    needs_key: bool
    tier: Any
    address_hint: str
    key_hint: str


class FoundRow(Protocol):
    """A model server of this computer that could be added; read only."""

    kind: str
    title: str
    base_url: str
    models: tuple[str, ...]
    name: str
    version: str
    needs_key: bool
    is_added: bool


def may_be_empty(kind: KindRow | None) -> bool:
    """Whether a family works without an address: its own hint says so."""
    return kind is not None and kind.address_hint.startswith("empty")


def circuit_pill(row: ProviderRow) -> tuple[str, str, str]:
    """The words, tone and icon of an instance's state."""
    if row.is_tripped:
        return "Tripped", "err", "circle-x"
    if row.is_draining:
        return "Draining", "warn", "circle-pause"
    if row.problem:
        return "Problem", "err", "circle-x"
    # No seconds: nothing here counts them down, and a number that stands still would lie.
    if row.circuit == "closed" and row.retry_in_s > 0:
        return "Resting", "warn", "circle-pause"
    return CIRCUIT_WORDS[row.circuit]


def able_words(offer: ModelOffer) -> str:
    """`32k, tools, JSON`: how much a model holds and what it is known to do beyond text."""
    if "embeddings" in offer.capabilities and "streaming" not in offer.capabilities:
        return "vectors"
    return ", ".join(
        (
            wording.short_count(offer.context),
            *(word for each, word in ABLE.items() if each in offer.capabilities),
        )
    )


@dataclass(frozen=True, slots=True)
class FormState:
    """What the form says now. `errors` is by field name; `can_save` holds only after a good test of these very words.

    `store` is `locked` or `none` where the key has no place without a passphrase, else empty.
    """

    errors: dict[str, str]
    store: str = ""
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
    found_changed = Signal()

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
        self.tier = ""
        """The tier that was chosen; empty leaves it to the address."""
        self.store = ""
        """Where keys are kept, as far as it is known: `keyring`, `file`, `locked` or `none`."""
        self._key = self._passphrase = ""
        self._tested: tuple[str, str, str, str] | None = None
        self._is_visited = False
        self.found: tuple[FoundRow, ...] = ()
        self.is_finding = False
        self.has_looked = False
        self.adding: frozenset[str] = frozenset()
        self._facts: ModelFactsViewModel | None = None
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
            await legion.settings.look_again()  # one may have been written into the file by hand
            return await legion.providers.list(), legion.providers.kinds()

        self._bridge.launch("providers.list", load, self._on_list)
        self._look_for_store()

    def unlock(self, passphrase: str) -> None:
        """Open the file of keys for this run; the instances that wait for it come back."""

        def done(_: object) -> None:
            self.refresh()

        self._bridge.launch("providers.unlock", lambda legion: legion.secrets.unlock(passphrase), done)

    def find_shut(self, done: Callable[[Sequence[ProviderRow]], None]) -> None:
        """Hand over the instances whose key cannot be had; nobody is asked for it."""

        async def look(legion: Any) -> Sequence[ProviderRow]:
            return [row for row in legion.providers.known() if row.has_key and row.problem]

        self._bridge.launch("providers.shut", look, done)

    @property
    def is_locked(self) -> bool:
        """Whether keys lie in a file that wants its passphrase."""
        return self.store == "locked"

    def _look_for_store(self) -> None:
        def done(store: str) -> None:
            if store != self.store:
                self.store = store
                self.changed.emit()
                self._judge(result=self.form.result, is_ok=self.form.is_ok, is_testing=self.form.is_testing)

        self._bridge.launch("secrets.backend", lambda legion: legion.secrets.backend(), done)

    @property
    def facts(self) -> "ModelFactsViewModel":
        """What a model can, for its form; made when one is first opened."""
        if self._facts is None:
            from app.viewmodels.model_facts import ModelFactsViewModel

            self._facts = ModelFactsViewModel(self._bridge)
            self._facts.finished.connect(self.refresh)
        return self._facts

    def kind_title(self, row: ProviderRow) -> str:
        """What the family of an instance is called."""
        if row.is_builtin:
            return "built in"
        kind = self.kind_row(row.kind)
        return kind.title if kind is not None else row.kind

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

    def drain(self, name: str) -> None:
        """Let an instance finish what runs and take nothing new."""

        async def act(legion: Any) -> None:
            legion.providers.drain(name)

        self._bridge.launch("providers.drain", act, lambda _: self.refresh())

    # Servers of this computer

    def find(self) -> None:
        """Look for model servers on this computer; nothing is added by it."""
        if self.is_finding:
            return
        self.is_finding = self.has_looked = True
        self.found_changed.emit()

        def done(found: tuple[FoundRow, ...]) -> None:
            self.is_finding = False
            self.found = found
            self.found_changed.emit()

        async def look(legion: Any) -> tuple[FoundRow, ...]:
            return await legion.providers.find()

        self._bridge.launch("providers.find", look, done, lambda _: done(()))

    @property
    def proposals(self) -> tuple[FoundRow, ...]:
        """What was found and is not added yet."""
        here = {row.base_url.rstrip("/") for row in self.rows}
        return tuple(row for row in self.found if not row.is_added and row.base_url.rstrip("/") not in here)

    def add_found(self, base_url: str) -> None:
        """Add a server that was found, as it was found, after its test."""
        row = next((each for each in self.found if each.base_url == base_url), None)
        if row is None or base_url in self.adding:
            return
        self.adding = self.adding | {base_url}
        self.found_changed.emit()
        taken = {each.name for each in self.rows}
        name = row.name if row.name not in taken else self._free_name(row.name)
        spec = ProviderSpec(name=name, kind=row.kind, base_url=row.base_url)

        def over() -> None:
            self.adding = self.adding - {base_url}
            self.found_changed.emit()

        def done(_: ProviderRow) -> None:
            over()
            self.saved.emit(spec.name)
            self.refresh()

        def failed(sentence: str) -> None:
            over()
            self._bridge.refused.emit(sentence)

        self._bridge.launch("providers.add", lambda legion: legion.providers.add(spec, None), done, failed)

    # The form

    def kind_row(self, kind: str) -> KindRow | None:
        """The family of that name."""
        return next((found for found in self.kinds if found.kind == kind), None)

    def begin_form(self, kind: str = "", tier: str = "") -> None:
        """An empty form for a family, or for one that belongs to `tier`; its usual address is filled in."""
        usual = [row.kind for row in self.kinds if row.tier == tier]
        self.kind = next(iter(usual), kind) or (self.kinds[0].kind if self.kinds else "")
        row = self.kind_row(self.kind)
        self.base_url = row.default_base_url if row else ""
        self.name = self._free_name(self.kind)
        self.tier = tier
        self._key = self._passphrase = ""
        self._tested = None
        self._judge()

    def begin_found(self, base_url: str) -> None:
        """The form of a server that was found and wants a key."""
        row = next((each for each in self.found if each.base_url == base_url), None)
        if row is not None:
            self.begin_form(row.kind)
            self.edit_form(name=row.name, base_url=row.base_url)

    def edit_passphrase(self, words: str) -> None:
        """Under which the key is kept where there is no keyring; what was tested stays so."""
        self._passphrase = words
        self._judge(result=self.form.result, is_ok=self.form.is_ok, is_testing=self.form.is_testing)

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
        return ProviderSpec(name=self.name, kind=self.kind, base_url=self.base_url, tier=self.tier)

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
        if not self.form.store:
            self._add(untested)
            return
        words = self._passphrase

        def failed(sentence: str) -> None:
            self._judge(result=sentence)  # what was tested stays so: it is no fault of the provider

        self._bridge.launch(
            "providers.unlock",
            lambda legion: legion.secrets.unlock(words),
            lambda _: self._add(untested),
            failed,
        )

    def _add(self, untested: bool) -> None:
        spec, key = self.spec, self._key or None

        def done(_: ProviderRow) -> None:
            self._key = self._passphrase = ""
            self.saved.emit(spec.name)
            self.refresh()

        def failed(sentence: str) -> None:
            self._tested = None
            self._judge(result=sentence)
            self._look_for_store()

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
            if not may_be_empty(row):
                such = (row.address_hint if row else "") or "http://box-a:9001/v1"
                errors["base_url"] = f"Enter the address, such as {such}."
        elif not self.base_url.startswith(("http://", "https://")):
            errors["base_url"] = "Not an address. Start with http:// or https://"
        # A server of one's own may speak a paid provider's protocol and want no key.
        is_paid = row is not None and row.needs_key and self.base_url == row.default_base_url != ""
        if row is not None and is_paid and not self._key:
            errors["key"] = f"{row.title} needs a key."
        store = self.store if self._key and self.store in ("locked", "none") else ""
        self.form = FormState(
            errors=errors,
            store=store,
            result=result,
            is_ok=is_ok,
            is_testing=is_testing,
            can_test=not errors and not is_testing,
            can_save=not errors
            and not is_testing
            and self._tested == self._words()
            and bool(self._passphrase or not store),
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
        if self.found:
            self.found_changed.emit()

    def _on_facts(self, _: Sequence[Event]) -> None:
        self.refresh()
