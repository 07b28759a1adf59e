"""What people are told of curation."""

import msgspec


class StrategyCount(msgspec.Struct, frozen=True, kw_only=True):
    """What one of the six strategies did in a conversation."""

    strategy: str
    edits: int
    tokens: int


class CurationMeter(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation's tokens with nothing done and as they are sent; equal where nothing was curated.

    Both are estimates by length, of the messages without system text and tools. `epoch` counts how often there were
    edits.
    """

    conversation_id: str
    is_on: bool
    naive_tokens: int = 0
    curated_tokens: int = 0
    epoch: int = 0
    by_strategy: tuple[StrategyCount, ...] = ()


class CurationEdit(msgspec.Struct, frozen=True, kw_only=True):
    """An edit as people see it; `archive_key` is what `recall` takes."""

    number: int
    epoch: int
    strategy: str
    ids: tuple[str, ...]
    tokens: int
    note: str
    archive_key: str
    is_undone: bool = False


class SeenPart(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it was said and as the model will see it; `after` is empty for what is gone."""

    message_id: str
    role: str
    before: str
    after: str
    state: str  # same, changed, gone
