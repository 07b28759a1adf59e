"""The contents of a Gemini request as messages."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from legion_core.gateway.dialects.anthropic_answer import unwrap_signature
from legion_core.gateway.dialects.documents import PDF, document_from_base64, document_from_url
from legion_core.gateway.dialects.fields import (
    IMAGES_MAX,
    PARTS_MAX,
    FieldFault,
    Name,
    image_from_url,
    require,
)
from legion_core.gateway.dialects.gemini_words import from_base64, standard_base64
from legion_core.gateway.dialects.open_calls import OpenCalls
from legion_core.gateway.dialects.strays import Strays
from legion_core.gateway.types import (
    Block,
    DocumentBlock,
    ImageBlock,
    JsonObject,
    Message,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from legion_core.gateway.unseen import of_result


class _Blob(msgspec.Struct, rename="camel"):
    mime_type: str
    data: str
    display_name: str | None = None


class _File(msgspec.Struct, rename="camel"):
    file_uri: str
    mime_type: str = ""
    display_name: str | None = None


class _FunctionCall(msgspec.Struct):
    name: Name
    id: str | None = None
    args: JsonObject | None = None


class _Shown(msgspec.Struct, rename="camel"):
    inline_data: _Blob | None = None


class _FunctionResponse(msgspec.Struct):
    name: Name
    id: str | None = None
    response: JsonObject | None = None
    parts: Annotated[list[_Shown], Meta(max_length=PARTS_MAX)] | None = None


class Part(msgspec.Struct, rename="camel"):
    """A part says what it is by which of its fields it has."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    inline_data: _Blob | None = None
    file_data: _File | None = None
    function_call: _FunctionCall | None = None
    function_response: _FunctionResponse | None = None
    executable_code: Any = None
    code_execution_result: Any = None


class Content(msgspec.Struct):
    """One turn. A single part may stand without its list."""

    parts: Annotated[list[Part], Meta(max_length=PARTS_MAX)] | Part
    role: Literal["user", "model", "function"] | None = None


Instruction = str | Content
_SHOWN: Final = (ImageBlock, DocumentBlock)


def parts_of(content: Content) -> Sequence[Part]:
    """The parts, however they were given."""
    return (content.parts,) if isinstance(content.parts, Part) else content.parts


def instruction(told: Instruction | None) -> tuple[str, ...]:
    """What rules the conversation."""
    if told is None:
        return ()
    text = told if isinstance(told, str) else "".join(part.text or "" for part in parts_of(told))
    return (text,) if text else ()


def messages_of(contents: Sequence[Content], *, has_unseen_history: bool = False) -> tuple[Message, ...]:
    """The conversation; FieldFault names the part that is wrong. For `has_unseen_history` see `strays`."""
    messages, calls, images, thought = list[Message](), OpenCalls(), 0, ""
    strays = Strays()
    for at, content in enumerate(contents):
        where = f"contents[{at}]"
        strays.pass_by()
        if content.role == "model":
            said, thought = _said(content, f"{where}.parts", calls, thought)
            # Clients keep a streamed turn in the pieces in which it came.
            is_same = bool(messages) and messages[-1].role == "assistant"
            before = messages.pop().content if is_same else ()
            messages.append(Message(role="assistant", content=(*before, *said)))
            continue
        thought = ""
        results, told = _asked(content, f"{where}.parts", calls, strays)
        images += sum(isinstance(block, _SHOWN) for block in told)
        require(
            images <= IMAGES_MAX, where, f"the request holds more than {IMAGES_MAX} pictures and documents."
        )
        if results:
            messages.append(Message(role="tool", content=tuple(results)))
        if told:
            messages.append(Message(role="user", content=tuple(told)))
    strays.check(has_unseen_history=has_unseen_history)
    require(bool(messages), "contents", "there is nothing to answer.")
    return tuple(messages)


def _said(content: Content, where: str, calls: OpenCalls, thought: str) -> tuple[list[Block], str]:
    """A piece of a model's turn, and its thought so far, which is one block once its signature has come.

    Traces of code that one provider ran are dropped.
    """
    blocks = list[Block]()
    for at, part in enumerate(parts_of(content)):
        if part.function_call is not None:
            call = part.function_call
            arguments = msgspec.json.encode(call.args or {}).decode()
            blocks.append(
                ToolUseBlock(id=calls.made(call.id, call.name), name=call.name, arguments=arguments)
            )
        elif part.thought:
            thought += part.text or ""
            # A thought that came from here finds its way back; any other means nothing to anyone here.
            origin, signature = unwrap_signature(from_base64(part.thought_signature or ""))
            if origin:
                blocks.append(ThinkingBlock(text=thought, signature=signature, origin=origin))
                thought = ""
        elif part.text is not None:
            blocks += [TextBlock(text=part.text)] if part.text else []
        elif part.executable_code is None and part.code_execution_result is None:
            raise FieldFault(f"{where}[{at}]", "is no part of a model's turn.")
    return blocks, thought


def _asked(content: Content, where: str, calls: OpenCalls, strays: Strays) -> tuple[list[Block], list[Block]]:
    """Results of calls, and what the user says or shows; pictures inside results are shown behind them."""
    parts = parts_of(content)
    require(bool(parts), where, "is empty.")
    results, said = list[Block](), list[Block]()
    for at, part in enumerate(parts):
        field = f"{where}[{at}]"
        if part.function_response is not None:
            results.append(_result(part.function_response, field, calls, strays))
            for index, shown in enumerate(part.function_response.parts or ()):
                if shown.inline_data is not None:
                    place = f"{field}.functionResponse.parts[{index}].inlineData"
                    said.append(of_result(_inline(shown.inline_data, place)))
        elif part.inline_data is not None:
            said.append(_inline(part.inline_data, f"{field}.inlineData"))
        elif part.file_data is not None:
            file, place = part.file_data, f"{field}.fileData.fileUri"
            if file.mime_type == PDF:
                said.append(document_from_url(file.file_uri, file.display_name or "", place))
            else:
                is_picture = file.mime_type.startswith("image/")
                require(is_picture, f"{field}.fileData", "only pictures and PDFs are taken by address.")
                said.append(image_from_url(file.file_uri, place))
        elif part.text is not None:
            said.append(TextBlock(text=part.text))
        else:
            raise FieldFault(field, "holds neither text nor anything else that a user can say.")
    if any(part.text is not None for part in parts):
        strays.pass_by()
    return results, said


def _result(result: _FunctionResponse, field: str, calls: OpenCalls, strays: Strays) -> ToolResultBlock:
    call_id = calls.answered(result.id, result.name)
    if call_id is None:
        strays.found(
            f"{field}.functionResponse", "no earlier turn of the model made a call that it could answer."
        )
        call_id = result.id or ""
    response = result.response or {}
    told = (
        response.get("output", response.get("result", response.get("error"))) if len(response) == 1 else None
    )
    text = told if isinstance(told, str) else msgspec.json.encode(response).decode()
    return ToolResultBlock(call_id=call_id, text=text, is_error=list(response) == ["error"])


def _inline(blob: _Blob, field: str) -> Block:
    data = standard_base64(blob.data)
    return document_from_base64(blob.mime_type, data, blob.display_name or "", f"{field}.data")
