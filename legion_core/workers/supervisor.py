"""One native child process for one model: started on use, watched, ended in order, started again after a crash."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from legion_core.kernel.clock import Clock
from legion_core.kernel.supervise import Supervisor
from legion_core.workers.frames import (
    Done,
    Embedded,
    Load,
    Message,
    Params,
    Ready,
    Token,
    Tool,
    ToolCallPart,
)

Answer = Token | ToolCallPart | Done
State = Literal["stopped", "starting", "ready", "backing_off"]


def command_for(engine: str) -> tuple[str, ...]:
    """The argv of a child from source; a frozen bundle passes its own: `(sys.executable, "--child", engine)`."""
    return (sys.executable, "-m", "legion_core.workers.child", engine)


@dataclass(frozen=True, slots=True)
class Limits:
    """Every bound of a worker. Time-outs are of silence, not of the whole answer."""

    load_s: float = 180.0
    first_token_s: float = 120.0
    idle_s: float = 60.0
    stop_s: float = 2.0  # for each of: end of file, terminate, kill
    waiting_max: int = 64  # requests waiting for a slot; one more is Overloaded
    backoff_first_s: float = 0.2
    backoff_max_s: float = 30.0
    stderr_bytes: int = 16 * 1024


@dataclass(frozen=True, slots=True)
class Health:
    """A reading for the Models page and `/readyz`."""

    state: State
    pid: int | None
    starts: int
    crashes: int
    crashes_in_a_row: int
    open_requests: int
    waiting_requests: int
    last_exit: str  # "", or how the last child ended: "killed by SIGSEGV", "exit code 3"
    ready: Ready | None


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What `Worker.chat` asks; fields as in `frames.Chat`, without its id."""

    messages: tuple[Message, ...]
    params: Params = Params()
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    json_schema: msgspec.Raw | None = None
    continue_final: bool = False


class Worker:
    """A model in a process of its own.

    Nothing runs until `start` or the first request. After a crash every open request raises WorkerDied, and the next
    request starts a fresh child, after a back-off that doubles while crashes follow one another.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        clock: Clock,
        load: Load,
        *,
        engine: str = "xllamacpp",
        command: tuple[str, ...] | None = None,
        environment: dict[str, str] | None = None,
        limits: Limits = Limits(),
        check: Callable[[Path], object] | None = None,
    ) -> None:
        """`check` looks at the file before any native code does and raises if it lies; it runs in a thread."""
        raise NotImplementedError

    @property
    def health(self) -> Health:
        """Counts and state now."""
        raise NotImplementedError

    @property
    def stderr_tail(self) -> str:
        """The last of what the child (this one, or the one that died) wrote for diagnosis."""
        raise NotImplementedError

    async def start(self) -> Ready:
        """Spawn and load, or join a start under way; returns at once when ready.

        Raises WorkerDied (crashed while loading), TimedOut, NotFound (no such file), Unsupported (engine not installed),
        Corrupt or whatever `check` raises, Malformed (the engine refuses the file).
        """
        raise NotImplementedError

    async def stop(self) -> None:
        """End of file, then terminate, then kill, each with its deadline; open requests raise WorkerDied."""
        raise NotImplementedError

    async def unload(self, idle_s: float = 0.0) -> bool:
        """Stop if no request is open and none was for `idle_s`; True if it stopped. The next request starts it again."""
        raise NotImplementedError

    def chat(self, request: ChatRequest) -> AsyncIterator[Answer]:
        """The answer as it comes: `Token` and `ToolCallPart`, last a `Done`. Starts the child if need be.

        Close it early (`contextlib.aclosing`) and the child is told to stop that answer. Raises WorkerDied, TimedOut,
        Overloaded (queue full), ContextTooLong(limit, asked), Unsupported, InvalidInput, Malformed.
        """
        raise NotImplementedError

    async def embed(self, texts: tuple[str, ...]) -> Embedded:
        """Unit vectors, in order, float[d]; any number of texts, sent in batches. Raises as `chat`."""
        raise NotImplementedError

    async def ping(self) -> float:
        """Seconds for the child to answer, also while it generates; raises WorkerDied or TimedOut."""
        raise NotImplementedError


_ = asyncio
