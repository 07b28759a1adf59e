"""What a tool call is about, read from its arguments alone: what it does, to which thing, in which lines."""

import re
from dataclasses import dataclass
from typing import Any, Literal, cast

import msgspec

Kind = Literal["read", "write", "edit", "search", "run", "other"]

_PATH_KEYS = (
    "file_path", "path", "filename", "file", "filepath", "target_file", "relative_path", "notebook_path", "uri",
)  # fmt: skip
_COMMAND_KEYS = ("command", "cmd", "script", "code", "input")
_WRITTEN_KEYS = (
    "new_string",
    "new_str",
    "new_text",
    "replacement",
    "insert_text",
    "content",
    "text",
    "patch",
    "diff",
)
_QUERY_KEYS = ("pattern", "query", "regex", "glob", "search", "q", "url")
_WORDS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("edit", ("edit", "replace", "patch", "insert", "apply_diff", "append")),
    ("write", ("write", "create", "save")),
    ("search", ("grep", "search", "glob", "find", "list", "ls", "tree")),
    ("run", ("bash", "shell", "exec", "run", "terminal", "command", "python", "test", "build", "make")),
    ("read", ("read", "view", "open", "cat", "show", "get", "fetch")),
)
LABEL_CHARS_MAX = 100
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Call:
    """One call: `thing` is the path, command or query as written; `first`/`last` are lines, None for all of it."""

    kind: Kind
    name: str
    thing: str
    label: str
    first: int | None = None
    last: int | None = None
    written: str = ""  # what an edit puts into its file

    @property
    def key(self) -> str:
        """Calls of one key are about one thing: of two that show it, the later one shows how it is now."""
        group = "file" if self.kind in ("read", "write", "edit") else f"{self.kind}:{self.name}"
        return f"{group}:{self.thing}" if self.thing else ""

    def covers(self, other: "Call") -> bool:
        """Whether this call, made later, shows everything `other` showed."""
        if not self.key or self.key != other.key or self.kind == "edit":
            return False
        if other.kind in ("edit", "write") and self.kind == "read":
            return False  # what was changed is worth knowing beside what there is now
        if self.kind == "write" or (self.first is None and self.last is None):
            return True
        if other.first is None or other.last is None or self.first is None or self.last is None:
            return False
        return self.first <= other.first and self.last >= other.last


def read_call(name: str, arguments: str) -> Call:
    """The call's meaning; arguments that are no JSON object leave it with its name only."""
    told = _object(arguments)
    kind = kind_of(name, told)
    path = _first(told, _PATH_KEYS)
    if kind in ("edit", "write") and not path:
        kind = "other"  # it makes something that is no file: a ticket, a page
    command = _first(told, _COMMAND_KEYS)
    query = _first(told, _QUERY_KEYS)
    if kind == "run":
        thing = command or path or query
    elif kind == "search":
        thing = " ".join(part for part in (query, path) if part)
    else:
        thing = path or query or command
    if not thing and arguments.strip() not in ("", "{}"):
        thing = arguments.strip()
    first, last = _lines(told)
    lines = "" if first is None else f":{first}-{'' if last is None else last}"
    shown = re.sub(r"\s+", " ", thing)
    if len(shown) > LABEL_CHARS_MAX:
        shown = shown[:LABEL_CHARS_MAX] + "…"
    written = _first(told, _WRITTEN_KEYS) if kind in ("edit", "write") else ""
    return Call(kind, name, thing, f"{name} {shown}{lines}".strip(), first, last, written)


def _object(arguments: str) -> dict[str, Any]:
    try:
        told: object = _decode(arguments)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return {}
    return cast("dict[str, Any]", told) if isinstance(told, dict) else {}


def kind_of(name: str, told: dict[str, Any] | None = None) -> Kind:
    """What a tool of that name does; `told` are its arguments, where they are known."""
    told = told or {}
    words = re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
    if name == "str_replace_based_edit_tool" and told.get("command") == "view":
        return "read"
    for kind, known in _WORDS:
        if any(word in known for word in words):
            return kind
    if _first(told, ("command", "cmd")):
        return "run"
    return "read" if _first(told, _PATH_KEYS) else "other"


def _first(told: dict[str, Any], keys: tuple[str, ...]) -> str:
    for key in keys:
        value = told.get(key)
        if isinstance(value, str) and value:
            return value
        if (
            isinstance(value, list)
            and value
            and all(isinstance(part, str) for part in cast("list[object]", value))
        ):
            return " ".join(cast("list[str]", value))
    return ""


def _lines(told: dict[str, Any]) -> tuple[int | None, int | None]:
    span = told.get("view_range")
    if isinstance(span, list):
        ends = [end for end in cast("list[object]", span) if isinstance(end, int)]
        if len(ends) == 2:
            return ends[0], ends[1]
    first = _number(told, ("offset", "start_line", "start", "line_start"))
    last = _number(told, ("end_line", "end", "line_end"))
    limit = _number(told, ("limit",))
    if last is None and limit is not None:
        first = 1 if first is None else first
        last = first + limit - 1
    if first is None and last is not None:
        first = 1
    return first, last


def _number(told: dict[str, Any], keys: tuple[str, ...]) -> int | None:
    for key in keys:
        value = told.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None
