"""One recorded line as a message, for each of the shapes that recorders write."""

import json
from typing import Any, cast

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


class Wrong(Exception):
    """The line is no message; says why."""


def openai_line(value: JsonObject) -> Message:
    """A message of the chat completions API; `reasoning_content` is thinking."""
    role = value.get("role")
    content = value.get("content")
    if role in {"tool", "function"}:
        several = value.get("tool_call_ids")  # as SWE-agent writes it
        first = cast("list[object]", several)[0] if isinstance(several, list) and several else None
        call_id = str(value.get("tool_call_id") or first or value.get("name") or "")
        return Message(role="tool", content=(ToolResultBlock(call_id=call_id, text=_text(content)),))
    if role == "user":
        return Message(role="user", content=tuple(_parts(content)))
    if role != "assistant":
        raise Wrong(f"its role is {role!r}, not user, assistant, tool or system.")
    blocks: list[Block] = []
    if isinstance(thought := value.get("reasoning_content") or value.get("reasoning"), str) and thought:
        blocks.append(ThinkingBlock(text=thought))
    blocks += _parts(content)
    for call in _objects(value.get("tool_calls")):
        function = cast("JsonObject", call["function"]) if isinstance(call.get("function"), dict) else call
        blocks.append(_call(call.get("id"), function.get("name"), function.get("arguments")))
    if isinstance(old := value.get("function_call"), dict):
        function = cast("JsonObject", old)
        blocks.append(_call(function.get("name"), function.get("name"), function.get("arguments")))
    return Message(role="assistant", content=tuple(blocks))


def anthropic_line(value: JsonObject) -> Message:
    """A message of the Messages API. Tool results come in a user's message; alone there, they make a tool's."""
    role = value.get("role")
    if role not in {"user", "assistant"}:
        raise Wrong(f"its role is {role!r}, not user, assistant or system.")
    blocks = _parts(value.get("content"))
    if role == "assistant":
        return Message(role="assistant", content=tuple(blocks))
    if blocks and all(isinstance(block, ToolResultBlock) for block in blocks):
        return Message(role="tool", content=tuple(blocks))
    return Message(role="user", content=tuple(blocks))


def codex_item(item: JsonObject) -> Message | None:
    """An item of a rollout; None for what is no part of the talk."""
    kind = str(item.get("type"))
    if kind == "message":
        role = "assistant" if item.get("role") == "assistant" else "user"
        return Message(role=role, content=tuple(_parts(item.get("content"))))
    if kind == "reasoning":
        told = [*_objects(item.get("summary")), *_objects(item.get("content"))]
        text = "\n".join(str(part.get("text", "")) for part in told)
        signature = str(item.get("encrypted_content") or "")
        return Message(
            role="assistant", content=(ThinkingBlock(text=text, signature=signature, origin="openai"),)
        )
    if kind in {"function_call", "custom_tool_call"}:
        written = item.get("arguments") if kind == "function_call" else item.get("input")
        return Message(role="assistant", content=(_call(item.get("call_id"), item.get("name"), written),))
    if kind == "local_shell_call":
        return Message(
            role="assistant",
            content=(_call(item.get("call_id") or item.get("id"), "shell", item.get("action")),),
        )
    if kind.endswith("_output"):
        call_id = str(item.get("call_id") or item.get("id") or "")
        return Message(
            role="tool", content=(ToolResultBlock(call_id=call_id, text=_text(item.get("output"))),)
        )
    return None


def _call(call_id: object, name: object, arguments: object) -> ToolUseBlock:
    written = (
        arguments
        if isinstance(arguments, str)
        else json.dumps(arguments if arguments is not None else {}, ensure_ascii=False)
    )
    return ToolUseBlock(id=str(call_id or ""), name=str(name or ""), arguments=written)


def _parts(content: object) -> list[Block]:
    if content is None:
        return []
    if isinstance(content, str):
        return [TextBlock(text=content)] if content else []
    if not isinstance(content, list):
        raise Wrong(f"its content is a {type(content).__name__}, not a text or a list.")
    blocks: list[Block] = []
    for part in cast("list[Any]", content):
        if isinstance(part, str):
            blocks.append(TextBlock(text=part))
        elif isinstance(part, dict):
            blocks.append(_part(cast("JsonObject", part)))
        else:
            raise Wrong(f"a part of its content is a {type(part).__name__}.")
    return blocks


def _part(part: JsonObject) -> Block:
    match part.get("type"):
        case "text" | "input_text" | "output_text" | "refusal":
            return TextBlock(text=str(part.get("text") or part.get("refusal") or ""))
        case "thinking":
            return ThinkingBlock(
                text=str(part.get("thinking") or ""),
                signature=str(part.get("signature") or ""),
                origin="anthropic",
            )
        case "redacted_thinking":
            return ThinkingBlock(text="", signature=str(part.get("data") or ""), origin="anthropic")
        case "tool_use" | "server_tool_use" | "mcp_tool_use":
            return _call(part.get("id"), part.get("name"), part.get("input"))
        case "tool_result":
            return ToolResultBlock(
                call_id=str(part.get("tool_use_id") or ""),
                text=_text(part.get("content")),
                is_error=bool(part.get("is_error")),
            )
        case "image" | "image_url" | "input_image":
            return _image(part)
        case "document" | "file" | "input_file" if found := _document(part):
            return found
        case _:
            return TextBlock(text=json.dumps(part, ensure_ascii=False))


def _image(part: JsonObject) -> ImageBlock:
    source = cast("JsonObject", part["source"]) if isinstance(part.get("source"), dict) else {}
    if source.get("type") == "base64":
        return ImageBlock(media_type=str(source.get("media_type") or ""), data=str(source.get("data") or ""))
    url = part.get("image_url") or source.get("url") or ""
    return ImageBlock(url=str(cast("JsonObject", url).get("url", "")) if isinstance(url, dict) else str(url))


def _document(part: JsonObject) -> DocumentBlock | None:
    """A PDF; None for documents of other sorts, which are told as they were recorded."""
    inner = part.get("source") or part.get("file")
    told = cast("JsonObject", inner) if isinstance(inner, dict) else part
    name = str(part.get("title") or told.get("filename") or "")
    url = told.get("url") or told.get("file_url")
    kind, _, data = str(told.get("file_data") or "").partition(";base64,")
    if told.get("media_type") == "application/pdf" or kind == "data:application/pdf":
        return DocumentBlock(data=str(told.get("data") or data), name=name)
    return DocumentBlock(url=url, name=name) if isinstance(url, str) else None


def _text(content: object) -> str:
    """A tool's result as one text; what is no text is written as JSON."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if isinstance(content, dict):
        inner = cast("JsonObject", content)
        return (
            inner["content"]
            if isinstance(inner.get("content"), str) and len(inner) <= 2
            else json.dumps(inner, ensure_ascii=False)
        )
    if not isinstance(content, list):
        return json.dumps(content, ensure_ascii=False)
    texts: list[str] = []
    for part in cast("list[Any]", content):
        table = cast("JsonObject", part) if isinstance(part, dict) else {}
        text = table.get("text")
        texts.append(
            text
            if isinstance(text, str)
            else part
            if isinstance(part, str)
            else json.dumps(part, ensure_ascii=False)
        )
    return "\n".join(texts)


def _objects(value: object) -> list[JsonObject]:
    rows = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("JsonObject", row) for row in rows if isinstance(row, dict)]
