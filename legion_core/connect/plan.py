"""Pure: what becomes of a file's text when a client is connected or let go, and how it is now."""

import json
from difflib import SequenceMatcher
from typing import Any, Literal

import msgspec

from legion_core.connect import jsonc_edit, toml_edit
from legion_core.connect.clients import Target
from legion_core.connect.jsonc import plain
from legion_core.connect.marks import Format, Mark

CONTEXT_LINES = 3
LINES_MAX = 4_000

Standing = Literal["absent", "ours", "other"]


class DiffLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a preview. `sign`: `+`, `-`, or a blank for a line that stays; `number`: where it stands, from 1."""

    sign: str
    number: int
    text: str


def changed(text: str, target: Target) -> tuple[str, tuple[Mark, ...]]:
    """`text` with all entries of `target`, and the marks in the order they were made. Raises Invalid, ConfigError."""
    marks: list[Mark] = []
    for path, value in target.entries:
        if target.format == "toml":
            text, mark = toml_edit.put(text, path, value)
        else:
            text, mark = jsonc_edit.put(text, path, value, is_strict=target.format == "json")
        marks.append(mark)
    return text, tuple(marks)


def restored(text: str, format: Format, marks: tuple[Mark, ...]) -> str:  # noqa: A002
    """`text` without what the marks remember, the last one first. Raises Invalid, ConfigError."""
    for mark in reversed(marks):
        if format == "toml":
            text = toml_edit.take(text, mark)
        else:
            text = jsonc_edit.take(text, mark, is_strict=format == "json")
    return text


def standing(text: str, target: Target) -> Standing:
    """Whether our entries stand there as we write them, otherwise, or not at all. Raises Invalid."""
    found = [_held(text, target, path) for path, _ in target.entries]
    if all(each is None for each in found):
        return "absent"
    wanted = [_as_held(value, target.format) for _, value in target.entries]
    return "ours" if found == wanted else "other"


def _held(text: str, target: Target, path: tuple[str, ...]) -> Any:
    if target.format == "toml":
        return toml_edit.held(text, path)
    return jsonc_edit.held(text, path, is_strict=target.format == "json")


def _as_held(value: Any, format: Format) -> Any:  # noqa: A002
    return value if format == "toml" else plain(json.dumps(value))


def marks_of(target: Target) -> tuple[Mark, ...]:
    """Marks to take a target's entries out where nothing was remembered of how they came."""
    return tuple(Mark(path=path) for path, _ in target.entries)


def snippet(target: Target) -> str:
    """What would be written into an empty file, to be copied by hand."""
    return changed("", target)[0]


def difference(before: str, after: str) -> tuple[DiffLine, ...]:
    """The lines that go and come, with three beside them that stay; at most some thousands."""
    old, new = before.splitlines(), after.splitlines()
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    foot = 0
    while foot < min(len(old), len(new)) - head and old[-1 - foot] == new[-1 - foot]:
        foot += 1
    above = range(max(0, head - CONTEXT_LINES), head)
    lines = [DiffLine(sign=" ", number=at + 1, text=old[at]) for at in above]
    gone, come = old[head : len(old) - foot], new[head : len(new) - foot]
    lines += _middle(gone, come, head)
    below = range(len(new) - foot, min(len(new), len(new) - foot + CONTEXT_LINES))
    lines += [DiffLine(sign=" ", number=at + 1, text=new[at]) for at in below]
    return tuple(lines[:LINES_MAX])


def _middle(gone: list[str], come: list[str], head: int) -> list[DiffLine]:
    if len(gone) * len(come) > 4_000_000:
        return [
            *(DiffLine(sign="-", number=head + at + 1, text=text) for at, text in enumerate(gone)),
            *(DiffLine(sign="+", number=head + at + 1, text=text) for at, text in enumerate(come)),
        ]
    lines: list[DiffLine] = []
    matcher = SequenceMatcher(None, gone, come, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            kept = [DiffLine(sign=" ", number=head + c + at + 1, text=come[c + at]) for at in range(b - a)]
            if len(kept) > 2 * CONTEXT_LINES:
                kept = [*kept[:CONTEXT_LINES], *kept[-CONTEXT_LINES:]]
            lines += kept
            continue
        lines += [DiffLine(sign="-", number=head + at + 1, text=gone[at]) for at in range(a, b)]
        lines += [DiffLine(sign="+", number=head + at + 1, text=come[at]) for at in range(c, d)]
    return lines
