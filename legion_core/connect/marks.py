"""What is remembered of a change to somebody else's file, so that exactly this change can be taken back."""

from typing import Literal

import msgspec

Format = Literal["json", "jsonc", "toml"]


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """One key that was put into a text.

    `path`: the key, from the root; a step that starts with `@` (such as `@name=Legion`) finds the element of an array that
    has this member. `depth`: how many steps were there before, so the rest was made here. `lead` and `tail`: blanks that
    came along. `comma`: where the comma went. `before`: the text that stood in its place, or None if nothing did.
    """

    path: tuple[str, ...]
    depth: int = 0
    kind: Literal["same", "replaced", "inserted", "root"] = "inserted"
    lead: str = ""
    tail: str = ""
    comma: Literal["none", "before", "after"] = "none"
    before: str | None = None
