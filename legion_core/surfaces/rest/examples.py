"""One example of each thing an answer can hold, for the description; real values, so they cannot drift from the types."""

from datetime import UTC, datetime

from legion_core.api.types import (
    Attempt,
    ChatMessage,
    Check,
    Conversation,
    ConversationView,
    Finding,
    Lane,
    LedgerRow,
    LeftOut,
    ModelFacts,
    ModelFit,
    ModelOffer,
    ModelRow,
    ModelTrial,
    ProviderRow,
    RouteDecision,
    SettingRow,
    Status,
    TestResult,
    Tier,
    Turn,
    Usage,
)
from legion_core.surfaces.shapes import ConversationShape, MessageShape, RouteShape

AT = datetime(2026, 3, 14, 9, 26, 53, 589000, tzinfo=UTC)
USAGE = Usage(input_tokens=42, output_tokens=118)

LANE = Lane(
    tier=Tier.LOCAL,
    instance="local",
    kind="llamacpp",
    offer=ModelOffer(id="smollm2-135m", context=2048, continuation="native"),
)
_CLOUD = Lane(
    tier=Tier.DIRECT,
    instance="box-a",
    kind="openai",
    offer=ModelOffer(id="m1", context=32768, capabilities=frozenset({"streaming", "tools"})),
)
ROUTE = RouteShape.of(
    RouteDecision(
        candidates=(LANE,),
        left_out=(
            LeftOut(lane=_CLOUD, reason="circuit", why="Its circuit is open; it is tried again in 41 s."),
        ),
        estimated_tokens=12,
    )
)
STATUS = Status(
    version="0.1.0",
    pid=4242,
    mode="lite",
    started_at=AT,
    uptime_s=3600.0,
    url="http://127.0.0.1:4567",
    token_path="/home/ada/.local/share/legion/token",  # noqa: S106
    home="/home/ada/.local/share/legion",
    model="smollm2-135m",
    tier="local",
    tokens_per_s=61.2,
    conversations=3,
)
CHECK = Check(name="Local model", state="ok", found="smollm2-135m is loaded.")
FIT = ModelFit(
    label="fits",
    weights_bytes=101_000_000,
    kv_bytes=47_000_000,
    compute_bytes=90_000_000,
    margin_bytes=512_000_000,
    total_bytes=750_000_000,
    available_bytes=8_000_000_000,
    where="memory",
    context=2048,
    lines=("Weights 101 MB", "Cache 47 MB at 2,048 tokens"),
)
MODEL = ModelRow(
    name="smollm2-135m",
    path="/home/ada/.local/share/legion/models/smollm2-135m.gguf",
    size_bytes=101_000_000,
    architecture="llama",
    parameters=134_515_008,
    quantisation="Q4_1",
    context_max=8192,
    licence="apache-2.0",
    has_template=True,
    is_starter=True,
    fit=FIT,
)
PROVIDER = ProviderRow(
    name="box-a",
    kind="openai",
    tier="direct",
    base_url="http://127.0.0.1:9001/v1",
    models=(ModelOffer(id="m1", context=32768),),
    has_key=True,
)
TEST = TestResult(is_ok=True, why="It answers and offers 1 model.", latency_s=0.04)
TRIAL = ModelTrial(
    model="m1",
    findings=(Finding(capability="tools", is_able=True, why="It called the tool as it should."),),
    suggested=ModelFacts(model="m1", tools=True),
)
_ATTEMPT = Attempt(
    number=1,
    tier="local",
    instance="local",
    model="smollm2-135m",
    outcome="succeeded",
    usage=USAGE,
    cost_usd=0.0,
    started_at=AT,
    first_token_s=0.2,
    duration_s=1.9,
)
_QUESTION = ChatMessage(
    id="msg_01kkq", conversation_id="conv_01kkq", parent_id=None, role="user", text="Hello", created_at=AT
)
_ANSWER = ChatMessage(
    id="msg_01kkr",
    conversation_id="conv_01kkq",
    parent_id="msg_01kkq",
    role="assistant",
    text="Hello there.",
    created_at=AT,
    request_id="req_01kkr",
    tier="local",
    instance="local",
    model="smollm2-135m",
    usage=USAGE,
    cost_usd=0.0,
    attempts=(_ATTEMPT,),
)
ROW = Conversation(
    id="conv_01kkq", title="Hello", updated_at=AT, created_at=AT, message_count=2, tier="local"
)
CONVERSATION = ConversationShape.of(ConversationView(conversation=ROW, messages=(_QUESTION, _ANSWER)))
MESSAGE = MessageShape.of(_QUESTION)
TURN = Turn(conversation_id="conv_01kkq", question=_QUESTION, answer_id="msg_01kkr")
LEDGER = LedgerRow(
    request="req_01kkr",
    attempt=1,
    tier="local",
    instance="local",
    model="smollm2-135m",
    usage=USAGE,
    cost_usd=0.0,
    outcome="succeeded",
    at=AT,
    duration_s=1.9,
    first_token_s=0.2,
    conversation="conv_01kkq",
    dialect="openai_chat",
    client="owner",
)
SETTING = SettingRow(
    key="gateway.local_only",
    title="Stay on this computer",
    description="Nothing is sent to another machine.",
    group="Gateway",
    level="simple",
    type="bool",
    value=False,
    default=False,
)
