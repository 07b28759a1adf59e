"""Answers in the OpenAI Responses dialect: whole, streamed, and failed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from legion_core.gateway.dialects.anthropic_answer import wrap_signature
from legion_core.gateway.dialects.base import WholeAnswer
from legion_core.gateway.dialects.openai_responses_tools import custom_input
from legion_core.gateway.dialects.status import ClosedInError, code_of, public_sentence, shape_of
from legion_core.gateway.types import (
    Block,
    Closed,
    Joined,
    JsonObject,
    Opened,
    Request,
    StopReason,
    StreamEvent,
    TextBlock,
    TextDelta,
    ThinkingBlock,
    ThinkingDelta,
    ToolCallDelta,
    ToolUseBlock,
    Usage,
)
from legion_core.kernel.errors import LegionError

KEEP_ALIVE: Final = b": keep-alive\n\n"
# Why an answer is not whole; the others are. `error` is no answer at all.
INCOMPLETE: Final[dict[StopReason, str]] = {
    "max_tokens": "max_output_tokens",
    "content_filter": "content_filter",
}
_UNREPEATED: Final = '"metadata":{},"parallel_tool_calls":true,"tool_choice":"auto","tools":[]'
_REDACTED: Final = "redacted:"

_encode = msgspec.json.Encoder().encode
Keep = Callable[[tuple[Block, ...], bytes], None]


class ResponsesRequest(Request, frozen=True, kw_only=True):
    """A request that came in this dialect, and what its answer needs to know of it.

    `echo`: members of the response that repeat the request, as JSON. `ruled`: what the items said as system or
    developer, which a continued response keeps, unlike `instructions`. `custom` and `namespaces`: see `Offered`.
    """

    echo: str = _UNREPEATED
    ruled: tuple[str, ...] = ()
    custom: frozenset[str] = frozenset()
    namespaces: dict[str, tuple[str, str]] = msgspec.field(default_factory=dict[str, tuple[str, str]])
    shows_signatures: bool = False
    is_kept: bool = False

    @property
    def response_id(self) -> str:
        """The response's id."""
        return f"resp_{self.id}"


@dataclass(slots=True)
class _Call:
    """A call being written; a custom tool's is written when it is whole, for its input is inside its arguments."""

    output_index: int
    item_id: str
    call_id: str
    name: str
    is_custom: bool
    arguments: list[str] = field(default_factory=list[str])

    @property
    def block(self) -> ToolUseBlock:
        """The call as it stands."""
        return ToolUseBlock(id=self.call_id, name=self.name, arguments="".join(self.arguments) or "{}")


def whole_response(answer: WholeAnswer, asked: ResponsesRequest | None, *, created_s: int) -> bytes:
    """A `response` object; raises ClosedInError if the answer failed."""
    closed = answer.closed
    if closed.stop_reason == "error":
        raise ClosedInError(closed.error or "The answer could not be finished.", closed.error_code)
    asked = asked or ResponsesRequest(id=answer.request_id, messages=())
    output = list[JsonObject]()
    if answer.thinking:
        output.append(_reasoning(f"rs_{asked.id}", answer.thinking))
    if answer.text or not answer.tool_calls:
        output.append(_message(f"msg_{asked.id}", answer.text))
    for at, call in enumerate(answer.tool_calls):
        output.append(_call(asked, f"fc_{asked.id}_{at}", call, call.arguments or "{}"))
    return _response(asked, answer.model, created_s, output, closed=closed)


def said_blocks(answer: WholeAnswer) -> tuple[Block, ...]:
    """A whole answer as blocks of a conversation."""
    text = (TextBlock(text=answer.text),) if answer.text else ()
    return (*text, *answer.tool_calls)


def _response(
    asked: ResponsesRequest,
    model: str,
    created_s: int,
    output: list[JsonObject],
    *,
    closed: Closed | None = None,
    error: LegionError | None = None,
) -> bytes:
    """In progress without `closed` and `error`."""
    reason = INCOMPLETE.get(closed.stop_reason) if closed else None
    status = "incomplete" if reason else "completed" if closed else "failed" if error else "in_progress"
    failure = {"code": _code(error), "message": public_sentence(error)} if error else None
    head = _encode(
        {
            "id": asked.response_id,
            "object": "response",
            "created_at": created_s,
            "status": status,
            "background": False,
            "error": failure,
            "incomplete_details": {"reason": reason} if reason else None,
            "model": model,
            "output": output,
            "usage": _usage(closed.usage) if closed else None,
        }
    )
    return b"%s,%s}" % (head[:-1], asked.echo.encode())


def _code(error: LegionError) -> str:
    code = code_of(error, shape_of(error))
    # The words that this dialect's clients know and act upon.
    return {"rate_limited": "rate_limit_exceeded", "overloaded": "server_is_overloaded"}.get(code, code)


def _usage(usage: Usage) -> JsonObject:
    # This dialect counts cached tokens as part of the input; the canonical usage counts them apart.
    told = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    return {
        "input_tokens": told,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.thinking_tokens},
        "total_tokens": told + usage.output_tokens,
    }


def _text_part(text: str) -> JsonObject:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _message(item_id: str, text: str | None, status: str = "completed") -> JsonObject:
    content = [] if text is None else [_text_part(text)]
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}


def _reasoning(item_id: str, text: str, encrypted: str = "") -> JsonObject:
    summary = [{"type": "summary_text", "text": text}] if text else []
    item: JsonObject = {"id": item_id, "type": "reasoning", "summary": summary}
    return {**item, "encrypted_content": encrypted} if encrypted else item


def _call(
    asked: ResponsesRequest, item_id: str, call: ToolUseBlock, arguments: str, status: str = "completed"
) -> JsonObject:
    space, name = asked.namespaces.get(call.name, ("", call.name))
    item: JsonObject = {
        "id": item_id,
        "type": "function_call",
        "status": status,
        "call_id": call.id,
        "name": name,
    }
    if space:
        item["namespace"] = space
    if call.name in asked.custom:
        return {**item, "type": "custom_tool_call", "input": custom_input(arguments)}
    return {**item, "arguments": arguments}


class ResponsesWriter:
    """Server-sent Responses events, numbered; ends with `response.completed`, or with `response.failed`.

    One item of words or reasoning is open at a time, ended by the next item; calls are ended with the answer, since
    their pieces may be interleaved. An item that was cut off is never done.
    """

    def __init__(self, request: Request, *, created_s: int, keep: Keep | None = None) -> None:
        """`keep` is given what was said and the response, once it is complete."""
        self._asked = (
            request if isinstance(request, ResponsesRequest) else ResponsesRequest(id=request.id, messages=())
        )
        self._created_s = created_s
        self._keep = keep
        self._model = ""
        self._origin = ""
        self._number = 0
        self._next_index = 0
        self._output = dict[int, JsonObject]()
        self._said = list[Block]()
        self._kind = ""  # of the open item: text, thinking, or none
        self._item_id = ""
        self._index = 0  # of the open item
        self._place = b""  # of the open item's part, in each of its events
        self._pieces = list[str]()
        self._calls = dict[int, _Call]()

    def write(self, event: StreamEvent) -> bytes:
        """See `StreamWriter`."""
        match event:
            case TextDelta():
                return self._text(event.text) if event.text else b""
            case ThinkingDelta():
                return self._thinking(event)
            case ToolCallDelta():
                return self._tool_call(event)
            case Opened():
                self._model, self._origin = event.lane.offer.id, event.lane.instance
                return self._lifecycle(b"response.created") + self._lifecycle(b"response.in_progress")
            case Joined():
                self._origin = event.seam.to_lane.partition("/")[0]
                # No event of this dialect can say it; a comment is seen by whoever reads the raw stream.
                lane = event.seam.to_lane.replace("\r", " ").replace("\n", " ")
                end = self._leave() if event.seam.thinks_anew else b""
                return b"%s: continued by %s at character %d\n\n" % (end, lane.encode(), event.seam.at_char)
            case Closed():
                return self._closed(event)

    def error(self, error: LegionError) -> bytes:
        """See `StreamWriter`."""
        response = _response(self._asked, self._model, self._created_s, self._done, error=error)
        return self._event(b"response.failed", b',"response":%s' % response)

    def keep_alive(self) -> bytes:
        """See `StreamWriter`."""
        return KEEP_ALIVE

    @property
    def _done(self) -> list[JsonObject]:
        return [self._output[index] for index in sorted(self._output)]

    def _event(self, name: bytes, fields: bytes) -> bytes:
        number, self._number = self._number, self._number + 1
        return b'event: %s\ndata: {"type":"%s","sequence_number":%d%s}\n\n' % (name, name, number, fields)

    def _lifecycle(self, name: bytes) -> bytes:
        return self._event(name, b',"response":%s' % _response(self._asked, self._model, self._created_s, []))

    def _item(self, name: bytes, index: int, item: JsonObject) -> bytes:
        return self._event(name, b',"output_index":%d,"item":%s' % (index, _encode(item)))

    def _finished(self, index: int, item: JsonObject, said: Block) -> bytes:
        self._output[index] = item
        self._said.append(said)
        return self._item(b"response.output_item.done", index, item)

    def _claim(self, prefix: str) -> tuple[int, str]:
        index, self._next_index = self._next_index, self._next_index + 1
        return index, f"{prefix}_{self._asked.id}_{index}"

    def _text(self, text: str) -> bytes:
        out = b""
        if self._kind != "text":
            out = self._leave()
            self._enter("text", "msg", b"content_index")
            out += self._item(
                b"response.output_item.added", self._index, _message(self._item_id, None, "in_progress")
            )
            out += self._event(
                b"response.content_part.added", b'%s,"part":%s' % (self._place, _encode(_text_part("")))
            )
        self._pieces.append(text)
        return out + self._event(
            b"response.output_text.delta", b'%s,"delta":%s,"logprobs":[]' % (self._place, _encode(text))
        )

    def _thinking(self, event: ThinkingDelta) -> bytes:
        out = b""
        if event.text:
            if self._kind != "thinking":
                out = self._leave()
                self._enter("thinking", "rs", b"summary_index")
                out += self._item(b"response.output_item.added", self._index, _reasoning(self._item_id, ""))
                part = _encode({"type": "summary_text", "text": ""})
                out += self._event(
                    b"response.reasoning_summary_part.added", b'%s,"part":%s' % (self._place, part)
                )
            self._pieces.append(event.text)
            out += self._event(
                b"response.reasoning_summary_text.delta",
                b'%s,"delta":%s' % (self._place, _encode(event.text)),
            )
        if event.signature.startswith(_REDACTED) or (event.signature and self._kind != "thinking"):
            out += self._leave() + self._hidden(event.signature)
        elif event.signature:
            out += self._leave(event.signature)
        return out

    def _hidden(self, signature: str) -> bytes:
        """Reasoning of which nothing can be read: an item only for those who will give it back."""
        block = ThinkingBlock(text="", signature=signature, origin=self._origin)
        if not self._asked.shows_signatures:
            self._said.append(block)
            return b""
        index, item_id = self._claim("rs")
        item = _reasoning(item_id, "", wrap_signature(self._origin, signature))
        return self._item(b"response.output_item.added", index, item) + self._finished(index, item, block)

    def _enter(self, kind: str, prefix: str, part: bytes) -> None:
        self._kind = kind
        self._index, self._item_id = self._claim(prefix)
        self._place = b',"item_id":%s,"output_index":%d,"%s":0' % (_encode(self._item_id), self._index, part)
        self._pieces = []

    def _leave(self, signature: str = "") -> bytes:
        """End the open item of words or reasoning."""
        kind, self._kind = self._kind, ""
        text = "".join(self._pieces)
        if kind == "text":
            part = _encode(_text_part(text))
            return (
                self._event(
                    b"response.output_text.done", b'%s,"text":%s,"logprobs":[]' % (self._place, _encode(text))
                )
                + self._event(b"response.content_part.done", b'%s,"part":%s' % (self._place, part))
                + self._finished(self._index, _message(self._item_id, text), TextBlock(text=text))
            )
        if kind == "thinking":
            part = _encode({"type": "summary_text", "text": text})
            shown = (
                wrap_signature(self._origin, signature) if signature and self._asked.shows_signatures else ""
            )
            block = ThinkingBlock(text=text, signature=signature, origin=self._origin)
            return (
                self._event(
                    b"response.reasoning_summary_text.done", b'%s,"text":%s' % (self._place, _encode(text))
                )
                + self._event(b"response.reasoning_summary_part.done", b'%s,"part":%s' % (self._place, part))
                + self._finished(self._index, _reasoning(self._item_id, text, shown), block)
            )
        return b""

    def _tool_call(self, event: ToolCallDelta) -> bytes:
        out = b""
        call = self._calls.get(event.index)
        if call is None:
            out = self._leave()
            is_custom = event.name in self._asked.custom
            index, item_id = self._claim("ctc" if is_custom else "fc")
            call = self._calls[event.index] = _Call(index, item_id, event.id, event.name, is_custom)
            if not is_custom:
                item = _call(self._asked, item_id, call.block, "", "in_progress")
                out += self._item(b"response.output_item.added", index, item)
        if event.arguments:
            call.arguments.append(event.arguments)
            if not call.is_custom:
                out += self._call_event(
                    b"response.function_call_arguments.delta", call, b"delta", event.arguments
                )
        return out

    def _call_event(self, name: bytes, call: _Call, member: bytes, text: str) -> bytes:
        place = b',"item_id":%s,"output_index":%d' % (_encode(call.item_id), call.output_index)
        return self._event(name, b'%s,"%s":%s' % (place, member, _encode(text)))

    def _end_call(self, call: _Call) -> bytes:
        block = call.block
        item = _call(self._asked, call.item_id, block, block.arguments)
        if not call.is_custom:
            done = b"response.function_call_arguments.done"
            named = b'arguments":%s,"name' % _encode(block.arguments)
            return self._call_event(done, call, named, item["name"]) + self._finished(
                call.output_index, item, block
            )
        begun = {**item, "input": "", "status": "in_progress"}
        return (
            self._item(b"response.output_item.added", call.output_index, begun)
            + self._call_event(b"response.custom_tool_call_input.delta", call, b"delta", item["input"])
            + self._call_event(b"response.custom_tool_call_input.done", call, b"input", item["input"])
            + self._finished(call.output_index, item, block)
        )

    def _closed(self, event: Closed) -> bytes:
        if event.stop_reason == "error":
            return self.error(ClosedInError(event.error or "The answer broke off.", event.error_code))
        out = self._leave()
        for call in self._calls.values():
            out += self._end_call(call)
        response = _response(self._asked, self._model, self._created_s, self._done, closed=event)
        if self._keep is not None:
            self._keep(tuple(self._said), response)
        return out + self._event(b"response.completed", b',"response":%s' % response)
