"""Cursors: opaque to the client, an offset to us."""

import base64
import binascii

from legion_core.kernel.errors import InvalidInput
from legion_core.surfaces.rest.calls import Call, Parameter

PAGE_DEFAULT = 50
OFFSET_MAX = 10_000_000

PAGE_PARAMETERS = (
    Parameter("limit", "How many at most.", {"type": "integer", "minimum": 1, "default": PAGE_DEFAULT}),
    Parameter("cursor", "The `meta.next` of the page before."),
)


def page_of(call: Call, maximum: int) -> tuple[int, int]:
    """Limit and offset from the query."""
    limit = call.number("limit", default=min(PAGE_DEFAULT, maximum), maximum=maximum)
    cursor = call.query.get("cursor")
    return limit, _offset(cursor) if cursor else 0


def meta_of(limit: int, offset: int, got: int) -> dict[str, object]:
    """`next` where there may be more: `got` counts one beyond the page, if there is one."""
    more = got > limit
    return {"limit": limit, "next": _cursor(offset + limit) if more else None}


def _cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(b"o%d" % offset).decode().rstrip("=")


def _offset(cursor: str) -> int:
    try:
        text = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise InvalidInput("`cursor` is not one we gave.") from error
    if not (text.startswith("o") and text[1:].isdecimal() and int(text[1:]) <= OFFSET_MAX):
        raise InvalidInput("`cursor` is not one we gave.")
    return int(text[1:])
