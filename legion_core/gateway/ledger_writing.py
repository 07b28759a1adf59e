"""How bills stand in the journal: a row for each request and each attempt, and their sums by day.

Each function takes a connection inside a transaction.
"""

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from legion_core.gateway.bills import Bill
from legion_core.gateway.types import Attempt
from legion_core.kernel.clock import iso
from legion_core.storage.sqlite import Connection, Value, execute, insert

CLIENT_MAX = 40  # characters of a client's name that tell it from others

_TOTALS = """
    INTO totals(day, client, tier, instance, model, outcome, attempts, input_tokens, output_tokens, cost_usd, unpriced,
        cache_read_tokens, cache_write_tokens, thinking_tokens, saved_tokens, saved_usd, saved_unpriced)
"""
_ADDED = """
    ON CONFLICT DO UPDATE SET
        attempts = attempts + excluded.attempts, input_tokens = input_tokens + excluded.input_tokens,
        output_tokens = output_tokens + excluded.output_tokens, cost_usd = cost_usd + excluded.cost_usd,
        unpriced = unpriced + excluded.unpriced, cache_read_tokens = cache_read_tokens + excluded.cache_read_tokens,
        cache_write_tokens = cache_write_tokens + excluded.cache_write_tokens,
        thinking_tokens = thinking_tokens + excluded.thinking_tokens,
        saved_tokens = saved_tokens + excluded.saved_tokens, saved_usd = saved_usd + excluded.saved_usd,
        saved_unpriced = saved_unpriced + excluded.saved_unpriced
"""
_CONVERSATION_TOTALS = """
    INTO conversation_totals(day, conversation, newest, attempts, input_tokens, output_tokens, cost_usd, unpriced,
        cache_read_tokens, cache_write_tokens, thinking_tokens, saved_tokens, saved_usd, saved_unpriced)
"""
_ADDED_NEWER = f"{_ADDED.rstrip()}, newest = max(newest, excluded.newest)"
Key = tuple[str, ...]  # day, client, tier, instance, model, outcome; or day, conversation: one row of sums


@lru_cache(maxsize=512)
def client_key(client: str) -> str:
    """Under which name a client's spending is added up: its product, without version and platform; `-` if none.

    `Anthropic/Python 2.12.0` is `anthropic`: an update must not begin a new account.
    """
    product = client.partition("/")[0].partition(" ")[0].lower()
    return "".join(char for char in product if char.isalnum() or char in "-_.")[:CLIENT_MAX] or "-"


def write_bills(connection: Connection, bills: Sequence[Bill]) -> None:
    """The rows of these requests and their attempts, their sums, and the end of their reservations.

    A request that is there already is left as it is.
    """
    names = msgspec.json.encode([bill.request for bill in bills]).decode()
    execute(
        connection, "DELETE FROM reservations WHERE request IN (SELECT value FROM json_each(?))", (names,)
    )
    heads = [_head(bill) for bill in bills]
    new = {name for (name,) in insert(connection, "OR IGNORE INTO requests", heads, "RETURNING id")}
    attempts = list[tuple[Value, ...]]()
    sums, by_conversation = dict[Key, tuple[float, ...]](), dict[Key, tuple[float, ...]]()
    newest = dict[Key, str]()
    for bill in bills:
        if bill.request not in new:
            continue
        new.discard(bill.request)  # the same request may be among them twice
        client = client_key(bill.client)
        for place, attempt in enumerate(bill.attempts):
            saved = bill.saved[place] if place < len(bill.saved) else (0, 0.0)
            at = iso(attempt.started_at)
            attempts.append((bill.request, *_columns(attempt, at), *saved))
            key = at[:10], client, attempt.tier, attempt.instance, attempt.model, attempt.outcome
            counted = _counted(attempt, *saved)
            _add(sums, key, counted)
            if bill.conversation:
                key = at[:10], bill.conversation
                _add(by_conversation, key, counted)
                newest[key] = max(newest.get(key, ""), at)
    insert(connection, "OR IGNORE INTO attempts", attempts)
    insert(connection, _TOTALS, [(*key, *counted) for key, counted in sums.items()], _ADDED)
    told = [(*key, newest[key], *counted) for key, counted in by_conversation.items()]
    insert(connection, _CONVERSATION_TOTALS, told, _ADDED_NEWER)


def _head(bill: Bill) -> tuple[Value, ...]:
    costs = [attempt.cost_usd for attempt in bill.attempts]
    known = [cost for cost in costs if cost is not None]
    return (
        bill.request, iso(bill.at), bill.conversation, bill.dialect, bill.client, bill.outcome, bill.duration_s,
        sum(known), int(len(known) == len(costs)),
    )  # fmt: skip


def _columns(attempt: Attempt, at: str) -> tuple[Value, ...]:
    usage = attempt.usage
    return (
        attempt.number, at, attempt.tier, attempt.instance, attempt.model,
        usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens,
        usage.thinking_tokens, int(usage.is_estimated), attempt.cost_usd, attempt.outcome, attempt.why,
        attempt.duration_s, attempt.first_token_s,
    )  # fmt: skip


def _counted(attempt: Attempt, saved_tokens: int, saved_usd: float | None) -> tuple[float, ...]:
    usage, cost = attempt.usage, attempt.cost_usd
    return (
        1, usage.input_tokens, usage.output_tokens, cost or 0.0, int(cost is None), usage.cache_read_tokens,
        usage.cache_write_tokens, usage.thinking_tokens, saved_tokens, saved_usd or 0.0, int(saved_usd is None),
    )  # fmt: skip


def _add(sums: dict[Key, tuple[float, ...]], key: Key, counted: tuple[float, ...]) -> None:
    known = sums.get(key)
    sums[key] = counted if known is None else tuple(map(sum, zip(known, counted, strict=True)))
