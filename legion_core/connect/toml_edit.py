"""Pure: puts a table into a TOML text and takes it out again, and leaves every other byte where it was.

A table of ours is written as a block with its own headers at the end of the file, which TOML allows wherever the table
above it was not closed by being written inline. The standard parser has the last word on every text that is made.
"""

import json
import re
import tomllib
from typing import Any, cast

from legion_core.connect.jsonc import Invalid, place
from legion_core.connect.marks import Mark
from legion_core.kernel.errors import ConfigError
from legion_core.kernel.toml_lines import lines_of

_WHERE = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def put(text: str, path: tuple[str, ...], value: dict[str, Any]) -> tuple[str, Mark]:
    """`text` in which the table `path` is `value`, and how to take it back. Raises Invalid, ConfigError."""
    whole = load(text)
    before = _at(whole, path)
    if before == value:
        return text, Mark(path=path, depth=len(path), kind="same")
    newline = "\r\n" if "\r\n" in text else "\n"
    block = newline.join(_lines(path, value)) + newline
    if before is None:
        joint = "" if not text or text.endswith("\n") else newline
        lead = joint + (newline if text.strip() else "")
        fresh, mark = text + lead + block, Mark(path=path, lead=lead)
    else:
        start, end = _block(text, path)
        fresh = text[:start] + block.rstrip("\r\n") + text[end:]
        mark = Mark(path=path, depth=len(path), kind="replaced", before=text[start:end])
    _confirm(fresh, whole, path, value)
    return fresh, mark


def take(text: str, mark: Mark) -> str:
    """`text` without what `mark` remembers; what others put there since stays. Raises Invalid, ConfigError."""
    whole = load(text)
    if mark.kind == "same" or _at(whole, mark.path) is None:
        return text
    start, end = _block(text, mark.path)
    if mark.kind == "replaced" and mark.before is not None:
        fresh = text[:start] + mark.before + text[end:]
        _confirm(fresh, whole, mark.path, _at(load(fresh), mark.path))
        return fresh
    for newline in ("\r\n", "\n"):
        if text.startswith(newline, end):
            end += len(newline)
            break
    lead = mark.lead
    if text[end:].strip() and lead.count("\n") > 1:
        lead = lead[lead.index("\n") + 1 :]  # what was added below must not join the line above
    if lead and text[:start].endswith(lead):
        start -= len(lead)
    fresh = text[:start] + text[end:]
    _confirm(fresh, whole, mark.path, None)
    return fresh


def held(text: str, path: tuple[str, ...]) -> Any:
    """What stands at `path`, or None. Raises Invalid."""
    return _at(load(text), path)


def load(text: str) -> dict[str, Any]:
    """The values of a TOML text. Raises Invalid with the place."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        words = str(error)
        where = _WHERE.search(words)
        line, column = (int(where[1]), int(where[2])) if where and where[1] else place(text, len(text))
        raise Invalid(words[: where.start()] if where else words, line, column) from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, a thousand brackets
        raise Invalid(f"This cannot be read ({type(error).__name__})", 1, 1) from None


def _at(whole: object, path: tuple[str, ...]) -> Any:
    for step in path:
        if not isinstance(whole, dict) or step not in whole:
            return None
        whole = cast("dict[str, Any]", whole)[step]
    return whole


def _lines(path: tuple[str, ...], value: dict[str, Any]) -> list[str]:
    """A table and the tables in it, each under its own header."""
    lines = [f"[{'.'.join(map(_key, path))}]"]
    lines += [f"{_key(name)} = {_value(each)}" for name, each in value.items() if not isinstance(each, dict)]
    for name, each in value.items():
        if isinstance(each, dict):
            lines += ["", *_lines((*path, name), cast("dict[str, Any]", each))]
    return lines


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return _text(value)
        case _:
            return f"[{', '.join(_value(each) for each in value)}]"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _block(text: str, path: tuple[str, ...]) -> tuple[int, int]:
    """Where the lines of a table stand, its header first; raises ConfigError where it is written in another form."""
    starts = [0, *(found.end() for found in re.finditer("\n", text))]
    own = ".".join(path)
    lines = lines_of(text)
    headers = sorted(
        (line, key) for key, line in lines.items() if text[starts[line - 1] :].lstrip(" \t").startswith("[")
    )
    mine = [place for place, (_, key) in enumerate(headers) if key == own or key.startswith(own + ".")]
    if not mine or headers[mine[0]][1] != own or mine != list(range(mine[0], mine[-1] + 1)):
        line = lines.get(own, 1)
        raise ConfigError(
            f"`{own}` is written in a form that is not edited here (line {line}).",
            hint=f"Write it as a table with the header [{own}], or take it out, and try again.",
        )
    first = headers[mine[0]][0]
    below = headers[mine[-1] + 1][0] if mine[-1] + 1 < len(headers) else len(starts) + 1
    end = starts[below - 1] if below <= len(starts) else len(text)
    # Blank lines and comments above the next header belong to that one.
    last = max(
        (line for key, line in lines.items() if key == own or key.startswith(own + ".")), default=first
    )
    floor = _end_of_value(text, starts, last, end)
    return starts[first - 1], floor


def _end_of_value(text: str, starts: list[int], line: int, limit: int) -> int:
    """The end of the line on which the last value of a table ends; a value may run over several lines."""
    while True:
        end = starts[line] if line < len(starts) else len(text)
        rest = text[end:limit]
        if end >= limit or all(
            not each.strip() or each.lstrip().startswith("#") for each in rest.splitlines()
        ):
            return len(text[:end].rstrip("\r\n")) if end <= limit else limit
        line += 1


def _confirm(fresh: str, whole: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Refuse a text in which anything but `path` means something else than before."""
    try:
        after = tomllib.loads(fresh)
    except (ValueError, RecursionError):
        after = None
    # As text: a number that is none is not equal to itself.
    same = after is not None and repr(_without(after, path)) == repr(_without(whole, path))
    if after is None or not same or _at(after, path) != value:
        raise ConfigError(
            f"`{'.'.join(path[:-1])}` is written in a form that is not edited here.",
            hint="It may be an inline table. Write it with headers in brackets, and try again.",
        )


def _without(whole: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """The values without `path`, and without tables that are empty for it."""
    copy = dict(whole)
    head = copy.get(path[0])
    if len(path) == 1:
        copy.pop(path[0], None)
    elif isinstance(head, dict):
        copy[path[0]] = _without(cast("dict[str, Any]", head), path[1:])
        if not copy[path[0]]:
            del copy[path[0]]
    return copy
