"""What a surface or the window may see: frozen values, and the events it may watch."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from legion_core.gateway.answer import Answer
from legion_core.gateway.conversation_types import (
    AnswerEnded,
    AnswerGrew,
    AnswerJoined,
    AnswerOpened,
    AnswerStarted,
    ChatMessage,
    ContextShares,
    Conversation,
    ConversationChanged,
    ConversationView,
    CurationChanged,
    Imported,
    ImportProgress,
    MessageStatus,
    PassedOver,
    Turn,
)
from legion_core.gateway.curation.told import CurationEdit, CurationMeter, SeenPart, StrategyCount
from legion_core.gateway.ledger_types import LedgerRow, SummaryRow
from legion_core.gateway.providers.base import Embedded, Finding
from legion_core.gateway.traffic import AttemptEnded
from legion_core.gateway.types import (
    Attempt,
    Capability,
    Closed,
    DocumentBlock,
    Finished,
    ImageBlock,
    Joined,
    Lane,
    LeftOut,
    ModelOffer,
    Opened,
    Pins,
    Price,
    Request,
    RouteDecision,
    Seam,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    Tier,
    ToolCallDelta,
    ToolResultBlock,
    Usage,
)
from legion_core.kernel.events import Event, EventBus, Subscription
from legion_core.kernel.ports import LOCAL_OWNER, NOBODY, OWNER, Principal

__all__ = [
    "LOCAL_OWNER",
    "NOBODY",
    "OWNER",
    "Answer",
    "AnswerEnded",
    "AnswerGrew",
    "AnswerJoined",
    "AnswerOpened",
    "AnswerStarted",
    "Attempt",
    "AttemptEnded",
    "Capability",
    "ChatMessage",
    "Check",
    "Closed",
    "ContextShares",
    "Conversation",
    "ConversationChanged",
    "ConversationView",
    "CurationChanged",
    "CurationEdit",
    "CurationMeter",
    "DocumentBlock",
    "Embedded",
    "Event",
    "EventBus",
    "Finding",
    "Finished",
    "ImageBlock",
    "ImportProgress",
    "Imported",
    "Joined",
    "Lane",
    "LedgerRow",
    "LeftOut",
    "MessageStatus",
    "ModelChanged",
    "ModelFacts",
    "ModelFit",
    "ModelOffer",
    "ModelPrice",
    "ModelRow",
    "ModelTrial",
    "Opened",
    "PassedOver",
    "Pins",
    "Price",
    "Principal",
    "ProviderChanged",
    "ProviderRow",
    "ProviderSpec",
    "PullProgressed",
    "Request",
    "RouteDecision",
    "Seam",
    "SeenPart",
    "SettingChanged",
    "SettingRow",
    "Status",
    "StrategyCount",
    "StreamEvent",
    "Subscription",
    "SummaryRow",
    "TestResult",
    "TextDelta",
    "ThinkingDelta",
    "Tier",
    "ToolCallDelta",
    "ToolResultBlock",
    "Turn",
    "Usage",
]


class ModelFit(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a model fits this computer at a context length, with the arithmetic. Sizes in bytes."""

    label: Literal["fits", "tight", "too_large"]
    weights_bytes: int
    kv_bytes: int
    compute_bytes: int
    margin_bytes: int
    total_bytes: int
    available_bytes: int
    where: str  # `memory` or the GPU's name
    context: int
    lines: tuple[str, ...]  # the arithmetic, one line a step


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """A model file on this computer; `problem` is a sentence when it cannot be used."""

    name: str
    path: str
    size_bytes: int
    architecture: str = ""
    parameters: int = 0
    quantisation: str = ""
    context_max: int = 0
    licence: str = ""
    source: str = ""
    sha256: str = ""
    has_template: bool = False
    is_loaded: bool = False
    is_starter: bool = False
    fit: ModelFit | None = None
    tokens_per_s: float | None = None  # measured on this computer
    last_used_at: datetime | None = None
    problem: str = ""


class ProviderSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a person enters to add an instance. `api_key` is a reference (`keyring://…`, `env://…`), never the key."""

    name: str
    kind: str
    base_url: str = ""
    api_key: str = ""
    tier: str = ""
    models: tuple[ModelOffer, ...] = ()


class ProviderRow(msgspec.Struct, frozen=True, kw_only=True):
    """A configured instance and how it is. `circuit` is `closed`, `half_open` or `open`; `failures` of 3."""

    name: str
    kind: str
    tier: str
    base_url: str = ""
    models: tuple[ModelOffer, ...] = ()
    circuit: Literal["closed", "half_open", "open"] = "closed"
    failures: int = 0
    retry_in_s: float = 0.0
    is_tripped: bool = False  # opened by hand
    is_draining: bool = False  # finishes what runs, takes nothing new
    is_probing: bool = False
    in_flight: int = 0
    has_key: bool = False
    is_builtin: bool = False
    problem: str = ""
    described: tuple[str, ...] = ()  # models of which the user said something, beside what the server tells


class ModelPrice(msgspec.Struct, frozen=True, kw_only=True):
    """USD per million tokens of question and of answer."""

    input: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
    output: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says of a model at an instance; None leaves it as it is. `context` 0: as the server tells."""

    model: str
    context: Annotated[int, msgspec.Meta(ge=0, le=100_000_000)] | None = None
    tools: bool | None = None
    vision: bool | None = None
    documents: bool | None = None
    thinking: bool | None = None
    structured_output: bool | None = None
    completions: bool | None = None
    fim: bool | None = None
    price: ModelPrice | None = None
    continuation: Literal["native", "prefill", "instruct", "none"] | None = None


class ModelTrial(msgspec.Struct, frozen=True, kw_only=True):
    """What a model showed when it was asked; `suggested` says it in the form it can be kept in."""

    model: str
    findings: tuple[Finding, ...]
    suggested: ModelFacts


class TestResult(msgspec.Struct, frozen=True, kw_only=True):
    """What testing an instance found, in a sentence."""

    is_ok: bool
    why: str
    latency_s: float = 0.0
    models: tuple[ModelOffer, ...] = ()


class SettingRow(msgspec.Struct, frozen=True, kw_only=True):
    """One leaf of the configuration schema with its value now; `type` is `bool int float str choice path list secret`."""

    key: str
    title: str
    description: str
    group: str
    level: Literal["simple", "full"]
    type: str
    value: Any
    default: Any
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    needs_restart: bool = False
    from_environment: str = ""  # the variable that overrides it now


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `legion doctor`: what was looked at, how it is, what to do."""

    name: str
    state: Literal["ok", "warning", "failed"]
    found: str
    todo: str = ""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The node at a glance; `url` is empty without the HTTP surface and `problem` says why."""

    version: str
    pid: int
    mode: str
    started_at: datetime
    uptime_s: float
    url: str
    token_path: str
    home: str
    model: str = ""
    tier: str = ""
    tokens_per_s: float | None = None
    spent_today_usd: float = 0.0
    spent_unknown: int = 0  # requests today whose price is unknown
    conversations: int = 0
    problem: str = ""


class ModelChanged(Event, frozen=True, kw_only=True):
    """A model was added, removed, loaded or unloaded."""

    name: str


class PullProgressed(Event, frozen=True, kw_only=True):
    """A download moved: `state` is queued downloading verifying ready failed or cancelled."""

    name: str
    state: str
    done_bytes: int = 0
    total_bytes: int = 0
    bytes_per_s: float = 0.0
    problem: str = ""


class ProviderChanged(Event, frozen=True, kw_only=True):
    """An instance was added, removed, or its circuit changed."""

    name: str


class SettingChanged(Event, frozen=True, kw_only=True):
    """A setting has a new value in force; with an empty key, the file was written by hand and read anew."""

    key: str
