"""What a call would change, as it is shown. Cheap to import."""

from typing import Literal

import msgspec


class ChangeLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a difference: `+` comes, `-` goes, ` ` stays, `@` says where the next lines stand. `number` 0: none."""

    sign: Literal["+", "-", " ", "@"]
    number: int
    text: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that would be another. `what` is a file, a command, a tool; `note` says what a reader should know."""

    what: str
    lines: tuple[ChangeLine, ...] = ()
    added: int = 0
    removed: int = 0
    note: str = ""
    is_cut: bool = False
