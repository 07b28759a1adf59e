"""What a model can, asked of the model itself: up to six small requests, and what came of each. Only when a person asks.

No prompt says how to answer, so that an answer in the right form shows what the server does with what was asked of it.
Each request is kept within the budget and stands in the ledger like any other; none of them touches a circuit.
"""

import asyncio
import base64
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec

from legion_core.gateway.abilities import ABILITIES, TRIAL_CLIENT
from legion_core.gateway.answer import Answer
from legion_core.gateway.budget import Budget
from legion_core.gateway.cost import cost_usd
from legion_core.gateway.inventory import Inventory
from legion_core.gateway.ledger import Ledger
from legion_core.gateway.providers.base import Finding
from legion_core.gateway.routing.policy import decide
from legion_core.gateway.routing.reasons import EMBED_ONLY
from legion_core.gateway.routing.table import LaneTable
from legion_core.gateway.types import (
    Attempt,
    Capability,
    DocumentBlock,
    Finished,
    ImageBlock,
    JsonObject,
    Lane,
    Message,
    Params,
    Request,
    TextBlock,
    ToolDefinition,
    Usage,
)
from legion_core.gateway.unanswered import no_candidate
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import (
    BadCredentials,
    LegionError,
    NotFound,
    Refused,
    Unsupported,
)
from legion_core.kernel.ids import Ids

PATIENCE_S: Final = 120.0  # for one answer: a model may have to be loaded first
OUTPUT_TOKENS: Final = 1_024  # enough for one that thinks before everything it says
SHOWN_CHARS: Final = 60
NUMBER: Final = 4_711
_TOOL: Final = ToolDefinition(
    name="note_number",
    description="Notes a number.",
    parameters={
        "type": "object",
        "properties": {"number": {"type": "integer"}},
        "required": ["number"],
    },
)
_SCHEMA: Final[JsonObject] = {
    "type": "object",
    "properties": {
        "colour": {"type": "string", "enum": ["red", "green", "blue"]},
        "letters": {"type": "integer"},
    },
    "required": ["colour", "letters"],
    "additionalProperties": False,
}
# Markup of calls that servers should have read. Source: the chat templates of Qwen, Hermes, Mistral and Llama.
_LEAKED: Final = (
    "<tool_call", "<|tool_call", "[TOOL_CALLS]", "<function=", "<|python_tag|>", '"name": "note_number"',
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Question:
    capability: Capability
    request: Request
    judge: "Callable[[Answer], tuple[bool | None, str]]"


@dataclass(frozen=True, slots=True)
class Trial:
    """Everything it takes to ask; holds nothing of what was asked."""

    clock: Clock
    ids: Ids
    inventory: Inventory
    budget: Budget
    ledger: Ledger
    is_local_only: Callable[[], bool]

    async def ask(self, instance: str, model: str) -> tuple[Finding, ...]:
        """What the model shows of each capability.

        NotFound where the instance offers no such model; what else keeps it from being asked at all (switches, money, a
        wrong key, nobody there) is raised, and never told as a thing it cannot do.
        """
        served = self.inventory.get(instance)
        offer = next((each for each in served.offers if each.id == model), None)
        if offer is None:
            known = ", ".join(each.id for each in served.offers[:8]) or "none"
            raise NotFound(f"{instance} offers no model {model!r}.", hint=f"It offers: {known}.")
        if offer.capabilities == EMBED_ONLY:
            raise Unsupported(f"{model} makes vectors and no answers.", capability="streaming")
        lane = Lane(
            tier=served.tier, instance=instance, kind=served.provider.kind,
            # Nothing is left out for what it is not known to do: that is the question.
            offer=msgspec.structs.replace(offer, capabilities=frozenset(("streaming", *ABILITIES))),
        )  # fmt: skip
        findings, has_answered = list[Finding](), False
        for question in _questions():
            try:
                answer = await self._answer(lane, question.request)
            except Refused as error:
                if isinstance(error, BadCredentials):
                    raise
                # A server that cannot says so, each in its own words; unless it refuses whatever it is asked.
                if not has_answered:
                    await self._answer(lane, _asked("Say hello."))
                    has_answered = True
                is_able, why = False, f"Refused: {error.message}"
            except TimeoutError:
                is_able, why = None, f"There was no whole answer within {PATIENCE_S:.0f} s."
            else:
                has_answered = True
                is_able, why = question.judge(answer)
            findings.append(Finding(capability=question.capability, is_able=is_able, why=why))
        return tuple(findings)

    async def _answer(self, lane: Lane, asked: Request) -> Answer:
        request = msgspec.structs.replace(asked, id=self.ids.new("req"))
        closed = self.inventory.why_closed(lane.instance)
        decision = decide(
            request, LaneTable((lane,), closed={lane.instance: closed} if closed else {}), {},
            now_s=self.clock.monotonic_s(), local_only=self.is_local_only(),
        )  # fmt: skip
        if not decision.candidates:
            raise no_candidate(request, decision.left_out)
        await self.ledger.admit()
        request, _ = await self.budget.reserve(request, decision)
        answer, usage = Answer(request.id), Usage(is_estimated=True)
        at, start_s, outcome, why = self.clock.utc_now(), self.clock.monotonic_s(), "cancelled", ""
        try:
            async with (
                asyncio.timeout(PATIENCE_S),
                self.inventory.get(lane.instance).provider.stream(request, lane.offer.id) as chunks,
            ):
                async for chunk in chunks:
                    if isinstance(chunk, Finished):
                        usage = chunk.usage
                    else:
                        answer.take(chunk)
            outcome = "succeeded"
        except TimeoutError:
            outcome = "timeout"
            raise
        except LegionError as error:
            outcome, why = error.public_code, error.message
            raise
        finally:
            duration_s = self.clock.monotonic_s() - start_s
            attempt = Attempt(
                number=1, tier=lane.tier.word, instance=lane.instance, model=lane.offer.id, outcome=outcome,
                why=why, usage=usage, cost_usd=cost_usd(usage, lane.offer.price, lane.tier), started_at=at,
                duration_s=duration_s,
            )  # fmt: skip
            await self.ledger.settle(request, (attempt,), outcome=outcome, duration_s=duration_s)
        return answer


def _questions() -> tuple[_Question, ...]:
    picture = ImageBlock(media_type="image/png", data=base64.b64encode(_two_colours()).decode())
    document = DocumentBlock(data=base64.b64encode(_one_animal()).decode(), name="animal.pdf")
    return (
        _Question("tools", _asked(f"Note the number {NUMBER}.", tools=(_TOOL,)), _called),
        _Question("structured_output", _asked("Name a colour.", schema=_SCHEMA), _kept_to_schema),
        _Question("vision", _asked("Which two colours does this picture show?", picture), _saw),
        _Question("documents", _asked("Which animal does this document name?", document), _read),
        _Question("thinking", _asked("What is 17 times 23?", thinks=True), _thought),
    )


def _asked(
    text: str,
    shown: ImageBlock | DocumentBlock | None = None,
    *,
    tools: tuple[ToolDefinition, ...] = (),
    schema: JsonObject | None = None,
    thinks: bool = False,
) -> Request:
    content = (TextBlock(text=text),) if shown is None else (shown, TextBlock(text=text))
    return Request(
        id="",
        messages=(Message(role="user", content=content),),
        tools=tools,
        params=Params(
            max_tokens=OUTPUT_TOKENS * (2 if thinks else 1),
            json_schema=schema,
            thinking_budget_tokens=OUTPUT_TOKENS if thinks else None,
        ),
        client=TRIAL_CLIENT,
    )


def _called(answer: Answer) -> tuple[bool | None, str]:
    for call in answer.tool_calls:
        if call.name != _TOOL.name:
            return False, f"It called {call.name!r}, which was not offered."
        told = _json(call.arguments)
        number: object = cast("JsonObject", told).get("number") if isinstance(told, dict) else None
        if number in (NUMBER, str(NUMBER)):
            return True, "It called the tool as it should."
        return False, f"It called the tool, but not with the number it was told: {_shown(call.arguments)}"
    if any(mark in answer.text for mark in _LEAKED):
        return False, (
            "It wrote its call as text, and its server does not read it as one (vLLM needs"
            " --enable-auto-tool-choice and --tool-call-parser)."
        )
    return _nothing(answer) or (False, f"It answered in words and called nothing: {_shown(answer.text)}")


def _kept_to_schema(answer: Answer) -> tuple[bool | None, str]:
    told = _json(answer.text)
    if isinstance(told, dict):
        found = cast("JsonObject", told)
        properties: Any = _SCHEMA["properties"]
        if (
            found.keys() == properties.keys()
            and found["colour"] in properties["colour"]["enum"]
            and isinstance(found["letters"], int)
        ):
            return True, "Its answer kept to the schema."
    return _nothing(answer) or (False, f"Its answer did not keep to the schema: {_shown(answer.text)}")


def _saw(answer: Answer) -> tuple[bool | None, str]:
    said = answer.text.lower()
    if "green" in said and "yellow" in said:
        return True, "It named the two colours of the picture."
    return _nothing(answer) or (False, f"It did not name the colours of the picture: {_shown(answer.text)}")


def _read(answer: Answer) -> tuple[bool | None, str]:
    if "walrus" in answer.text.lower():
        return True, "It named the animal of the document."
    return _nothing(answer) or (False, f"It did not name the animal of the document: {_shown(answer.text)}")


def _thought(answer: Answer) -> tuple[bool | None, str]:
    if answer.thinking:
        return True, "It thought first, and its thoughts came apart from its answer."
    return _nothing(answer) or (False, "It answered without thoughts of its own kind.")


def _nothing(answer: Answer) -> tuple[None, str] | None:
    """What to say of an answer that says nothing; None if it says something."""
    if answer.text.strip() or answer.tool_calls:
        return None
    thought = "It was still thinking when" if answer.thinking else "It said nothing before"
    return None, f"{thought} its answer ended: that shows nothing."


def _json(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return f"“{line}”" if len(line) <= SHOWN_CHARS else f"“{line[:SHOWN_CHARS]}…”"


def _two_colours(side: int = 64) -> bytes:
    """A PNG whose left half is green and whose right half is yellow: two that nobody guesses first. Source: RFC 2083."""
    row = b"\0" + b"\x00\xa0\x20" * (side // 2) + b"\xff\xe0\x00" * (side // 2)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = zlib.compress(row * side, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def _one_animal() -> bytes:
    """A PDF of one page that names a walrus. Source: ISO 32000-1, annex H."""
    drawn = b"BT /F1 24 Tf 72 720 Td (The animal is a walrus.) Tj ET"
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%b\nendstream" % (len(drawn), drawn),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )
    made, places = b"%PDF-1.4\n", list[int]()
    for number, each in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%b\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer\n<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(made)
    return made + b"xref\n0 6\n0000000000 65535 f \n" + table + end
