"""A node opened by this very process for one command, when none runs."""
# ruff: noqa: D102  (every method is documented in `Backend`)

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import msgspec

from legion_core.api.types import (
    LOCAL_OWNER,
    AnswerEnded,
    AnswerGrew,
    Check,
    Closed,
    LedgerRow,
    Opened,
    PullProgressed,
    Request,
    TextDelta,
)
from legion_core.gateway.types import Capability, Message, TextBlock
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import ConfigError, InvalidInput, LegionError, Unavailable
from legion_core.kernel.events import EventBus
from legion_core.kernel.ids import Ids, system_rng
from legion_core.storage.home import Home
from legion_core.surfaces.cli.backend import Backend, Spoken
from legion_core.surfaces.cli.nodeshape import NodeShape
from legion_core.surfaces.shapes import ConversationShape, MessageShape, PinsShape, RouteShape

if TYPE_CHECKING:
    from legion_core.api.extension_types import Created, ExtensionRow, FunctionRow
    from legion_core.api.facade import Legion
    from legion_core.api.settings import Settings
    from legion_core.api.task_types import Accepted, Line, Order, TaskRow, TaskView
    from legion_core.api.types import (
        Conversation,
        ModelFacts,
        ModelFit,
        ModelRow,
        ModelTrial,
        ProviderRow,
        ProviderSpec,
        SettingRow,
        SummaryRow,
        TestResult,
    )
    from legion_core.gateway.conversation_types import Imported, LogEntry, Verified
    from legion_core.gateway.discovery import Found
    from legion_core.gateway.export import Format
    from legion_core.gateway.ledger_types import BudgetRow, By
    from legion_core.gateway.types import Operation
    from legion_core.surfaces.cli.chains import LocalChains
    from legion_core.surfaces.cli.hooks import LocalHooks
    from legion_core.surfaces.cli.keys import LocalKeys
    from legion_core.surfaces.cli.mcp import LocalMcp
    from legion_core.surfaces.cli.network import LocalNetwork
    from legion_core.surfaces.cli.rights import LocalRights
    from legion_core.surfaces.cli.schedules import LocalSchedules

T = TypeVar("T")
PIECES_MAX = 1024
CAPABILITIES = (
    "streaming",
    "tools",
    "vision",
    "documents",
    "thinking",
    "structured_output",
    "completions",
    "fim",
    "embeddings",
)


class OpenedNode(Protocol):
    """The part of a node the command line uses; see `legion_core.node`."""

    @property
    def legion(self) -> "Legion":
        """The door to it."""
        ...

    @property
    def url(self) -> str:
        """Where it serves; empty if it does not."""
        ...

    @property
    def problem(self) -> LegionError | None:
        """Why it does not serve."""
        ...


class OpenNode(Protocol):
    """`legion_core.node.open_node`, handed in because a surface does not know the composition root."""

    def __call__(
        self,
        home: Path,
        *,
        env: Mapping[str, str],
        serve: bool,
        port: int | None = None,
        host: str | None = None,
    ) -> AbstractAsyncContextManager[OpenedNode]: ...


class LocalBackend(Backend):
    """See `Backend`. The node is opened by the first call that needs one, and lives in one task of a loop of ours.

    The loop turns only inside a call. Settings need no node and get none.
    """

    def __init__(self, open_node: OpenNode, home: Home, env: Mapping[str, str]) -> None:
        self._open_node = open_node
        self._home = home
        self._env = env
        self._ids = Ids(SystemClock(), system_rng())
        self._runner = asyncio.Runner()
        self._holder: asyncio.Task[None] | None = None
        self._let_go: asyncio.Event | None = None
        self._legion: Legion | None = None

    def status(self) -> NodeShape:
        status = self._run(self._door().ops.status())
        return msgspec.convert({**msgspec.structs.asdict(status), "is_running": False}, NodeShape)

    def doctor(self) -> tuple[Check, ...]:
        try:
            return self._run(self._door().ops.doctor())
        except LegionError as error:
            faults = error.faults if isinstance(error, ConfigError) else ()
            return (
                Check(name="Engine", state="failed", found=error.message, todo=error.hint),
                *(Check(name="Configuration", state="failed", found=fault) for fault in faults),
            )

    def prompt(self, text: str, pins: PinsShape) -> Iterator[str | Spoken]:
        legion, pieces = self._door(), list[str]()
        message = Message(role="user", content=(TextBlock(text=_words(text)),))
        request = Request(id=self._ids.new("req"), messages=(message,), pins=pins.pins(), client="cli")

        async def answer() -> AsyncIterator[str | Spoken]:
            opened = None
            async with legion.llm.stream(request, LOCAL_OWNER) as events:
                async for event in events:
                    if isinstance(event, Opened):
                        opened = event.lane
                    elif isinstance(event, TextDelta):
                        pieces.append(event.text)
                        yield event.text
                    elif isinstance(event, Closed):
                        if event.stop_reason == "error":
                            raise _failed(event)
                        rows = await legion.llm.ledger(request=request.id)
                        assert opened is not None
                        yield _spoken("".join(pieces), request.id, event, rows, opened.name)

        return self._pieces(answer())

    def create_conversation(self, title: str = "") -> "Conversation":
        return self._run(self._door().chat.create(title))

    def say(self, conversation_id: str, text: str, pins: PinsShape) -> Iterator[str | MessageShape]:
        legion = self._door()

        async def answer() -> AsyncIterator[str | MessageShape]:
            with legion.events.subscribe(AnswerGrew, AnswerEnded, size_max=8192) as events:
                turn = await legion.chat.send(conversation_id, text, pins=pins.pins())
                async for event in events:
                    if isinstance(event, AnswerGrew) and event.answer_id == turn.answer_id and event.text:
                        yield event.text
                    elif isinstance(event, AnswerEnded) and event.message.id == turn.answer_id:
                        yield MessageShape.of(event.message)
                        return

        return self._pieces(answer())

    def stop_answer(self, conversation_id: str) -> bool:
        return self._run(self._door().chat.stop(conversation_id))

    def conversations(self, query: str, limit: int) -> "tuple[Conversation, ...]":
        return self._run(self._door().chat.list(query, limit=limit))

    def conversation(self, conversation_id: str) -> ConversationShape:
        return ConversationShape.of(self._run(self._door().chat.open(conversation_id)))

    def export(self, conversation_id: str, form: "Format") -> str:
        return self._run(self._door().chat.export(conversation_id, form))

    def import_chats(self, text: str, name: str) -> "Imported":
        return self._run(self._door().chat.import_chats(text.encode("utf-8", "replace"), name))

    def delete_conversation(self, conversation_id: str) -> None:
        self._run(self._door().chat.trash(conversation_id))

    def restore_conversation(self, conversation_id: str) -> None:
        self._run(self._door().chat.restore(conversation_id))

    def conversation_log(self, conversation_id: str) -> "tuple[LogEntry, ...]":
        return self._run(self._door().chat.log(conversation_id))

    def undo_conversation(self, conversation_id: str) -> "LogEntry":
        return self._run(self._door().chat.undo(conversation_id))

    def verify_conversations(self, conversation_id: str) -> "Verified":
        return self._run(self._door().chat.verify(conversation_id or None))

    def models(self, context: int | None = None) -> "tuple[ModelRow, ...]":
        return self._run(self._door().models.list(context=context))

    def pull(self, name: str, *, allow_private: bool = False) -> Iterator[PullProgressed]:
        legion = self._door()

        async def progress() -> AsyncIterator[PullProgressed]:
            with legion.events.subscribe(PullProgressed) as events:
                job = await legion.models.pull(name, allow_private=allow_private)
                async for event in events:
                    if isinstance(event, PullProgressed) and event.name == job:
                        yield event
                        if event.state in ("ready", "failed", "cancelled", "paused"):
                            return

        return self._pieces(progress())

    def import_model(self, path: Path) -> "ModelRow":
        return self._run(self._door().models.import_file(str(path)))

    def remove_model(self, name: str) -> None:
        self._run(self._door().models.remove(name))

    def fit(self, name: str, context: int) -> "ModelFit":
        return self._run(self._door().models.fit(name, context))

    def providers(self) -> "tuple[ProviderRow, ...]":
        return self._run(self._door().providers.list())

    def add_provider(self, spec: "ProviderSpec", key: str | None, *, test: bool) -> "ProviderRow":
        return self._run(self._door().providers.add(spec, key, test=test))

    def remove_provider(self, name: str) -> None:
        self._run(self._door().providers.remove(name))

    def test_provider(self, name: str) -> "TestResult":
        return self._run(self._door().providers.test(name))

    def describe_model(self, name: str, facts: "ModelFacts") -> "ProviderRow":
        return self._run(self._door().providers.describe_model(name, facts))

    def forget_model(self, name: str, model: str) -> "ProviderRow":
        return self._run(self._door().providers.forget_model(name, model))

    def try_model(self, name: str, model: str) -> "ModelTrial":
        return self._run(self._door().providers.try_model(name, model))

    def trip_provider(self, name: str) -> "ProviderRow":
        raise _nothing_runs(name, "trip")

    def drain_provider(self, name: str) -> "ProviderRow":
        raise _nothing_runs(name, "drain")

    def found_providers(self) -> "tuple[Found, ...]":
        return self._run(self._door().providers.find())

    def reset_provider(self, name: str) -> "ProviderRow":
        return self._now(lambda legion: legion.providers.reset(name))

    def explain(
        self,
        text: str,
        requires: tuple[str, ...],
        pins: PinsShape,
        *,
        is_private: bool = False,
        operation: "Operation" = "chat",
        context_tokens: int = 0,
    ) -> RouteShape:
        for word in requires:
            if word not in CAPABILITIES:
                raise InvalidInput(
                    f"{word!r} is not something a model can do.",
                    hint=f"There are {', '.join(CAPABILITIES)}.",
                )
        needed = cast("tuple[Capability, ...]", requires)
        door = self._door()
        decision = self._run(
            door.routes.explain(
                text,
                requires=needed,
                context_tokens=context_tokens,
                pins=pins.pins(),
                is_private=is_private,
                operation=operation,
            )
        )
        return RouteShape.of(decision, door.llm.tokens_per_s)

    def setting(self, key: str) -> "SettingRow":
        settings = self._settings()
        settings.get(key)  # raises naming the nearest keys
        return next(row for row in settings.rows() if row.key == key)

    def set_setting(self, key: str, value: str) -> "SettingRow":
        self._home.create()
        return self._run(self._settings().set(key, value))

    def config_faults(self) -> tuple[str, ...]:
        return self._settings().faults()

    def secrets(self) -> tuple[str, tuple[str, ...]]:
        secrets = self._door().secrets
        return self._run(secrets.backend()), self._run(secrets.names())

    def set_secret(self, name: str, value: str) -> None:
        self._run(self._door().secrets.set(name, value))

    def remove_secret(self, name: str) -> None:
        self._run(self._door().secrets.remove(name))

    def ledger_summary(self, by: "By", since: str = "") -> "tuple[SummaryRow, ...]":
        return self._run(self._door().llm.ledger_summary(by, since))

    def ledger_rows(self, request: str, conversation: str, limit: int) -> "tuple[LedgerRow, ...]":
        legion = self._door()
        return self._run(legion.llm.ledger(request=request, conversation=conversation, limit=limit))

    def budgets(self) -> "tuple[BudgetRow, ...]":
        return self._run(self._door().llm.budgets())

    def keep_private(self, conversation_id: str, is_private: bool) -> None:
        self._run(self._door().chat.open(conversation_id))
        self._run(self._door().llm.keep_private(conversation_id, is_private))

    @property
    def outlives_command(self) -> bool:
        return False

    @property
    def chains(self) -> "LocalChains":
        from legion_core.surfaces.cli.chains import LocalChains

        return LocalChains(self._run, lambda: self._door().chains)

    @property
    def network(self) -> "LocalNetwork":
        from legion_core.surfaces.cli.network import LocalNetwork

        return LocalNetwork(self._run, lambda: self._door().network)

    @property
    def rights(self) -> "LocalRights":
        from legion_core.surfaces.cli.rights import LocalRights

        return LocalRights(self._run, self._door)

    @property
    def mcp(self) -> "LocalMcp":
        from legion_core.surfaces.cli.mcp import LocalMcp

        return LocalMcp(self._run, lambda: self._door().mcp)

    @property
    def hooks(self) -> "LocalHooks":
        from legion_core.surfaces.cli.hooks import LocalHooks

        return LocalHooks(self._run, lambda: self._door().hooks)

    @property
    def keys(self) -> "LocalKeys":
        from legion_core.surfaces.cli.keys import LocalKeys

        return LocalKeys(self._run, lambda: self._door().tokens)

    @property
    def schedules(self) -> "LocalSchedules":
        from legion_core.surfaces.cli.schedules import LocalSchedules

        return LocalSchedules(self._run, lambda: self._door().schedules)

    def submit_task(self, order: "Order") -> "Accepted":
        return self._run(self._door().tasks.submit(order))

    def wait_task(self, task_id: str) -> "TaskView":
        return self._run(self._door().tasks.wait(task_id))

    def tasks(self, *, status: str, task: str, limit: int) -> "tuple[TaskRow, ...]":
        return self._run(self._door().tasks.list(status=status, task=task, limit=limit)).tasks

    def task(self, task_id: str) -> "TaskView":
        return self._run(self._door().tasks.get(task_id))

    def task_logs(self, task_id: str) -> "tuple[Line, ...]":
        return self._run(self._door().tasks.logs(task_id))

    def cancel_task(self, task_id: str) -> "TaskView":
        return self._run(self._door().tasks.cancel(task_id))

    def retry_task(self, task_id: str) -> "TaskView":
        return self._run(self._door().tasks.retry(task_id))

    def extensions(self) -> "tuple[ExtensionRow, ...]":
        return self._run(self._door().extensions.list())

    def extension(self, name: str) -> "ExtensionRow":
        return self._run(self._door().extensions.get(name))

    def function(self, name: str) -> "FunctionRow":
        return self._run(self._door().extensions.function(name))

    def create_extension(self, name: str) -> "Created":
        return self._run(self._door().extensions.create(name))

    def close(self) -> None:
        if self._holder is not None and self._let_go is not None:
            self._let_go.set()
            self._run(_over(self._holder))
        self._holder = None
        self._legion = None
        self._runner.close()

    def _settings(self) -> "Settings":
        if self._legion is not None:
            return self._legion.settings
        from legion_core.api.settings import Settings
        from legion_core.kernel.config import load

        async def nothing_to_apply(_: object) -> None:
            return

        path = self._home.config_path
        loaded = load(path, self._env, keep_good=False)
        return Settings(path, self._env, loaded, EventBus(SystemClock()), nothing_to_apply)

    def _door(self) -> "Legion":
        if self._legion is None:
            self._legion = self._run(self._open())
        return self._legion

    async def _open(self) -> "Legion":
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[Legion] = loop.create_future()
        self._let_go = let_go = asyncio.Event()

        async def hold() -> None:
            # Opened and closed by one task, as whatever it uses inside may demand.
            try:
                async with self._open_node(self._home.root, env=self._env, serve=False) as node:
                    ready.set_result(node.legion)
                    await let_go.wait()
            except Exception as error:
                if ready.done():
                    raise
                ready.set_exception(error)

        self._holder = loop.create_task(hold(), name="node")
        return await ready

    def _now(self, work: "Callable[[Legion], T]") -> T:
        legion = self._door()

        async def inside() -> T:
            return work(legion)

        return self._run(inside())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def _pieces(self, source: AsyncIterator[T]) -> Iterator[T]:
        """Drive an asynchronous iterator from outside the loop; ending early ends it too."""
        waiting: asyncio.Queue[tuple[T] | BaseException | None] = asyncio.Queue(PIECES_MAX)

        async def pump() -> None:
            try:
                async with aclosing(cast("Any", source)):
                    async for piece in source:
                        await waiting.put((piece,))
            except Exception as error:  # noqa: BLE001  # raised again on the other side
                await waiting.put(error)
            else:
                await waiting.put(None)

        pumping = self._runner.get_loop().create_task(pump(), name="answer")
        try:
            while (item := self._run(waiting.get())) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item[0]
        finally:
            pumping.cancel()
            self._run(_over(pumping))


async def _over(task: "asyncio.Task[None]") -> None:
    with suppress(asyncio.CancelledError):
        await task


def _nothing_runs(name: str, what: str) -> Unavailable:
    """A trip is kept in memory only: one of ours would be over with the command."""
    return Unavailable(
        f"No workbench runs, and a {what} of {name} would last only as long as one does.",
        hint="Start it with `legion start`.",
    )


def _words(text: str) -> str:
    if not text.strip():
        raise InvalidInput("The question is empty.", hint="Type something first.")
    return text


def _failed(closed: Closed) -> LegionError:
    from legion_core.surfaces.cli.failures import kind_of

    return kind_of(closed.error_code)(closed.error)


def _spoken(text: str, request: str, closed: Closed, rows: tuple[LedgerRow, ...], lane: str) -> Spoken:
    instance, _, model = lane.partition("/")
    last = rows[-1] if rows else None
    return Spoken(
        text=text,
        request=request,
        tier=last.tier if last else "",
        instance=last.instance if last else instance,
        model=last.model if last else model,
        stop_reason=closed.stop_reason,
        usage=closed.usage,
        cost_usd=closed.cost_usd,
        attempts=rows,
    )
