"""What models cost where no price is configured: a dated table that ships, and the user's own prices before it.

A price is only ever of a host the table knows: a model of the same name elsewhere has an unknown price. So has one
whose id is not listed, alone or with a date or a version behind it.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files

import msgspec

from legion_core.gateway.types import LongPrice, Price
from legion_core.kernel.clock import Clock

# What may stand behind a listed id: `-20250929`, `-2025-09-29`, `@20250929`, `-latest`, `-001`, `-v1:0`.
_VERSION = re.compile(r"(?:[-@](?:\d{8}|\d{4}-\d{2}-\d{2}|latest|\d{3,4}))?(?:-v\d+)?(?::\d+)?")
# What may stand before it: the path of a resource (`models/`), a region and a maker (`us.anthropic.`).
_PLACE = re.compile(r"(?:(?:.*/)?models/|arn:.*/)?(?:[a-z-]+\.)*")


class _Rate(msgspec.Struct, frozen=True):
    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None


class _Row(msgspec.Struct, frozen=True):
    provider: str
    ids: tuple[str, ...]
    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None
    over_tokens: int = 0
    over: _Rate | None = None
    context: int = 0
    checked: str = ""
    since: str = ""


class _Provider(msgspec.Struct, frozen=True):
    provider: str
    host: str
    page: str


class _Table(msgspec.Struct, frozen=True):
    source: str
    date: str
    providers: tuple[_Provider, ...]
    rows: tuple[_Row, ...]


class OwnPrice(msgspec.Struct, frozen=True, kw_only=True):
    """A price the user entered for a model, at one instance or (`instance` empty) wherever it is offered."""

    model: str
    price: Price
    instance: str = ""


class Prices:
    """Looks prices up. The shipped table is read when the first model of a known host is priced, not before."""

    def __init__(self, clock: Clock, own: Callable[[], Sequence[OwnPrice]] = tuple) -> None:
        self._clock = clock
        self._own = own

    def of(self, instance: str, host: str, model: str) -> Price | None:
        """The price of `model` at `instance`, which answers at `host`; None if it is unknown.

        `Price.source` says where it is from and of which day.
        """
        own = [row for row in self._own() if row.model == model and row.instance in ("", instance)]
        if own:
            return max(own, key=lambda row: bool(row.instance)).price
        return shipped(host, model, self._clock.utc_now().date().isoformat()) if "." in host else None


def shipped(host: str, model: str, today: str) -> Price | None:
    """What the shipped table says of `model` at `host` on the day `today` (ISO)."""
    table = _table()
    provider = next((row for row in table.providers if re.fullmatch(row.host, host)), None)
    if provider is None:
        return None
    found = [row for row in table.rows if row.provider == provider.provider and row.since <= today]
    exact = [row for row in found if model in row.ids]
    rows = exact or [row for row in found if any(_is_version_of(model, known) for known in row.ids)]
    if not rows:
        return None
    # The longest id is the closest one; of its prices the newest that has begun.
    newest = max(rows, key=lambda row: (max(len(known) for known in row.ids if known in model), row.since))
    return _price(newest, f"{provider.page}, {newest.checked or table.date}")


def context_of(host: str, model: str) -> int:
    """How many tokens the shipped table says that `model` holds; 0 if it does not say."""
    table = _table()
    provider = next((row for row in table.providers if re.fullmatch(row.host, host)), None)
    rows = [row for row in table.rows if provider is not None and row.provider == provider.provider]
    return next((row.context for row in rows if any(_is_version_of(model, known) for known in row.ids)), 0)


def _is_version_of(model: str, known: str) -> bool:
    at = model.find(known)
    return (
        at >= 0
        and _PLACE.fullmatch(model[:at]) is not None
        and _VERSION.fullmatch(model[at + len(known) :]) is not None
    )


def _price(row: _Row, source: str) -> Price:
    over = row.over
    long = over and LongPrice(
        over_tokens=row.over_tokens,
        input=over.input,
        output=over.output,
        cache_read=over.cache_read,
        cache_write=over.cache_write,
    )
    return Price(
        input=row.input,
        output=row.output,
        cache_read=row.cache_read,
        cache_write=row.cache_write,
        long=long,
        source=source,
    )


@cache
def _table() -> _Table:
    raw = files("legion_core.gateway").joinpath("prices.json").read_bytes()
    return msgspec.json.decode(raw, type=_Table)
