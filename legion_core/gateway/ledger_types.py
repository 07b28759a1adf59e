"""What the ledger gives back."""

from datetime import datetime
from typing import Literal

import msgspec

from legion_core.gateway.types import Usage

By = Literal["tier", "model", "day", "instance", "client", "conversation", "outcome"]


class LedgerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt as the ledger keeps it. `cost_usd` None means the price is unknown, never that it was free."""

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


class SummaryRow(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts added up under one key. `unpriced` of them have an unknown price and are not in `cost_usd`."""

    key: str
    attempts: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    unpriced: int
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    thinking_tokens: int = 0


class BudgetRow(msgspec.Struct, frozen=True, kw_only=True):
    """One limit on money and how it stands. `key` is the UTC day, the client or the conversation it holds for.

    `held_usd` is kept for requests under way; it is given back as they settle.
    """

    scope: Literal["day", "client", "conversation"]
    key: str
    limit_usd: float
    spent_usd: float
    held_usd: float
