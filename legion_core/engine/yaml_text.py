"""Pure: YAML 1.2 as plain JSON, with the line of everything in it.

libyaml (by PyYAML, MIT licence) splits the text into events; what they mean is decided here by the core schema of YAML
1.2, so `on`, `no` and `1_000` are words. No tag builds an object. Size, depth, and what aliases unfold to are bounded.
"""

import json
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

from legion_core.engine.refusal import FAULTS_MAX, InvalidDocument
from legion_core.kernel.config_check import Fault

CHARS_MAX = 8 << 20
VALUES_MAX = 500_000
DEPTH_MAX = 64

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]{1,300}")
_OCTAL = re.compile(r"0o[0-7]{1,100}")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,100}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,4})?")
_ODD_FLOAT = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_NOT_YAML = "this is not YAML"
_PLAIN_TAGS = (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_STRING_TAGS = (None, "!", "tag:yaml.org,2002:str")


@dataclass(slots=True)
class _Level:
    """A mapping or sequence being read."""

    value: dict[str, object] | list[object]
    path: str
    anchor: str | None
    before: int
    key: str | None = None
    lines: dict[str, int] = field(default_factory=dict[str, int])


def read(text: str) -> tuple[object, dict[str, int]]:
    """The document and the line (from 1) of each part, by its path: `nodes.get.args`, `edges[0].to`.

    Raises InvalidDocument with every fault that could be found.
    """
    if len(text) > CHARS_MAX:
        raise _invalid([Fault("", f"the text has {len(text)} characters; at most {CHARS_MAX} are taken.")])
    if text.lstrip("\ufeff \t\r\n").startswith("{"):
        return _json(text)
    return _yaml(text)


def _json(text: str) -> tuple[object, dict[str, int]]:
    """JSON is YAML but for surrogate pairs in escapes; what YAML cannot read may still be JSON."""
    try:
        return _yaml(text)
    except InvalidDocument as error:
        if not error.faults[0].message.startswith(_NOT_YAML):
            raise
        try:
            return json.loads(text, object_pairs_hook=_once), {}
        except (ValueError, RecursionError):
            raise error from None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object none of whose names stands twice."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name stands there twice")
    return made


def _yaml(text: str) -> tuple[object, dict[str, int]]:
    reader = _Reader()
    try:
        for event in _events(text):
            reader.take(event)
    except _StopError:
        pass
    except _yaml_error() as error:
        reader.faults.append(_syntax_fault(error))
    if not reader.is_begun and not reader.faults:
        reader.faults.append(Fault("", "the text is empty."))
    if reader.faults:
        raise _invalid(reader.faults)
    return reader.root, reader.lines


def _events(text: str) -> Any:
    import yaml

    library = cast("Any", yaml)
    return library.parse(text, Loader=getattr(library, "CBaseLoader", library.BaseLoader))


@cache
def _yaml_error() -> type[Exception]:
    import yaml

    return yaml.YAMLError


def _syntax_fault(error: Exception) -> Fault:
    mark = getattr(error, "problem_mark", None)
    what = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    line = cast("int", mark.line) + 1 if mark is not None else None
    return Fault("", f"{_NOT_YAML}: {what}.", "", line)


def _invalid(faults: list[Fault]) -> InvalidDocument:
    return InvalidDocument("The document", sorted(faults, key=lambda each: each.line or 0))


class _StopError(Exception):
    """A bound was hit; nothing after it is worth reading."""


class _Reader:
    def __init__(self) -> None:
        self.root: object = None
        self.lines: dict[str, int] = {}
        self.faults: list[Fault] = []
        self.is_begun = False
        self._levels: list[_Level] = []
        self._anchors: dict[str, tuple[object, int]] = {}
        self._open: set[str] = set()
        self._count = 0

    def take(self, event: Any) -> None:
        """The next event of the parser."""
        line = event.start_mark.line + 1
        match type(event).__name__:
            case "ScalarEvent":
                self._scalar(event, line)
            case "AliasEvent":
                self._alias(event.anchor, line)
            case "MappingStartEvent":
                self._begin({}, event, line)
            case "SequenceStartEvent":
                self._begin([], event, line)
            case "MappingEndEvent" | "SequenceEndEvent":
                self._end()
            case "DocumentStartEvent" if self.is_begun:
                self._stop("there is a second document; only one is read.", line)
            case _:
                pass

    def _scalar(self, event: Any, line: int) -> None:
        level = self._levels[-1] if self._levels else None
        text = cast("str", event.value)
        if level is not None and isinstance(level.value, dict) and level.key is None:
            self._key(level, text, line)
            return
        value: object = text
        if event.tag not in _STRING_TAGS:
            self._fault(self._path(), f"the tag {str(event.tag)[:60]} is not read.", line)
        elif event.implicit[0] and event.tag is None:
            value = _resolved(text)
        self._add(value, line, event.anchor, 1)

    def _key(self, level: _Level, text: str, line: int) -> None:
        level.key = text
        if text in level.lines:
            where = f"{level.path}.{text}" if level.path else text
            self._fault(where, f"stands here a second time; the first is in line {level.lines[text]}.", line)
        else:
            level.lines[text] = line

    def _alias(self, anchor: str, line: int) -> None:
        if anchor in self._open:
            self._stop(f"*{anchor} refers to itself.", line)
        if anchor not in self._anchors:
            self._stop(f"*{anchor} refers to nothing.", line)
        level = self._levels[-1] if self._levels else None
        if level is not None and isinstance(level.value, dict) and level.key is None:
            self._stop("a name cannot be an alias.", line)
        value, size = self._anchors[anchor]
        self._add(value, line, None, size)

    def _begin(self, value: dict[str, object] | list[object], event: Any, line: int) -> None:
        level = self._levels[-1] if self._levels else None
        if level is not None and isinstance(level.value, dict) and level.key is None:
            self._stop("a name is text, not a list or an object.", line)
        if len(self._levels) >= DEPTH_MAX:
            self._stop(f"it is nested deeper than {DEPTH_MAX} levels.", line)
        if event.tag not in _PLAIN_TAGS:
            self._fault(self._path(), f"the tag {str(event.tag)[:60]} is not read.", line)
        path = self._path()
        before = self._count
        self._add(value, line, None, 1)
        if event.anchor is not None:
            self._open.add(event.anchor)
        self._levels.append(_Level(value, path, event.anchor, before))

    def _end(self) -> None:
        level = self._levels.pop()
        if level.anchor is not None:
            self._open.discard(level.anchor)
            self._anchors[level.anchor] = (level.value, self._count - level.before)

    def _add(self, value: object, line: int, anchor: str | None, size: int) -> None:
        self._count += size
        if self._count > VALUES_MAX:
            self._stop(f"it holds more than {VALUES_MAX} values, aliases unfolded.", line)
        self.is_begun = True
        self.lines.setdefault(self._path(), line)
        if anchor is not None:
            self._anchors[anchor] = (value, size)
        if not self._levels:
            self.root = value
            return
        level = self._levels[-1]
        if isinstance(level.value, list):
            level.value.append(value)
        else:
            assert level.key is not None
            level.value.setdefault(level.key, value)
            level.key = None

    def _path(self) -> str:
        """Where the next value stands."""
        if not self._levels:
            return ""
        level = self._levels[-1]
        if isinstance(level.value, list):
            return f"{level.path}[{len(level.value)}]"
        key = level.key or ""
        return f"{level.path}.{key}" if level.path else key

    def _fault(self, where: str, message: str, line: int) -> None:
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(Fault(where, message, "", line))

    def _stop(self, message: str, line: int) -> None:
        self.faults.append(Fault("", message, "", line))
        raise _StopError


def _resolved(text: str) -> object:
    """What a plain scalar stands for in the core schema of YAML 1.2."""
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text[0] in "tT"
    if _INT.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text, 0)
    if _HEX.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _ODD_FLOAT.fullmatch(text):
        return float(text.lower().replace(".", ""))
    return text


def is_plain(text: str) -> bool:
    """Whether a text may stand without quotes anywhere in YAML and is read back as this very text."""
    return re.fullmatch(r"[A-Za-z_$][\w$./@-]*", text, re.ASCII) is not None and _resolved(text) == text
