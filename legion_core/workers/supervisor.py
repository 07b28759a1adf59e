"""One native child process for one model: started on use, watched, ended in order, started again after a crash."""

import asyncio
import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import (
    Bug,
    ContextTooLong,
    LegionError,
    Malformed,
    Overloaded,
    ProviderError,
    StreamBroken,
    TimedOut,
    Unavailable,
    Unsupported,
    WorkerDied,
)
from legion_core.kernel.supervise import Supervisor
from legion_core.workers.frames import (
    TEXTS_MAX,
    Chat,
    Done,
    Embed,
    Embedded,
    Failed,
    Load,
    Message,
    Params,
    Progress,
    Ready,
    Token,
    Tool,
    ToolCallPart,
)
from legion_core.workers.process import ChildProcess, Flight, Terminal, child_environment, exit_words

Answer = Token | ToolCallPart | Done
State = Literal["stopped", "starting", "ready", "backing_off"]

WAIT_IN_REQUEST_MAX_S: Final = 2.0  # a longer back-off is told to the caller instead of waited for


def command_for(engine: str) -> tuple[str, ...]:
    """The argv of a child: from source a module of ours, from a frozen bundle the bundle itself."""
    if getattr(sys, "frozen", False):
        return (sys.executable, "--child", engine)
    return (sys.executable, "-m", "legion_core.workers.child", engine)


@dataclass(frozen=True, slots=True)
class Limits:
    """Every bound of a worker. `first_token_s` and `idle_s` are of silence, not of the whole answer."""

    load_s: float = 180.0
    first_token_s: float = 120.0
    idle_s: float = 60.0
    slot_s: float = 300.0  # waiting for a slot
    cancel_s: float = 30.0  # an engine that computes on for so long after a cancel is killed
    ping_s: float = 5.0
    stop_s: float = 2.0  # for each of: end of file, terminate, kill
    waiting_max: int = 64  # requests waiting for the load or a slot; one more is Overloaded
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
    last_exit: str  # "", or how the last child ended: "was killed by SIGSEGV, a crash in native code"
    ready: Ready | None


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What `Worker.chat` asks; fields as in `frames.Chat`, without its id."""

    messages: tuple[Message, ...]
    params: Params = field(default_factory=Params)
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    json_schema: str = ""
    continue_final: bool = False
    is_raw: bool = False


class Worker:
    """A model in a process of its own.

    Nothing runs until `start` or the first request. After a crash every open request raises WorkerDied, and the next
    request starts a fresh child, after a back-off that doubles while crashes follow one another. All methods belong to
    one event loop; the child dies with the thread that runs it.
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
        limits: Limits | None = None,
        check: Callable[[Path], object] | None = None,
        on_change: Callable[[Health], None] | None = None,
    ) -> None:
        """`check` looks at the file before native code does and raises if it lies; it runs in a thread.

        `environment` None is ours without secrets. `on_change` is called on the loop at each change of state.
        """
        self._supervisor = supervisor
        self._clock = clock
        self._load = load
        self._engine = engine
        self._command = command or command_for(engine)
        self._environment = environment
        self._limits = limits or Limits()
        self._check = check
        self._on_change = on_change
        self._name = Path(load.model_path).stem
        self._child: ChildProcess | None = None
        self._ready: Ready | None = None
        self._starting: asyncio.Task[Ready | ProviderError] | None = None
        self._slots = _Slots()
        self._waiting = 0
        self._starts = 0
        self._crashes = 0
        self._in_a_row = 0
        self._last_exit = ""
        self._last_stderr = ""
        self._not_before_s = 0.0
        self._used_at_s = clock.monotonic_s()

    @property
    def health(self) -> Health:
        """Counts and state now."""
        child = self._child
        return Health(
            state=self._state(),
            pid=child.pid if child else None,
            starts=self._starts,
            crashes=self._crashes,
            crashes_in_a_row=self._in_a_row,
            open_requests=child.open_requests if child else 0,
            waiting_requests=self._waiting,
            last_exit=self._last_exit,
            ready=self._ready,
        )

    def _state(self) -> State:
        if self._starting is not None:
            return "starting"
        if self._ready is not None:
            return "ready"
        return "backing_off" if self._clock.monotonic_s() < self._not_before_s else "stopped"

    @property
    def stderr_tail(self) -> str:
        """The last of what the child (this one, or the one that died) wrote for diagnosis; secrets are masked."""
        return self._child.stderr_tail if self._child else self._last_stderr

    async def start(self) -> Ready:
        """Spawn and load, or join a start under way; returns at once when ready.

        Raises WorkerDied (crashed while loading, or a back-off is under way), TimedOut, Unsupported (no such file, or
        the engine is not installed), Malformed (`check` or the engine refuses the file).
        """
        if self._ready is not None and self._child is not None and self._child.is_alive:
            return self._ready
        if self._starting is None:
            self._starting = self._supervisor.spawn(f"{self._name}: start", self._start())
            self._tell()
        outcome = await asyncio.shield(self._starting)
        if isinstance(outcome, Ready):
            return outcome
        raise outcome

    async def _start(self) -> Ready | ProviderError:
        """The outcome as a value, for several callers may wait for it."""
        child: ChildProcess | None = None
        ready: Ready | None = None
        try:
            await self._wait_back_off()
            await self._look_at_file()
            child = self._child = await ChildProcess.spawn(
                self._command,
                child_environment() if self._environment is None else self._environment,
                self._supervisor,
                self._name,
                self._limits.stderr_bytes,
                self._died,
            )
            self._starts += 1
            answer = await child.load(self._load, self._limits.load_s)
            if isinstance(answer, Failed):
                return self._refused(answer)
            ready = self._ready = answer
            self._slots.resize(answer.slots)
            self._used_at_s = self._clock.monotonic_s()
        except ProviderError as error:
            return error
        else:
            return answer
        finally:
            self._starting = None
            if child is not None and ready is None:
                # It failed, or this start was cancelled: nobody would use what has been spawned.
                child.is_stopping = True
                child.kill("it was not loaded")
            self._tell()

    async def _wait_back_off(self) -> None:
        wait_s = self._not_before_s - self._clock.monotonic_s()
        if wait_s > WAIT_IN_REQUEST_MAX_S:
            raise WorkerDied(
                f"The process running {self._name} crashed {self._in_a_row} times in a row; the last one"
                f" {self._last_exit}.",
                hint=f"It may be started again in {wait_s:.0f} s; a smaller context or another engine may help.",
            )
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    async def _look_at_file(self) -> None:
        path = Path(self._load.model_path)
        if not await asyncio.to_thread(path.exists):  # a file, or a folder where the engine reads those
            raise Unsupported(
                f"The model file {path} is not there.",
                hint="Put it back, or remove the model and get it again.",
                capability="model",
            )
        if self._check is None:
            return
        try:
            await asyncio.to_thread(self._check, path)
        except LegionError as error:
            raise Malformed(error.message, hint=error.hint) from error

    def _refused(self, answer: Failed) -> ProviderError:
        if answer.code == "unsupported":
            return Unsupported(
                f"The engine {self._engine} cannot run here: {answer.message}",
                hint="Install it, or choose another engine on the Models page.",
                capability=self._engine,
            )
        self._back_off()
        return Malformed(
            f"{self._name} could not be loaded: {answer.message}",
            hint="The diagnostics show what the engine wrote.",
        )

    def _died(self, child: ChildProcess) -> None:
        if self._child is child:  # not so if its successor is under way already
            self._child = None
            self._ready = None
        self._last_stderr = child.stderr_tail
        self._last_exit = exit_words(child.exit_code)
        if not child.is_stopping:
            self._crashes += 1
            self._back_off()
        self._tell()

    def _back_off(self) -> None:
        limits = self._limits
        pause_s = min(limits.backoff_first_s * 2 ** min(self._in_a_row, 16), limits.backoff_max_s)
        self._in_a_row += 1
        self._not_before_s = self._clock.monotonic_s() + pause_s

    def _tell(self) -> None:
        if self._on_change is not None:
            self._on_change(self.health)

    async def stop(self) -> None:
        """End of file, then terminate, then kill, each with its deadline; open requests raise WorkerDied."""
        if self._starting is not None:
            starting = self._starting
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        if self._child is not None:
            await self._child.stop(self._limits.stop_s)

    async def unload(self, idle_s: float = 0.0) -> bool:
        """Stop if no request is open and none was for `idle_s`; True if it stopped. The next request starts it again."""
        child = self._child
        if child is None or self._starting is not None or self._waiting or child.open_requests:
            return False
        if self._clock.monotonic_s() - self._used_at_s < idle_s:
            return False
        await self.stop()
        return True

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Answer, None]:
        """The answer as it comes: `Token` and `ToolCallPart`, last a `Done`. Starts the child if need be.

        Close it early (`contextlib.aclosing`) and the child is told to stop that answer. Raises WorkerDied, TimedOut,
        Overloaded (queue full), ContextTooLong(limit, asked), Unsupported, Malformed; StreamBroken if the engine fails
        after pieces were given.
        """
        child, flight = await self._begin(lambda id_: _chat_frame(id_, request))
        seen = 0
        try:
            while True:
                frame = await self._next(flight, self._limits.idle_s if seen else self._limits.first_token_s)
                match frame:
                    case Token() | ToolCallPart():
                        seen += 1
                        yield frame
                    case Progress():
                        continue
                    case Done():
                        self._in_a_row = 0
                        yield frame
                        return
                    case Embedded() | Failed() | WorkerDied():
                        raise self._error(frame, seen)
        finally:
            child.abandon(flight, self._limits.cancel_s)

    async def embed(self, texts: tuple[str, ...]) -> Embedded:
        """Unit vectors, in order, float[d]; any number of texts, sent in batches. Raises as `chat`."""
        vectors: list[tuple[float, ...]] = []
        tokens = 0
        for at in range(0, len(texts), TEXTS_MAX):
            batch = texts[at : at + TEXTS_MAX]
            child, flight = await self._begin(lambda id_, batch=batch: Embed(id=id_, texts=batch))
            try:
                frame = await self._next(flight, self._limits.first_token_s)
            finally:
                child.abandon(flight, self._limits.cancel_s)
            match frame:
                case Embedded():
                    pass
                case Token() | ToolCallPart() | Progress() | Done():
                    raise Bug(f"{self._name} was asked for vectors and answered {type(frame).__name__}.")
                case Failed() | WorkerDied():
                    raise self._error(frame, 0)
            self._in_a_row = 0
            vectors += frame.vectors
            tokens += frame.prompt_tokens
        return Embedded(id=0, vectors=tuple(vectors), prompt_tokens=tokens)

    async def ping(self) -> float:
        """Seconds for the child to answer, also while it generates; raises WorkerDied or TimedOut."""
        if self._child is None:
            raise WorkerDied(f"No process is running {self._name}.", hint="The next question starts it.")
        begun_s = self._clock.monotonic_s()
        await self._child.ping(self._limits.ping_s)
        return self._clock.monotonic_s() - begun_s

    async def _begin(self, make: Callable[[int], Chat | Embed]) -> tuple[ChildProcess, Flight]:
        """Start the child if need be, wait for a slot, send the request; the slot is freed when the child is done."""
        if self._waiting >= self._limits.waiting_max:
            raise Overloaded(
                f"{self._name} has {self._waiting} requests waiting already.",
                hint="Try again when some have been answered.",
            )
        self._waiting += 1
        try:
            await self.start()
            await self._slots.take(self._limits.slot_s, self._name)
            try:
                await self.start()  # it may have died while we waited for the slot
                child = self._child
                if child is None:
                    raise WorkerDied(f"The process running {self._name} ended just now.")
                flight = await child.begin(make, self._over)
            except BaseException:
                # Once `begin` has the flight, it alone gives the slot back.
                self._slots.give_back()
                raise
        finally:
            self._waiting -= 1
        return child, flight

    def _over(self) -> None:
        self._used_at_s = self._clock.monotonic_s()
        self._slots.give_back()

    async def _next(self, flight: Flight, silence_s: float) -> Token | ToolCallPart | Progress | Terminal:
        try:
            return await flight.next(silence_s)
        except TimeoutError:
            raise TimedOut(
                f"{self._name} gave no token for {silence_s:g} s.",
                hint="The computer may be busy, or the model too large for it.",
            ) from None

    def _error(self, frame: Failed | WorkerDied | Embedded, seen: int) -> LegionError:
        match frame:
            case WorkerDied():
                return frame
            case Failed(code="context_too_long"):
                return ContextTooLong(
                    f"{self._name}: {frame.message}",
                    hint="Shorten the conversation or load the model with a larger context.",
                    limit=frame.limit,
                    asked=frame.asked,
                )
            case Failed(code="unsupported"):
                return Unsupported(f"{self._name}: {frame.message}")
            case Failed(code="overloaded"):
                return Overloaded(f"{self._name}: {frame.message}")
            case Failed(code="engine_failed" | "load_failed"):
                if seen:
                    return StreamBroken(f"{self._name}: {frame.message}", chunks_seen=seen)
                return Unavailable(f"{self._name}: {frame.message}")
            case Failed():
                return Malformed(f"{self._name}: {frame.message}")
            case Embedded():
                return Bug(f"{self._name} was asked for words and answered vectors.")


def _chat_frame(id_: int, request: ChatRequest) -> Chat:
    return Chat(
        id=id_,
        messages=request.messages,
        params=request.params,
        tools=request.tools,
        tool_choice=request.tool_choice,
        json_schema=request.json_schema,
        continue_final=request.continue_final,
        is_raw=request.is_raw,
    )


class _Slots:
    """First come, first served over a number of slots known only after the load."""

    def __init__(self) -> None:
        self._size = 1
        self._taken = 0
        self._line: deque[asyncio.Future[None]] = deque()

    def resize(self, size: int) -> None:
        self._size = size
        while self._taken < self._size and self._pass_on():
            self._taken += 1

    async def take(self, timeout_s: float, name: str) -> None:
        if self._taken < self._size:
            self._taken += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            async with asyncio.timeout(timeout_s):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.give_back()  # it was ours at the very moment we left
            elif turn in self._line:
                self._line.remove(turn)
            if isinstance(error, TimeoutError):
                raise TimedOut(f"{name} was busy for {timeout_s:g} s.") from None
            raise

    def give_back(self) -> None:
        if not self._pass_on():
            self._taken -= 1
            assert self._taken >= 0, "a slot was given back twice"

    def _pass_on(self) -> bool:
        while self._line:
            turn = self._line.popleft()
            if not turn.done():
                turn.set_result(None)
                return True
        return False
