"""What models cost where no price is configured: a dated table that ships, and the user's own prices before it.

A price is only ever of a host the table knows: a model of the same name elsewhere has an unknown price. So has one
whose id is not listed, alone or with a date or a version behind it.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
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
        if not _is_public_name(host):
            return None
        return shipped(host, model, self._clock.utc_now().date().isoformat())


def shipped(host: str, model: str, today: str) -> Price | None:
    """What the shipped table says of `model` at `host` on the day `today` (ISO)."""
    listing = _listing(host)
    for known in ids_in(model):
        rows = [row for row in listing.rows.get(known, ()) if row.since <= today]
        if rows:
            newest = max(rows, key=lambda row: row.since)
            return _price(newest, f"{listing.page}, {newest.checked or _table().date}")
    return None


def context_of(host: str, model: str) -> int:
    """How many tokens the shipped table says that `model` holds; 0 if it does not say."""
    rows = _listing(host).rows
    return next((row.context for known in ids_in(model) for row in rows.get(known, ()) if row.context), 0)


def ids_in(model: str) -> Iterator[str]:
    """The ids a model's name may stand for: itself, then without what may stand before and behind an id."""
    starts = [at + 1 for at, char in enumerate(model) if char in "./" and _PLACE.fullmatch(model[: at + 1])]
    ends = [at for at, char in enumerate(model) if char in "-@:" and _VERSION.fullmatch(model[at:])]
    for start in (0, *starts):
        for end in (len(model), *reversed(ends)):
            if end > start:
                yield model[start:end]


def _is_public_name(host: str) -> bool:
    """Whether the table could know the host at all: addresses and names of one's own network it does not."""
    return "." in host and not host.replace(".", "").isdigit() and ":" not in host


@dataclass(frozen=True, slots=True)
class _Listing:
    """One provider's part of the table, by id."""

    page: str = ""
    rows: dict[str, list[_Row]] = field(default_factory=dict[str, "list[_Row]"])


@lru_cache(maxsize=64)
def _listing(host: str) -> _Listing:
    table = _table()
    provider = next((row for row in table.providers if re.fullmatch(row.host, host)), None)
    if provider is None:
        return _Listing()
    rows = dict[str, list[_Row]]()
    for row in table.rows:
        if row.provider == provider.provider:
            for known in row.ids:
                rows.setdefault(known, []).append(row)
    return _Listing(provider.page, rows)


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
