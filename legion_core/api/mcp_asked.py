"""What a person says yes to when approving another's server, line by line; the window and the command line show the same."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec

from legion_core.kernel.unseen import spelled

if TYPE_CHECKING:
    from legion_core.agent.mcp.types import ServerRow, ToolInfo

DEPTH_MAX = 8  # below it, and where a schema is of another shape, it is shown as JSON
_REFERENCE = re.compile(r"(keyring|env)://")
_DRAFT = re.compile(r"https?://json-schema\.org/[a-z0-9/.-]{1,40}#?")


def asked_of(server: "ServerRow") -> tuple[str, ...]:
    """Every word that is run, every variable and header, every tool with all that a model reads of it."""
    spec = server.spec
    lines = (
        ["Command, each word on its line", *(f"  {on_a_line(word)}" for word in spec.command)]
        if spec.command
        else [f"Address  {on_a_line(spec.url)}"]
    )
    if spec.cwd:
        lines.append(f"In the folder  {on_a_line(spec.cwd)}")
    if spec.env:
        lines += ["Environment", *(f"  {on_a_line(f'{name}={value}')}" for name, value in spec.env.items())]
    if spec.headers:
        lines += ["Headers", *(f"  {on_a_line(f'{n}: {_veiled(v)}')}" for n, v in spec.headers.items())]
    if spec.oauth:
        lines.append("It may send you to its own sign-in")
    lines.append(f"Tools, {len(server.tools)}")
    for tool in server.tools:
        mark = " (new)" if server.approved and tool.name in server.difference.added else ""
        mark = " (changed)" if tool.name in server.difference.changed else mark
        lines += [f"  {on_a_line(tool.name)}{mark}, here {tool.function}", *_told(tool)]
    return tuple(lines)


def on_a_line(word: str) -> str:
    """A word as it is, so that none can look like two, like another line, or like what it is not."""
    return spelled(word, kept="")


def _veiled(value: str) -> str:
    return value if _REFERENCE.match(value) else f"{len(value)} characters, not shown"


def _told(tool: "ToolInfo") -> list[str]:
    lines = [_indented(tool.description, 6)] if tool.description.strip() else []
    lines += _arguments(tool.arguments, 6, 0)
    return [*lines, *(f"    ! {warning}" for warning in tool.warnings)]


def _arguments(schema: Mapping[str, Any], blanks: int, depth: int) -> list[str]:
    """An object's fields, one a line with their words; whatever else a schema says follows as JSON."""
    said, pad = dict(schema), " " * blanks
    fields = _mapping(said.get("properties"))
    lines = list[str]()
    if fields is not None and depth < DEPTH_MAX:
        del said["properties"]
        wanted = said.get("required")
        needed = cast("list[object]", wanted) if isinstance(wanted, list) else []
        for name, each in fields.items():
            lines += _argument(name, each, "required" if name in needed else "", blanks, depth)
        if wanted == needed and all(isinstance(name, str) and name in fields for name in needed):
            del said["required"]
    if said.get("type") == "object":
        del said["type"]
    if isinstance(draft := said.get("$schema"), str) and _DRAFT.fullmatch(draft):
        del said["$schema"]
    for key, value in said.items():
        if key == "items" and depth < DEPTH_MAX and isinstance(value, Mapping):
            lines += _argument("items", cast("object", value), "", blanks, depth)
        else:
            lines.append(f"{pad}{on_a_line(key)}: {_json(value)}")
    return lines


def _argument(name: str, schema: object, needed: str, blanks: int, depth: int) -> list[str]:
    part = _mapping(schema)
    if part is None:
        return [f"{' ' * blanks}- {on_a_line(name)}: {_json(schema)}"]
    said = dict(part)
    kind = said.pop("type") if isinstance(said.get("type"), str) else ""
    words = said.pop("description") if isinstance(said.get("description"), str) else ""
    head = ", ".join(filter(None, (on_a_line(name), on_a_line(kind), needed)))
    line = _indented(f"- {head}: {words}" if words else f"- {head}", blanks, blanks + 4)
    return [line, *_arguments(said, blanks + 4, depth + 1)]


def _mapping(value: object) -> "Mapping[str, Any] | None":
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else None


def _json(value: object) -> str:
    return on_a_line(msgspec.json.encode(value).decode())


def _indented(text: str, blanks: int, then: int | None = None) -> str:
    """So that no line of a stranger's words stands where one of ours would."""
    return " " * blanks + spelled(text.strip()).replace("\n", "\n" + " " * (blanks if then is None else then))
