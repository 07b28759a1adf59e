"""Where tools come from: functions of extensions, chains, models, and what the workbench tells of itself."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, cast

import msgspec

from legion_core.api.chains import Chains
from legion_core.api.extension_types import FunctionRow
from legion_core.api.extensions import Extensions
from legion_core.api.llm import Llm
from legion_core.api.mcp_tools import Reporter, Tool, ToolResult, tool_name, worst
from legion_core.api.mcp_types import Risk, Source, ToolRow
from legion_core.api.models import Models
from legion_core.api.ops import Ops
from legion_core.api.task_types import SETTLED, Order, TaskView
from legion_core.api.tasks import Tasks
from legion_core.api.types import Status
from legion_core.gateway.answer import Answer
from legion_core.gateway.types import Message, Params, Pins, Request, TextBlock, TextDelta, Tier
from legion_core.kernel.errors import InvalidInput, LegionError
from legion_core.kernel.ids import Ids
from legion_core.kernel.ports import Principal
from legion_core.kernel.supervise import Supervisor

LOOK_S = 1.0  # how often a running task's log is read for whoever watches
TOLD_CHARS = 240  # of a growing answer, in a progress message
PROMPT_CHARS_MAX = 200_000
SERVERS = "mcp"  # the extension whose functions are other people's tools

# What of the workbench's own functions may do: their effect class says what a second run does, which is not this.
_READS = frozenset(
    {"http.request.get", "http.request.head", "file.text.read", "schedule.entry.list", "webhook.inbound.list"}
)
_DANGERS = frozenset({"shell.command.run"})
_WEB = ("http.", "webhook.outbound.", f"{SERVERS}.")
_LEFT_OUT = frozenset({"llm.chat.ask"})  # `llm-chat` is the same and streams
_INPUT = re.compile(r"\binput\.([A-Za-z_]\w*)")


def _risk(function: FunctionRow, origin: str) -> Risk:
    if function.risk:
        return function.risk
    if function.name in _DANGERS:
        return "danger"
    if origin == "builtin":
        return "read" if function.name in _READS else "write"
    return "read" if function.effect == "pure" else "write"


class Functions:
    """A tool for each function of each extension; a call is a task like any other."""

    def __init__(self, extensions: Extensions, tasks: Tasks, supervisor: Supervisor) -> None:
        self._extensions = extensions
        self._tasks = tasks
        self._supervisor = supervisor
        self._known: dict[str, tuple[FunctionRow, Tool]] = {}

    async def __call__(self) -> Sequence[Tool]:
        """As they are now."""
        found: list[Tool] = []
        for extension in await self._extensions.list():
            found += [
                self._tool(function, extension.origin)
                for function in extension.functions
                if function.name not in _LEFT_OUT
            ]
        self._known = {tool.row.target: self._known[tool.row.target] for tool in found}
        return found

    async def risks(self) -> Mapping[str, Risk]:
        """What each function may do, by its dotted name."""
        return {
            function.name: _risk(function, extension.origin)
            for extension in await self._extensions.list()
            for function in extension.functions
        }

    def _tool(self, function: FunctionRow, origin: str) -> Tool:
        known = self._known.get(function.name)
        if known is not None and known[0] == function:
            return known[1]
        source: Source = "server" if function.name.startswith(f"{SERVERS}.") else "extension"
        row = ToolRow(
            name=tool_name(function.name),
            title=function.name,
            description=function.description or function.name,
            source=source,
            target=function.name,
            risk=_risk(function, origin),
            arguments=function.arguments,
            is_repeatable=function.effect in ("pure", "idempotent_key"),
            is_open_world=function.name.startswith(_WEB),
        )

        async def call(who: Principal, args: Mapping[str, Any], reporter: Reporter) -> ToolResult:
            return await self._run(function.name, who, args, reporter)

        made = Tool(row, call)
        self._known[function.name] = (function, made)
        return made

    async def _run(
        self, name: str, who: Principal, args: Mapping[str, Any], reporter: Reporter
    ) -> ToolResult:
        accepted = await self._tasks.submit(Order(task=name, args=args, is_once=True), who)
        reporter.began(task=accepted.id)
        seen, is_over = 0, False
        try:
            while True:
                view = await self._tasks.wait_at_most(accepted.id, LOOK_S)
                lines = await self._tasks.logs(accepted.id)
                for count, line in enumerate(lines[seen:], seen + 1):
                    await reporter.log(line.level, line.text)
                    await reporter.progress(count, None, line.text)
                seen = len(lines)
                if view.status in SETTLED:
                    is_over = True
                    return _of_task(view)
        finally:
            if not is_over:
                # Not waited for: whoever cancels us does not let us wait.
                self._supervisor.spawn("mcp.cancel", _cancelled(self._tasks.cancel(accepted.id, who)))


class ChainTools:
    """A tool for each chain; a call is a run. Its arguments are what its templates say of `input`."""

    def __init__(
        self, chains: Chains, risks: Callable[[], Awaitable[Mapping[str, Risk]]], supervisor: Supervisor
    ) -> None:
        self._chains = chains
        self._risks = risks
        self._supervisor = supervisor
        self._known: dict[tuple[str, int], tuple[dict[str, Any], str]] = {}

    async def __call__(self) -> Sequence[Tool]:
        """As they are now."""
        rows = await self._chains.list()
        if not rows:
            return ()
        risks = await self._risks()
        documents: dict[str, dict[str, Any]] = {}
        for row in rows:
            key = (row.name, row.version)
            if key not in self._known:
                view = await self._chains.show(row.name)
                self._known[key] = (view.document, view.description)
            documents[row.name] = self._known[key][0]
        self._known = {(row.name, row.version): self._known[row.name, row.version] for row in rows}
        return [self._tool(row.name, row.description, documents, risks) for row in rows]

    def _tool(
        self, name: str, description: str, documents: Mapping[str, dict[str, Any]], risks: Mapping[str, Risk]
    ) -> Tool:
        document = documents[name]
        names = sorted(set(_INPUT.findall(msgspec.json.encode(document).decode())))
        tasks = _tasks_of(name, documents, frozenset())
        row = ToolRow(
            name=tool_name("chain", name),
            title=f"Chain {name}",
            description=description or f"Runs the chain {name}: {', '.join(sorted(tasks)) or 'nothing'}.",
            source="chain",
            target=f"chain:{name}",
            risk=worst([risks.get(task, "write") for task in tasks]),
            arguments={
                "type": "object",
                "properties": {each: {"description": f"`input.{each}` of the chain"} for each in names},
                "required": [],
                "additionalProperties": True,
            },
            is_open_world=any(task.startswith(_WEB) for task in tasks),
        )

        async def call(who: Principal, args: Mapping[str, Any], reporter: Reporter) -> ToolResult:
            return await self._run(name, who, args, reporter)

        return Tool(row, call)

    async def _run(
        self, name: str, who: Principal, args: Mapping[str, Any], reporter: Reporter
    ) -> ToolResult:
        run = await self._chains.run(name, dict(args), who=who)
        reporter.began(run=run.id)
        is_over = False
        try:
            while True:
                view = await self._chains.wait_at_most(run.id, LOOK_S)
                ended = [node for node in view.nodes if node.ended_at is not None]
                last = ended[-1].node if ended else ""
                await reporter.progress(len(ended), max(len(view.nodes), 1), last and f"{last} has ended")
                if view.ended_at is not None:
                    is_over = True
                    break
        finally:
            if not is_over:
                self._supervisor.spawn("mcp.cancel", _cancelled(self._chains.cancel(run.id, who)))
        if view.status != "succeeded":
            why = view.reason.sentence if view.reason else f"The run ended as {view.status}."
            return ToolResult(f"{why} It is run {view.id}.", is_error=True)
        return result_of(view.result)


class ModelTools:
    """`llm-chat`: a question to a model, routed as every other; its progress is the answer as it grows."""

    def __init__(self, llm: Llm, ids: Ids) -> None:
        self._llm = llm
        self._ids = ids

    async def __call__(self) -> Sequence[Tool]:
        """One tool, whatever models there are."""
        row = ToolRow(
            name="llm-chat",
            title="Ask a model",
            description="Asks a language model on this computer, or another the user has set up: the nearest that is able.",
            source="model",
            target="llm.chat",
            risk="read",
            arguments=schema_of(Question),
            is_open_world=True,
        )
        return (Tool(row, self._ask),)

    async def _ask(self, who: Principal, args: Mapping[str, Any], reporter: Reporter) -> ToolResult:
        asked = fitting(args, Question)
        if not asked.prompt.strip() or len(asked.prompt) > PROMPT_CHARS_MAX:
            raise InvalidInput(f"`prompt` holds 1 to {PROMPT_CHARS_MAX:,} characters.")
        request = Request(
            id=self._ids.new("req"),
            messages=(Message(role="user", content=(TextBlock(text=asked.prompt),)),),
            system=(asked.system,) if asked.system else (),
            params=Params(max_tokens=asked.max_tokens or None, temperature=asked.temperature),
            pins=Pins(
                model=asked.model or None, tier_max=Tier.parse(asked.tier_max) if asked.tier_max else None
            ),
            dialect="mcp",
            client=who.name,
        )
        answer, pieces = Answer(request.id), 0
        async with self._llm.stream(request, who) as events:
            async for event in events:
                answer.take(event)
                if isinstance(event, TextDelta):
                    pieces += 1
                    await reporter.progress(pieces, None, answer.text[-TOLD_CHARS:])
        closed = answer.closed
        if closed.stop_reason == "error":
            return ToolResult(closed.error or "The answer broke off.", is_error=True)
        structured = {
            "text": answer.text,
            "model": answer.model,
            "tier": answer.tier,
            "instance": answer.instance,
            "request": request.id,
            "stop_reason": closed.stop_reason,
        }
        return ToolResult(answer.text, structured)


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `llm-chat` takes."""

    prompt: str
    system: str = ""
    model: str = ""
    tier_max: Literal["", "local", "direct", "fleet", "cloud", "frontier"] = ""
    max_tokens: int = 0
    temperature: float | None = None


class Nothing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No arguments."""


class Which(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An id."""

    id: str


class Listing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of a list."""

    status: str = ""
    limit: int = 20


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A chain as YAML or JSON text."""

    text: str


class WorkbenchTools:
    """What the workbench tells of itself, and little else."""

    def __init__(self, ops: Ops, tasks: Tasks, chains: Chains, models: Models, llm: Llm) -> None:
        async def status(args: Nothing, who: Principal) -> object:
            return status_told(await ops.status())

        async def models_list(args: Nothing, who: Principal) -> object:
            return {"files": await models.list(), "lanes": [lane_of(each) for each in await llm.lanes()]}

        async def ledger(args: Nothing, who: Principal) -> object:
            return {
                "by_tier": await llm.ledger_summary("tier"),
                "by_model": await llm.ledger_summary("model"),
            }

        async def tasks_list(args: Listing, who: Principal) -> object:
            return await tasks.list(status=args.status, limit=min(max(args.limit, 1), 200))

        async def task_show(args: Which, who: Principal) -> object:
            return {"task": await tasks.get(args.id), "log": await tasks.logs(args.id)}

        async def run_show(args: Which, who: Principal) -> object:
            return await chains.get_run(args.id)

        async def task_cancel(args: Which, who: Principal) -> object:
            return await tasks.cancel(args.id, who)

        async def run_cancel(args: Which, who: Principal) -> object:
            return await chains.cancel(args.id, who)

        async def chain_apply(args: Document, who: Principal) -> object:
            return await chains.apply(args.text, who)

        async def chain_check(args: Document, who: Principal) -> object:
            return {"faults": await chains.validate(args.text)}

        self._tools = (
            _own("workbench-status", "How the workbench is.", Nothing, status),
            _own("workbench-models", "Which models can answer, and where.", Nothing, models_list),
            _own("workbench-ledger", "What was asked of models and what it cost.", Nothing, ledger),
            _own("tasks-list", "The latest tasks, newest first.", Listing, tasks_list),
            _own("task-show", "One task: arguments, result, reason and log.", Which, task_show),
            _own("run-show", "One run of a chain, node by node.", Which, run_show),
            _own("chain-check", "What is wrong with a chain; empty if it could be applied.", Document, chain_check),
            _own("chain-apply", "Keeps a chain as its newest version.", Document, chain_apply, "write"),
            _own("task-cancel", "Ends a task and all under it.", Which, task_cancel, "write"),
            _own("run-cancel", "Ends a run of a chain.", Which, run_cancel, "write"),
        )  # fmt: skip

    async def __call__(self) -> Sequence[Tool]:
        """Always the same."""
        return self._tools


def _own(name: str, description: str, kind: type[Any], work: Callable[..., Any], risk: Risk = "read") -> Tool:
    async def call(who: Principal, args: Mapping[str, Any], reporter: Reporter) -> ToolResult:
        return result_of(await work(fitting(args, kind), who))

    row = ToolRow(
        name=name, title=name.replace("-", " ").capitalize(), description=description, source="workbench",
        target=name, risk=risk, arguments=schema_of(kind), is_repeatable=True,
    )  # fmt: skip
    return Tool(row, call)


def lane_of(lane: Any) -> dict[str, Any]:
    """A lane at a glance."""
    return {
        "tier": lane.tier.word,
        "instance": lane.instance,
        "model": lane.offer.id,
        "context": lane.offer.context,
        "capabilities": sorted(lane.offer.capabilities),
    }


def schema_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON schema of a struct's fields, with no reference outside itself."""
    (reference,), components = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    schema: dict[str, Any] = dict(components.pop(str(reference["$ref"]).rpartition("/")[2]))
    schema.pop("title", None)
    schema.pop("description", None)
    schema.setdefault("required", [])
    if components:
        schema["$defs"] = components
    return schema


def fitting(args: Mapping[str, Any], kind: type[Any]) -> Any:
    """The arguments as `kind`; InvalidInput names the one that does not fit."""
    try:
        return msgspec.convert(dict(args), kind)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"The arguments do not fit: {error}.") from error


def result_of(value: object) -> ToolResult:
    """What a call gave, as text and, where it is an object, as that."""
    plain: Any = msgspec.to_builtins(value)
    if isinstance(plain, str):
        return ToolResult(plain)
    text = msgspec.json.encode(plain).decode()
    structured = cast("dict[str, Any]", plain) if isinstance(plain, dict) else {"result": plain}
    return ToolResult(text, structured)


def _of_task(view: TaskView) -> ToolResult:
    if view.status == "succeeded":
        return result_of(view.result)
    why = view.reason.sentence if view.reason else f"It ended as {view.status}."
    return ToolResult(f"{why} It is task {view.id}.", is_error=True)


def _tasks_of(name: str, documents: Mapping[str, dict[str, Any]], above: frozenset[str]) -> set[str]:
    """The functions a chain and its sub-chains may run; one that is not there, or leads to itself, as `?`."""
    if name not in documents or name in above:
        return {"?"}
    found: set[str] = set()
    nodes: Mapping[str, Mapping[str, Any]] = documents[name].get("nodes", {})
    for node in nodes.values():
        if isinstance(node.get("task"), str):
            found.add(node["task"])
        if isinstance(node.get("chain"), str):
            found |= _tasks_of(node["chain"], documents, above | {name})
    return found


async def _cancelled(work: Any) -> None:
    """Cancel; what has ended in the meantime needs no cancelling."""
    try:
        await work
    except LegionError:
        return


def status_told(status: Status) -> Status:
    """As other programs are told it: not where the owner's token lies, which is nobody's matter but the owner's."""
    return msgspec.structs.replace(status, token_path="")
