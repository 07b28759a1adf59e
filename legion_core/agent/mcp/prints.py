"""Fingerprints of what the user says yes to, and the cleaning of words that strangers wrote.

A yes is to exactly these words, arguments, environment and tools: whoever changes one of them later asks anew.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from legion_core.agent.mcp.types import Difference, ServerSpec, ToolInfo
from legion_core.kernel.unseen import has_unseen, without_unseen

DESCRIPTION_CHARS_MAX = 4_000
NAME_CHARS_MAX = 64
_UNFIT = re.compile(r"[^a-z0-9_]+")
_ORDERS = re.compile(
    r"(?i)ignore (all |any |the )?(previous|prior|above|other)|do not (tell|mention|inform|show)|without (telling|asking)"
    r"|<\s*(important|system|secret)\b|system prompt|before (using|calling) (this|any) tool|~/\.ssh|id_rsa|\.env\b"
)
# What a terminal would obey: colours, moves of the cursor, titles, links.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)|\x9b[0-?]*[ -/]*[@-~]"
)
_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
NAME_OF_FIELD_CHARS_MAX = 256
SCHEMA_DEPTH_MAX = 32
_encode = msgspec.json.Encoder(order="sorted").encode


def launch_print(spec: ServerSpec) -> str:
    """Of what is started or called: every word, the environment as written (references, not values), the address."""
    told = {
        "command": spec.command, "env": spec.env, "cwd": spec.cwd, "url": spec.url, "headers": spec.headers,
        "oauth": spec.oauth,
    }  # fmt: skip
    return hashlib.sha256(_encode(told)).hexdigest()


def text_print(text: str) -> str:
    """Of a text that is not to be shown."""
    return hashlib.sha256(text.encode()).hexdigest()


def tool_print(raw: Mapping[str, Any]) -> str:
    """Of one tool as its server tells it, every letter."""
    return hashlib.sha256(_encode(raw)).hexdigest()


def whole_print(spec: ServerSpec, tools: Mapping[str, str]) -> str:
    """Of the launch and all tools; `tools` are their prints by name."""
    return whole_print_of(launch_print(spec), tools)


def whole_print_of(launch: str, tools: Mapping[str, str]) -> str:
    """The same of prints."""
    return hashlib.sha256(_encode([launch, dict(tools)])).hexdigest()


def difference(
    spec: ServerSpec, tools: Mapping[str, str], approved_launch: str, approved: Mapping[str, str]
) -> Difference:
    """What changed since the yes."""
    return Difference(
        added=tuple(sorted(set(tools) - set(approved))),
        removed=tuple(sorted(set(approved) - set(tools))),
        changed=tuple(sorted(name for name in set(tools) & set(approved) if tools[name] != approved[name])),
        is_launch_changed=bool(approved_launch) and approved_launch != launch_print(spec),
    )


def cleaned(text: str, chars_max: int = DESCRIPTION_CHARS_MAX) -> str:
    """Words of a stranger, fit to be shown: no invisible, direction-turning or control characters, not too many."""
    kept = without_unseen(_ESCAPES.sub("", text)).replace("\r", "")
    return kept if len(kept) <= chars_max else kept[:chars_max] + "…"


def warnings_of(texts: Sequence[str]) -> tuple[str, ...]:
    """What is odd about a tool's own words: what a reader cannot see, and orders to the model that reads them."""
    whole = "\n".join(texts)
    found: list[str] = []
    if has_unseen(whole):
        found.append("It holds characters nobody can see; they are taken out.")
    if _ORDERS.search(whole):
        found.append("It reads like orders to a model, not like a description.")
    if len(whole) > DESCRIPTION_CHARS_MAX:
        found.append("It is very long; what is shown is cut.")
    return tuple(found)


def function_names(server: str, tools: Sequence[str]) -> dict[str, str]:
    """`mcp.SERVER.TOOL` for each tool, fit to be the name of a task; two that would be the same are numbered."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for tool in sorted(tools):
        word = _UNFIT.sub("_", tool.lower()).strip("_") or "tool"
        word = (word if word[0].isalpha() else f"t_{word}")[: NAME_CHARS_MAX - 4]
        name, number = word, 2
        while name in taken:
            name, number = f"{word}_{number}", number + 1
        taken.add(name)
        found[tool] = f"mcp.{server}.{name}"
    return found


def tool_info(raw: Mapping[str, Any], function: str) -> ToolInfo:
    """A tool as it is shown."""
    name, description = str(raw.get("name", "")), str(raw.get("description") or "")
    schema: dict[str, Any] = raw.get("inputSchema") or {"type": "object"}
    words = [name, description, str(raw.get("title") or ""), *_words(schema, 0)]
    annotations: Mapping[str, Any] = raw.get("annotations") or {}
    return ToolInfo(
        name=cleaned(name, 128),
        function=function,
        description=cleaned(description),
        arguments=cast("dict[str, Any]", cleaned_schema(schema)),
        says_read_only=bool(annotations.get("readOnlyHint")),
        says_destructive=annotations.get("destructiveHint") is True,
        warnings=warnings_of(words),
    )


def cleaned_schema(value: Any, depth: int = 0) -> Any:
    """A schema whose words are fit to be read by a person or a model; nothing in it leads to another address.

    Every text in it is read by models, names and defaults too, so all of them are cleaned.
    """
    if depth > SCHEMA_DEPTH_MAX:
        return {}
    if isinstance(value, str):
        return cleaned(value)
    if isinstance(value, list):
        return [cleaned_schema(each, depth + 1) for each in cast("list[Any]", value)]
    if not isinstance(value, Mapping):
        return value
    found: dict[str, Any] = {}
    for key, each in cast("Mapping[str, Any]", value).items():
        if key in _REFERENCES and not str(each).startswith("#"):
            continue
        found[cleaned(str(key), NAME_OF_FIELD_CHARS_MAX)] = cleaned_schema(each, depth + 1)
    return found


def _words(value: Any, depth: int) -> list[str]:
    """Every text in a schema: its descriptions are read by models too."""
    if depth > 16:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        told = cast("Mapping[str, Any]", value)
        return [word for key, each in told.items() for word in (str(key), *_words(each, depth + 1))]
    if isinstance(value, list):
        return [word for each in cast("list[Any]", value) for word in _words(each, depth + 1)]
    return []
