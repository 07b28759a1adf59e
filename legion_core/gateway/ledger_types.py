"""What the ledger gives back."""

from datetime import datetime
from typing import Literal

import msgspec

from legion_core.gateway.types import Usage

By = Literal["tier", "model", "day", "instance", "client", "conversation", "outcome"]


class LedgerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt as the ledger keeps it. `cost_usd` None means the price is unknown, never that it was free.

    Curation left `saved_tokens` (estimated) out of it, so that with nothing done the prompt would have had these more.
    `saved_usd` is what that was worth, caches counted; below 0 where it cost more than it saved, None where the price is
    unknown.
    """

    request: str
    attempt: int
    tier: str
    instance: str
    model: str
    usage: Usage
    cost_usd: float | None
    outcome: str
    why: str = ""
    at: datetime
    duration_s: float
    first_token_s: float | None = None
    conversation: str = ""
    dialect: str = ""
    client: str = ""
    saved_tokens: int = 0
    saved_usd: float | None = 0.0


class SummaryRow(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts added up under one key. `unpriced` of them have an unknown price and are not in `cost_usd`.

    `saved_*` is what curation left out, and what that was worth; `saved_unpriced` attempts are not in `saved_usd`.
    """

    key: str
    attempts: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    unpriced: int
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    thinking_tokens: int = 0
    saved_tokens: int = 0
    saved_usd: float = 0.0
    saved_unpriced: int = 0


class BudgetRow(msgspec.Struct, frozen=True, kw_only=True):
    """One limit on money and how it stands. `key` is the UTC day, the client or the conversation it holds for.

    `held_usd` is kept for requests under way; it is given back as they settle.
    """

    scope: Literal["day", "client", "conversation"]
    key: str
    limit_usd: float
    spent_usd: float
    held_usd: float
