"""The fault grid: every way an upstream can break, at every event, for every client, wire and kind of content.

Everything is real but the models: clients over raw sockets, a whole node behind its HTTP surface, the providers' own
adapters, and upstreams that speak each wire over loopback and keep their own bill. A cell passes if the client's
assembled answer is byte for byte the one an upstream that never breaks gives, told with one beginning, one end and one
usage, no call twice or in halves, and if the ledger has what the upstreams billed.
"""

import asyncio
import json
import random
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, get_args
from urllib.parse import urlsplit
from zlib import crc32

from legion_core.gateway.inventory import Instance
from legion_core.gateway.providers.registry import make
from legion_core.gateway.providers.wire import Limits
from legion_core.gateway.types import Capability, Continuation, ModelOffer, Tier
from legion_core.kernel.clock import SystemClock
from legion_core.node import open_node
from legion_core.testing import upstream_bedrock
from legion_core.testing.grid_clients import (
    DIALECTS,
    PICTURE,
    Asked,
    Assembled,
    DialectName,
    RawClient,
    assemble,
    question,
)
from legion_core.testing.upstreams import (
    Answer,
    Call,
    Die,
    NoAnswer,
    Plan,
    Recorded,
    Say,
    Stall,
    Tear,
    Upstream,
    WireName,
    error,
    events_of,
)

FaultName = Literal[
    "fin", "rst", "clean end", "torn event", "torn then clean end", "torn then reset", "torn chunk",
    "error", "error with an event", "error in pieces", "silence", "refused", "no answer",
]  # fmt: skip
FAULTS: Final[tuple[FaultName, ...]] = get_args(FaultName)
BEFORE_ALL: Final = ("refused", "no answer")  # these have no place in the stream
ContentName = Literal["text", "thinking", "tool", "two tools", "picture", "structured"]
Backup = Literal["exact", "repeats", "begins anew", "says more", "none"]

# The provider's kind, the wire its upstream speaks, and what stands behind the origin in its address.
KINDS: Final[dict[str, tuple[WireName, str | None]]] = {
    "openai": ("openai", None),
    "vllm": ("openai", None),
    "azure_foundry": ("openai", "/openai/v1"),
    "anthropic": ("anthropic", None),
    "vertex-claude": ("anthropic", "/v1/projects/p1/locations/global"),
    "ollama": ("ollama", None),
    "gemini": ("gemini", None),
    "vertex": ("gemini", "/v1/projects/p1/locations/europe-west4"),
    "bedrock": ("bedrock", None),
}
ABLE: Final[frozenset[Capability]] = frozenset(
    {"streaming", "tools", "vision", "thinking", "structured_output"}
)
ROLES: Final = ("first", "quick", "second")
PATIENT: Final = Limits(connect_s=20, first_event_s=20, idle_s=20, answer_s=20)
QUICK: Final = replace(PATIENT, idle_s=1.0, first_event_s=1.0)  # for upstreams that fall silent
AGAIN: Final = 2  # a busy machine falls silent by itself, before the upstream does
CELL_S: Final = 90.0
DRIP_S: Final = 0.0001  # between the events of an answer that comes one by one
# No piece of text is longer than a token may be taken to be, so that what was billed can be counted to the token.
WORDS: Final = (
    "Über ",
    "the ",
    "sea, ",
    "whi",
    "ch is ",
    "🌊 ",
    "wide ",
    "and ",
    "deep, ",
    "no ",
    "bird ",
    "flies.",
)
THOUGHTS: Final = ("First ", "I ", "thïnk ", "a bit. ")
JSON_WORDS: Final = ('{"ci', 'ty": ', '"Köl', "n an ", "der ", 'Spree"', "}")


def _tool(call_id: str, path: str) -> Call:
    arguments = json.dumps({"path": path}, separators=(",", ":"))
    return Call(call_id, "write", arguments, pieces=-(-len(arguments) // 4))


CONTENTS: Final[dict[ContentName, tuple[Answer, Asked]]] = {
    "text": (Answer(WORDS), Asked()),
    "thinking": (Answer(WORDS[:5], thinking=THOUGHTS), Asked(thinks=True)),
    "tool": (Answer(WORDS[:3], calls=(_tool("call_a", "one.txt"),)), Asked(has_tools=True)),
    "two tools": (
        Answer(WORDS[:2], calls=(_tool("call_a", "one.txt"), _tool("call_b", "zwei/two.txt"))),
        Asked(has_tools=True),
    ),
    "picture": (Answer(WORDS[:6]), Asked(has_picture=True)),
    "structured": (Answer(JSON_WORDS), Asked(is_structured=True)),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One way to break one answer."""

    kind: str
    content: ContentName
    fault: FaultName
    cut: int
    dialect: DialectName
    backup: Backup = "exact"

    def __str__(self) -> str:
        told = f"{self.dialect} client, {self.kind}, {self.content}, {self.fault} at event {self.cut}"
        return told if self.backup == "exact" else f"{told}, backup {self.backup}"


@dataclass(slots=True)
class Outcome:
    """What became of one cell; no `faults` is a pass."""

    cell: Cell
    faults: list[str] = field(default_factory=list[str])
    is_exact: bool = False
    is_silent: bool = False  # told as a success with something missing or too much
    doubled_calls: int = 0
    billed: int = 0
    in_ledger: int = 0
    input_billed: int = 0
    input_in_ledger: int = 0


def cells() -> list[Cell]:
    """The whole grid, in order: with a backup that continues to the letter, with one that is only told, with none."""
    out = list[Cell]()
    for kind, (wire, _) in KINDS.items():
        for content, (answer, _) in CONTENTS.items():
            cuts = len(events_of(wire, answer))
            for fault in FAULTS:
                places = (0,) if fault in BEFORE_ALL else range(cuts)
                out += [Cell(kind, content, fault, cut, dialect) for cut in places for dialect in DIALECTS]
    for kind, (wire, _) in KINDS.items():
        last = len(events_of(wire, CONTENTS["text"][0])) - 1
        for fault in FAULTS:
            places = (0,) if fault in BEFORE_ALL else (1, last // 2, last)
            for cut in places:
                out += [
                    Cell(kind, "text", fault, cut, dialect, backup)
                    for dialect in DIALECTS
                    for backup in ("repeats", "begins anew", "says more", "none")
                ]
    return out


def sample(count: int, seed: int = 0) -> list[Cell]:
    """`count` cells, as evenly as can be over kind, content, fault, dialect and backup."""
    rng = random.Random(seed)
    strata = dict[tuple[str, ...], list[Cell]]()
    for cell in cells():
        strata.setdefault((cell.kind, cell.content, cell.fault, cell.backup), []).append(cell)
    for each in strata.values():
        rng.shuffle(each)
    groups = list(strata.values())
    rng.shuffle(groups)
    out = list[Cell]()
    while len(out) < count and any(groups):
        out += [group.pop() for group in groups if group]
    return out[:count]


@dataclass(slots=True)
class _Desk:
    """One provider's two upstreams and its client: its cells run one after another, beside those of the others."""

    kind: str
    dying: Upstream
    living: Upstream
    client: RawClient


class Grid:
    """A node and what stands around it; `run` plays cells."""

    def __init__(self, node: Any, desks: dict[str, _Desk]) -> None:
        self._node = node
        self._gateway = node.legion.llm._gateway
        self._desks = desks

    async def run(self, chosen: Sequence[Cell]) -> list[Outcome]:
        """Every cell's outcome, in no particular order."""
        outcomes = list[Outcome]()

        async def play(desk: _Desk) -> None:
            for cell in chosen:
                if cell.kind != desk.kind:
                    continue
                outcome = await self._play(desk, cell)
                for _ in range(AGAIN if outcome.faults and cell.fault == "silence" else 0):
                    outcome = await self._play(desk, cell) if outcome.faults else outcome
                outcomes.append(outcome)

        await asyncio.gather(*(play(desk) for desk in self._desks.values()))
        return outcomes

    @property
    def url(self) -> str:
        """Where clients of other make ask."""
        return self._node.url

    def wire(self, kind: str) -> WireName:
        """What the first upstream of that kind speaks."""
        return self._desks[kind].dying.wire

    def prepare(self, cell: Cell) -> str:
        """Have the cell's upstreams do what it says, and give the model to ask for."""
        desk, (answer, _) = self._desks[cell.kind], CONTENTS[cell.content]
        if drips(cell):
            answer = replace(answer, delay_s=DRIP_S)
        desk.dying.will(_broken(desk.dying.wire, answer, cell))
        desk.living.will(lambda request: _rest(answer, request, cell.backup))
        for role in ROLES:
            self._gateway.inventory.health.forget(f"{cell.kind}-{role}")
        return _model(cell)

    async def leave(self, kind: str, dialect: DialectName) -> float:
        """Seconds from a client's going, in the middle of an answer, to its upstream seeing our connection go."""
        desk, loop = self._desks[kind], asyncio.get_running_loop()
        desk.dying.will(Answer(("a ",) * 10_000, delay_s=0.005))
        before = len(desk.dying.questions)
        path, body = question(dialect, _model_of(kind, "exact-patient"), Asked())
        desk.client.close()
        asking = loop.create_task(desk.client.post(path, body))
        while not any(each.tokens_written for each in desk.dying.questions[before:]):  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        desk.client.close()
        gone_s = loop.time()
        while desk.dying.open_answers:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        await asyncio.gather(asking, return_exceptions=True)
        assert desk.dying.questions[-1].was_left
        return loop.time() - gone_s

    async def _play(self, desk: _Desk, cell: Cell) -> Outcome:
        answer, asked = CONTENTS[cell.content]
        before = len(desk.dying.requests), len(desk.living.requests)
        path, body = question(cell.dialect, self.prepare(cell), asked)
        async with asyncio.timeout(CELL_S):
            got = await desk.client.post(path, body)
        outcome = Outcome(cell)
        if got.status == 200:
            _judge(outcome, answer, assemble(cell.dialect, got.body), is_whole=got.is_whole)
        elif cell.backup != "none":
            outcome.faults.append(f"status {got.status}: {got.body[:200]!r}")
        asked_for = [*desk.dying.requests[before[0] :], *desk.living.requests[before[1] :]]
        if asked.has_picture and not all(PICTURE.encode() in each.body for each in asked_for):
            outcome.faults.append("the picture did not reach every upstream")
        rows = await self._gateway.ledger.rows(request=got.headers["x-legion-request"])
        _compare_bills(outcome, asked_for, rows, cell.kind)
        return outcome


def drips(cell: Cell) -> bool:
    """Whether the upstreams write each event by itself: half of the cells, evenly over all kinds. Else it is a gush."""
    return crc32(str(cell).encode()) % 2 == 1


def _model(cell: Cell) -> str:
    """The model's name chooses the pair of instances and how the second can go on."""
    way = cell.backup if cell.backup in ("exact", "none") else "told"
    return _model_of(cell.kind, f"{way}-{'quick' if cell.fault == 'silence' else 'patient'}")


def _model_of(kind: str, way: str) -> str:
    """Several adapters tell a model's maker by its name."""
    maker = {
        "bedrock": "anthropic.claude",
        "gemini": "anthropic.claude",
        "vertex": "gemini",
        "ollama": "gemini",
    }
    return f"{maker.get(kind, 'claude')}-{kind}-{way}"


def _broken(wire: WireName, answer: Answer, cell: Cell) -> Plan:
    """What the first upstream does."""
    match cell.fault:
        case "refused":
            return error(wire, 503, "overloaded_error", "too busy")
        case "no answer":
            return NoAnswer()
        case "error in pieces":
            return replace(answer, fault=Say(cell.cut, IN_BAND[wire]), split=5)
        case "error with an event":
            event = events_of(wire, answer)[cell.cut]
            return replace(answer, fault=Say(cell.cut, event.data + IN_BAND[wire], event.tokens))
        case fault:
            return replace(answer, fault=_BREAKS[fault](cell.cut, wire))


_BREAKS: Final[dict[str, Callable[[int, WireName], Die | Say | Tear | Stall]]] = {
    "fin": lambda cut, _: Die(cut, "fin"),
    "rst": lambda cut, _: Die(cut, "rst"),
    "clean end": lambda cut, _: Say(cut, b""),
    "torn event": lambda cut, _: Tear(cut, "fin"),
    "torn then clean end": lambda cut, _: Tear(cut, "end"),
    "torn then reset": lambda cut, _: Tear(cut, "rst"),
    "torn chunk": lambda cut, _: Tear(cut, "chunk"),
    "error": lambda cut, wire: Say(cut, IN_BAND[wire]),
    "silence": lambda cut, _: Stall(cut),
}
IN_BAND: Final[dict[WireName, bytes]] = {
    "openai": b'data: {"error":{"message":"overloaded","type":"server_error","code":503}}\n\n',
    "anthropic": (
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    ),
    "ollama": b'{"error":"llama runner process has terminated"}\n',
    "gemini": b'data: {"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}\r\n\r\n',
    "bedrock": upstream_bedrock.exception("serviceUnavailableException", "Too busy."),
}


def _rest(answer: Answer, request: Recorded, backup: Backup) -> Answer:
    """What the second upstream says: behind the beginning it is given, or as it was told, or the whole."""
    turns: Any = request.json.get("messages") or request.json["contents"]
    whole = "".join(answer.pieces)
    if backup != "exact":
        said = [_words(turn) for turn in turns if turn["role"] in ("assistant", "model")]
        if not said:
            return answer
        begun = said[-1]
        anchor = _words(turns[-1]).split("they are:\n\n")[1].split("\n\nThen go on")[0]
        written = {
            "repeats": anchor,
            "begins anew": begun,
            "says more": begun[-64:] if len(begun) > 64 else begun,
        }
        return replace(answer, thinking=(), pieces=_cut(written[backup] + whole[len(begun) :]))
    if turns[-1]["role"] not in ("assistant", "model"):
        return answer
    begun = _words(turns[-1])
    # Some wires take no beginning that ends in white space: then the model writes it again.
    if not whole.startswith(begun):
        raise AssertionError(f"{begun!r} is not how the answer began")
    rest = whole[len(begun) :]
    return replace(answer, thinking=(), pieces=_cut(rest))


def _cut(text: str) -> tuple[str, ...]:
    return tuple(text[at : at + 4] for at in range(0, len(text), 4))


def _words(turn: dict[str, Any]) -> str:
    said = turn.get("content") or turn["parts"]
    return said if isinstance(said, str) else "".join(part.get("text", "") for part in said)


def _judge(outcome: Outcome, answer: Answer, got: Assembled, *, is_whole: bool) -> None:
    """Hold what the client has against what an upstream that never breaks would have given."""
    calls = [(call.name, json.loads(call.arguments)) for call in answer.calls]
    is_same = (got.text, got.thinking, got.calls) == ("".join(answer.pieces), "".join(answer.thinking), calls)
    outcome.is_exact = is_same and not got.error and got.ends == 1 and is_whole
    outcome.is_silent = not is_same and not got.error and got.ends > 0
    counted = Counter(json.dumps(call) for call in got.calls)
    outcome.doubled_calls = sum(times - 1 for times in counted.values() if times > 1)
    outcome.faults += got.faults
    if outcome.is_exact:
        if (got.starts, got.ends, got.usages) != (1, 1, 1):
            outcome.faults.append(f"{got.starts} starts, {got.ends} ends, {got.usages} usages")
        if len(set(got.call_ids)) != len(got.call_ids):
            outcome.faults.append("two calls have one id")
    elif outcome.cell.backup != "none":
        outcome.faults.append(
            f"text {got.text!r}, thinking {got.thinking!r}, calls {got.calls!r}, {got.ends} ends, error {got.error!r}"
        )
    elif outcome.is_silent or not got.error:
        outcome.faults.append(f"cut short and not told: {got.text!r}, {got.ends} ends, error {got.error!r}")


def _compare_bills(outcome: Outcome, asked: Iterable[Recorded], rows: Iterable[Any], kind: str) -> None:
    """Output to the token, of dead attempts too; input wherever the wire had told it before the end came."""
    outcome.billed = sum(request.tokens_written for request in asked)
    outcome.in_ledger = sum(row.usage.output_tokens for row in rows)
    if outcome.billed != outcome.in_ledger:
        outcome.faults.append(f"billed {outcome.billed} output tokens, in the ledger {outcome.in_ledger}")
    for row in rows:
        if not row.usage.is_estimated:
            outcome.input_billed += CONTENTS[outcome.cell.content][0].input_tokens
            outcome.input_in_ledger += row.usage.input_tokens
    if outcome.input_billed != outcome.input_in_ledger:
        told = f"billed {outcome.input_billed} input tokens, in the ledger {outcome.input_in_ledger}"
        outcome.faults.append(told)


@asynccontextmanager
async def open_grid(home: Path | None = None) -> AsyncGenerator[Grid]:
    """A node in a home of its own, serving; two upstreams for each kind of provider."""
    async with AsyncExitStack() as stack:
        if home is None:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "home"
        node = await stack.enter_async_context(open_node(home, env={}, serve=True, port=0))
        token = (home / "token").read_text(encoding="utf-8").strip()
        port = urlsplit(node.url).port or 0
        kinds, desks = list(KINDS), dict[str, _Desk]()
        for at, kind in enumerate(kinds):
            second = kinds[(at + 2) % len(kinds)]
            dying = await stack.enter_async_context(Upstream(KINDS[kind][0]))
            living = await stack.enter_async_context(Upstream(KINDS[second][0]))
            llm: Any = node.legion.llm
            inventory = llm._gateway.inventory
            _serve(inventory, f"{kind}-first", kind, dying, _models(kind, "patient", "exact told none"))
            _serve(inventory, f"{kind}-quick", kind, dying, _models(kind, "quick", "exact told none"), QUICK)
            offers = _models(kind, "patient", "exact told") | _models(kind, "quick", "exact told")
            _serve(inventory, f"{kind}-second", second, living, offers)
            desks[kind] = _Desk(kind, dying, living, RawClient("127.0.0.1", port, token))
            stack.callback(desks[kind].client.close)
        yield Grid(node, desks)


def _models(pair: str, pace: str, ways: str) -> dict[str, Continuation]:
    """The models of one pair of instances, and how each can go on."""
    how: dict[str, Continuation] = {"exact": "prefill", "told": "instruct", "none": "none"}
    return {_model_of(pair, f"{way}-{pace}"): how[way] for way in ways.split()}


def _serve(
    inventory: Any,
    name: str,
    kind: str,
    upstream: Upstream,
    models: dict[str, Continuation],
    limits: Limits = PATIENT,
) -> None:
    offers = tuple(
        ModelOffer(id=model, context=32_768, capabilities=ABLE, continuation=continuation)
        for model, continuation in models.items()
    )
    behind = KINDS[kind][1]
    provider = make(
        name,
        kind.partition("-")[0],
        SystemClock(),
        base_url=upstream.base_url if behind is None else upstream.origin + behind,
        api_key="any",
        models=offers,
        limits=limits,
    )
    tier = Tier.CLOUD if name.endswith("second") else Tier.DIRECT
    inventory.put(Instance(provider=provider, tier=tier, offers=offers))
