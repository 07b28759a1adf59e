"""What goes over a surface where it differs from the values inside: tiers as words, a message's text as `content`."""

from collections.abc import Callable
from datetime import datetime
from typing import Self

import msgspec

from legion_core.api.types import (
    Attempt,
    ChatMessage,
    Conversation,
    ConversationView,
    Lane,
    LeftOut,
    Pins,
    Price,
    RouteDecision,
    Seam,
    Tier,
    Usage,
)
from legion_core.kernel.errors import InvalidInput

TIER_WORDS = tuple(tier.word for tier in Tier)


def tier_of(word: str) -> Tier:
    """The tier of that name; InvalidInput names those there are."""
    if word.lower() not in TIER_WORDS:
        raise InvalidInput(f"{word[:40]!r} is not a tier.", hint=f"Tiers are {', '.join(TIER_WORDS)}.")
    return Tier.parse(word)


class PinsShape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A route the caller insists on; `tier` and `tier_max` are words."""

    tier: str | None = None
    instance: str | None = None
    model: str | None = None
    tier_max: str | None = None

    def pins(self) -> Pins:
        """As the gateway wants it; InvalidInput if a tier has no such name."""
        return Pins(
            tier=tier_of(self.tier) if self.tier else None,
            instance=self.instance,
            model=self.model,
            tier_max=tier_of(self.tier_max) if self.tier_max else None,
        )


class LaneShape(msgspec.Struct, frozen=True, kw_only=True):
    """A model on an instance on a tier. `price` None is unknown, never free; `tokens_per_s` None: never measured."""

    name: str
    tier: str
    instance: str
    kind: str
    model: str
    context: int
    capabilities: tuple[str, ...]
    price: Price | None = None
    tokens_per_s: float | None = None

    @classmethod
    def of(cls, lane: Lane, tokens_per_s: float | None = None) -> Self:
        """From the gateway's lane."""
        return cls(
            name=lane.name,
            tier=lane.tier.word,
            instance=lane.instance,
            kind=lane.kind,
            model=lane.offer.id,
            context=lane.offer.context,
            capabilities=tuple(sorted(lane.offer.capabilities)),
            price=lane.offer.price,
            tokens_per_s=tokens_per_s,
        )


class LeftOutShape(msgspec.Struct, frozen=True, kw_only=True):
    """A lane the router did not take, and why."""

    lane: LaneShape
    reason: str
    why: str

    @classmethod
    def of(cls, left_out: LeftOut) -> Self:
        """From the router's own."""
        return cls(lane=LaneShape.of(left_out.lane), reason=left_out.reason, why=left_out.why)


class SteppedBackShape(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate, by its lane's name, that comes behind the others for what its answers were like, and what that was."""

    lane: str
    why: str


def no_speed(lane: str) -> float | None:
    """Knows no speed."""
    return None


class RouteShape(msgspec.Struct, frozen=True, kw_only=True):
    """Which lanes would be tried, in order, and why each other one would not."""

    candidates: tuple[LaneShape, ...]
    left_out: tuple[LeftOutShape, ...]
    required: tuple[str, ...] = ()
    estimated_tokens: int = 0
    stepped_back: tuple[SteppedBackShape, ...] = ()

    @classmethod
    def of(cls, decision: RouteDecision, speed_of: Callable[[str], float | None] = no_speed) -> Self:
        """From the router's decision; `speed_of` gives the measured speed of a lane by its name."""
        return cls(
            candidates=tuple(LaneShape.of(lane, speed_of(lane.name)) for lane in decision.candidates),
            left_out=tuple(LeftOutShape.of(left_out) for left_out in decision.left_out),
            required=tuple(decision.required),
            estimated_tokens=decision.estimated_tokens,
            stepped_back=tuple(
                SteppedBackShape(lane=each.lane.name, why=each.why) for each in decision.stepped_back
            ),
        )


class CallShape(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that an answer called; `arguments` is JSON as the model wrote it."""

    id: str
    name: str
    arguments: str


class ResultShape(msgspec.Struct, frozen=True, kw_only=True):
    """What a call gave; in a message of the role `tool`."""

    call_id: str
    text: str
    is_error: bool = False


class MessageShape(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a conversation's active branch; see `api.types.ChatMessage`."""

    id: str
    conversation_id: str
    parent_id: str | None
    role: str
    content: str
    pictures: int = 0
    documents: tuple[str, ...] = ()
    thinking: str = ""
    status: str = "complete"
    created_at: datetime
    variant: int = 1
    variants: int = 1
    siblings: tuple[str, ...] = ()
    request: str = ""
    tier: str = ""
    instance: str = ""
    model: str = ""
    usage: Usage | None = None
    cost_usd: float | None = None
    first_token_s: float | None = None
    duration_s: float | None = None
    attempts: tuple[Attempt, ...] = ()
    seams: tuple[Seam, ...] = ()
    error: str = ""
    calls: tuple[CallShape, ...] = ()
    results: tuple[ResultShape, ...] = ()

    @classmethod
    def of(cls, message: ChatMessage) -> Self:
        """From the conversation's own message."""
        return cls(
            id=message.id,
            conversation_id=message.conversation_id,
            parent_id=message.parent_id,
            role=message.role,
            content=message.text,
            pictures=message.pictures,
            documents=message.documents,
            thinking=message.thinking,
            status=message.status,
            created_at=message.created_at,
            variant=message.variant,
            variants=message.variants,
            siblings=message.siblings,
            request=message.request_id,
            tier=message.tier,
            instance=message.instance,
            model=message.model,
            usage=message.usage,
            cost_usd=message.cost_usd,
            first_token_s=message.first_token_s,
            duration_s=message.duration_s,
            attempts=message.attempts,
            seams=message.seams,
            error=message.error,
            calls=tuple(
                CallShape(id=each.id, name=each.name, arguments=each.arguments) for each in message.calls
            ),
            results=tuple(
                ResultShape(call_id=each.call_id, text=each.text, is_error=each.is_error)
                for each in message.results
            ),
        )


class ConversationShape(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation opened: its row, and its active branch from the first message to the last."""

    id: str
    title: str
    created_at: datetime
    updated_at: datetime
    is_pinned: bool
    is_running: bool
    messages: tuple[MessageShape, ...]

    @classmethod
    def of(cls, view: ConversationView) -> Self:
        """From an opened conversation."""
        row: Conversation = view.conversation
        return cls(
            id=row.id,
            title=row.title,
            created_at=row.created_at,
            updated_at=row.updated_at,
            is_pinned=row.is_pinned,
            is_running=row.is_running,
            messages=tuple(MessageShape.of(message) for message in view.messages),
        )
