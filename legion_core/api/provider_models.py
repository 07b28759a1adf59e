"""What the models of an instance can: what the user says of them, and what they show when they are asked."""

from collections.abc import Callable
from typing import get_args

import msgspec

from legion_core.api.settings import Settings
from legion_core.api.types import ModelFacts, ModelTrial
from legion_core.gateway.abilities import ABILITIES
from legion_core.gateway.inventory import Inventory
from legion_core.gateway.providers.listed import GUIDED
from legion_core.gateway.service import Gateway
from legion_core.gateway.types import Capability, ModelOffer
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import InvalidInput, LegionError, NotFound
from legion_core.kernel.ids import Ids
from legion_core.kernel.settings_schema import Instance, Model, Price


class ProviderModels:
    """See the module. What is said is written into the configuration, under the instance."""

    def __init__(
        self,
        clock: Clock,
        ids: Ids,
        gateway: Gateway,
        settings: Settings,
        is_local_only: Callable[[], bool],
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._gateway = gateway
        self._inventory: Inventory = gateway.inventory
        self._settings = settings
        self._is_local_only = is_local_only

    def described(self, name: str) -> tuple[str, ...]:
        """The models of the instance of which something is said."""
        instance = self._instance(name)
        return tuple(model.id for model in instance.models if model != Model(id=model.id)) if instance else ()

    async def describe(self, name: str, facts: ModelFacts) -> None:
        """Keep what is said of a model; what is not said stays as it was.

        NotFound where there is no such instance, or where it tells its models and this is none of them.
        """
        instance = self._configured(name)
        offer = await self._offered(name, facts.model)
        before = next((model for model in instance.models if model.id == facts.model), None)
        model = before or Model(
            id=facts.model, continuation=offer.continuation if offer else Model(id="x").continuation
        )
        changes = dict[str, object]()
        if facts.context is not None:
            changes["context"] = facts.context
        if facts.price is not None:
            changes["price"] = Price(input=facts.price.input, output=facts.price.output)
        if facts.continuation is not None:
            changes["continuation"] = facts.continuation
        said = {word: able for word in ABILITIES if (able := getattr(facts, word)) is not None}
        if said:
            # Where nobody answers, at least what such a server always has.
            always: tuple[Capability, ...] = ("structured_output",) if instance.kind in GUIDED else ()
            known = set[Capability](model.capabilities or (offer.capabilities if offer else always))
            # A model with any of these answers, whatever else it was taken for.
            known = (known | {"streaming"} | {word for word, able in said.items() if able}) - {
                word for word, able in said.items() if not able
            }
            changes["capabilities"] = tuple(word for word in get_args(Capability) if word in known)
        await self._settings.describe_model(name, msgspec.structs.replace(model, **changes))
        await self._inventory.discover()

    async def forget(self, name: str, model: str) -> None:
        """Forget what was said of a model."""
        instance = self._configured(name)
        if model not in {each.id for each in instance.models}:
            said = ", ".join(self.described(name))
            hint = f"Of these something is: {said}." if said else "Nothing is said of any."
            raise NotFound(f"Nothing is said of {model!r} at {name}.", hint=hint)
        await self._settings.forget_model(name, model)
        await self._inventory.discover()

    async def ask(self, name: str, model: str) -> ModelTrial:
        """Ask the model itself; see `gateway.trial`. Nothing is kept."""
        from legion_core.gateway.trial import Trial

        await self._inventory.discover(wants=model)
        trial = Trial(
            self._clock,
            self._ids,
            self._inventory,
            self._gateway.budget,
            self._gateway.ledger,
            self._is_local_only,
        )
        findings = await trial.ask(name, model)
        shown = {finding.capability: finding.is_able for finding in findings}
        return ModelTrial(
            model=model,
            findings=findings,
            suggested=ModelFacts(
                model=model,
                tools=shown.get("tools"),
                vision=shown.get("vision"),
                documents=shown.get("documents"),
                thinking=shown.get("thinking"),
                structured_output=shown.get("structured_output"),
            ),
        )

    def _instance(self, name: str) -> Instance | None:
        known = self._settings.config.gateway.instances
        return next((instance for instance in known if instance.name == name), None)

    def _configured(self, name: str) -> Instance:
        self._inventory.get(name)
        instance = self._instance(name)
        if instance is None:
            raise InvalidInput(
                f"{name!r} is this computer itself: its models say what they can.",
                hint="Settings under Models has their context.",
            )
        return instance

    async def _offered(self, name: str, model: str) -> ModelOffer | None:
        """The model as it is offered; None where the instance does not tell its models."""
        await self._inventory.discover(wants=model)
        served = self._inventory.get(name)
        found = {offer.id: offer for offer in served.asked_offers}
        if model in found:
            return found[model]
        try:
            told = await served.provider.probe()
        except LegionError:
            return None
        found = {offer.id: offer for offer in told.models}
        if model in found or not told.is_ok:
            return found.get(model)
        known = ", ".join(list(found)[:8]) or "none"
        raise NotFound(f"{name} offers no model {model!r}.", hint=f"It offers: {known}.")
