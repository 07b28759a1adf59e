"""The words between the workbench and a native engine's process: frames over the child's stdin and stdout.

A frame is a 4-byte big-endian length and that many bytes of JSON, at most `FRAME_BYTES_MAX`. The bound is under
2^25, so a length's first byte is 0 or 1: text printed by a library onto the stream can never look like a frame,
and is an error at its first byte instead of a wait for millions of bytes.

Parent to child: `Load` once, then any number of `Chat`, `Embed`, `Cancel`, `Ping`; `Stop` or end of file ends it.
Child to parent: `Ready` or `Failed(id=0)` for the load; for each `Chat` any number of `Progress`, `Token`
and `ToolCallPart`, then exactly one `Done` or `Failed`; for each `Embed` exactly one `Embedded` or `Failed`. `Log` may come at any time.
"""

import struct
from typing import Final, Literal

import msgspec

FRAME_BYTES_MAX: Final = 32 * 1024 * 1024 - 1
HEAD_BYTES: Final = 4
TEXTS_MAX: Final = 256  # in one `Embed`
NO_REQUEST: Final = 0  # the id of a `Failed` that belongs to no request: the load, or the child as a whole

_HEAD = struct.Struct(">I")

StopReason = Literal["stop", "length", "tool_calls", "cancelled"]
FailCode = Literal[
    "load_failed",
    "context_too_long",
    "invalid_input",
    "unsupported",
    "overloaded",
    "engine_failed",
    "protocol",
]


class FrameError(Exception):
    """The bytes are not a frame; the stream cannot be read any further."""


class ToolCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A call the assistant made earlier; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One turn for the model's own chat template."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    name: str = ""


class Tool(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A function the model may call; `parameters` is its JSON schema, as JSON text."""

    name: str
    description: str = ""
    parameters: str = '{"type":"object"}'


class Params(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Sampling; None is llama.cpp's default, but a temperature of 0.7. The child clamps what is out of range.

    `output_tokens_max` None means: until the model ends or the context is full.
    """

    output_tokens_max: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int | None = None
    repeat_penalty: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: tuple[str, ...] = ()


class Load(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="load"):
    """The first frame: which file to open and how.

    `context_tokens` 0 takes the model's own training context, at most `CONTEXT_TOKENS_AUTO_MAX`; `threads` 0 takes the
    cores less one. With `is_embedding` the child answers `Embed` and refuses `Chat`. `gpu_layers` beyond the
    model's layers means all of them. `prompt_cache_mib` bounds what is kept of earlier conversations, beside the context,
    so that going back to one does not compute it again; it is taken only as they come (xllamacpp alone has it).
    """

    model_path: str
    context_tokens: int = 4096
    threads: int = 0
    slots: int = 1
    gpu_layers: int = 0
    is_embedding: bool = False
    pooling: Literal["model", "mean", "cls", "last"] = "model"
    prompt_cache_mib: int = 256


CONTEXT_TOKENS_AUTO_MAX: Final = 8192


class Chat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="chat"):
    """Answer these messages through the model's chat template.

    With `continue_final` the last message must be the assistant's; its text is continued verbatim and only what is new
    is sent back. With `is_raw` there is one message, and its text is gone on with through no template. `json_schema` (JSON text, or "") constrains the answer by
    grammar. `tool_choice` is auto, none, required, or a tool's name.
    """

    id: int
    messages: tuple[Message, ...]
    params: Params = Params()
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    json_schema: str = ""
    continue_final: bool = False
    is_raw: bool = False


class Embed(msgspec.Struct, frozen=True, kw_only=True, tag="embed"):
    """Vectors for at most `TEXTS_MAX` texts."""

    id: int
    texts: tuple[str, ...]


class Cancel(msgspec.Struct, frozen=True, kw_only=True, tag="cancel"):
    """Stop that answer soon; it still ends with one `Done(stop_reason="cancelled")`. Unknown ids are ignored."""

    id: int


class Ping(msgspec.Struct, frozen=True, kw_only=True, tag="ping"):
    """Answered at once, also while generating."""

    id: int


class Stop(msgspec.Struct, frozen=True, kw_only=True, tag="stop"):
    """End now; the same as closing stdin."""


class Ready(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="ready"):
    """The model is loaded. `context_tokens` is what one request may use, prompt and answer together."""

    engine: str
    engine_version: str
    context_tokens: int
    has_chat_template: bool
    slots: int = 1
    threads: int = 1
    is_embedding: bool = False
    load_ms: float = 0.0


class Token(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="token"):
    """A piece of the answer: `count` tokens that came within a few milliseconds, joined. The first is never held back."""

    id: int
    text: str
    count: int = 1
    channel: Literal["text", "thinking"] = "text"


class ToolCallPart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="tool_call"):
    """A piece of call number `index`: `call_id` and `name` in its first piece, `arguments` to be joined (JSON text)."""

    id: int
    index: int
    call_id: str = ""
    name: str = ""
    arguments: str = ""


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """The prompt is being read: so many of its tokens are computed. Keeps the parent's patience alive."""

    id: int
    tokens_done: int
    tokens_total: int


class Done(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="done"):
    """The end of an answer; counts are the engine's own. `cached_tokens` of the prompt were not computed again."""

    id: int
    stop_reason: StopReason
    prompt_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    prompt_ms: float = 0.0
    decode_ms: float = 0.0


class Embedded(msgspec.Struct, frozen=True, kw_only=True, tag="embedded"):
    """One unit-length vector for each text, in order, all of one width."""

    id: int
    vectors: tuple[tuple[float, ...], ...]
    prompt_tokens: int = 0


class Failed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="failed"):
    """That request (or, with id 0, the load) did not work; the child lives on unless it was the load.

    `limit` and `asked` are tokens, with code `context_too_long`.
    """

    id: int
    code: FailCode
    message: str
    limit: int = 0
    asked: int = 0


class Pong(msgspec.Struct, frozen=True, kw_only=True, tag="pong"):
    """The answer to `Ping`."""

    id: int


class Log(msgspec.Struct, frozen=True, kw_only=True, tag="log"):
    """A line for the diagnostics."""

    level: Literal["debug", "info", "warning", "error"]
    text: str


ToChild = Load | Chat | Embed | Cancel | Ping | Stop
ToParent = Ready | Progress | Token | ToolCallPart | Done | Embedded | Failed | Pong | Log

_encoder = msgspec.json.Encoder()
_to_child = msgspec.json.Decoder(ToChild)
_to_parent = msgspec.json.Decoder(ToParent)


def encode(frame: ToChild | ToParent) -> bytes:
    """The frame with its length in front; raises FrameError past `FRAME_BYTES_MAX` and for text that is none."""
    try:
        body = _encoder.encode(frame)
    except UnicodeEncodeError as error:
        raise FrameError("The text holds half a character (a lone surrogate).") from error
    if len(body) > FRAME_BYTES_MAX:
        raise FrameError(f"A frame of {len(body)} bytes is over the bound of {FRAME_BYTES_MAX}.")
    return _HEAD.pack(len(body)) + body


def body_bytes(head: bytes) -> int:
    """The length announced by the first `HEAD_BYTES` of a frame; raises FrameError if no frame can be that long."""
    (size,) = _HEAD.unpack(head)
    if not 2 <= size <= FRAME_BYTES_MAX:
        raise FrameError(f"{head!r} is not the start of a frame.")
    return size


def decode_to_child(body: bytes) -> ToChild:
    """What the parent said; raises FrameError for anything else."""
    try:
        return _to_child.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FrameError(f"Not a frame for the child: {error}") from error


def decode_to_parent(body: bytes) -> ToParent:
    """What the child said; raises FrameError for anything else."""
    try:
        return _to_parent.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FrameError(f"Not a frame from the child: {error}") from error
