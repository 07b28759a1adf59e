"""Provider instances: list, add after a test, remove, trip and reset."""

from collections.abc import Awaitable, Callable

import msgspec

from legion_core.api.types import ProviderChanged, ProviderRow, ProviderSpec, TestResult
from legion_core.gateway.inventory import Inventory
from legion_core.gateway.providers.base import Provider
from legion_core.gateway.providers.registry import Kind, kinds
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import BadCredentials, Conflict, InvalidInput, LegionError, Unavailable
from legion_core.kernel.events import EventBus

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
    ) -> None:
        self._inventory = inventory
        self._clock = clock
        self._bus = bus
        self._make = make
        self._save = save
        self._forget = forget

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

    async def test(self, name_or_spec: str | ProviderSpec, key: str | None = None) -> TestResult:
        """Ask the instance whether it is there and the key is right. Nothing is saved; never raises ProviderError."""
        if isinstance(name_or_spec, str):
            return await self._probe(self._inventory.get(name_or_spec).provider)
        try:
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
        if spec.kind not in {kind.kind for kind in kinds()}:
            known = ", ".join(kind.kind for kind in kinds())
            raise InvalidInput(f"There is no provider kind {spec.kind!r}.", hint=f"Known: {known}.")
        if test:
            found = await self.test(spec, key)
            if not found.is_ok:
                kind = BadCredentials if "key" in found.why.lower() else Unavailable
                raise kind(
                    f"The test failed, nothing was saved: {found.why}", hint="Mend it, or add it untested."
                )
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

    def trip(self, name: str) -> ProviderRow:
        """Open its circuit by hand; nothing goes there until it is reset."""
        self._inventory.get(name)
        self._inventory.health.set(name, self._inventory.circuit(name).tripped())
        self._tell(name)
        return self._row(name)

    def reset(self, name: str) -> ProviderRow:
        """Close its circuit and forget its failures."""
        self._inventory.get(name)
        self._inventory.health.forget(name)
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
            problem=instance.problem,
        )

    def _tell(self, name: str) -> None:
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(ProviderChanged(at_utc=at_utc, at_mono_s=at_mono_s, name=name))
