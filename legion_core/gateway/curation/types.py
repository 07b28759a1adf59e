"""The words of context curation: settings, the edits made, and the view that is left."""

from typing import Literal

import msgspec

from legion_core.gateway.types import Message

Strategy = Literal[
    "strip_thinking",
    "distill_tool_result",
    "fold_resolved_exchanges",
    "evict_superseded",
    "dedup_similar",
    "drop_and_archive",
]
STRATEGIES: tuple[Strategy, ...] = (
    "strip_thinking",
    "distill_tool_result",
    "fold_resolved_exchanges",
    "evict_superseded",
    "dedup_similar",
    "drop_and_archive",
)


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """What a token costs, as a share of a fresh input token's price. Source: Anthropic's price page, five-minute cache.

    A request of less than `cache_least_tokens` is not kept at all.
    """

    cache_read: float = 0.1
    cache_write: float = 1.25
    cache_least_tokens: int = 1_024


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """How eagerly the view is cut from the turn `begins` on.

    `carry`: what sending a token one more turn is worth, against writing one; an epoch is due when what was carried since
    the last one is worth the rewriting. `share`: it is due as well when more than this part of the whole history was sent,
    added up over the stage. `hot_tokens`: of files read in the last `hot_turns` answers, at most so much stays whole.
    """

    begins: int
    carry: float = 0.1
    share: float = 1.0
    hot_tokens: int = 20_000
    hot_turns: int = 2


STAGES = (
    Stage(begins=6, carry=0.5, share=0.7, hot_tokens=3_000),
    Stage(begins=10, carry=0.5, share=0.4, hot_tokens=8_000),
    Stage(begins=20, carry=0.25, share=0.4),
    Stage(begins=50, carry=0.022, hot_turns=1),
)


class CurationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When to edit and how far.

    `least_tokens`: a view below it is left alone. `context_tokens`: the model's window; the view is kept under 85 % of it
    whatever the turn.
    """

    stages: tuple[Stage, ...] = STAGES
    least_tokens: int = 600
    context_tokens: int | None = None
    raw_rounds: int = 1  # rounds at the end that are never touched
    prices: Prices = Prices()
    is_on: bool = True


class Edit(msgspec.Struct, frozen=True, kw_only=True):
    """One thing taken out of the view, and where it went.

    `ids` are the messages it was taken from, `archive_key` gives it back by `recall`; several pieces of one message
    have keys of their own. `tokens_removed` is net of what was put in its place.
    """

    number: int
    epoch: int
    strategy: Strategy
    ids: tuple[str, ...]
    tokens_removed: int
    note: str
    archive_key: str


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What would be sent now: `messages`, and for each the id of the message it came from.

    Both token figures include the system text. `edits` are those this call made; `epoch` counts the times there were
    any.
    """

    messages: tuple[Message, ...]
    ids: tuple[str, ...]
    naive_tokens: int
    curated_tokens: int
    edits: tuple[Edit, ...] = ()
    epoch: int = 0


class Recalled(msgspec.Struct, frozen=True, kw_only=True):
    """A removed piece, verbatim. `score` is 1 for a piece asked for by its key."""

    key: str
    text: str
    ids: tuple[str, ...]
    score: float
