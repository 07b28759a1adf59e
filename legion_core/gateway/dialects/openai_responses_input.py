"""The items of a Responses request as messages.

Items are smaller than messages: an assistant's turn is its reasoning, its words and its calls, one item each, and each
result of a call is an item of its own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from legion_core.gateway.dialects.anthropic_answer import unwrap_signature
from legion_core.gateway.dialects.documents import document_from_data, document_from_url
from legion_core.gateway.dialects.fields import (
    IMAGES_MAX,
    PARTS_MAX,
    FieldFault,
    Name,
    decode_item,
    image_from_url,
    require,
)
from legion_core.gateway.dialects.openai_responses_tools import custom_arguments, joined_name
from legion_core.gateway.dialects.strays import Strays
from legion_core.gateway.types import (
    Block,
    DocumentBlock,
    ImageBlock,
    Message,
    Role,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from legion_core.gateway.unseen import of_result, unseen_file


class _InputText(msgspec.Struct, tag_field="type", tag="input_text"):
    text: str


class _OutputText(msgspec.Struct, tag_field="type", tag="output_text"):
    text: str


class _Text(msgspec.Struct, tag_field="type", tag="text"):
    text: str


class _Refusal(msgspec.Struct, tag_field="type", tag="refusal"):
    refusal: str


class _Image(msgspec.Struct, tag_field="type", tag="input_image"):
    image_url: str | None = None


class _File(msgspec.Struct, tag_field="type", tag="input_file"):
    filename: str | None = None
    file_data: str | None = None
    file_url: str | None = None


Parts = Annotated[
    list[_InputText | _OutputText | _Text | _Refusal | _Image | _File], Meta(max_length=PARTS_MAX)
]
_SHOWN: Final = (ImageBlock, DocumentBlock)


class _Kind(msgspec.Struct):
    type: str | None = None


class _User(msgspec.Struct, tag_field="role", tag="user"):
    content: str | Parts


class _Assistant(msgspec.Struct, tag_field="role", tag="assistant"):
    content: str | Parts


class _System(msgspec.Struct, tag_field="role", tag="system"):
    content: str | Parts


class _Developer(msgspec.Struct, tag_field="role", tag="developer"):
    content: str | Parts


class _FunctionCall(msgspec.Struct):
    type: Literal["function_call"]
    call_id: Name
    name: Name
    arguments: str = ""
    namespace: str | None = None


class _CustomCall(msgspec.Struct):
    type: Literal["custom_tool_call"]
    call_id: Name
    name: Name
    input: str = ""
    namespace: str | None = None


class _Output(msgspec.Struct):
    type: Literal["function_call_output", "custom_tool_call_output"]
    call_id: Name
    output: str | Parts


class _Summary(msgspec.Struct):
    text: str = ""


class _Reasoning(msgspec.Struct):
    type: Literal["reasoning"]
    summary: Annotated[list[_Summary], Meta(max_length=PARTS_MAX)] | None = None
    encrypted_content: str | None = None


_message: Final = msgspec.json.Decoder(_User | _Assistant | _System | _Developer)
_kind: Final = msgspec.json.Decoder(_Kind)
_items: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    "function_call": msgspec.json.Decoder(_FunctionCall),
    "custom_tool_call": msgspec.json.Decoder(_CustomCall),
    "function_call_output": msgspec.json.Decoder(_Output),
    "custom_tool_call_output": msgspec.json.Decoder(_Output),
    "reasoning": msgspec.json.Decoder(_Reasoning),
}


@dataclass(slots=True)
class Told:
    """What the items came to so far: what rules the conversation, its messages, and the calls made in it."""

    system: list[str] = field(default_factory=list[str])
    messages: list[tuple[Role, list[Block]]] = field(default_factory=list[tuple[Role, list[Block]]])
    calls: set[str] = field(default_factory=set[str])
    strays: Strays = field(default_factory=Strays)
    images: int = 0

    def add(self, role: Role, blocks: Iterable[Block]) -> None:
        """Say something more; what one side says in a row is one message, but for the user's."""
        said = list(blocks)
        if not said:
            return
        if role != "user" and self.messages and self.messages[-1][0] == role:
            self.messages[-1][1].extend(said)
        else:
            self.messages.append((role, said))


def read_items(
    items: str | Sequence[msgspec.Raw], history: Sequence[Message], *, has_unseen_history: bool
) -> tuple[tuple[str, ...], tuple[Message, ...]]:
    """What rules the conversation, and its messages behind `history`; FieldFault names the item that is wrong.

    `has_unseen_history`: results may answer calls that only the kept conversation knows.
    """
    told = Told()
    for message in history:
        told.calls.update(block.id for block in message.content if isinstance(block, ToolUseBlock))
    if isinstance(items, str):
        told.add("user", (TextBlock(text=items),))
    else:
        for at, item in enumerate(items):
            _take(item, f"input[{at}]", told)
        told.strays.check(has_unseen_history=has_unseen_history)
    new = tuple(Message(role=role, content=tuple(blocks)) for role, blocks in told.messages)
    require(bool(new), "input", "there is nothing to answer.")
    return tuple(told.system), (*history, *new)


def _take(raw: msgspec.Raw, at: str, told: Told) -> None:
    kind = decode_item(raw, _kind, at).type or "message"
    if kind == "message":
        _take_message(decode_item(raw, _message, at), at, told)
        told.strays.pass_by()
        return
    if kind == "item_reference":
        raise FieldFault(f"{at}.type", "items are not kept under their ids.", hint="Send the item itself.")
    decoder = _items.get(kind)
    if decoder is None:
        return  # the traces of tools that run at one provider only
    match decode_item(raw, decoder, at):
        case _FunctionCall() as call:
            told.calls.add(call.call_id)
            name = joined_name(call.namespace, call.name)
            told.add(
                "assistant", (ToolUseBlock(id=call.call_id, name=name, arguments=call.arguments or "{}"),)
            )
        case _CustomCall() as call:
            told.calls.add(call.call_id)
            name, arguments = joined_name(call.namespace, call.name), custom_arguments(call.input)
            told.add("assistant", (ToolUseBlock(id=call.call_id, name=name, arguments=arguments),))
        case _Output() as result:
            if result.call_id not in told.calls:
                told.strays.found(
                    f"{at}.call_id", f"no earlier item is a call with the id {result.call_id!r}."
                )
            _take_result(result, at, told)
            return
        case _Reasoning() as reasoning:
            told.add("assistant", _reasoning(reasoning))
        case _:
            raise AssertionError(kind)
    told.strays.pass_by()


def _take_message(message: _User | _Assistant | _System | _Developer, at: str, told: Told) -> None:
    blocks = _blocks(message.content, f"{at}.content")
    images = sum(isinstance(block, _SHOWN) for block in blocks)
    match message:
        case _User():
            told.images += images
            _require_few(told, at)
            require(bool(blocks), f"{at}.content", "is empty.")
            told.add("user", blocks)
        case _Assistant():
            require(not images, f"{at}.content", "a picture or a file is no part of an assistant's message.")
            told.add("assistant", (block for block in blocks if isinstance(block, TextBlock) and block.text))
        case _System() | _Developer():
            require(not images, f"{at}.content", "a picture or a file is no instruction.")
            told.system.append("".join(block.text for block in blocks if isinstance(block, TextBlock)))


def _require_few(told: Told, at: str) -> None:
    what = f"the request holds more than {IMAGES_MAX} pictures and documents."
    require(told.images <= IMAGES_MAX, at, what)


def _blocks(content: str | Parts, at: str, *, is_result: bool = False) -> list[Block]:
    if isinstance(content, str):
        return [TextBlock(text=content)]
    blocks = list[Block]()
    for index, part in enumerate(content):
        match part:
            case _InputText() | _OutputText() | _Text():
                blocks.append(TextBlock(text=part.text))
            case _Refusal():
                blocks.append(TextBlock(text=part.refusal))
            case _File():
                blocks.append(_file(part, f"{at}[{index}]", is_result=is_result))
            case _Image():
                where = f"{at}[{index}].image_url"
                require(
                    bool(part.image_url), where, "is required: files of one provider are not seen by others."
                )
                blocks.append(image_from_url(part.image_url or "", where))
    return blocks


def _file(part: _File, at: str, *, is_result: bool) -> Block:
    """A result that is refused would end the conversation it is in: a file that cannot be shown is told of there."""
    name, data = part.filename or "", part.file_data or ""
    try:
        if data:
            return document_from_data(data, name, f"{at}.file_data")
        what = "is required: files of one provider are not seen by others."
        require(bool(part.file_url), f"{at}.file_data", what)
        return document_from_url(part.file_url or "", name, f"{at}.file_url")
    except FieldFault:
        if not is_result:
            raise
        kind = data.removeprefix("data:").partition(";")[0]
        return TextBlock(text=unseen_file(name, kind if "/" in kind[:80] else ""))


def _take_result(result: _Output, at: str, told: Told) -> None:
    """The words are the result; its pictures and documents are shown by the user, behind it."""
    blocks = _blocks(result.output, f"{at}.output", is_result=True)
    text = "\n".join(block.text for block in blocks if isinstance(block, TextBlock))
    told.add("tool", (ToolResultBlock(call_id=result.call_id, text=text),))
    shown = [of_result(block) for block in blocks if isinstance(block, _SHOWN)]
    told.images += len(shown)
    _require_few(told, at)
    told.add("user", shown)


def _reasoning(item: _Reasoning) -> tuple[ThinkingBlock, ...]:
    """Reasoning that came from here finds its way back; any other means nothing to anyone here."""
    origin, signature = unwrap_signature(item.encrypted_content or "")
    if not origin:
        return ()
    text = "\n\n".join(part.text for part in item.summary or ())
    return (ThinkingBlock(text=text, signature=signature, origin=origin),)
