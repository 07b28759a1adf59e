"""A whole gateway over a real journal, with providers that play scripts: for tests of everything above the wires."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from legion_core.gateway.budget import Budget, Limits
from legion_core.gateway.conversations import MIGRATIONS as CONVERSATIONS
from legion_core.gateway.conversations import Conversations
from legion_core.gateway.curation.schema import MIGRATIONS as CURATION
from legion_core.gateway.curation.service import Curation
from legion_core.gateway.curation.store import CurationStore
from legion_core.gateway.curation.types import CurationSettings
from legion_core.gateway.inventory import Instance, Inventory
from legion_core.gateway.learning import MIGRATIONS as LEARNING
from legion_core.gateway.learning import Learning
from legion_core.gateway.ledger import MIGRATIONS as LEDGER
from legion_core.gateway.ledger import Ledger
from legion_core.gateway.pipeline import Pipeline
from legion_core.gateway.privacy import MIGRATIONS as PRIVACY
from legion_core.gateway.privacy import Privacy
from legion_core.gateway.routing.health import Health
from legion_core.gateway.service import Gateway
from legion_core.gateway.spoken import MIGRATIONS as SPOKEN
from legion_core.gateway.spoken import Spoken
from legion_core.gateway.texts import MIGRATIONS as TEXTS
from legion_core.gateway.types import Message, ModelOffer, Pins, Request, TextBlock, Tier
from legion_core.kernel.clock import Clock, SystemClock
from legion_core.kernel.events import EventBus
from legion_core.kernel.ids import Ids, Rng, system_rng
from legion_core.kernel.ports import NoRetriever, OwnerOnly
from legion_core.kernel.supervise import Supervisor
from legion_core.storage.sqlite import Database
from legion_core.testing.scripted import ScriptedProvider

NO_LIMITS = Limits()


@dataclass(slots=True)
class GatewayUnderTest:
    """The gateway and what it is made of."""

    gateway: Gateway
    bus: EventBus
    database: Database
    supervisor: Supervisor
    health: Health
    curation: Curation

    def put(
        self,
        provider: ScriptedProvider,
        tier: Tier = Tier.LOCAL,
        *,
        model: str = "m1",
        offer: ModelOffer | None = None,
    ) -> ScriptedProvider:
        """Serve `provider` on `tier` with one model that can continue a prefix."""
        offer = offer or ModelOffer(id=model, context=32_768, continuation="prefill")
        self.gateway.inventory.put(Instance(provider=provider, tier=tier, offers=(offer,)))
        return provider


@asynccontextmanager
async def open_gateway(
    path: Path,
    clock: Clock | None = None,
    *,
    limits: Limits = NO_LIMITS,
    rng: Rng | None = None,
    owner: str = "",
    bad_answer_usd: float = 0.0,
) -> AsyncGenerator[GatewayUnderTest]:
    """Open the journal at `path` and a gateway without providers on it; close both.

    `limits` are those on money, `rng` gives the jitter of waits (else there is none), `owner` names this process,
    `bad_answer_usd` is what a bad answer costs (nothing: nobody learns).
    """
    clock = clock or SystemClock()
    database = await Database.open(
        path,
        migrations=(*LEDGER, *CONVERSATIONS, *PRIVACY, *CURATION, *TEXTS, *SPOKEN, *LEARNING),
        durability="process",
        clock=clock,
    )
    ids, bus, supervisor = Ids(clock, system_rng()), EventBus(clock), Supervisor()
    health = Health(chance=rng.random if rng is not None else lambda: 0.0)
    inventory = Inventory(clock, health, on_change=lambda _: None)
    conversations = Conversations(database, clock, ids)
    ledger = Ledger(database, clock)
    budget, privacy = Budget(database, clock, lambda: limits, owner), Privacy(database)
    curation = Curation(CurationStore(database), clock, ids, bus, supervisor, CurationSettings)
    spoken = Spoken(database, clock)
    learning = Learning(database, clock, supervisor, inventory.learned, lambda: bad_answer_usd)
    pipeline = Pipeline(
        clock,
        bus,
        OwnerOnly(),
        budget,
        privacy,
        NoRetriever(),
        conversations,
        spoken,
        ledger,
        health,
        lanes=inventory.lanes,
        providers=lambda: inventory.providers,
        is_local_only=lambda: False,
        is_spread=lambda: False,
        curation=lambda: curation,
        learning=learning,
        on_attempt=inventory.speeds.take,
    )
    gateway = Gateway(
        clock,
        ids,
        bus,
        supervisor,
        OwnerOnly(),
        inventory,
        pipeline,
        conversations,
        spoken,
        ledger,
        budget,
        privacy,
        lambda: False,
    )
    try:
        await gateway.start()
        await learning.load()
        yield GatewayUnderTest(gateway, bus, database, supervisor, health, curation)
    finally:
        await supervisor.stop()
        await gateway.stop()
        await learning.aclose()
        await database.close()


def ask(text: str = "hello", *, request_id: str = "req_1", pins: Pins | None = None) -> Request:
    """A request of one user message."""
    message = Message(role="user", content=(TextBlock(text=text),))
    return Request(id=request_id, messages=(message,), pins=pins or Pins())
