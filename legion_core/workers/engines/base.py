"""What a native engine must give the child, and what all engines share: clamped parameters and forced tool calls."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from legion_core.workers.frames import (
    Chat,
    Done,
    Embed,
    Embedded,
    FailCode,
    Load,
    Message,
    Params,
    Progress,
    StopReason,
    Token,
    Tool,
    ToolCallPart,
)

INT_MAX: Final = 2**31 - 1
STOPS_MAX: Final = 16
STOP_CHARS_MAX: Final = 256
PREFILL_BATCH: Final = (
    128  # tokens computed between two looks at the cancel flag; larger is not faster on a CPU
)
EMBED_BATCH_MAX: Final = 8192  # an embedding must be computed in one piece
TEMPLATE_KEY: Final = b"tokenizer.chat_template"
HEADER_SCAN_BYTES: Final = 64 * 1024 * 1024

Emit = Callable[[Token | ToolCallPart | Progress], None]
IsCancelled = Callable[[], bool]


class EngineError(Exception):
    """The engine says no; becomes a `Failed` frame."""

    def __init__(self, code: FailCode, message: str, *, limit: int = 0, asked: int = 0) -> None:
        super().__init__(message)
        self.code: FailCode = code
        self.message = message
        self.limit = limit
        self.asked = asked


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the engine found out while loading."""

    version: str
    context_tokens: int
    slots: int
    threads: int


class Engine(Protocol):
    """One model in this process. `chat` and `embed` block; they are called from threads, at most `Loaded.slots` at once."""

    @property
    def name(self) -> str:
        """The engine's name on the command line."""
        ...

    def load(self, load: Load) -> Loaded:
        """Open the model; EngineError("load_failed") if it cannot be."""
        ...

    def chat(self, chat: Chat, emit: Emit, is_cancelled: IsCancelled) -> Done:
        """Generate; `emit` is called for each piece. Returns soon after `is_cancelled` turns true."""
        ...

    def embed(self, embed: Embed) -> Embedded:
        """Unit vectors for the texts."""
        ...


@dataclass(frozen=True, slots=True)
class Sampling:
    """`Params` made safe for native code: finite, in range, defaults filled in. `tokens_max` None is no limit."""

    tokens_max: int | None
    temperature: float
    top_p: float
    top_k: int
    min_p: float
    seed: int | None
    repeat_penalty: float
    frequency_penalty: float
    presence_penalty: float
    stop: tuple[str, ...]


def _number(value: float | None, default: float, low: float, high: float) -> float:
    if value is None or math.isnan(value):
        return default
    return min(max(float(value), low), high)


def sampling(params: Params) -> Sampling:
    """Clamp what a client may send: negative counts, infinities and absurd sizes crash or hang native samplers.

    Defaults are llama.cpp's, but for a temperature of 0.7.
    """
    wanted = params.output_tokens_max
    return Sampling(
        tokens_max=None if wanted is None or wanted < 0 else min(wanted, INT_MAX),
        temperature=_number(params.temperature, 0.7, 0.0, 5.0),
        top_p=_number(params.top_p, 0.95, 0.0, 1.0),
        top_k=int(_number(params.top_k, 40, 0, INT_MAX)),
        min_p=_number(params.min_p, 0.05, 0.0, 1.0),
        seed=None if params.seed is None else params.seed & 0x7FFFFFFF,
        repeat_penalty=_number(params.repeat_penalty, 1.0, 0.1, 5.0),
        frequency_penalty=_number(params.frequency_penalty, 0.0, -2.0, 2.0),
        presence_penalty=_number(params.presence_penalty, 0.0, -2.0, 2.0),
        stop=tuple(text[:STOP_CHARS_MAX] for text in params.stop if text)[:STOPS_MAX],
    )


def check_chat(chat: Chat) -> None:
    """What no engine may see; raises EngineError("invalid_input")."""
    if not chat.messages:
        raise EngineError("invalid_input", "A chat needs at least one message.")
    if chat.continue_final and chat.messages[-1].role != "assistant":
        raise EngineError("invalid_input", "Only an assistant's message can be continued.")
    if chat.is_raw and len(chat.messages) != 1:
        raise EngineError("invalid_input", "A text to go on with is one message.")


def stop_reason(finish: str | None) -> StopReason:
    """An OpenAI-style finish reason as ours; None (the stream ended without one) counts as a stop."""
    if finish in ("length", "tool_calls"):
        return finish
    return "stop"


def has_chat_template(path: str) -> bool:
    """Whether a model brings its own template: in a file before the tensors, in a folder beside them."""
    folder = Path(path)
    if folder.is_dir():
        told = folder / "tokenizer_config.json"
        return (folder / "chat_template.jinja").is_file() or (
            told.is_file() and b'"chat_template"' in told.read_bytes()
        )
    seen = 0
    tail = b""
    with Path(path).open("rb") as file:
        while seen < HEADER_SCAN_BYTES and (piece := file.read(1 << 20)):
            if TEMPLATE_KEY in tail + piece:
                return True
            tail = piece[-len(TEMPLATE_KEY) :]
            seen += len(piece)
    return False


@dataclass(frozen=True, slots=True)
class ForcedTool:
    """A tool call forced by grammar, for templates that know no tools: the schema to obey and the words to prepend."""

    schema: str
    instruction: str
    name: str  # "" where the model picks among several; then the answer is {"name", "arguments"}

    def call(self, text: str) -> tuple[str, str]:
        """Name and argument JSON of a finished answer; EngineError if it was cut short."""
        if self.name:
            return self.name, text
        try:
            answer = json.loads(text)
            return str(answer["name"]), json.dumps(answer["arguments"], ensure_ascii=False)
        except (ValueError, KeyError, TypeError) as error:
            raise EngineError("engine_failed", "The model's tool call was cut short.") from error


def forced_tool(chat: Chat) -> ForcedTool | None:
    """How to force the call the caller insists on (`required`, or a tool's name); None where nothing is forced."""
    if not chat.tools or chat.tool_choice in ("auto", "none"):
        return None
    named = [tool for tool in chat.tools if tool.name == chat.tool_choice]
    if chat.tool_choice != "required" and not named:
        raise EngineError("invalid_input", f"There is no tool named {chat.tool_choice!r} to force.")
    tools = named or list(chat.tools)
    listing = "\n".join(f"- {t.name}: {t.description} Parameters: {t.parameters}" for t in tools)
    if len(tools) == 1:
        words = f"Call this function; answer only with its parameters as JSON.\n{listing}"
        return ForcedTool(schema=tools[0].parameters, instruction=words, name=tools[0].name)
    words = f'Call one of these functions; answer only with JSON {{"name", "arguments"}}.\n{listing}'
    return ForcedTool(schema=_one_of(tools), instruction=words, name="")


def _one_of(tools: list[Tool]) -> str:
    return json.dumps(
        {
            "anyOf": [
                {
                    "type": "object",
                    "properties": {
                        "name": {"const": tool.name},
                        "arguments": json.loads(tool.parameters),
                    },
                    "required": ["name", "arguments"],
                    "additionalProperties": False,
                }
                for tool in tools
            ]
        }
    )


def with_instruction(messages: tuple[Message, ...], instruction: str) -> tuple[Message, ...]:
    """The messages with `instruction` added to the system's words, which are made if there are none."""
    if messages[0].role == "system":
        first = Message(role="system", content=f"{messages[0].content}\n\n{instruction}")
        return (first, *messages[1:])
    return (Message(role="system", content=instruction), *messages)
