"""Views written back in the shape they came in. A message that was not touched is given back as it was recorded."""

import json
from collections.abc import Mapping, Sequence
from typing import cast

from legion_core.gateway.transcripts import Entry, Transcript
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

NOTHING = "(no text)"


def as_recorded(
    transcript: Transcript, messages: Sequence[Message], ids: Sequence[str], entries: Mapping[str, Entry]
) -> list[JsonObject]:
    """What would be sent, system text first. `ids` say which entry each message came from."""
    is_openai = transcript.shape in {"openai", "codex"}
    shown: list[JsonObject] = list(transcript.system_raw)
    at = 0
    while at < len(messages):
        end = at + 1
        while end < len(messages) and ids[end] == ids[at] and messages[end].role != "assistant":
            end += 1
        entry = entries.get(ids[at])
        blocks = [block for message in messages[at:end] for block in message.content]
        if (
            entry is not None
            and transcript.shape in {"openai", "anthropic"}
            and blocks == list(entry.message.content)
            and len(entry.raw) == 1
        ):
            shown.append(entry.raw[0])
        elif is_openai:
            for message in messages[at:end]:
                shown += _openai(message)
        else:
            shown.append(_anthropic(messages[at].role, blocks))
        at = end
    return [_filled(message, is_openai) for message in (shown if is_openai else _merged(shown))]


def _filled(message: JsonObject, is_openai: bool) -> JsonObject:
    """No provider takes a message in which nothing is said: an answer of thoughts alone gets a word beside them."""
    content = message.get("content")
    if is_openai:
        is_empty = not content and not message.get("tool_calls") and not message.get("function_call")
        return message | {"content": NOTHING} if is_empty and message.get("role") != "tool" else message
    if isinstance(content, str):
        return message if content else message | {"content": NOTHING}
    parts = _listed(content or [])
    if any(part.get("type") not in {"thinking", "redacted_thinking"} for part in parts):
        return message
    return message | {"content": [*parts, {"type": "text", "text": NOTHING}]}


def _openai(message: Message) -> list[JsonObject]:
    results: list[JsonObject] = [
        {"role": "tool", "tool_call_id": block.call_id, "content": block.text}
        for block in message.content
        if isinstance(block, ToolResultBlock)
    ]
    rest = [block for block in message.content if not isinstance(block, ToolResultBlock)]
    if message.role == "tool" or not rest:
        return results
    if message.role == "user":
        return [*results, {"role": "user", "content": _openai_parts(rest)}]
    text = "".join(block.text for block in rest if isinstance(block, TextBlock))
    calls = [
        {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": block.arguments}}
        for block in rest
        if isinstance(block, ToolUseBlock)
    ]
    said: JsonObject = {"role": "assistant", "content": text or None}
    if thought := "".join(block.text for block in rest if isinstance(block, ThinkingBlock)):
        said["reasoning_content"] = thought
    if calls:
        said["tool_calls"] = calls
    elif not text:
        said["content"] = ""
    return [said]


def _openai_parts(blocks: Sequence[Block]) -> str | list[JsonObject]:
    if all(isinstance(block, TextBlock) for block in blocks):
        return "\n".join(block.text for block in blocks if isinstance(block, TextBlock))
    parts: list[JsonObject] = []
    for block in blocks:
        if isinstance(block, TextBlock):
            parts.append({"type": "text", "text": block.text})
        elif isinstance(block, ImageBlock):
            url = block.url or f"data:{block.media_type};base64,{block.data}"
            parts.append({"type": "image_url", "image_url": {"url": url}})
        elif isinstance(block, DocumentBlock):
            file = {"filename": block.name or "document.pdf"}
            file |= (
                {"file_url": block.url}
                if block.url
                else {"file_data": f"data:application/pdf;base64,{block.data}"}
            )
            parts.append({"type": "file", "file": file})
    return parts


def _anthropic(role: str, blocks: Sequence[Block]) -> JsonObject:
    return {
        "role": "assistant" if role == "assistant" else "user",
        "content": [_anthropic_part(block) for block in blocks],
    }


def _anthropic_part(block: Block) -> JsonObject:
    match block:
        case TextBlock():
            return {"type": "text", "text": block.text}
        case ThinkingBlock() if not block.text and block.signature:
            return {"type": "redacted_thinking", "data": block.signature}
        case ThinkingBlock():
            return {"type": "thinking", "thinking": block.text, "signature": block.signature}
        case ToolUseBlock():
            return {"type": "tool_use", "id": block.id, "name": block.name, "input": _input(block.arguments)}
        case ToolResultBlock():
            told: JsonObject = {"type": "tool_result", "tool_use_id": block.call_id, "content": block.text}
            return told | {"is_error": True} if block.is_error else told
        case ImageBlock():
            source = (
                {"type": "url", "url": block.url}
                if block.url
                else {"type": "base64", "media_type": block.media_type, "data": block.data}
            )
            return {"type": "image", "source": source}
        case DocumentBlock():
            source = (
                {"type": "url", "url": block.url}
                if block.url
                else {"type": "base64", "media_type": "application/pdf", "data": block.data}
            )
            document: JsonObject = {"type": "document", "source": source}
            return document | {"title": block.name} if block.name else document


def _input(arguments: str) -> JsonObject:
    try:
        value = json.loads(arguments or "{}", strict=False)
    except ValueError:
        return {"arguments": arguments}
    return cast("JsonObject", value) if isinstance(value, dict) else {"arguments": value}


def _merged(messages: Sequence[JsonObject]) -> list[JsonObject]:
    """Anthropic wants turns: results and words of one user's turn in one message, results first."""
    shown: list[JsonObject] = []
    for message in messages:
        if shown and message["role"] == shown[-1]["role"] == "user":
            content = [*_listed(shown[-1]["content"]), *_listed(message["content"])]
            content.sort(key=lambda part: part.get("type") != "tool_result")
            shown[-1] = {"role": "user", "content": content}
        else:
            shown.append(message)
    return shown


def _listed(content: object) -> list[JsonObject]:
    return (
        [{"type": "text", "text": content}]
        if isinstance(content, str)
        else list(cast("list[JsonObject]", content))
    )
