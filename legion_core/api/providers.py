"""Provider instances: list, find, add after a test, remove, trip, drain and reset."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from legion_core.api.provider_models import ProviderModels
from legion_core.api.types import (
    ModelFacts,
    ModelTrial,
    ProviderChanged,
    ProviderRow,
    ProviderSpec,
    TestResult,
)
from legion_core.gateway.inventory import Inventory
from legion_core.gateway.providers.base import Provider
from legion_core.gateway.providers.registry import Kind, kinds
from legion_core.gateway.providers.wire import is_loopback
from legion_core.gateway.types import ModelOffer
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import BadCredentials, Conflict, InvalidInput, LegionError, Unavailable
from legion_core.kernel.events import EventBus
from legion_core.kernel.settings_schema import Instance

if TYPE_CHECKING:
    from legion_core.gateway.discovery import Found

MakeProvider = Callable[[ProviderSpec, str | None], Awaitable[Provider]]
Save = Callable[[ProviderSpec, str | None], Awaitable[None]]
Forget = Callable[[str], Awaitable[None]]


class Providers:
    """What the Models page and `legion provider` do. `make` builds without saving; `save` writes and puts in force."""

    def __init__(
        self,
        inventory: Inventory,
        clock: Clock,
        bus: EventBus,
        make: MakeProvider,
        save: Save,
        forget: Forget,
        env: Mapping[str, str] | None = None,
        own_port: Callable[[], int] = lambda: 0,
        models: ProviderModels | None = None,
    ) -> None:
        """`env` may say where Ollama listens; `own_port` is this program's own, where nobody is looked for."""
        self._inventory = inventory
        self._clock = clock
        self._bus = bus
        self._make = make
        self._save = save
        self._forget = forget
        self._env = env or {}
        self._own_port = own_port
        self._models = models

    def kinds(self) -> tuple[Kind, ...]:
        """The families that can be added."""
        return kinds()

    async def list(self) -> tuple[ProviderRow, ...]:
        """Every instance, those whose models are asked of them asked anew."""
        await self._inventory.discover()
        return self.known()

    def known(self) -> tuple[ProviderRow, ...]:
        """Every instance as it was last seen; nobody is asked."""
        return tuple(self._row(instance.provider.name) for instance in self._inventory.instances)

    async def find(self) -> "tuple[Found, ...]":
        """Model servers running on this computer, as proposals to add; takes at most two seconds, adds nothing."""
        from legion_core.gateway.discovery import look_around

        found = await look_around(self._clock, self._env, own_port=self._own_port())
        added = {_place(instance.base_url) for instance in self._inventory.instances if instance.base_url}
        return tuple(msgspec.structs.replace(each, is_added=_place(each.base_url) in added) for each in found)

    async def test(self, name_or_spec: str | ProviderSpec, key: str | None = None) -> TestResult:
        """Ask the instance whether it is there and the key is right. Nothing is saved; never raises ProviderError."""
        if isinstance(name_or_spec, str):
            return await self._probe(self._inventory.get(name_or_spec).provider)
        try:
            check(name_or_spec)
            provider = await self._make(name_or_spec, key)
        except LegionError as error:
            return TestResult(is_ok=False, why=error.sentence())
        try:
            return await self._probe(provider)
        finally:
            await provider.aclose()

    async def add(self, spec: ProviderSpec, key: str | None = None, *, test: bool = True) -> ProviderRow:
        """Save an instance and its key. With `test`, one that fails it is not saved and the error says why."""
        if any(instance.provider.name == spec.name for instance in self._inventory.instances):
            raise Conflict(
                f"There is a provider {spec.name!r} already.", hint="Choose another name, or remove it first."
            )
        check(spec)
        if test:
            # Without its models, so that it says of each what it can.
            found = await self.test(msgspec.structs.replace(spec, models=()), key)
            if not found.is_ok:
                kind = BadCredentials if "key" in found.why.lower() else Unavailable
                raise kind(
                    f"The test failed, nothing was saved: {found.why}", hint="Mend it, or add it untested."
                )
            spec = _with_told(spec, found.models)
        await self._save(spec, key)
        await self._inventory.discover()
        return self._row(spec.name)

    async def remove(self, name: str) -> None:
        """Forget an instance and its key."""
        if self._inventory.get(name).is_builtin:
            raise InvalidInput(
                f"{name!r} is this computer itself and stays.", hint="Remove its models instead."
            )
        await self._forget(name)

    async def describe_model(self, name: str, facts: ModelFacts) -> ProviderRow:
        """Keep what a person says of a model beside what its server tells: NotFound if it is not offered there."""
        await self._said.describe(name, facts)
        self._tell(name)
        return self._row(name)

    async def forget_model(self, name: str, model: str) -> ProviderRow:
        """Forget what was said of a model: it is again what its server tells."""
        await self._said.forget(name, model)
        self._tell(name)
        return self._row(name)

    async def try_model(self, name: str, model: str) -> ModelTrial:
        """Ask the model itself what it can: up to five small requests, billed like any other. Nothing is kept."""
        return await self._said.ask(name, model)

    def trip(self, name: str) -> ProviderRow:
        """Open its circuit by hand; nothing goes there until it is reset."""
        self._inventory.get(name)
        self._inventory.health.set(name, self._inventory.circuit(name).tripped())
        self._tell(name)
        return self._row(name)

    def drain(self, name: str) -> ProviderRow:
        """What runs there may finish, nothing new goes there until it is reset."""
        self._inventory.get(name)
        self._inventory.health.set(name, self._inventory.circuit(name).drained())
        self._tell(name)
        return self._row(name)

    def reset(self, name: str) -> ProviderRow:
        """Close its circuit and forget its failures, a trip and a drain, and its answers that were no good."""
        self._inventory.get(name)
        self._inventory.reset(name)
        self._tell(name)
        return self._row(name)

    async def _probe(self, provider: Provider) -> TestResult:
        start_s = self._clock.monotonic_s()
        try:
            found = await provider.probe()
        except LegionError as error:
            return TestResult(
                is_ok=False, why=error.sentence(), latency_s=self._clock.monotonic_s() - start_s
            )
        return msgspec.convert(found, TestResult, from_attributes=True)

    @property
    def _said(self) -> ProviderModels:
        if self._models is None:
            raise Unavailable("This workbench keeps nothing of models.")
        return self._models

    def _row(self, name: str) -> ProviderRow:
        instance = self._inventory.get(name)
        circuit, now_s = self._inventory.circuit(name), self._clock.monotonic_s()
        return ProviderRow(
            name=name,
            kind=instance.provider.kind,
            tier=instance.tier.word,
            base_url=instance.base_url,
            models=instance.offers,
            circuit=circuit.state(now_s),
            failures=circuit.recent_failures(now_s),
            retry_in_s=circuit.retry_in_s(now_s),
            has_key=instance.has_key,
            is_builtin=instance.is_builtin,
            is_tripped=circuit.is_tripped_by_hand,
            is_draining=circuit.is_draining,
            is_probing=circuit.is_probing,
            in_flight=self._inventory.health.in_flight(name),
            problem=instance.problem or circuit.key_problem,
            described=self._models.described(name) if self._models is not None else (),
        )

    def _tell(self, name: str) -> None:
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(ProviderChanged(at_utc=at_utc, at_mono_s=at_mono_s, name=name))


def check(spec: ProviderSpec) -> None:
    """What saving would refuse is refused before anybody is asked. Raises InvalidInput, all faults at once."""
    if spec.kind not in {kind.kind for kind in kinds()}:
        known = ", ".join(kind.kind for kind in kinds())
        raise InvalidInput(f"There is no provider kind {spec.kind!r}.", hint=f"Known: {known}.")
    try:
        msgspec.convert(msgspec.to_builtins(spec), Instance)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"{spec.name!r} cannot be a provider: {error}.") from error


def _with_told(spec: ProviderSpec, told: tuple[ModelOffer, ...]) -> ProviderSpec:
    """The spec with what the server tells of the models that are only named."""
    known = {offer.id: msgspec.structs.replace(offer, price=None) for offer in told}
    models = (
        known.get(offer.id, offer) if offer == ModelOffer(id=offer.id) else offer for offer in spec.models
    )
    return msgspec.structs.replace(spec, models=tuple(models))


def _place(base_url: str) -> tuple[str, int]:
    """Which server an address means: every name of this machine is the same."""
    parts = urlsplit(base_url)
    try:
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return base_url, 0
    return "127.0.0.1" if is_loopback(host) else host, port
