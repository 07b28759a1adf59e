"""The operators of conditions, as an editor offers them."""

import msgspec

from legion_core.engine.operators import OPERATORS


class OperatorRow(msgspec.Struct, frozen=True, kw_only=True):
    """An operator: the kind of value it takes (`none` for none), and how it is told to a person."""

    name: str
    takes: str
    words: str


def operators() -> tuple[OperatorRow, ...]:
    """All there are, in the order they are offered."""
    return tuple(
        OperatorRow(name=each.name, takes=each.takes, words=each.words) for each in OPERATORS.values()
    )
