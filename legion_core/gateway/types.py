"""The canonical words of the gateway: every dialect is parsed into them once and every provider is spoken to from them.

    client bytes ──dialect.parse──▶ Request ──provider.stream──▶ Chunk … ──dialect.format──▶ client bytes

All are frozen. Roles are `user`, `assistant` and `tool`; what rules the whole conversation is `Request.system`.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import IntEnum
from typing import Any, Literal, TypeAlias

import msgspec

Role = Literal["user", "assistant", "tool"]
StopReason = Literal[
    "end_turn", "tool_use", "max_tokens", "stop_sequence", "content_filter", "cancelled", "error"
]
Capability = Literal[
    "streaming",
    "tools",
    "vision",
    "documents",
    "thinking",
    "structured_output",
    "completions",
    "fim",
    "embeddings",
]
Continuation = Literal["native", "prefill", "instruct", "none"]
Operation = Literal["chat", "embed"]
TOKENS_PER_PAGE = 2_000  # source: the providers say 258 to 3,000 and a picture
JsonObject: TypeAlias = dict[str, Any]  # opaque payload of a client or provider; never looked into by us


class Tier(IntEnum):
    """Where an answer comes from, cheapest and nearest first. Source: seed."""

    LOCAL = 0
    DIRECT = 1
    FLEET = 2
    CLOUD = 3
    FRONTIER = 4

    @property
    def word(self) -> str:
        """The tier's name as written in headers, configuration and the window: `local` … `frontier`."""
        return _WORDS[self]

    @classmethod
    def parse(cls, word: str) -> "Tier":
        """The tier of that name; KeyError if there is none."""
        return cls[word.upper()]


_WORDS = {tier: tier.name.lower() for tier in Tier}


class TextBlock(msgspec.Struct, frozen=True, kw_only=True, tag="text"):
    """Plain text."""

    text: str


class ThinkingBlock(msgspec.Struct, frozen=True, kw_only=True, tag="thinking"):
    """The model's own reasoning; `signature` is valid only at the provider named in `origin` and never leaves it."""

    text: str
    signature: str = ""
    origin: str = ""


class ImageBlock(msgspec.Struct, frozen=True, kw_only=True, tag="image"):
    """A picture, as base64 `data` with its `media_type`, or by `url`; exactly one of the two."""

    media_type: str = ""
    data: str = ""
    url: str = ""


class DocumentBlock(msgspec.Struct, frozen=True, kw_only=True, tag="document"):
    """A PDF, as base64 `data` or by `url`, exactly one of the two; what is text came as a `TextBlock`.

    `pages` are those its bytes tell of, else a guess from their number: for estimates only.
    """

    data: str = ""
    url: str = ""
    name: str = ""
    pages: int = 1
    is_result: bool = False  # a tool showed it, and not the user

    @property
    def tokens(self) -> int:
        """About what a model reads it as: the words and the picture of each page."""
        return self.pages * TOKENS_PER_PAGE


class ToolUseBlock(msgspec.Struct, frozen=True, kw_only=True, tag="tool_use"):
    """A call the model wants made; `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


class ToolResultBlock(msgspec.Struct, frozen=True, kw_only=True, tag="tool_result"):
    """What a call gave."""

    call_id: str
    text: str
    is_error: bool = False


Block = TextBlock | ThinkingBlock | ImageBlock | DocumentBlock | ToolUseBlock | ToolResultBlock


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One turn's half: who, and what in order."""

    role: Role
    content: tuple[Block, ...]

    @property
    def text(self) -> str:
        """All text blocks, joined."""
        if len(self.content) == 1 and isinstance(only := self.content[0], TextBlock):
            return only.text
        return "".join(block.text for block in self.content if isinstance(block, TextBlock))


class ToolDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A tool the client offers; `parameters` is JSON Schema."""

    name: str
    description: str = ""
    parameters: JsonObject = msgspec.field(default_factory=dict[str, Any])


class Params(msgspec.Struct, frozen=True, kw_only=True):
    """How to sample. None means the provider's own default."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    thinking_budget_tokens: int | None = None
    json_schema: JsonObject | None = None  # structured output: the answer must match it
    json_mode: bool = False  # structured output without a schema


class Pins(msgspec.Struct, frozen=True, kw_only=True):
    """A route the caller insists on; None leaves it to the router. `tier_max` caps how far up it may go."""

    tier: Tier | None = None
    instance: str | None = None
    model: str | None = None
    tier_max: Tier | None = None


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One question to the gateway, whichever dialect it came in.

    `tool_choice` is `auto`, `none`, `any` or a tool's name. `dialect` and `client` are for the ledger. What `is_private`
    never leaves this machine, whatever its pins say.
    """

    id: str
    messages: tuple[Message, ...]
    system: tuple[str, ...] = ()
    tools: tuple[ToolDefinition, ...] = ()
    tool_choice: str = "auto"
    params: Params = Params()
    stream: bool = True
    pins: Pins = Pins()
    conversation_id: str | None = None
    session: str = ""  # the client's own name of the session whose history it resends
    dialect: str = "native"
    client: str = ""
    is_private: bool = False
    curate: bool | None = None  # None: as the conversation's switch or the settings say
    is_raw: bool = False  # its one message is text to be gone on with, through no template: no turn of a talk
    suffix: str = ""  # what stands behind the text that is to come; with `is_raw` alone


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens counted by the provider, or estimated by us where it said nothing.

    The prompt is `input_tokens + cache_read_tokens + cache_write_tokens`, each counted once; `output_tokens`
    includes `thinking_tokens`.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    thinking_tokens: int = 0
    is_estimated: bool = False


class TextDelta(msgspec.Struct, frozen=True, kw_only=True, tag="text"):
    """More answer text; `tokens` of it if the provider counts them, else 0."""

    text: str
    tokens: int = 0


class ThinkingDelta(msgspec.Struct, frozen=True, kw_only=True, tag="thinking"):
    """More reasoning; a signature, if any, comes with an empty text at the end of its block."""

    text: str
    signature: str = ""


class ToolCallDelta(msgspec.Struct, frozen=True, kw_only=True, tag="tool_call"):
    """More of the tool call number `index`; `id` and `name` come with its first delta, `arguments` in pieces."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag="finished"):
    """The one and last chunk of a provider's stream."""

    stop_reason: StopReason
    usage: Usage
    stop_sequence: str = ""


Chunk = TextDelta | ThinkingDelta | ToolCallDelta | Finished


class LongPrice(msgspec.Struct, frozen=True, kw_only=True):
    """USD per million tokens of a request whose whole prompt is over so many tokens."""

    over_tokens: int
    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """USD per million tokens. `source` is the page and the day it was read; empty for a configured price."""

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None
    long: LongPrice | None = None
    source: str = ""


class ModelOffer(msgspec.Struct, frozen=True, kw_only=True):
    """One model on one instance: what it can do and what it costs. `price` None is unknown, never free."""

    id: str
    context: int = 8192
    capabilities: frozenset[Capability] = frozenset({"streaming"})
    continuation: Continuation = "none"
    price: Price | None = None


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """What the router picks: a model on an instance on a tier."""

    tier: Tier
    instance: str
    kind: str
    offer: ModelOffer

    @property
    def name(self) -> str:
        """`instance/model`, unique within a node."""
        return f"{self.instance}/{self.offer.id}"


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A lane the router did not take, with a machine-readable reason and a sentence.

    `retry_in_s` is when it may be asked again, where it is only a matter of time.
    """

    lane: Lane
    reason: Literal["pin", "capability", "context", "circuit", "policy", "operation", "unavailable", "price"]
    why: str
    retry_in_s: float | None = None


class SteppedBack(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate that comes behind all others: of so many answers to requests of that kind so many were no good."""

    lane: Lane
    kind: str
    answers: int
    bad: int
    flaw: str  # of the latest bad one

    @property
    def why(self) -> str:
        """In a sentence, without its full stop."""
        return f"Of its latest {self.answers} answers to {self.kind} {self.bad} were no good ({self.flaw})"


class RouteDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Candidates in the order they will be tried, and every other lane with the reason it is not among them.

    The reasons are worked out when somebody looks at them. `spare` are lanes with an open circuit at an instance that
    mostly answers: left out, and asked where every candidate has failed.
    """

    candidates: tuple[Lane, ...]
    left_out: Sequence[LeftOut]
    required: tuple[Capability, ...] = ()
    estimated_tokens: int = 0
    spare: tuple[Lane, ...] = ()
    stepped_back: tuple[SteppedBack, ...] = ()


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try at one lane. `outcome` is `succeeded`, `cancelled` or an error's public code."""

    number: int
    tier: str
    instance: str
    model: str
    outcome: str
    why: str = ""
    usage: Usage = Usage()
    cost_usd: float | None = None
    started_at: datetime
    first_token_s: float | None = None  # from the attempt's start
    duration_s: float = 0.0


class Seam(msgspec.Struct, frozen=True, kw_only=True):
    """Where one attempt ended and the next went on, in characters of the answer's text."""

    at_char: int
    from_lane: str
    to_lane: str
    to_tier: str
    after_tokens: int
    reason: str
    outcome: str = ""  # the attempt that ended, in a word, as its row of the bill has it; empty in old seams
    is_degraded: bool = False  # joined by overlap, not continued to the letter
    thinks_anew: bool = False  # the thinking that follows is no continuation of the one before


class Opened(msgspec.Struct, frozen=True, kw_only=True, tag="opened"):
    """First event of every answer: the lane whose attempt sent the first byte."""

    request_id: str
    lane: Lane
    attempts: int


class Joined(msgspec.Struct, frozen=True, kw_only=True, tag="joined"):
    """The stream goes on from another attempt."""

    seam: Seam


class Closed(msgspec.Struct, frozen=True, kw_only=True, tag="closed"):
    """Last event of every answer, exactly once."""

    stop_reason: StopReason
    stop_sequence: str = ""
    usage: Usage
    cost_usd: float | None
    attempts: tuple[Attempt, ...]
    duration_s: float
    first_token_s: float | None
    error: str = ""  # a sentence, when stop_reason is `error`
    error_code: str = ""


StreamEvent = Opened | TextDelta | ThinkingDelta | ToolCallDelta | Joined | Closed
