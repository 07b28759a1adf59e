"""Pure arithmetic of money: what tokens cost at a price. An unknown price gives None, never 0."""

from legion_core.gateway.types import LongPrice, Price, Tier, Usage

MILLION = 1_000_000


def cost_usd(usage: Usage, price: Price | None, tier: int) -> float | None:
    """What `usage` costs; None if the price is unknown. What runs on one's own machines (tiers 0 to 2) costs nothing."""
    if price is None:
        return 0.0 if tier <= Tier.FLEET else None
    prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    rate = rate_of(price, prompt)
    read = rate.cache_read if rate.cache_read is not None else rate.input
    write = rate.cache_write if rate.cache_write is not None else rate.input
    return (
        usage.input_tokens * rate.input
        + usage.cache_read_tokens * read
        + usage.cache_write_tokens * write
        + usage.output_tokens * rate.output
    ) / MILLION


def rate_of(price: Price, prompt_tokens: int) -> Price | LongPrice:
    """The price of a request with a prompt that long: some ask more for all of it above a bound."""
    long = price.long
    return long if long is not None and prompt_tokens > long.over_tokens else price


def most_usd(price: Price | None, tier: int, tokens_in: int, tokens_out: int) -> float | None:
    """The most that a request of so many tokens can cost: nothing read from a cache, all of it written to one."""
    if price is None:
        return 0.0 if tier <= Tier.FLEET else None
    rate = rate_of(price, tokens_in)
    return (tokens_in * max(rate.input, rate.cache_write or 0.0) + tokens_out * rate.output) / MILLION
