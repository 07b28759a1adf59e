"""What a poll saw last, kept in the journal, and what differs between two looks.

As in `engine.journal`, each function that takes a connection runs inside a transaction.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec

from legion_core.storage.sqlite import Connection, execute, row

DIFFERENCES_MAX = 100
_DEPTH_MAX = 32


def recall(connection: Connection, name: str) -> bytes | None:
    """What was seen last, as JSON; None before the first look."""
    found = row(connection, "SELECT value FROM actor_memory WHERE name = ?", [name])
    return None if found is None else bytes(found[0])


def remember(connection: Connection, name: str, value: bytes, now_ms: int) -> None:
    """Keep what is seen now."""
    execute(connection, "INSERT OR REPLACE INTO actor_memory VALUES(?,?,?)", [name, value, now_ms])


def change(before: bytes, after: bytes) -> Mapping[str, Any]:
    """`result`, `before` and `diff`: `[{path, before, after}]`, at most 100; a side that lacks the path leaves it out."""
    old, new = msgspec.json.decode(before), msgspec.json.decode(after)
    found = _differences("", old, new, 0)
    return {
        "result": new,
        "before": old,
        "diff": [each for each, _ in zip(found, range(DIFFERENCES_MAX), strict=False)],
    }


def _differences(path: str, old: Any, new: Any, depth: int) -> Iterator[dict[str, Any]]:
    if old == new and type(old) is type(new):
        return
    pairs: list[tuple[str, Any, Any]] = []
    if depth < _DEPTH_MAX and isinstance(old, dict) and isinstance(new, dict):
        left, right = cast("dict[str, Any]", old), cast("dict[str, Any]", new)
        pairs = [(name, left.get(name, _ABSENT), right.get(name, _ABSENT)) for name in {**left, **right}]
    elif depth < _DEPTH_MAX and isinstance(old, list) and isinstance(new, list):
        first, second = cast("list[Any]", old), cast("list[Any]", new)
        pairs = [
            (
                str(index),
                first[index] if index < len(first) else _ABSENT,
                second[index] if index < len(second) else _ABSENT,
            )
            for index in range(max(len(first), len(second)))
        ]
    else:
        found: dict[str, Any] = {"path": path}
        if old is not _ABSENT:
            found["before"] = old
        if new is not _ABSENT:
            found["after"] = new
        yield found
        return
    for name, before, after in pairs:
        yield from _differences(f"{path}.{name}" if path else name, before, after, depth + 1)


class _Absent:
    """Nothing stands there; not the same as null."""


_ABSENT = _Absent()
