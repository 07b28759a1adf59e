"""Reads recorded conversations: OpenAI and Anthropic messages, Claude Code sessions, Codex rollouts, one JSON value a line.

What cannot be understood is refused with its line, and nothing is guessed; bookkeeping lines of the recorders are passed
over and counted. Bytes that are not UTF-8 become U+FFFD. A whole file that is one JSON list, or an object with
`messages` or `history`, is read too; there the place in the list stands for the line.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from legion_core.gateway.transcript_lines import Wrong, anthropic_line, codex_item, openai_line
from legion_core.gateway.types import JsonObject, Message
from legion_core.kernel.errors import InvalidInput

Shape = Literal["openai", "anthropic", "claude-code", "codex"]
_RECORDER_TYPES = frozenset(
    {"user", "assistant", "system", "summary", "progress", "attachment", "queue-operation"}
)
_CODEX_TYPES = frozenset(
    {
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "local_shell_call",
        "local_shell_call_output",
        "web_search_call",
        "ghost_snapshot",
        "compaction",
    }
)
_CODEX_ENVELOPES = frozenset({"session_meta", "response_item", "event_msg", "turn_context", "compacted"})
_SYSTEM_ROLES = frozenset({"system", "developer"})


@dataclass(slots=True)
class Entry:
    """One message of the transcript: `raw` are the JSON values it was made of, `line` where the first of them stands."""

    line: int
    message: Message
    raw: list[JsonObject]
    merge: str = ""  # answers with the same name here are parts of one

    @property
    def id(self) -> str:
        """Its name in edits: the number of its line."""
        return str(self.line)


@dataclass(slots=True)
class Transcript:
    """A conversation as it was recorded. System lines stand apart, in their order."""

    shape: Shape = "openai"
    entries: list[Entry] = field(default_factory=list[Entry])
    system: list[str] = field(default_factory=list[str])
    system_raw: list[JsonObject] = field(default_factory=list[JsonObject])
    passed_over: int = 0
    is_aside: bool = False  # the whole file is a subagent's conversation

    @property
    def turns(self) -> int:
        """Answers of the assistant."""
        return sum(entry.message.role == "assistant" for entry in self.entries)


def read_transcript(data: bytes, name: str = "the file") -> Transcript:
    """The conversation in a file's bytes; InvalidInput names the line that cannot be read."""
    values = list(_values(data, name))
    if not values:
        raise InvalidInput(
            f"{name} holds no message.", hint="One JSON message a line, as OpenAI or Anthropic write them."
        )
    shape = _shape([value for _, value in values])
    found = Transcript(shape=shape, is_aside=all(value.get("isSidechain", True) for _, value in values))
    for line, value in values:
        try:
            _take(found, line, value)
        except Wrong as error:
            raise InvalidInput(f"Line {line} of {name}: {error}", hint="Nothing was written.") from error
    if not found.entries:
        raise InvalidInput(f"{name} holds no message of a conversation.", hint="See `legion curate --help`.")
    return found


def _values(data: bytes, name: str) -> Iterator[tuple[int, JsonObject]]:
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    if (whole := _whole(text)) is not None:
        yield from enumerate(whole, 1)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, strict=False)
        except (ValueError, RecursionError) as error:
            raise InvalidInput(
                f"Line {number} of {name} is not JSON: {error}.",
                hint="One message a line; nothing was written.",
            ) from error
        if not isinstance(value, dict):
            raise InvalidInput(
                f"Line {number} of {name} is a {type(value).__name__}, not a message.",
                hint="Nothing was written.",
            )
        messages = cast("JsonObject", value).get("messages")
        if isinstance(messages, list) and "role" not in value:
            for message in cast("list[Any]", messages):
                if isinstance(message, dict):
                    yield number, cast("JsonObject", message)
            continue
        yield number, cast("JsonObject", value)


def _whole(text: str) -> list[JsonObject] | None:
    """The messages of a file that is one JSON value over several lines, or one list; None if it is not."""
    head = text.lstrip()[:1]
    first = text.lstrip().split("\n", 1)[0]
    if head not in {"[", "{"}:
        return None
    if head == "{" and _parses(first):
        return None
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict):
        table = cast("JsonObject", value)
        value = next(
            (table[key] for key in ("messages", "history", "trajectory") if isinstance(table.get(key), list)),
            None,
        )
    if not isinstance(value, list):
        return None
    rows = cast("list[Any]", value)
    return [cast("JsonObject", row) for row in rows if isinstance(row, dict)]


def _parses(line: str) -> bool:
    try:
        json.loads(line, strict=False)
    except (ValueError, RecursionError):
        return False
    return True


def _shape(values: Sequence[JsonObject]) -> Shape:
    for value in values:
        kind = value.get("type")
        if kind in _CODEX_ENVELOPES and "payload" in value:
            return "codex"
        if kind in _CODEX_TYPES and "message" not in value:
            return "codex"
        if kind in {"user", "assistant"} and isinstance(value.get("message"), dict):
            return "claude-code"
    for value in values:
        if value.get("role") == "tool" or "tool_calls" in value:
            return "openai"
        content = value.get("content")
        if isinstance(content, list) and any(
            isinstance(part, dict)
            and cast("JsonObject", part).get("type")
            in {"tool_use", "tool_result", "thinking", "redacted_thinking"}
            for part in cast("list[Any]", content)
        ):
            return "anthropic"
    return "openai"


def _take(found: Transcript, line: int, value: JsonObject) -> None:
    if found.shape == "codex":
        _take_codex(found, line, value)
        return
    if found.shape == "claude-code":
        kind = value.get("type")
        message = value.get("message")
        is_aside = (value.get("isSidechain") and not found.is_aside) or value.get("isMeta")
        if kind not in {"user", "assistant"} or not isinstance(message, dict) or is_aside:
            if kind is None and "role" not in value:
                raise Wrong("it is neither a message nor a line of a Claude Code session")
            found.passed_over += 1
            return
        inner = cast("JsonObject", message)
        _add(found, Entry(line, anthropic_line(inner), [inner], str(inner.get("id") or "")))
        return
    role = value.get("role")
    if role in _SYSTEM_ROLES:
        found.system.append(_plain(value.get("content")))
        found.system_raw.append(value)
        return
    reader = anthropic_line if found.shape == "anthropic" else openai_line
    _add(found, Entry(line, reader(value), [value]))


def _take_codex(found: Transcript, line: int, value: JsonObject) -> None:
    kind = value.get("type")
    item = cast("JsonObject", value["payload"]) if isinstance(value.get("payload"), dict) else value
    if kind == "session_meta":
        told = item.get("base_instructions") or item.get("instructions")
        text = _plain(cast("JsonObject", told).get("text") if isinstance(told, dict) else told)
        if text:
            found.system.append(text)
            found.system_raw.append({"role": "system", "content": text})
        found.passed_over += 1
        return
    if (kind in _CODEX_ENVELOPES and kind != "response_item") or item.get("type") not in _CODEX_TYPES:
        if kind is None and item.get("type") is None and "record_type" not in item and "id" not in item:
            raise Wrong("it is no line of a Codex rollout")
        found.passed_over += 1
        return
    if item.get("type") == "message" and item.get("role") in _SYSTEM_ROLES:
        text = _plain(item.get("content"))
        found.system.append(text)
        found.system_raw.append({"role": "system", "content": text})
        return
    message = codex_item(item)
    if message is None:
        found.passed_over += 1
        return
    _add(found, Entry(line, message, [item], "codex"))


def _add(found: Transcript, entry: Entry) -> None:
    """Parts of one answer are put together; a Claude Code session writes the results of its first calls between them."""
    last = found.entries[-1] if found.entries else None
    if entry.merge and entry.merge != "codex":
        last = next((each for each in reversed(found.entries) if each.message.role != "tool"), None)
    is_answer = last is not None and entry.message.role == last.message.role == "assistant"
    if last is not None and is_answer and entry.merge and entry.merge == last.merge:
        last.message = Message(role="assistant", content=(*last.message.content, *entry.message.content))
        last.raw += entry.raw
        return
    found.entries.append(entry)


def _plain(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = cast("list[Any]", content) if isinstance(content, list) else []
    return "\n".join(
        str(cast("JsonObject", part).get("text", "")) for part in parts if isinstance(part, dict)
    )
