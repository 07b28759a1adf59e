"""What curation saved of a request: tokens that were not sent, and what they would have cost with the caches there are.

The tokens left out are estimated by length, as the view is; all that was sent is what the provider counted. Money follows the
provider's own behaviour: where it read from a cache or wrote to one, the whole history would have been read from it too, as far
as the request before had put it there. So an epoch that breaks the cache can cost more than it saves in its turn, and
that is told as less than nothing. A price that is not known gives None, never 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from legion_core.gateway.cost import cost_usd
from legion_core.gateway.types import Attempt, Lane, Message, Price, Tier, Usage

if TYPE_CHECKING:
    from legion_core.gateway.curation.service import Curated
    from legion_core.gateway.curation.store import Mark

CACHE_TTL_S = 300.0  # source: Anthropic, the cache that costs 1.25 to write
CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What was left out of one request.

    `tokens` of its history; `new_tokens` came since the request before, which was `age_s` ago. Both are estimated.
    """

    tokens: int = 0
    new_tokens: int = 0
    age_s: float = float("inf")


def saved_of(
    curated: "Curated", attempts: Sequence[Attempt], lanes: Sequence[Lane], now_s: float
) -> tuple[tuple[int, float | None], ...]:
    """Tokens and USD that each attempt saved; nothing where the view was the whole. `now_s` is the time since 1970."""
    kept = curated.kept
    if kept is None or not kept.epoch:
        return ()
    left_out = LeftOut(
        tokens=max(0, kept.naive_tokens - kept.curated_tokens),
        new_tokens=_tokens(curated.messages[kept.fed :]),
        age_s=since_asked_s(kept.marks, now_s),
    )
    prices = {lane.name: lane.offer.price for lane in lanes}
    found = list[tuple[int, float | None]]()
    for attempt in attempts:
        name = f"{attempt.instance}/{attempt.model}"
        # A lane that is gone by now has a price nobody knows.
        usd = (
            saved_usd(attempt.usage, left_out, prices[name], Tier.parse(attempt.tier))
            if name in prices
            else None
            if saved_tokens(attempt.usage, left_out)
            else 0.0
        )
        found.append((saved_tokens(attempt.usage, left_out), usd))
    return tuple(found)


def since_asked_s(marks: "Sequence[Mark]", now_s: float) -> float:
    """How long ago the last request was: a view made in a pause, or after an undo, was sent to nobody's cache."""
    return min((now_s - mark.at_s for mark in marks if not (mark.is_idle or mark.kept)), default=float("inf"))


def saved_tokens(usage: Usage, left_out: LeftOut) -> int:
    """Tokens that one attempt did not send; an attempt that was billed for no prompt saved none."""
    return left_out.tokens if _prompt_of(usage) else 0


def saved_usd(usage: Usage, left_out: LeftOut, price: Price | None, tier: int) -> float | None:
    """What an attempt cost less than with the whole history; below 0 where it cost more, None where the price is unknown."""
    tokens = saved_tokens(usage, left_out)
    if not tokens:
        return 0.0
    paid, whole = cost_usd(usage, price, tier), cost_usd(_whole(usage, tokens, left_out), price, tier)
    return None if paid is None or whole is None else whole - paid


def _whole(usage: Usage, tokens: int, left_out: LeftOut) -> Usage:
    """The usage that the whole history would have had."""
    prompt = _prompt_of(usage) + tokens
    read = write = 0
    if usage.cache_read_tokens or usage.cache_write_tokens:
        read = max(0, prompt - left_out.new_tokens) if left_out.age_s < CACHE_TTL_S else 0
        write = prompt - read if usage.cache_write_tokens else 0
    return Usage(
        input_tokens=prompt - read - write,
        cache_read_tokens=read,
        cache_write_tokens=write,
        output_tokens=usage.output_tokens,
        thinking_tokens=usage.thinking_tokens,
    )


def _prompt_of(usage: Usage) -> int:
    return usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens


def _tokens(messages: Sequence[Message]) -> int:
    return sum(
        (len(getattr(block, "text", "") or getattr(block, "arguments", "")) + CHARS_PER_TOKEN - 1)
        // CHARS_PER_TOKEN
        for message in messages
        for block in message.content
    )
