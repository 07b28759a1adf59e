"""A provider that does what a script says, inside this process: chunks, silences, deaths.

    provider = ScriptedProvider("box-a", say("Hello ", "world"))
    provider = ScriptedProvider("box-a", [TextDelta(text="Hel"), WorkerDied("It was killed.")], say("lo"))

Each stream takes the next script; the last one serves every stream after it. An error as a script's first step is
raised while the stream is being opened, as a refused connection would be.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from legion_core.gateway.providers.base import Embedded, ProbeResult
from legion_core.gateway.providers.ranges import check_ranges
from legion_core.gateway.types import (
    Chunk,
    Finished,
    ModelOffer,
    Request,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    Usage,
)
from legion_core.kernel.errors import ConnectionLost, ProviderError, StreamBroken, Unsupported
from legion_core.kernel.faults import fault


@dataclass(frozen=True, slots=True)
class Pause:
    """Say nothing for `seconds` of the loop's own time, then go on."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Stall:
    """Say nothing until the stream is closed."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Say nothing until the test sets `gate`."""

    gate: asyncio.Event


@dataclass(frozen=True, slots=True)
class Hang:
    """As the first step: the stream never opens."""


Step: TypeAlias = Chunk | ProviderError | Pause | Stall | Wait | Hang
Script: TypeAlias = Iterable[Step] | Callable[[Request, str, str], Iterable[Step]]


@dataclass(slots=True)
class Call:
    """What one stream was asked and how far it came; `billed_tokens` is what this provider would put on its bill."""

    request: Request
    model: str
    prefix: str
    chunks_sent: int = 0
    billed_tokens: int = 0
    is_closed: bool = False
    has_finished: bool = False
    sent: list[Chunk] = field(default_factory=list[Chunk])


def say(
    *pieces: str,
    stop_reason: StopReason = "end_turn",
    input_tokens: int = 7,
    output_tokens: int | None = None,
) -> tuple[Step, ...]:
    """An answer of these pieces, one token each unless `output_tokens` says otherwise, with its proper end."""
    counted = len(pieces) if output_tokens is None else output_tokens
    return (
        *(TextDelta(text=piece, tokens=1) for piece in pieces),
        Finished(stop_reason=stop_reason, usage=Usage(input_tokens=input_tokens, output_tokens=counted)),
    )


def call_tool(
    name: str,
    arguments: str,
    *,
    call_id: str = "call_1",
    index: int = 0,
    pieces: int = 3,
) -> tuple[ToolCallDelta, ...]:
    """One tool call with its arguments cut into about `pieces`; no `Finished`."""
    size = max(1, -(-len(arguments) // pieces))
    cuts = [arguments[at : at + size] for at in range(0, len(arguments), size)]
    return (
        ToolCallDelta(index=index, id=call_id, name=name),
        *(ToolCallDelta(index=index, arguments=cut) for cut in cuts),
    )


def continuing(*pieces: str, input_tokens: int = 7) -> Callable[[Request, str, str], tuple[Step, ...]]:
    """As `say`, but a stream asked to go on behind a prefix of the whole text gives only what is missing."""

    def script(_request: Request, _model: str, prefix: str) -> tuple[Step, ...]:
        whole = "".join(pieces)
        if not whole.startswith(prefix):
            return say(*pieces, input_tokens=input_tokens)
        rest, at = list[str](), 0
        for piece in pieces:
            end = at + len(piece)
            if end > len(prefix):
                rest.append(piece[max(0, len(prefix) - at) :])
            at = end
        return say(*rest, input_tokens=input_tokens)

    return script


class ScriptedProvider:
    """See the module; `calls` is everything it was asked, in order."""

    def __init__(
        self,
        name: str,
        *scripts: Script,
        kind: str = "scripted",
        models: Sequence[ModelOffer] = (ModelOffer(id="m1", context=32768, continuation="prefill"),),
        vector: tuple[float, ...] = (),
    ) -> None:
        """`vector` empty: it cannot embed."""
        self._name = name
        self._kind = kind
        self._scripts = list(scripts) or [say("ok")]
        self._models = tuple(models)
        self._vector = vector
        self._is_closed = False
        self._is_dead = False
        self.calls: list[Call] = []
        self.probe_error: ProviderError | None = None

    @property
    def name(self) -> str:
        """See `Provider`."""
        return self._name

    @property
    def kind(self) -> str:
        """See `Provider`."""
        return self._kind

    @property
    def open_streams(self) -> int:
        """Streams opened and not yet left."""
        return sum(not call.is_closed for call in self.calls)

    @property
    def billed_tokens(self) -> int:
        """Output tokens over all calls, also of those that broke."""
        return sum(call.billed_tokens for call in self.calls)

    def then(self, *scripts: Script) -> None:
        """Replace what is still to come."""
        self._scripts = list(scripts)

    def die_now(self) -> None:
        """Break every open stream before its next chunk."""
        self._is_dead = True

    def stream(
        self, request: Request, model: str, *, prefix: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[Chunk]]:
        """See `Provider`."""
        return self._stream(request, model, prefix)

    @asynccontextmanager
    async def _stream(
        self, request: Request, model: str, prefix: str
    ) -> AsyncGenerator[AsyncIterator[Chunk], None]:
        if self._is_closed:
            raise ConnectionLost(f"{self._name} is closed.")
        check_ranges(request.params)
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        steps = list(script(request, model, prefix) if callable(script) else script)
        call = Call(request, model, prefix)
        self.calls.append(call)
        try:
            fault("providers.connect")
            await asyncio.sleep(0)
            if steps and isinstance(steps[0], Hang):
                await asyncio.Event().wait()
            if steps and isinstance(steps[0], ProviderError):
                raise steps[0]
            async with aclosing(self._play(steps, call)) as chunks:
                yield chunks
        finally:
            call.is_closed = True

    async def _play(self, steps: list[Step], call: Call) -> AsyncGenerator[Chunk, None]:
        for step in steps:
            fault("providers.stream")
            if self._is_dead:
                break
            match step:
                case Pause(seconds):
                    await asyncio.sleep(seconds)
                case Stall() | Hang():
                    await asyncio.Event().wait()
                case Wait(gate):
                    await gate.wait()
                case ProviderError():
                    raise step
                case Finished():
                    call.has_finished = True
                    call.billed_tokens = step.usage.output_tokens
                    call.sent.append(step)
                    yield step
                    return
                case _:
                    await asyncio.sleep(0)
                    call.chunks_sent += 1
                    call.billed_tokens += _tokens(step)
                    call.sent.append(step)
                    yield step
        raise StreamBroken(f"{self._name} closed its stream before the end.", chunks_seen=call.chunks_sent)

    async def embed(self, model: str, texts: tuple[str, ...], *, dimensions: int | None = None) -> Embedded:
        """See `Provider`."""
        if not self._vector:
            raise Unsupported(f"{model} makes no embeddings.", capability="embeddings")
        return Embedded(
            vectors=tuple(self._vector for _ in texts),
            usage=Usage(input_tokens=sum(len(text.split()) for text in texts)),
        )

    async def probe(self) -> ProbeResult:
        """See `Provider`; fails with `probe_error` if that is set."""
        if self.probe_error is not None:
            return ProbeResult(is_ok=False, why=self.probe_error.sentence())
        return ProbeResult(is_ok=True, why="It plays a script.", models=self._models)

    async def aclose(self) -> None:
        """See `Provider`."""
        self._is_closed = True


def _tokens(chunk: Chunk) -> int:
    match chunk:
        case TextDelta():
            return chunk.tokens or 1
        case ThinkingDelta() | ToolCallDelta():
            return 1
        case _:
            return 0
