"""Requests for the activity list: which there are, as short keys, and what a line shows of some of them.

Each function takes a connection inside a transaction. The bill itself is `gateway.ledger`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

import msgspec

from legion_core.kernel.clock import iso
from legion_core.storage.sqlite import Connection, Value, rows


class RequestLine(msgspec.Struct, frozen=True, kw_only=True):
    """A request as a line of the list; tier, instance and model are those of its last attempt.

    `outcome` is `succeeded`, `cancelled` or an error's public code; `cost_usd` None: the price is unknown.
    """

    id: str
    outcome: str
    why: str
    tier: str
    instance: str
    model: str
    attempts: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    conversation: str
    title: str
    dialect: str
    client: str
    at: datetime
    duration_s: float
    first_token_s: float | None
    saved_tokens: int = 0
    saved_usd: float | None = 0.0  # None: the price is unknown
    has_chat: bool = False  # else `conversation` is a client's own name of its session


class RequestFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which requests. `outcomes` of `succeeded`, `cancelled`, `failed` (all other); every one of `words` must occur."""

    outcomes: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    took_min_s: float = 0.0
    cost_min_usd: float = 0.0
    conversation: str = ""


_LINE = """
    SELECT r.id, r.outcome, a.why, a.tier, a.instance, a.model, a.attempt,
           (SELECT sum(input_tokens) FROM attempts WHERE request = r.id),
           (SELECT sum(output_tokens) FROM attempts WHERE request = r.id),
           CASE WHEN r.is_priced THEN r.cost_usd END, r.conversation, coalesce(c.title, ''), r.dialect, r.client, r.at,
           r.duration_s, a.first_token_s, (SELECT sum(saved_tokens) FROM attempts WHERE request = r.id),
           (SELECT CASE WHEN count(*) = count(saved_usd) THEN coalesce(sum(saved_usd), 0.0) END FROM attempts WHERE request = r.id),
           c.id IS NOT NULL
    FROM requests r
    LEFT JOIN attempts a ON a.request = r.id
         AND a.attempt = (SELECT max(attempt) FROM attempts WHERE request = r.id)
    LEFT JOIN conversations c ON c.id = r.conversation AND r.conversation <> ''
"""


def index(connection: Connection, wanted: RequestFilter, limit: int) -> list[tuple[str, str]]:
    """`(at, id)` of the newest `limit` requests that pass, newest first."""
    where, args = _where(wanted)
    join = "LEFT JOIN conversations c ON c.id = r.conversation" if wanted.words else ""
    found = rows(
        connection,
        f"SELECT r.at, r.id FROM requests r {join} WHERE {where} ORDER BY r.at DESC, r.id DESC LIMIT ?",  # noqa: S608
        [*args, limit],
    )
    return cast("list[tuple[str, str]]", found)


def lines(connection: Connection, ids: Sequence[str]) -> list[RequestLine]:
    """Those requests, in no order."""
    marks = ",".join("?" * len(ids))
    found = rows(connection, f"{_LINE} WHERE r.id IN ({marks})", list(ids))
    return [_line(each) for each in found]


def by_hour(
    connection: Connection, since: datetime
) -> list[tuple[str, int, int, float, int, int, float, int]]:
    """`(hour as YYYY-MM-DDTHH UTC, requests, of them local, USD, of unknown price, then by curation: tokens, USD, unknown)`.

    Since a moment; the last three are what curation saved.
    """
    found = rows(
        connection,
        "SELECT substr(r.at, 1, 13), count(*), sum(EXISTS(SELECT 1 FROM attempts a WHERE a.request = r.id AND "
        "a.tier = 'local' AND a.outcome = 'succeeded')), coalesce(sum(r.cost_usd), 0.0), sum(NOT r.is_priced), "
        "coalesce(sum((SELECT sum(saved_tokens) FROM attempts WHERE request = r.id)), 0), "
        "coalesce(sum((SELECT sum(saved_usd) FROM attempts WHERE request = r.id)), 0.0), "
        "sum(EXISTS(SELECT 1 FROM attempts WHERE request = r.id AND saved_usd IS NULL)) "
        "FROM requests r WHERE r.at >= ? GROUP BY 1",
        [iso(since)],
    )
    return [
        (str(hour), int(count), int(local), float(usd), int(unknown), int(tokens), float(saved), int(unsure))
        for hour, count, local, usd, unknown, tokens, saved, unsure in found
    ]


def _where(wanted: RequestFilter) -> tuple[str, list[Value]]:
    where, args = ["1"], list[Value]()

    def add(clause: str, *values: Value) -> None:
        where.append(clause)
        args.extend(values)

    if wanted.outcomes:
        plain = [word for word in wanted.outcomes if word != "failed"]
        parts = [f"r.outcome IN ({','.join('?' * len(plain))})"] if plain else []
        if "failed" in wanted.outcomes:
            parts.append("r.outcome NOT IN ('succeeded', 'cancelled')")
        add(f"({' OR '.join(parts)})", *plain)
    if wanted.conversation:
        add("r.conversation = ? AND r.conversation <> ''", wanted.conversation)  # as the index has it
    if wanted.since is not None:
        add("r.at >= ?", iso(wanted.since.astimezone(UTC)))
    if wanted.until is not None:
        add("r.at < ?", iso(wanted.until.astimezone(UTC)))
    if wanted.took_min_s:
        add("r.duration_s >= ?", wanted.took_min_s)
    if wanted.cost_min_usd:
        add("r.cost_usd >= ?", wanted.cost_min_usd)
    for word in wanted.words:
        like = "%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        add(
            "((coalesce(c.title, '') || ' ' || r.id || ' ' || r.outcome || ' ' || r.dialect || ' ' || r.client) LIKE ? "
            "ESCAPE '\\' OR EXISTS(SELECT 1 FROM attempts a WHERE a.request = r.id AND (a.tier || ' ' || a.instance || "
            "' ' || a.model || ' ' || a.outcome || ' ' || a.why) LIKE ? ESCAPE '\\'))",
            like,
            like,
        )
    return " AND ".join(where), args


def _line(found: tuple[Value, ...]) -> RequestLine:
    names = RequestLine.__struct_fields__
    values = dict(zip(names, found, strict=True))
    for name in ("why", "tier", "instance", "model"):
        values[name] = values[name] or ""
    for name in ("attempts", "input_tokens", "output_tokens", "saved_tokens"):
        values[name] = values[name] or 0
    return msgspec.convert(values, RequestLine, strict=False)
