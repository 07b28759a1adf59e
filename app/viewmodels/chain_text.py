"""The text twin of a draft: written from the draft, and mended where only part of it changed. Pure.

`written` gives the whole text. `mended` takes the text a person wrote and changes only the parts that differ, so that
comments, order and spacing of all else stay. What it gives is read back by the engine before it is used; where a text
is laid out in a way it does not know, the whole is written anew.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from app.viewmodels.chain_draft import Draft, EdgeDraft, Fields, NodeDraft

LINE_MAX = 100
_PLAIN = re.compile(r"[A-Za-z_$][\w$./@-]*", re.ASCII)
_WORDS = frozenset({"null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE"})
_TOP = re.compile(r"([A-Za-z_][\w-]*)\s*:(\s|$)")
_NODE = re.compile(r"(\s+)(\"[^\"]*\"|'[^']*'|[^\s:#\"'{\[&*!|>-][^:#]*?)\s*:(\s|$)")


def text_of(draft: Draft) -> str:
    """The text of a draft: as it was read, else written."""
    return draft.text or written(draft)


def written(draft: Draft) -> str:
    """The draft as YAML, whole."""
    lines: list[str] = []
    for key, value in draft.head.items():
        lines += _head(key, value)
    lines += ["nodes:" if draft.nodes else "nodes: {}"]
    for node in draft.nodes:
        lines += _node(node, "  ")
    if draft.edges:
        lines.append("edges:")
        for edge in draft.edges:
            lines += _edge(edge, "  ")
    return "\n".join(lines) + "\n"


def mended(before: Draft, after: Draft) -> str:
    """The text of `before` with what `after` changed; empty where it must be written whole."""
    if (before.head, before.nodes, before.edges) == (after.head, after.nodes, after.edges):
        return before.text
    parts = _parts(before.text)
    if parts is None or {part.key for part in parts} - {""} != {*before.document()}:
        return ""
    lines: list[str] = []
    done: set[str] = set()
    for part in parts:
        made = _part(part, before, after)
        if made is None:
            return ""
        lines += made
        done.add(part.key)
        if part.key == "name":
            for key, value in after.head.items():
                if key not in before.head:
                    lines += _head(key, value)
    if "edges" not in done and after.edges:
        lines.append("edges:")
        for edge in after.edges:
            lines += _edge(edge, "  ")
    return "\n".join(lines) + "\n"


def flow(value: object) -> str:
    """A value on one line: JSON, but for words that need no quotes."""
    match value:
        case dict():
            pairs = cast("Fields", value).items()
            return "{" + ", ".join(f"{flow(name)}: {flow(each)}" for name, each in pairs) + "}"
        case list() | tuple():
            return "[" + ", ".join(flow(each) for each in cast("list[object]", value)) + "]"
        case str():
            is_plain = _PLAIN.fullmatch(value) and value not in _WORDS
            return value if is_plain else _quoted(value)
        case _:
            return json.dumps(value)


@dataclass(slots=True)
class _Part:
    """A key of the document with its lines; comments above it are `lead`."""

    key: str
    lead: list[str] = field(default_factory=list[str])
    lines: list[str] = field(default_factory=list[str])


def _parts(text: str) -> list[_Part] | None:
    """The top of a text, by key; what follows the last key is a part without one. None for a layout not known."""
    if text.lstrip().startswith(("{", "---", "%")) or "\t" in text:
        return None
    parts: list[_Part] = []
    lead: list[str] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            lead.append(line)
            continue
        if line[0] not in " -":
            found = _TOP.match(line)
            if found is None:
                return None
            parts.append(_Part(found[1], lead, [line]))
        elif not parts:
            return None
        else:
            parts[-1].lines += [*lead, line]
        lead = []
    if lead:
        parts.append(_Part("", lead))
    return parts


def _part(part: _Part, before: Draft, after: Draft) -> list[str] | None:
    if part.key == "nodes":
        if before.nodes == after.nodes:
            return [*part.lead, *part.lines]
        inner = _nodes(part, before, after)
    elif part.key == "edges":
        if before.edges == after.edges:
            return [*part.lead, *part.lines]
        if not after.edges:
            return part.lead
        inner = _edges(part, before, after)
    elif not part.key or before.head.get(part.key) == after.head.get(part.key):
        return [*part.lead, *part.lines]
    elif part.key not in after.head:
        return part.lead
    else:
        inner = _head(part.key, after.head[part.key])
    return None if inner is None else [*part.lead, *inner]


def _nodes(part: _Part, before: Draft, after: Draft) -> list[str] | None:
    found = _members(part, is_list=False)
    if found is None or len(found) != len(before.nodes) + 1:
        return None
    head, *members = found
    kept = {node.name: (node, member) for node, member in zip(before.nodes, members, strict=True)}
    indent = _indent(members[0].lines[0]) if members else "  "
    lines = list(head.lines) if members else ["nodes:"]
    same_length = len(before.nodes) == len(after.nodes)
    for at, node in enumerate(after.nodes):
        old = kept.get(node.name)
        if old is not None and old[0] == node:
            lines += [*old[1].lead, *old[1].lines]
        else:
            lead = old[1].lead if old is not None else members[at].lead if same_length else []
            lines += [*lead, *_node(node, indent)]
    return lines if after.nodes else ["nodes: {}"]


def _edges(part: _Part, before: Draft, after: Draft) -> list[str] | None:
    found = _members(part, is_list=True)
    if found is None or len(found) != len(before.edges) + 1:
        return None
    head, *members = found
    indent = _indent(members[0].lines[0]) if members else "  "
    waiting = list(zip(before.edges, members, strict=True))
    lines = list(head.lines) if members else ["edges:"]
    same_length = len(before.edges) == len(after.edges)
    for at, edge in enumerate(after.edges):
        place = next((at for at, (old, _) in enumerate(waiting) if old == edge), -1)
        if place >= 0:
            member = waiting.pop(place)[1]
            lines += [*member.lead, *member.lines]
        else:
            lead = members[at].lead if same_length else []
            lines += [*lead, *_edge(edge, indent)]
    return lines


def _members(part: _Part, *, is_list: bool) -> list[_Part] | None:
    """The line of the key itself, then each member with the comments above it."""
    first = part.lines[0]
    after = first.partition(":")[2].strip()
    if after and not after.startswith("#"):
        return [_Part("", lines=[first])] if after in ("{}", "[]") and len(part.lines) == 1 else None
    made = [_Part("", lines=[first])]
    lead: list[str] = []
    indent: str | None = None
    for line in part.lines[1:]:
        if not line.strip() or line.lstrip().startswith("#"):
            lead.append(line)
            continue
        here = _indent(line)
        if indent is None:
            indent = here
        begins = line.startswith("- ", len(here)) if is_list else bool(_NODE.match(line))
        if here == indent and begins:
            made.append(_Part("", lead, [line]))
        elif len(here) > len(indent) and len(made) > 1:
            made[-1].lines += [*lead, line]
        else:
            return None
        lead = []
    made[-1].lines += lead
    return made


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" "))]


def _head(key: str, value: object) -> list[str]:
    return [f"{flow(key)}: {flow(value)}"]


def _node(node: NodeDraft, indent: str) -> list[str]:
    line = f"{indent}{flow(node.name)}: {flow(dict(node.fields))}"
    if len(line) <= LINE_MAX:
        return [line]
    return [f"{indent}{flow(node.name)}:", *_block(node.fields, f"{indent}  ")]


def _edge(edge: EdgeDraft, indent: str) -> list[str]:
    whole: dict[str, object] = {"from": edge.source, "to": edge.target, **edge.fields}
    line = f"{indent}- {flow(whole)}"
    if len(line) <= LINE_MAX:
        return [line]
    first, *rest = _block(whole, f"{indent}  ")
    return [f"{indent}- {first.lstrip()}", *rest]


def _block(fields: Mapping[str, object], indent: str) -> list[str]:
    """One key a line; what is too long goes on over several, as deep as it must."""
    lines: list[str] = []
    for key, value in fields.items():
        line = f"{indent}{flow(key)}: {flow(value)}"
        if len(line) > LINE_MAX and isinstance(value, dict) and value:
            lines += [f"{indent}{flow(key)}:", *_block(cast("Fields", value), f"{indent}  ")]
        elif len(line) > LINE_MAX and isinstance(value, list) and value:
            lines += [f"{indent}{flow(key)}:", *_list(cast("list[object]", value), f"{indent}  ")]
        else:
            lines.append(line)
    return lines


def _list(values: Iterable[object], indent: str) -> list[str]:
    lines: list[str] = []
    for value in values:
        line = f"{indent}- {flow(value)}"
        if len(line) > LINE_MAX and isinstance(value, dict) and value:
            first, *rest = _block(cast("Fields", value), f"{indent}  ")
            lines += [f"{indent}- {first.lstrip()}", *rest]
        else:
            lines.append(line)
    return lines


def _quoted(text: str) -> str:
    """Double quotes, which read alike in YAML and JSON; what YAML does not print is escaped."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(
        letter if letter.isprintable() and letter not in "\ufeff\u2028\u2029" else _escaped(letter)
        for letter in quoted
    )


def _escaped(letter: str) -> str:
    code = ord(letter)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
