"""What this node can ask: its provider instances, their models, and how each of them is."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from legion_core.gateway.providers.base import ProbeResult, Provider
from legion_core.gateway.providers.registry import host_of
from legion_core.gateway.providers.stated import settled
from legion_core.gateway.routing.health import Circuit, Health
from legion_core.gateway.routing.learned import Learned
from legion_core.gateway.routing.speed import Speeds
from legion_core.gateway.routing.table import LaneTable
from legion_core.gateway.types import Lane, ModelOffer, Price, Tier
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import LegionError, NotFound
from legion_core.kernel.fetch.gate import GATE

DISCOVERY_AGE_MAX_S = 30.0  # a request for an unknown model looks again at most this often
DISCOVERY_TIMEOUT_S = 5.0


@dataclass(slots=True)
class Instance:
    """A provider instance. `offers` come from the configuration, or from discovery if it names none."""

    provider: Provider
    tier: Tier
    base_url: str = ""
    offers: tuple[ModelOffer, ...] = ()
    said: tuple[ModelOffer, ...] = ()  # what the configuration says of its models
    is_discovered: bool = False  # it is asked what it offers, beside what the configuration says
    is_builtin: bool = False
    has_key: bool = False
    problem: str = ""
    looked_at_s: float | None = field(default=None)
    asked_offers: tuple[ModelOffer, ...] = ()  # as configured or told, before prices of ours


PriceOf = Callable[[str, str, str], Price | None]  # of an instance's name, its host, a model


def no_price(instance: str, host: str, model: str) -> Price | None:
    """Knows no price."""
    return None


class Inventory:
    """The instances by name, in configured order; the built-in ones first."""

    def __init__(
        self,
        clock: Clock,
        health: Health,
        on_change: Callable[[str], None],
        price_of: PriceOf = no_price,
    ) -> None:
        """`price_of` is asked for the price of a model whose instance names none."""
        self._clock = clock
        self.health = health
        self._on_change = on_change
        self._price_of = price_of
        self._instances: dict[str, Instance] = {}
        self._providers: dict[str, Provider] = {}  # made anew with each change: a request keeps its own
        self._table: LaneTable | None = None  # as of `_speed_version`; None: to be made anew
        self._speed_version = 0
        self._looks: set[asyncio.Task[None]] = set()
        self.speeds = Speeds()
        self.learned = Learned()
        GATE.watch(self)

    def put(self, instance: Instance) -> Provider | None:
        """Add or replace the instance of that name; gives the provider it replaced, to be closed."""
        name = instance.provider.name
        before = self._instances.get(name)
        instance.offers = self._priced(instance, instance.offers)
        self._instances[name] = instance
        self._providers = {**self._providers, name: instance.provider}
        self._table = None
        self._on_change(name)
        return before.provider if before is not None and before.provider is not instance.provider else None

    def remove(self, name: str) -> Provider:
        """Forget an instance; gives its provider, to be closed."""
        instance = self.get(name)
        del self._instances[name]
        self._providers = {each: known for each, known in self._providers.items() if each != name}
        self._table = None
        self.reset(name)
        self._on_change(name)
        return instance.provider

    def reset(self, name: str) -> None:
        """Close the circuit of an instance; forget its failures, and which of its answers were no good."""
        self.health.forget(name)
        self.learned.forget(name)

    def get(self, name: str) -> Instance:
        """The instance of that name."""
        try:
            return self._instances[name]
        except KeyError:
            known = ", ".join(self._instances) or "none"
            raise NotFound(f"There is no provider {name!r}.", hint=f"Known: {known}.") from None

    @property
    def instances(self) -> tuple[Instance, ...]:
        """All of them, in order."""
        return tuple(self._instances.values())

    @property
    def providers(self) -> Mapping[str, Provider]:
        """Every provider by its instance's name."""
        return self._providers

    def lanes(self) -> LaneTable:
        """Every model on every instance, in configured order, prepared for routing."""
        if self._table is None or self._speed_version != self.speeds.version:
            self._speed_version = self.speeds.version
            self._table = LaneTable(
                (
                    Lane(tier=instance.tier, instance=name, kind=instance.provider.kind, offer=offer)
                    for name, instance in self._instances.items()
                    for offer in instance.offers
                ),
                self.speeds,
                {name: why for name in self._instances if (why := self.why_closed(name))},
                self.learned,
            )
        return self._table

    def why_closed(self, name: str) -> str:
        """Why the instance may not be contacted at all; empty if it may."""
        instance = self.get(name)
        host = host_of(instance.provider.kind, instance.base_url)
        match GATE.why_not(host) if host and not instance.is_builtin else "":
            case "offline":
                return "The workbench is offline: only this computer is contacted"
            case "blocked":
                return f"{host} is blocked on the Network page"
            case _:
                return ""

    def gate_changed(self) -> None:
        """Other hosts may be contacted than before."""
        self._table = None
        for name in self._instances:
            self._on_change(name)

    def price_anew(self) -> None:
        """The user's own prices changed."""
        for instance in self._instances.values():
            instance.offers = self._priced(instance, instance.asked_offers)
        self._table = None

    def _priced(self, instance: Instance, offers: tuple[ModelOffer, ...]) -> tuple[ModelOffer, ...]:
        instance.asked_offers = offers
        host = host_of(instance.provider.kind, instance.base_url)
        return tuple(
            offer
            if offer.price is not None
            or (price := self._price_of(instance.provider.name, host, offer.id)) is None
            else msgspec.structs.replace(offer, price=price)
            for offer in offers
        )

    def circuit(self, name: str) -> Circuit:
        """How the instance has been doing."""
        return self.health.of(name)

    def set_offers(self, name: str, offers: tuple[ModelOffer, ...], problem: str = "") -> None:
        """What the instance offers now; `problem` is a sentence if it could not be asked."""
        instance = self.get(name)
        if (instance.asked_offers, instance.problem) != (offers, problem):
            instance.offers, instance.problem = self._priced(instance, offers), problem
            self._table = None
            self._on_change(name)

    async def discover(self, *, wants: str | None = None) -> None:
        """Ask the instances whose models are not configured what they offer; those asked lately are left alone.

        One that somebody else is asking is waited for too: when this returns, all is known that can be. With `wants`,
        only if no lane goes by that model or instance yet.
        """
        if wants is not None and self.lanes().knows(wants):
            return
        now_s = self._clock.monotonic_s()
        due = [
            instance
            for instance in self._instances.values()
            if instance.is_discovered
            and (instance.looked_at_s is None or now_s - instance.looked_at_s > DISCOVERY_AGE_MAX_S)
        ]
        under_way = tuple(self._looks)
        async with asyncio.TaskGroup() as group:
            for instance in due:
                instance.looked_at_s = now_s
                look = group.create_task(self._look(instance))
                self._looks.add(look)
                look.add_done_callback(self._looks.discard)
        if under_way:
            # Shielded: who stops waiting does not stop what another asked for.
            await asyncio.shield(asyncio.gather(*under_way, return_exceptions=True))

    async def _look(self, instance: Instance) -> None:
        try:
            async with asyncio.timeout(DISCOVERY_TIMEOUT_S):
                found = await instance.provider.probe()
        except TimeoutError:
            found = ProbeResult(is_ok=False, why=f"No answer within {DISCOVERY_TIMEOUT_S:.0f} s.")
        except LegionError as error:
            found = ProbeResult(is_ok=False, why=error.sentence())
        if self._instances.get(instance.provider.name) is instance:
            listed = {offer.id for offer in found.models}
            unlisted = tuple(settled(offer) for offer in instance.said if offer.id not in listed)
            self.set_offers(instance.provider.name, found.models + unlisted, "" if found.is_ok else found.why)
