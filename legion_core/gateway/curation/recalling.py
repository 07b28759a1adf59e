"""The model asks for what was moved: its calls of `recall` are answered here, and the client sees one answer.

The tool is offered where something was moved. A definition that enters breaks the provider's cache, for definitions come first;
so a client whose own are a hundred times as long is offered it from the first request on. An answer that calls it is not over: what was asked for is put
behind it and the model goes on, at most `ROUNDS_MAX` times. Calls of the client's own tools that came in the same
answer were not given out, so nothing ran; the model makes them again when it knows more.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, cast

import msgspec

from legion_core.gateway.answer import Answer
from legion_core.gateway.asking import Asking
from legion_core.gateway.curation.types import Recalled
from legion_core.gateway.types import (
    Attempt,
    Closed,
    Message,
    Opened,
    Request,
    StreamEvent,
    ToolCallDelta,
    ToolDefinition,
    ToolResultBlock,
    ToolUseBlock,
    Usage,
)

NAME = "recall"
OTHER_NAME = "legion_recall"  # where the client has a tool of the first name
ROUNDS_MAX = 4
ANSWER_CHARS_MAX = 24_000
_PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "query": {
            "type": "string",
            "description": "A key such as #12, a path, a quote or words of what is wanted.",
        }
    },
    "required": ["query"],
    "additionalProperties": False,
}
_DESCRIPTION = (
    "Gives back, word for word, what was moved out of this conversation to keep it short. "
    "For when a note says that something was moved."
)

CHARS_PER_TOKEN = 4
DEFINITION_CHARS = 360  # of name, description and schema as JSON
EARLY_CHARS = 100 * DEFINITION_CHARS


def with_recall(request: Request) -> tuple[Request, str]:
    """The request with the tool offered, and its name there. A client that forbids tools is not offered one."""
    if request.tool_choice not in ("auto", "any") or request.params.json_schema is not None:
        return request, ""
    names = {tool.name for tool in request.tools}
    name = NAME if NAME not in names else OTHER_NAME
    tool = ToolDefinition(name=name, description=_DESCRIPTION, parameters=_PARAMETERS)
    return msgspec.structs.replace(request, tools=(*request.tools, tool)), name


def is_offered_early(request: Request) -> bool:
    """Whether what the client sends before its messages is so long that the definition is less than a hundredth of it."""
    return bool(request.tools) and _prefix_chars(request) >= EARLY_CHARS


def entering_tokens(request: Request) -> int:
    """What would be written anew if the definition came in now, itself too; 0 where it is there already."""
    return 0 if is_offered_early(request) else (_prefix_chars(request) + DEFINITION_CHARS) // CHARS_PER_TOKEN


def _prefix_chars(request: Request) -> int:
    """Without the schemas, which are not worth writing out to count them."""
    return sum(map(len, request.system)) + sum(
        len(tool.name) + len(tool.description) for tool in request.tools
    )


class Recalling:
    """Asks until the model recalls nothing more; `attempts` are those of all askings, numbered through."""

    def __init__(
        self,
        request: Request,
        name: str,
        ask: Callable[[Request], Asking],
        recall: Callable[[str], Awaitable[Sequence[Recalled]]],
    ) -> None:
        self._request = request
        self._name = name
        self._ask = ask
        self._recall = recall
        self._asking: Asking | None = None
        self._attempts: list[Attempt] = []

    @property
    def attempts(self) -> list[Attempt]:
        """Every attempt so far."""
        return self._with(() if self._asking is None else self._asking.attempts)

    @property
    def so_far(self) -> list[Attempt]:
        """See `Asking`."""
        return self._with(() if self._asking is None else self._asking.so_far)

    def _with(self, current: Sequence[Attempt]) -> list[Attempt]:
        before = len(self._attempts)
        return [
            *self._attempts,
            *(msgspec.structs.replace(attempt, number=before + at) for at, attempt in enumerate(current, 1)),
        ]

    async def stream(self) -> AsyncGenerator[StreamEvent]:
        """One Opened, deltas, the calls that are the client's, one Closed."""
        request, first = self._request, None
        closes = list[Closed]()
        for rounds in range(ROUNDS_MAX + 1):
            answer, held = Answer(request.id), list[ToolCallDelta]()
            self._asking = asking = self._ask(request)
            async with aclosing(asking.stream()) as events:
                async for event in events:
                    answer.take(event)
                    if isinstance(event, ToolCallDelta):
                        held.append(event)
                    elif isinstance(event, Closed):
                        closes.append(event)
                    elif not isinstance(event, Opened) or first is None:
                        first = first or event
                        yield event
            self._attempts, self._asking = self.attempts, None
            asked = [call for call in answer.tool_calls if call.name == self._name]
            is_over = not asked or rounds == ROUNDS_MAX or closes[-1].stop_reason in ("error", "cancelled")
            if is_over:
                for delta in _without(held, answer, {call.id for call in asked}):
                    yield delta
                yield self._closed(closes, has_calls=len(asked) < len(answer.tool_calls))
                return
            request = await self._told(request, answer, asked)

    async def _told(self, request: Request, answer: Answer, asked: Sequence[ToolUseBlock]) -> Request:
        # Ids of our own: some providers count calls anew in each answer, and an id may not come twice.
        place = len(request.messages)
        named = {call.id: f"{call.id}_recall_{place}" for call in asked}
        content = tuple(
            msgspec.structs.replace(block, id=named[block.id]) if isinstance(block, ToolUseBlock) else block
            for block in answer.content
            if not isinstance(block, ToolUseBlock) or block in asked
        )
        results = tuple(
            [ToolResultBlock(call_id=named[call.id], text=await self._find(call)) for call in asked]
        )
        said = (Message(role="assistant", content=content), Message(role="tool", content=results))
        choice = "auto" if request.tool_choice == "any" else request.tool_choice
        return msgspec.structs.replace(request, messages=(*request.messages, *said), tool_choice=choice)

    async def _find(self, call: ToolUseBlock) -> str:
        found = await self._recall(_query(call.arguments))
        if not found:
            return "Nothing that was moved holds these words. Try fewer or other words, or a path."
        told, left = list[str](), ANSWER_CHARS_MAX
        for piece in found:
            text = piece.text if len(piece.text) <= left else piece.text[:left] + "\n[cut here]"
            told.append(f"[{piece.key}]\n{text}")
            left -= len(text)
            if left <= 0:
                break
        return "\n\n".join(told)

    def _closed(self, closes: Sequence[Closed], *, has_calls: bool) -> Closed:
        last = closes[-1]
        costs = [closed.cost_usd for closed in closes]
        known = [cost for cost in costs if cost is not None]
        stop_reason = last.stop_reason
        if stop_reason == "tool_use" and not has_calls:
            stop_reason = "end_turn"
        return msgspec.structs.replace(
            last,
            stop_reason=stop_reason,
            usage=_sum([closed.usage for closed in closes]),
            cost_usd=sum(known) if len(known) == len(costs) else None,
            attempts=tuple(self._attempts),
            duration_s=sum(closed.duration_s for closed in closes),
            first_token_s=closes[0].first_token_s,
        )


def _without(held: Sequence[ToolCallDelta], answer: Answer, dropped: set[str]) -> list[ToolCallDelta]:
    """The deltas of the calls that are not ours, counted from 0 again."""
    order = list(dict.fromkeys(delta.index for delta in held))
    kept = [
        index for index, call in zip(sorted(order), answer.tool_calls, strict=True) if call.id not in dropped
    ]
    places = {index: place for place, index in enumerate(kept)}
    return [
        msgspec.structs.replace(delta, index=places[delta.index]) for delta in held if delta.index in places
    ]


def _query(arguments: str) -> str:
    try:
        told: object = msgspec.json.decode(arguments)
    except (msgspec.MsgspecError, UnicodeError):
        return arguments
    query = cast("dict[str, object]", told).get("query") if isinstance(told, dict) else None
    return query if isinstance(query, str) else arguments


def _sum(usages: Sequence[Usage]) -> Usage:
    return Usage(
        input_tokens=sum(usage.input_tokens for usage in usages),
        output_tokens=sum(usage.output_tokens for usage in usages),
        cache_read_tokens=sum(usage.cache_read_tokens for usage in usages),
        cache_write_tokens=sum(usage.cache_write_tokens for usage in usages),
        thinking_tokens=sum(usage.thinking_tokens for usage in usages),
        is_estimated=any(usage.is_estimated for usage in usages),
    )
