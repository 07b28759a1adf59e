"""Recordings of agents that `legion curate` does not read itself, as OpenAI chat lines: Gemini CLI's sessions and opencode's exports."""

import json
from collections.abc import Iterator
from typing import Any


def as_chat(data: bytes) -> bytes:
    """The recording as chat lines; what is none of the two formats comes back as it is."""
    values = list(_values(data.decode("utf-8", "replace")))
    if len(values) == 1 and isinstance(values[0], dict) and "projectHash" in values[0]:
        lines = list(_gemini(values[0]["messages"]))
    elif any(isinstance(value, dict) and str(value.get("id", "")).startswith("prt_") for value in values):
        lines = list(_opencode([value for value in values if isinstance(value, dict)]))
    else:
        return data
    return b"\n".join(json.dumps(line, ensure_ascii=False).encode() for line in lines)


def _values(text: str) -> Iterator[Any]:
    """JSON values one after another, whatever stands between them; nothing where it is something else."""
    decoder, place = json.JSONDecoder(strict=False), 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        try:
            value, place = decoder.raw_decode(text, place)
        except ValueError:
            return
        yield value


def _call(call_id: str, name: str, arguments: object) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def _gemini(messages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for message in messages:
        text = message.get("content") or ""
        text = text if isinstance(text, str) else json.dumps(text)
        if message["type"] == "user":
            yield {"role": "user", "content": text}
            continue
        if message["type"] != "gemini":
            continue
        calls = message.get("toolCalls") or []
        thoughts = "\n".join(thought.get("description", "") for thought in message.get("thoughts") or [])
        answer: dict[str, Any] = {"role": "assistant", "content": text}
        if thoughts:
            answer["reasoning_content"] = thoughts
        if calls:
            answer["tool_calls"] = [_call(call["id"], call["name"], call.get("args", {})) for call in calls]
        yield answer
        for call in calls:
            outputs = [
                part.get("functionResponse", {}).get("response", {}) for part in call.get("result") or []
            ]
            told = "\n".join(
                str(output.get("output") or output.get("error") or "") for output in outputs if output
            )
            yield {"role": "tool", "tool_call_id": call["id"], "content": told}


def _opencode(values: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    roles = {value["id"]: value["role"] for value in values if value.get("role") and value.get("id")}
    parts: dict[str, list[dict[str, Any]]] = {}
    for value in values:
        if str(value.get("id", "")).startswith("prt_"):
            parts.setdefault(value["messageID"], []).append(value)
    for message_id in sorted(parts):  # their ids grow with time
        pieces = sorted(parts[message_id], key=lambda piece: piece["id"])
        text = "\n".join(piece.get("text", "") for piece in pieces if piece["type"] == "text")
        if roles.get(message_id, "assistant") == "user":
            yield {"role": "user", "content": text}
            continue
        thoughts = "\n".join(piece.get("text", "") for piece in pieces if piece["type"] == "reasoning")
        tools = [piece for piece in pieces if piece["type"] == "tool"]
        answer: dict[str, Any] = {"role": "assistant", "content": text}
        if thoughts:
            answer["reasoning_content"] = thoughts
        if tools:
            answer["tool_calls"] = [
                _call(piece["callID"], piece["tool"], piece["state"].get("input", {})) for piece in tools
            ]
        if text or thoughts or tools:
            yield answer
        for piece in tools:
            told = piece["state"].get("output") or piece["state"].get("error") or ""
            yield {"role": "tool", "tool_call_id": piece["callID"], "content": told}
