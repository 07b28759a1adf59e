"""What lists share: how many, from where on, only which; and how long to wait for one of them. A cursor is opaque to the client."""

import base64
import binascii

from legion_core.kernel.errors import InvalidInput
from legion_core.surfaces.rest.calls import Call, Desk, Parameter
from legion_core.surfaces.rest.limits import Limits

PAGE_DEFAULT = 50
PAGE_MAX = Limits().page_max
OFFSET_MAX = 10_000_000

PAGE_PARAMETERS = (
    Parameter(
        "limit",
        "How many at most.",
        {"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_DEFAULT},
    ),
    Parameter("cursor", "The `meta.next` of the page before."),
)


WAIT_MAX_S = 60
WAIT_PARAMETER = Parameter(
    "wait_s",
    "Wait so long for its end.",
    {"type": "integer", "minimum": 0, "maximum": WAIT_MAX_S, "default": 0},
)


def wait_of(call: Call) -> float:
    """How long the client would wait, in seconds; 0 for not at all."""
    return float(call.number("wait_s", default=0, minimum=0, maximum=WAIT_MAX_S))


def limit_of(desk: Desk, call: Call) -> int:
    """How many the client wants, of a list whose cursor is its own."""
    most = desk.limits.page_max
    return call.number("limit", default=min(PAGE_DEFAULT, most), maximum=most)


def chosen(call: Call, name: str, choices: tuple[str, ...]) -> str:
    """One of the words from the query; empty if absent."""
    return call.choice(name, choices) if name in call.query else ""


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
