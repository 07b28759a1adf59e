"""The configuration as one schema: what can be set, its default, its bounds, and how it is told to a person.

The frozen tree below drives the parser, the Settings page and its search, the command line and the documents.
Every leaf is annotated by `about`; `fields` lists them flat.
"""

import types
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias, Union, cast, get_args, get_origin

import msgspec

FieldType = Literal["bool", "int", "float", "str", "choice", "path", "list", "secret"]
Level = Literal["simple", "full"]
SettingValue: TypeAlias = bool | int | float | str | tuple[str, ...] | None

TierWord = Literal["local", "direct", "fleet", "cloud", "frontier"]
KindWord = Literal[
    "anthropic",
    "openai",
    "bedrock",
    "gemini",
    "vertex",
    "azure_foundry",
    "ollama",
    "vllm",
    "mlx",
    "llamacpp",
]
CapabilityWord = Literal[
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


def about(
    title: str,
    description: str,
    *,
    group: str = "",
    level: Level = "simple",
    ge: float | None = None,
    le: float | None = None,
    unit: str = "",
    kind: FieldType | None = None,
    restart: bool = False,
    pattern: str | None = None,
    length_max: int | None = None,
) -> msgspec.Meta:
    """What a leaf is called, what it means, its bounds, and where it is shown."""
    extra: dict[str, Any] = {"group": group, "level": level, "unit": unit, "kind": kind, "restart": restart}
    if ge is not None or le is not None:
        return msgspec.Meta(title=title, description=description, ge=ge, le=le, extra=extra)
    return msgspec.Meta(
        title=title, description=description, pattern=pattern, max_length=length_max, extra=extra
    )


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """USD per million tokens."""

    input: Annotated[float, about("Input", "What a million tokens of question cost.", ge=0, unit="USD")]
    output: Annotated[float, about("Output", "What a million tokens of answer cost.", ge=0, unit="USD")]
    cache_read: (
        Annotated[
            float, about("Cache read", "A million tokens read from the provider's cache.", ge=0, unit="USD")
        ]
        | None
    ) = None
    cache_write: (
        Annotated[
            float, about("Cache write", "A million tokens put into the provider's cache.", ge=0, unit="USD")
        ]
        | None
    ) = None


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One model of an instance, as configured. `price` None is unknown, never free."""

    id: Annotated[str, about("Model", "The name the provider knows it by.", pattern=r"\S", length_max=200)]
    context: Annotated[
        int,
        about(
            "Context",
            "How many tokens it can hold; 0 is what its server tells, or 8,192.",
            ge=0,
            le=100_000_000,
            unit="tokens",
        ),
    ] = 0
    capabilities: Annotated[
        tuple[CapabilityWord, ...],
        about("Capabilities", "What it can do; empty is what its server tells, or streaming alone."),
    ] = ()
    continuation: Annotated[
        Literal["native", "prefill", "instruct", "none"],
        about("Continuation", "How an answer that broke off can be continued here.", level="full"),
    ] = "instruct"
    price: Price | None = None


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """A provider instance. `tier` empty: inferred from kind and address. No models: the instance is asked.

    With models, `discover` asks it too: for its other models, and for what the entries do not say.
    """

    name: Annotated[
        str,
        about(
            "Name",
            "What it is called here: letters, digits, dot, dash and underscore.",
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
            length_max=64,
        ),
    ]
    kind: Annotated[KindWord, about("Kind", "Which protocol it speaks.")]
    base_url: Annotated[str, about("Address", "Where it answers, such as http://127.0.0.1:9001/v1.")] = ""
    api_key: Annotated[
        str, about("Key", "Where the key is kept: keyring://NAME or env://NAME.", kind="secret")
    ] = ""
    tier: Annotated[
        TierWord | Literal[""],
        about("Tier", "How near it is; empty means by kind and address.", level="full"),
    ] = ""
    discover: Annotated[
        bool,
        about(
            "Discover",
            "Ask it for its models beside those listed here, and for what is not said of these.",
            level="full",
        ),
    ] = False
    models: tuple[Model, ...] = ()


class OwnPrice(msgspec.Struct, frozen=True, kw_only=True):
    """A price the user entered for a model, before the table that ships. USD per million tokens."""

    model: Annotated[str, about("Model", "The name the provider knows it by.", pattern=r"\S", length_max=200)]
    price: Price
    instance: Annotated[
        str, about("Instance", "At which instance; empty means wherever it is offered.", length_max=64)
    ] = ""


class Gateway(msgspec.Struct, frozen=True, kw_only=True):
    """Who can be asked, and at what price where the instance names none."""

    instances: tuple[Instance, ...] = ()
    prices: tuple[OwnPrice, ...] = ()


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """How the order of models is decided beyond tier, price and speed."""

    spread: Annotated[
        bool,
        about(
            "Spread over equals",
            "Models equal in tier, price and speed take turns by conversation; off, the one configured first comes first.",
            group="Routing",
            level="full",
        ),
    ] = False
    bad_answer_usd: Annotated[
        float,
        about(
            "A bad answer costs",
            "What it is worth not to get one. Above 0, a model whose answers often break the form asked for, or call what is not there, comes after others that cost no more than this saves.",
            group="Routing",
            level="full",
            ge=0,
            le=100,
            unit="USD",
        ),
    ] = 0.0


class Curation(msgspec.Struct, frozen=True, kw_only=True):
    """How long conversations are kept short for the models."""

    enabled: Annotated[
        bool,
        about(
            "Keep long conversations short",
            "From the tenth answer on, what a model no longer needs is moved out of its view; it can ask for it back.",
            group="Curation",
        ),
    ] = True


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """How much may be spent. Days are those of UTC."""

    day_usd: Annotated[
        float,
        about(
            "A day",
            "What all requests of a day may cost together; 0 sets no limit.",
            group="Budget",
            ge=0,
            le=1_000_000,
            unit="USD",
        ),
    ] = 0.0
    client_day_usd: Annotated[
        float,
        about(
            "A client a day",
            "What the requests of any one program may cost in a day; 0 sets no limit.",
            group="Budget",
            level="full",
            ge=0,
            le=1_000_000,
            unit="USD",
        ),
    ] = 0.0
    conversation_usd: Annotated[
        float,
        about(
            "A conversation",
            "What any one conversation may cost; 0 sets no limit.",
            group="Budget",
            ge=0,
            le=1_000_000,
            unit="USD",
        ),
    ] = 0.0
    allow_unknown_price: Annotated[
        bool,
        about(
            "Allow unknown prices",
            "Let models answer whose price is unknown although there is a limit; what they cost is then not counted.",
            group="Budget",
            level="full",
        ),
    ] = False


class Http(msgspec.Struct, frozen=True, kw_only=True):
    """Where tasks may fetch from beyond the public internet."""

    allow: Annotated[
        tuple[str, ...],
        about(
            "Private addresses",
            "Addresses of this computer and network that tasks may ask, as HOST:PORT or HOST; others are refused.",
            group="Tasks",
            level="full",
        ),
    ] = ()


class Shell(msgspec.Struct, frozen=True, kw_only=True):
    """Which programs tasks may start."""

    allow: Annotated[
        tuple[str, ...],
        about(
            "Programs",
            "Programs that tasks may run, by name or full path; none is allowed unless it is listed.",
            group="Tasks",
            level="full",
        ),
    ] = ()


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """Which files tasks may touch."""

    allow: Annotated[
        tuple[str, ...],
        about(
            "Folders",
            "Folders that tasks may read and write, besides the workbench's own `files`.",
            group="Tasks",
            level="full",
        ),
    ] = ()


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """How the engine keeps its word."""

    durability: Annotated[
        Literal["process", "power"],
        about(
            "Durability",
            "`power` survives a power cut and waits for the disk; `process` survives a crash and is faster.",
            group="Advanced",
            level="full",
            restart=True,
        ),
    ] = "power"
    http: Http = Http()
    shell: Shell = Shell()
    files: Files = Files()


class Transport(msgspec.Struct, frozen=True, kw_only=True):
    """How several machines talk."""

    amqp_url: Annotated[
        str,
        about(
            "RabbitMQ address",
            "Where the broker of full mode is: keyring://NAME, env://NAME, or an amqp address without a password.",
            group="Network",
            level="full",
            kind="secret",
            restart=True,
        ),
    ] = ""


class Chat(msgspec.Struct, frozen=True, kw_only=True):
    """How chatting works."""

    send_with_enter: Annotated[
        bool,
        about(
            "Enter sends",
            "Enter sends the message and Shift+Enter breaks the line; off, Ctrl+Enter sends.",
            group="Chat",
        ),
    ] = True
    show_thinking: Annotated[
        bool, about("Show reasoning", "Open a model's reasoning instead of folding it.", group="Chat")
    ] = False
    model: Annotated[
        str,
        about(
            "Model for new chats",
            "A model, or instance/model; with `auto` the router chooses.",
            group="Chat",
            length_max=300,
        ),
    ] = "auto"
    tier_max: Annotated[
        TierWord,
        about("Furthest tier", "How far up a new chat may go to find an answer.", group="Chat", level="full"),
    ] = "frontier"
    system_prompt: Annotated[
        str,
        about("Standing instructions", "Sent before every new chat.", group="Chat", length_max=20_000),
    ] = ""


class Appearance(msgspec.Struct, frozen=True, kw_only=True):
    """How the window looks."""

    theme: Annotated[
        Literal["system", "light", "dark", "contrast"],
        about("Theme", "As the desktop is, or always the same.", group="Appearance"),
    ] = "system"
    text_scale: Annotated[
        float,
        about(
            "Text size", "A factor on every size: 1 is normal.", group="Appearance", ge=0.8, le=2.0, unit="×"
        ),
    ] = 1.0
    reduced_motion: Annotated[
        bool, about("Reduced motion", "Nothing slides or fades.", group="Appearance")
    ] = False


class Models(msgspec.Struct, frozen=True, kw_only=True):
    """How models run on this computer."""

    idle_unload_s: Annotated[
        int,
        about(
            "Unload when idle",
            "Free a model's memory after so many seconds without a question; 0 keeps it loaded.",
            group="Models",
            ge=0,
            le=86_400,
            unit="s",
        ),
    ] = 600
    threads: Annotated[
        int,
        about(
            "Threads",
            "How many processor cores a model may use; 0 means by this computer.",
            group="Models",
            level="full",
            ge=0,
            le=1024,
        ),
    ] = 0
    context: Annotated[
        int,
        about(
            "Context",
            "How many tokens a local model holds; more needs more memory.",
            group="Models",
            ge=256,
            le=1_048_576,
            unit="tokens",
        ),
    ] = 4096


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """Where other programs reach the node."""

    port: Annotated[
        int,
        about(
            "Port",
            "Where other programs reach the workbench; 0 takes any free one.",
            group="Network",
            ge=0,
            le=65_535,
            restart=True,
        ),
    ] = 4567
    host: Annotated[
        str,
        about(
            "Address",
            "127.0.0.1 keeps it on this computer.",
            group="Network",
            level="full",
            restart=True,
            pattern=r"^[A-Za-z0-9.:_-]+$",
            length_max=255,
        ),
    ] = "127.0.0.1"


class Privacy(msgspec.Struct, frozen=True, kw_only=True):
    """What may leave this computer."""

    local_only: Annotated[
        bool,
        about("Local only", "No question leaves this computer, whatever is configured.", group="Privacy"),
    ] = False


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """Which other computers the workbench may contact."""

    offline: Annotated[
        bool,
        about(
            "Offline",
            "Only this computer is contacted: no provider, download, server or page elsewhere.",
            group="Network",
        ),
    ] = False
    blocked: Annotated[
        tuple[str, ...],
        about(
            "Blocked hosts",
            "Never contacted, by name or address; `*.example.com` is every name below it too.",
            group="Network",
            level="full",
        ),
    ] = ()


class Advanced(msgspec.Struct, frozen=True, kw_only=True):
    """For those who look inside."""

    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        about("Log level", "How much is written to the log.", group="Advanced", level="full"),
    ] = "info"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration; each component gets its own branch."""

    mode: Annotated[
        Literal["lite", "full"],
        about(
            "Mode",
            "`lite` needs no server of any kind; `full` works with other machines through RabbitMQ.",
            group="General",
            level="full",
            restart=True,
        ),
    ] = "lite"
    gateway: Gateway = Gateway()
    routing: Routing = Routing()
    budget: Budget = Budget()
    engine: Engine = Engine()
    transport: Transport = Transport()
    chat: Chat = Chat()
    appearance: Appearance = Appearance()
    models: Models = Models()
    curation: Curation = Curation()
    server: Server = Server()
    privacy: Privacy = Privacy()
    network: Network = Network()
    advanced: Advanced = Advanced()


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One leaf of the schema, named by its dotted `key`: `chat.send_with_enter`.

    `default` None means it must be given (`is_required`) or may be left out. A `secret` holds a reference, never
    the secret.
    """

    key: str
    title: str
    description: str
    type: FieldType
    default: SettingValue
    group: str = ""
    level: Level = "simple"
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    pattern: str = ""
    length_max: int | None = None
    unit: str = ""
    needs_restart: bool = False
    is_required: bool = False


Branch: TypeAlias = type[msgspec.Struct]


@cache
def fields(root: Branch, prefix: str = "") -> tuple[Field, ...]:
    """Every leaf under `root`, in the order written; lists of tables (instances, models) are not descended into."""
    found: list[Field] = []
    for part in msgspec.structs.fields(root):
        branch = branch_of(part.type)
        if branch is not None and branch is not Price:
            found.extend(fields(branch, f"{prefix}{part.name}."))
        elif element_of(part.type) is None and branch is None:
            found.append(_field(part, prefix))
    return tuple(found)


def branch_of(annotation: Any) -> Branch | None:
    """The table an annotation stands for, if it does; None beside it is allowed."""
    for candidate in _members(annotation):
        if isinstance(candidate, type) and issubclass(candidate, msgspec.Struct):
            return candidate
    return None


def element_of(annotation: Any) -> Branch | None:
    """The table a list of tables holds, if the annotation is one."""
    if get_origin(annotation) is tuple:
        return branch_of(get_args(annotation)[0])
    return None


def _field(part: msgspec.structs.FieldInfo, prefix: str) -> Field:
    told = [member for member in _members(part.type) if get_origin(member) is Annotated]
    assert len(told) == 1, f"{prefix}{part.name} is not told by `about`"
    inner, meta = get_args(told[0])
    assert isinstance(meta, msgspec.Meta)
    extra = cast("dict[str, Any]", meta.extra)
    kind, choices = _shape(inner)
    return Field(
        key=f"{prefix}{part.name}",
        title=meta.title or "",
        description=meta.description or "",
        type=extra["kind"] or kind,
        default=None if part.required else part.default,
        group=extra["group"],
        level=extra["level"],
        choices=choices,
        minimum=cast("float | None", meta.ge),
        maximum=cast("float | None", meta.le),
        pattern=meta.pattern or "",
        length_max=meta.max_length,
        unit=extra["unit"],
        needs_restart=extra["restart"],
        is_required=part.required,
    )


def _shape(annotation: Any) -> tuple[FieldType, tuple[str, ...]]:
    if get_origin(annotation) is tuple:
        return "list", _shape(get_args(annotation)[0])[1]
    choices: list[str] = []
    for member in _members(annotation):
        if get_origin(member) is Literal:
            choices.extend(get_args(member))
        elif member in (bool, int, float, str):
            return cast("FieldType", member.__name__), ()
    return "choice", tuple(choices)


def _members(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)
