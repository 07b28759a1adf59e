"""The composition root: the one place that knows every name, and the order in which things start and stop."""

import asyncio
import functools
import importlib
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from legion_core.agent.tools.store import MIGRATIONS as CHAT_TOOLS
from legion_core.agent.tools.store import ToolStore
from legion_core.api.activity import Activity
from legion_core.api.actors import Actors
from legion_core.api.asker import GatewayAsker
from legion_core.api.audit import Audit
from legion_core.api.chains import Chains
from legion_core.api.chat_tools import ChatToolsDoor
from legion_core.api.configured import chat_defaults, limits, own_prices
from legion_core.api.connect import Connect, Desk
from legion_core.api.curation import CurationDoor
from legion_core.api.doctor import Doctor
from legion_core.api.extensions import Extensions
from legion_core.api.facade import Legion
from legion_core.api.instances import Instances
from legion_core.api.llm import Llm
from legion_core.api.mcp import Mcp
from legion_core.api.models import LOCAL, Models, Shelf
from legion_core.api.network import Network
from legion_core.api.ops import Ops
from legion_core.api.provider_models import ProviderModels
from legion_core.api.providers import Providers
from legion_core.api.rbac import RbacDoor
from legion_core.api.recorded import imported as record_import
from legion_core.api.recorded import record as record_changes
from legion_core.api.routes import Routes
from legion_core.api.schedules import Schedules
from legion_core.api.secrets import SecretNames
from legion_core.api.settings import Settings
from legion_core.api.tasks import Tasks
from legion_core.api.tokens import Tokens
from legion_core.api.types import ModelChanged, ProviderChanged
from legion_core.api.webhooks import Hooks
from legion_core.engine.builtin.table import Occasions, make_builtins
from legion_core.engine.journal import MIGRATIONS as ENGINE
from legion_core.engine.registry import Registry
from legion_core.engine.schedule_migrations import MIGRATIONS as SCHEDULES
from legion_core.engine.service import Engine
from legion_core.gateway.budget import Budget
from legion_core.gateway.conversations import MIGRATIONS as CONVERSATIONS
from legion_core.gateway.conversations import Conversations
from legion_core.gateway.curation.schema import MIGRATIONS as CURATION
from legion_core.gateway.dialects.table import Dialects
from legion_core.gateway.inventory import Instance as Served
from legion_core.gateway.inventory import Inventory
from legion_core.gateway.learning import MIGRATIONS as LEARNING
from legion_core.gateway.learning import Learning
from legion_core.gateway.ledger import MIGRATIONS as LEDGER
from legion_core.gateway.ledger import Ledger
from legion_core.gateway.measures import Measures
from legion_core.gateway.pipeline import Pipeline
from legion_core.gateway.prices import Prices
from legion_core.gateway.privacy import MIGRATIONS as PRIVACY
from legion_core.gateway.privacy import Privacy
from legion_core.gateway.providers.llamacpp import LlamaCpp
from legion_core.gateway.routing.health import Health
from legion_core.gateway.service import Gateway, owner_of_this_process
from legion_core.gateway.spoken import MIGRATIONS as SPOKEN
from legion_core.gateway.spoken import Spoken
from legion_core.gateway.texts import MIGRATIONS as TEXTS
from legion_core.gateway.traffic import Traffic
from legion_core.gateway.types import Tier
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.config import Loaded, load
from legion_core.kernel.errors import LegionError
from legion_core.kernel.events import EventBus
from legion_core.kernel.ids import Ids, Rng, system_rng
from legion_core.kernel.ports import LOCAL_OWNER, Authorizer, NoRetriever
from legion_core.kernel.settings_schema import Config
from legion_core.kernel.supervise import Supervisor
from legion_core.models.gguf import read_header
from legion_core.models.store import ModelStore, find_starter
from legion_core.rbac.audit import AuditLog
from legion_core.rbac.audit_key import open_key
from legion_core.rbac.audit_store import MIGRATIONS as AUDIT
from legion_core.rbac.key_hosts import MIGRATIONS as KEY_HOSTS
from legion_core.rbac.key_hosts import KeyHosts
from legion_core.rbac.service import Rbac
from legion_core.rbac.tokens import MIGRATIONS as RBAC
from legion_core.rbac.tokens import read_now
from legion_core.storage.contacts import MIGRATIONS as CONTACTS
from legion_core.storage.home import Home
from legion_core.storage.logs import open_log
from legion_core.storage.secrets import Secrets
from legion_core.storage.sqlite import Database
from legion_core.workers.frames import Load
from legion_core.workers.supervisor import Worker, command_for

if TYPE_CHECKING:
    from legion_core.agent.mcp.service import Servers
    from legion_core.agent.tools.turns import ToolTurns
    from legion_core.api.chat_bench import ChatBench
    from legion_core.api.mcp_service import McpService
    from legion_core.engine.actor_host import ActorHost
    from legion_core.engine.messages import Messages
    from legion_core.engine.schedule_service import Scheduler
    from legion_core.engine.schedule_targets import Targets
    from legion_core.engine.webhook_service import Webhooks
    from legion_core.gateway.curation.service import Curation
    from legion_core.surfaces.rest.server import RestServer

log = logging.getLogger("legion.node")

SERVERS = "mcp-servers.json"


@dataclass(frozen=True, slots=True)
class _Ground:
    """What everything else stands on."""

    place: Home
    env: Mapping[str, str]
    clock: SystemClock
    rng: Rng
    ids: Ids
    bus: EventBus
    supervisor: Supervisor
    secrets: Secrets
    database: Database


def _curation(ground: _Ground, config: Callable[[], Config]) -> "Callable[[], Curation]":
    """The curator, loaded when a conversation is first long enough for it."""

    @functools.cache
    def curation() -> "Curation":
        from legion_core.gateway.curation.service import Curation
        from legion_core.gateway.curation.store import CurationStore
        from legion_core.gateway.curation.types import CurationSettings

        return Curation(
            CurationStore(ground.database),
            ground.clock,
            ground.ids,
            ground.bus,
            ground.supervisor,
            lambda: CurationSettings(is_on=config().curation.enabled),
        )

    return curation


class Node:
    """A running node: its door (`legion`), and its HTTP surface if it serves."""

    def __init__(
        self, legion: Legion, home: Home, clock: SystemClock, ids: Ids, supervisor: Supervisor
    ) -> None:
        self.legion = legion
        self.home = home
        self.supervisor = supervisor
        self.problem: LegionError | None = None
        self._clock = clock
        self._ids = ids
        self._server: RestServer | None = None

    @property
    def url(self) -> str:
        """Where other programs reach it; empty while it does not serve."""
        return self._server.url if self._server else ""

    async def serve(self, port: int | None = None, host: str | None = None) -> str:
        """Open the HTTP surface and give its address; raises Conflict naming the holder if the port is taken."""
        config = self.legion.settings.config.server
        # Imported in a thread: it takes longer than the window may wait for its next frame.
        surface = await asyncio.to_thread(importlib.import_module, "legion_core.surfaces.rest.server")
        server: RestServer = surface.RestServer(
            self.legion, clock=self._clock, ids=self._ids, supervisor=self.supervisor
        )
        try:
            await server.start(host or config.host, config.port if port is None else port)
        except LegionError as error:
            self._problem(error)
            raise
        await self.stop_serving()
        self._server = server
        self._problem(None)
        await asyncio.to_thread(self.home.write_node, port=server.port, host=host or config.host)
        return server.url

    async def stop_serving(self) -> None:
        """Close the HTTP surface; open streams get their end first."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop()
            self.legion.ops.url = ""

    def _problem(self, error: LegionError | None) -> None:
        self.problem = error
        self.legion.ops.problem = error.sentence() if error else ""
        self.legion.ops.url = self.url


@asynccontextmanager
async def open_node(
    home: Path | Home,
    *,
    env: Mapping[str, str],
    serve: bool = True,
    port: int | None = None,
    host: str | None = None,
    command: Callable[[str], tuple[str, ...]] | None = None,
) -> AsyncGenerator[Node]:
    """Start a node in `home` and stop it in order on leaving.

    `serve` also opens the HTTP surface and claims the home for this process: Conflict if another node runs there.
    A port that is taken leaves the node running without it, with the reason in `node.problem`. `command` gives the
    argv of a model's child process; a frozen bundle passes its own.
    """
    place = home if isinstance(home, Home) else Home(home)
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(place.create)
        if serve:
            claim = await asyncio.to_thread(place.claim)
            stack.callback(claim.release)
            stack.callback(place.forget_node)
        node = await _assemble(place, env, stack, command)
        if serve:
            # Not waited for: the window need not wait until tasks left by an earlier run are looked through.
            node.supervisor.spawn("engine start", node.legion.tasks.work())
            node.supervisor.spawn("schedules start", node.legion.schedules.work())
            node.supervisor.spawn("actors start", node.legion.actors.work())
            node.supervisor.spawn("downloads go on", node.legion.models.go_on_pulling())
            stack.push_async_callback(node.stop_serving)
            try:
                await node.serve(port, host)
            except LegionError as error:
                log.warning("the node runs without its HTTP surface: %s", error.sentence())
                await asyncio.to_thread(place.write_node, port=None)
        yield node


async def _assemble(
    place: Home,
    env: Mapping[str, str],
    stack: AsyncExitStack,
    command: Callable[[str], tuple[str, ...]] | None,
) -> Node:
    """Make every part from the bottom up; each pushes its own end onto `stack`.

    Long, because it is the list of all there is: what needs a decision is made in a function of its own.
    """
    ground, loaded, token = await _ground(place, env, stack)
    clock, ids, bus, supervisor = ground.clock, ground.ids, ground.bus, ground.supervisor
    secrets, database = ground.secrets, ground.database
    audit, rbac = await _rbac(ground, stack)
    authorizer = rbac.authorizer

    health = Health(lambda name: _tell_provider(bus, name), ground.rng.random)
    prices = Prices(clock, own=lambda: own_prices(settings.config))
    inventory = Inventory(clock, health, on_change=lambda name: _tell_provider(bus, name), price_of=prices.of)
    conversations, privacy = Conversations(database, clock, ids), Privacy(database)
    ledger = Ledger(database, clock)
    budget = Budget(
        database, clock, lambda: limits(settings.config), await asyncio.to_thread(owner_of_this_process)
    )
    record, key_hosts = Audit(audit).changed, KeyHosts(database)

    async def put_in_force(config: Config) -> None:
        network.apply(config)  # what may be contacted first, then who is
        await instances.configure(config)

    settings = Settings(place.config_path, env, loaded, bus, put_in_force, record)
    network = Network(settings, database, supervisor, record)
    network.apply(loaded.config)
    stack.push_async_callback(network.stop)
    traffic = Traffic(bus)
    spoken = Spoken(database, clock)
    pipeline = Pipeline(
        clock,
        bus,
        authorizer,
        budget,
        privacy,
        NoRetriever(),
        conversations,
        spoken,
        ledger,
        health,
        lanes=inventory.lanes,
        providers=lambda: inventory.providers,
        is_local_only=lambda: settings.config.privacy.local_only,
        is_spread=lambda: settings.config.routing.spread,
        traffic=traffic,
        on_attempt=inventory.speeds.take,
        curation=(curation := _curation(ground, lambda: settings.config)),
        learning=(
            learning := Learning(
                database, clock, supervisor, inventory.learned, lambda: settings.config.routing.bad_answer_usd
            )
        ),
    )
    gateway = Gateway(
        clock,
        ids,
        bus,
        supervisor,
        authorizer,
        inventory,
        pipeline,
        conversations,
        spoken,
        ledger,
        budget,
        privacy,
        is_local_only=lambda: settings.config.privacy.local_only,
        chat_defaults=lambda: chat_defaults(settings.config),
    )
    local = _local(ground, shelf := Shelf(lambda: settings.config.models), command)
    inventory.put(Served(provider=local, tier=Tier.LOCAL, is_builtin=True))
    store = ModelStore(clock, ids, place.models_directory, starter=find_starter())
    models = Models(
        store, shelf, local, inventory, ledger, clock, ids, bus, supervisor, lambda: settings.config.models
    )
    stack.push_async_callback(learning.aclose)
    stack.push_async_callback(gateway.stop)
    stack.push_async_callback(supervisor.stop)
    begin = _Begin(secrets)
    engine = _engine(ground, stack, authorizer, lambda: settings.config, GatewayAsker(gateway, ids), begin)
    engine.record_by(audit.ordered)
    schedules, hooks = _occasions(ground, authorizer, engine)
    actors = _actors(ground, engine)
    stack.push_async_callback(actors.stop)
    begin.schedules, begin.hooks, begin.actors = schedules, hooks, actors

    instances = Instances(clock, inventory, secrets, key_hosts, lambda: settings, models.refresh)
    await instances.configure(loaded.config)
    await gateway.start()
    supervisor.spawn("remember what was learned", learning.load())
    supervisor.loop("unload idle models", models.unload_when_idle)

    async def key_changed(name: str) -> None:
        await key_hosts.forget(name)
        await instances.renew(name)

    secret_names = SecretNames(secrets, record, key_changed, instances.renew)
    ops = Ops(
        clock,
        bus,
        gateway,
        authorizer,
        home=place.root,
        mode=loaded.config.mode,
        token=token,
        token_path="" if env.get("LEGION_TOKEN") else str(place.token_path),
        examine=lambda: doctor.examine(),
        client=rbac.principal,
        ends_in_s=rbac.ends_in_s,
    )
    rbac.on_end = ops.end_token
    doctor = Doctor(place.root, database, settings, secret_names, models, lambda: ops.problem, RbacDoor(rbac))
    providers = Providers(
        inventory, clock, bus, instances.build, instances.save, instances.forget, env,
        own_port=lambda: urlsplit(ops.url).port or 0,
        models=ProviderModels(clock, ids, gateway, settings, lambda: settings.config.privacy.local_only),
    )  # fmt: skip
    llm, tasks, chains = Llm(gateway, Dialects(clock)), Tasks(engine), Chains(engine)
    extensions = Extensions(engine.registry, place.root / "extensions", actors, record)
    mcp = Mcp(
        lambda: _mcp(ground, ops, tasks, chains, extensions, models, llm),
        lambda: _servers(ground, engine),
        lambda: ops.url,
        Audit(audit).note,
    )
    mcp.sees = (place.root / "files", secrets.known)
    mcp.chats = _chat_tools(ground, pipeline, conversations, privacy, mcp, ops)
    gateway.chat.with_tools = mcp.chats.write
    gateway.chat.tools_of = mcp.chats.definitions
    await mcp.chats.recover()
    stack.push_async_callback(mcp.stop)
    if await asyncio.to_thread((place.root / SERVERS).exists):
        supervisor.spawn("mcp servers", mcp.servers.load())
    legion = Legion(
        events=bus,
        chat=gateway.chat,
        llm=llm,
        models=models,
        providers=providers,
        routes=Routes(gateway, providers, Measures(database, clock), traffic, clock, lambda: settings.config),
        tasks=tasks,
        chains=chains,
        activity=Activity(database),
        extensions=extensions,
        actors=actors,
        schedules=schedules,
        hooks=hooks,
        settings=settings,
        secrets=secret_names,
        ops=ops,
        mcp=mcp,
        tokens=Tokens(rbac),
        rbac=RbacDoor(rbac),
        audit=Audit(audit),
        network=network,
        connect=Connect(
            lambda: Desk(
                place.root, env, clock, lambda: ops.url or f"http://127.0.0.1:{settings.config.server.port}"
            ),
            Tokens(rbac),
            Audit(audit),
            bus,
        ),
        curation=CurationDoor(curation, conversations),
    )
    record_changes(legion, legion.audit)
    engine.registry.on_import = functools.partial(record_import, legion.audit)
    return Node(legion, place, clock, ids, supervisor)


async def _ground(place: Home, env: Mapping[str, str], stack: AsyncExitStack) -> tuple[_Ground, Loaded, str]:
    """The ground, the configuration as it was read, and the owner's token."""
    clock, rng = SystemClock(), system_rng()
    loaded = await asyncio.to_thread(load, place.config_path, env)
    token = await asyncio.to_thread(place.token, env, rng, clock)
    secrets = Secrets(place.root, env, clock=clock, rng=rng)
    close_log = await asyncio.to_thread(
        open_log, place.logs_directory, loaded.config.advanced.log_level, lambda: (token, *secrets.known())
    )
    stack.callback(close_log)
    database = await Database.open(
        place.journal_path,
        migrations=(
            *LEDGER,
            *CONVERSATIONS,
            *PRIVACY,
            *CURATION,
            *TEXTS,
            *ENGINE,
            *SCHEDULES,
            *AUDIT,
            *RBAC,
            *KEY_HOSTS,
            *CONTACTS,
            *CHAT_TOOLS,
            *SPOKEN,
            *LEARNING,
        ),
        durability=loaded.config.engine.durability,
        clock=clock,
    )
    stack.push_async_callback(database.close)
    ground = _Ground(
        place, env, clock, rng, Ids(clock, rng), EventBus(clock), Supervisor(), secrets, database
    )
    return ground, loaded, token


async def _rbac(ground: _Ground, stack: AsyncExitStack) -> tuple[AuditLog, Rbac]:
    """Who may do what, and the log of what was decided; both last as long as the journal."""
    place, clock, database, rng = ground.place, ground.clock, ground.database, ground.rng
    audit = AuditLog(
        clock,
        ground.supervisor,
        database,
        place.root,
        lambda: open_key(place.root, ground.secrets, database, rng),
    )
    rbac = Rbac(
        clock, ground.ids, rng, ground.bus, database, place.root, audit,
        lambda: read_now(place.journal_path, clock, rng),
    )  # fmt: skip
    stack.push_async_callback(audit.aclose)
    stack.push_async_callback(rbac.aclose)
    await rbac.start()
    return audit, rbac


@dataclass(slots=True)
class _Begin:
    """What makes tasks begin, once it is made: the tasks that are about it are made before."""

    secrets: Secrets
    schedules: Schedules | None = None
    hooks: Hooks | None = None
    actors: Actors | None = None

    def scheduler(self) -> "Scheduler":
        """The scheduler."""
        assert self.schedules is not None
        return self.schedules.service()

    def webhooks(self) -> "Webhooks":
        """The webhooks."""
        assert self.hooks is not None
        return self.hooks.service()

    def messages(self) -> "Messages":
        """Publish and subscribe."""
        assert self.actors is not None
        return self.actors.messages()


def _engine(
    ground: _Ground,
    stack: AsyncExitStack,
    authorizer: Authorizer,
    config: Callable[[], Config],
    asker: GatewayAsker,
    begin: _Begin,
) -> Engine:
    """The task engine with what the workbench brings; it stops before everything its tasks may use."""
    place = ground.place
    builtins = make_builtins(
        ground.clock,
        place.root,
        lambda: config().engine,
        lambda: asker,
        lambda title, text, task: engine.notify(title, text, task),
        Occasions(begin.scheduler, begin.webhooks, begin.messages, begin.secrets.get),
    )
    registry = Registry(builtins.runners, place.root / "extensions")
    engine = Engine(
        ground.clock,
        ground.ids,
        ground.rng,
        ground.bus,
        ground.supervisor,
        authorizer,
        ground.database,
        registry,
        place.run_directory,
        asker=asker,
    )
    stack.push_async_callback(builtins.http.aclose)
    stack.push_async_callback(engine.stop)
    return engine


def _occasions(ground: _Ground, authorizer: Authorizer, engine: Engine) -> tuple[Schedules, Hooks]:
    """What starts tasks and chains by itself: imported where there is a schedule or webhook, or somebody asks for one."""
    clock, bus, supervisor, database = ground.clock, ground.bus, ground.supervisor, ground.database

    def make_scheduler() -> "Scheduler":
        from legion_core.engine.schedule_service import Scheduler

        targets = _targets(ground, engine)
        return Scheduler(clock, ground.ids, bus, supervisor, authorizer, database, engine, targets)

    def make_hooks() -> "Webhooks":
        from legion_core.engine.webhook_service import Webhooks

        targets, secrets = _targets(ground, engine), ground.secrets
        return Webhooks(
            clock, ground.rng, authorizer, database, targets, secrets.get, secrets.set, secrets.remove
        )

    return Schedules(clock, bus, supervisor, database, make_scheduler), Hooks(make_hooks)


def _actors(ground: _Ground, engine: Engine) -> Actors:
    """What runs by itself: its host is imported where an extension may have an actor."""

    def make() -> "ActorHost":
        from legion_core.engine.actor_host import ActorHost

        async def publish(topic: str, message: Mapping[str, object]) -> None:
            await actors.messages().publish(LOCAL_OWNER, topic, message)

        return ActorHost(
            ground.clock, ground.supervisor, ground.database, engine, _targets(ground, engine), publish
        )

    actors = Actors(engine.registry, ground.place.root / "extensions", ground.supervisor, make)
    return actors


def _targets(ground: _Ground, engine: Engine) -> "Targets":
    """What a schedule, a webhook or an actor may start."""
    from legion_core.engine.chain_targets import ChainTargets
    from legion_core.engine.schedule_targets import Targets

    chains = ChainTargets(engine)
    return Targets(engine, ground.database, ground.rng, chains=lambda: chains)


def _mcp(
    ground: _Ground,
    ops: Ops,
    tasks: Tasks,
    chains: Chains,
    extensions: Extensions,
    models: Models,
    llm: Llm,
) -> "McpService":
    """What other programs may call: brought in when the first of them, or the user, asks."""
    from legion_core.api import mcp_sources as sources
    from legion_core.api.mcp_calls import Approvals, CallList
    from legion_core.api.mcp_grants import Grants
    from legion_core.api.mcp_service import McpService
    from legion_core.api.mcp_tools import Catalogue

    clock, ids, bus, supervisor = ground.clock, ground.ids, ground.bus, ground.supervisor
    functions = sources.Functions(extensions, tasks, supervisor)
    found = (
        sources.WorkbenchTools(ops, tasks, chains, models, llm),
        sources.ModelTools(llm, ids),
        functions,
        sources.ChainTools(chains, functions.risks, supervisor),
    )
    return McpService(
        clock,
        bus,
        Catalogue(clock, found),
        CallList(clock, ids, bus),
        Approvals(clock, ids, bus),
        Grants(ground.place.root / "mcp-clients.json"),
        ops.authorise,
        ground.secrets.known,
    )


def _chat_tools(
    ground: _Ground,
    pipeline: Pipeline,
    conversations: Conversations,
    privacy: Privacy,
    mcp: Mcp,
    ops: Ops,
) -> ChatToolsDoor:
    """Tools in chats: the rounds are brought in by the first chat that switches some on."""
    clock, ids, bus, database = ground.clock, ground.ids, ground.bus, ground.database
    store = ToolStore(database)

    def make() -> "tuple[ChatBench, ToolTurns]":
        from legion_core.agent.tools.turns import ToolTurns
        from legion_core.api.chat_bench import ChatBench
        from legion_core.gateway.tool_turns import ToolMessages

        bench = ChatBench(mcp.service, lambda: mcp.servers, ops.authorise, ground.secrets.known)
        messages = ToolMessages(database, clock, ids)
        return bench, ToolTurns(clock, bus, ids, pipeline, conversations, privacy, messages, store, bench)

    return ChatToolsDoor(store, bus, pipeline, privacy, make)


def _servers(ground: _Ground, engine: Engine) -> "Servers":
    """Other people's MCP servers, whose tools become functions of the engine."""
    from legion_core.agent.mcp.service import Servers

    path = ground.place.root / SERVERS
    return Servers(
        ground.clock,
        ground.bus,
        ground.supervisor,
        ground.secrets.get,
        engine.registry,
        path,
        ground.env,
        ground.secrets,
    )


def _local(ground: _Ground, shelf: Shelf, command: Callable[[str], tuple[str, ...]] | None) -> LlamaCpp:
    """The built-in instance: one child process for each model file in use, checked before native code opens it."""
    engine = _installed_engine()

    def make_worker(load: Load) -> Worker:
        return Worker(
            ground.supervisor,
            ground.clock,
            load,
            engine=engine,
            command=(command or command_for)(engine),
            check=read_header,
            on_change=lambda _: _tell_model(ground.bus, Path(load.model_path).stem),
        )

    return LlamaCpp(LOCAL, shelf.resolve, lambda: shelf.offers, make_worker)


def _installed_engine() -> str:
    """The native engine to use: the prebuilt wheel, or the user's own build of llama-cpp-python where that is all there is."""
    if find_spec("xllamacpp") is None and find_spec("llama_cpp") is not None:
        return "llama-cpp-python"
    return "xllamacpp"


def _tell_model(bus: EventBus, name: str) -> None:
    at_utc, at_mono_s = bus.stamp()
    bus.publish(ModelChanged(at_utc=at_utc, at_mono_s=at_mono_s, name=name))


def _tell_provider(bus: EventBus, name: str) -> None:
    at_utc, at_mono_s = bus.stamp()
    bus.publish(ProviderChanged(at_utc=at_utc, at_mono_s=at_mono_s, name=name))
