"""What a model at a provider can, as a person says it: set by hand, or by asking the model itself."""

from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QObject, Signal

from app.bridge import Bridge

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from legion_core.api.facade import Legion
    from legion_core.api.types import Finding, ModelOffer, ModelTrial, ProviderRow

ABILITIES: Final = (
    ("tools", "Tools", "Calls functions, as tools in a chat and agents need it."),
    ("vision", "Images", "Reads pictures beside a question."),
    ("documents", "Documents", "Reads PDFs beside a question."),
    ("thinking", "Thinking", "Tells its reasoning apart from its answer."),
    ("structured_output", "JSON", "Keeps to a schema it is given."),
)
CONTEXT_MAX: Final = 100_000_000
PRICE_USD_MAX: Final = 1_000_000


class ModelFactsViewModel(QObject):
    """The form of one model. Nothing is written before `save`."""

    changed = Signal()
    finished = Signal()
    """Saved, or as the server tells again."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.setObjectName("viewmodel.modelFacts")
        self._bridge = bridge
        self._offer: ModelOffer | None = None
        self.provider = ""
        self.model = ""
        self.is_described = False
        """Whether the person said something of it before."""
        self.context = ""
        """What stands in the field; empty means as the server tells."""
        self.price_in = self.price_out = ""
        """USD per million tokens as they stand in the fields; both empty leave the price as it is."""
        self.able: dict[str, bool] = {}
        self.findings: dict[str, Finding] = {}
        """What asking the model showed, by capability."""
        self.is_asking = False
        self.is_saving = False
        self.problem = ""

    def begin(self, row: "ProviderRow", model: str) -> bool:
        """Show what is held of a model now; False where the provider no longer offers it."""
        offer = next((each for each in row.models if each.id == model), None)
        if offer is None:
            return False
        self._offer, self.provider, self.model = offer, row.name, model
        self.is_described = model in row.described
        self.context = str(offer.context)
        price = offer.price
        self.price_in, self.price_out = (f"{price.input:g}", f"{price.output:g}") if price else ("", "")
        self.able = {ability: ability in offer.capabilities for ability, _, _ in ABILITIES}
        self.findings, self.problem = {}, ""
        self.is_asking = self.is_saving = False
        self.changed.emit()
        return True

    @property
    def context_error(self) -> str:
        """What is wrong with the context's field; empty if nothing is."""
        words = self.context
        if not words or (words.isdecimal() and 0 < int(words) <= CONTEXT_MAX):
            return ""
        return f"Enter how many tokens it holds, from 1 to {CONTEXT_MAX:,}."

    @property
    def price_error(self) -> str:
        """What is wrong with the fields of the price; empty if nothing is."""
        if not self.price_in and not self.price_out:
            return ""
        if _usd(self.price_in) is None or _usd(self.price_out) is None:
            return "Enter both in USD for a million tokens, such as 0.15 and 0.6; 0 is free."
        return ""

    @property
    def changes(self) -> dict[str, Any]:
        """What differs from what is held, by the names of `ModelFacts`."""
        offer = self._offer
        if offer is None or self.context_error or self.price_error:
            return {}
        made: dict[str, Any] = {
            ability: is_able
            for ability, is_able in self.able.items()
            if is_able != (ability in offer.capabilities)
        }
        context = int(self.context or 0)
        if context != offer.context:
            made["context"] = context
        asked, answered = _usd(self.price_in), _usd(self.price_out)
        known = (offer.price.input, offer.price.output) if offer.price else None
        if asked is not None and answered is not None and (asked, answered) != known:
            made["price"] = {"input": asked, "output": answered}
        return made

    @property
    def can_save(self) -> bool:
        """Whether there is something to write."""
        return bool(self.changes) and not self.is_saving

    def set_context(self, words: str) -> None:
        """The field changed. Blanks and commas between digits are how people write numbers."""
        self.context = words.replace(",", "").replace(" ", "").strip()
        self.changed.emit()

    def set_price(self, asked: str, answered: str) -> None:
        """The fields of the price changed."""
        self.price_in, self.price_out = asked.strip().removeprefix("$"), answered.strip().removeprefix("$")
        self.changed.emit()

    def set_able(self, ability: str, is_able: bool) -> None:
        """A switch moved."""
        if self.able.get(ability) != is_able:
            self.able[ability] = is_able
            self.changed.emit()

    def ask(self) -> None:
        """Ask the model itself; what it shows is put into the form and not saved."""
        if self.is_asking:
            return
        provider, model = asked = self.provider, self.model
        self.is_asking, self.problem, self.findings = True, "", {}
        self.changed.emit()

        def done(trial: "ModelTrial") -> None:
            if asked != (self.provider, self.model):
                return
            self.is_asking = False
            self.findings = {finding.capability: finding for finding in trial.findings}
            for ability in self.able:
                told: bool | None = getattr(trial.suggested, ability)
                if told is not None:
                    self.able[ability] = told
            if trial.suggested.context:
                self.context = str(trial.suggested.context)
            self.changed.emit()

        def failed(sentence: str) -> None:
            if asked == (self.provider, self.model):
                self.is_asking, self.problem = False, sentence
                self.changed.emit()

        self._bridge.launch(
            "providers.tryModel", lambda legion: legion.providers.try_model(provider, model), done, failed
        )

    def save(self) -> None:
        """Write what was changed."""
        if not self.can_save:
            return
        from legion_core.api.types import ModelFacts, ModelPrice

        changes = self.changes
        if price := changes.pop("price", None):
            changes["price"] = ModelPrice(**price)
        provider, facts = self.provider, ModelFacts(model=self.model, **changes)

        async def act(legion: "Legion") -> "ProviderRow":
            return await legion.providers.describe_model(provider, facts)

        self._write("providers.describe", act)

    def forget(self) -> None:
        """As the server tells again."""
        provider, model = self.provider, self.model

        async def act(legion: "Legion") -> "ProviderRow":
            return await legion.providers.forget_model(provider, model)

        self._write("providers.forgetModel", act)

    def _write(self, name: str, act: "Callable[[Legion], Awaitable[ProviderRow]]") -> None:
        if self.is_saving:
            return
        self.is_saving, self.problem = True, ""
        self.changed.emit()

        def done(_: object) -> None:
            self.is_saving = False
            self.finished.emit()

        def failed(sentence: str) -> None:
            self.is_saving, self.problem = False, sentence
            self.changed.emit()

        self._bridge.launch(name, act, done, failed)


def _usd(words: str) -> float | None:
    """A price as it was typed; None where it is none."""
    try:
        usd = float(words)
    except ValueError:
        return None
    return usd if 0 <= usd <= PRICE_USD_MAX else None
