"""Models on this computer: llama.cpp in child processes, one for each model file in use."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from legion_core.gateway.providers.base import Embedded, ProbeResult
from legion_core.gateway.providers.ranges import check_ranges
from legion_core.gateway.types import (
    Chunk,
    DocumentBlock,
    Finished,
    ImageBlock,
    Message,
    ModelOffer,
    Request,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolResultBlock,
    ToolUseBlock,
    Usage,
)
from legion_core.kernel.errors import (
    LegionError,
    ProviderError,
    Refused,
    StreamBroken,
    Unavailable,
    Unsupported,
)
from legion_core.workers import frames
from legion_core.workers.frames import Done, Load, Token, ToolCallPart
from legion_core.workers.supervisor import ChatRequest, Health, Worker

LOADED_MAX: Final = 2  # models held in memory at once; the longest unused idle one makes room
ANY_OBJECT: Final = '{"type":"object"}'
STOP: Final[dict[frames.StopReason, StopReason]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "cancelled": "cancelled",
}


_Job: TypeAlias = tuple[str, bool]  # a model, and whether it makes vectors: an engine does one or the other


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model's file and how to open it; numbers as in `frames.Load`. An embedding model makes vectors and cannot chat."""

    path: Path
    context_tokens: int = 4096
    threads: int = 0
    slots: int = 1
    gpu_layers: int = 0
    is_embedding: bool = False
    temperature: float | None = None  # where the request names none: what the model's makers recommend
    repeat_penalty: float | None = None
    output_tokens_max: int | None = None


class LlamaCpp:
    """The built-in instance; see `Provider`. A model's process starts with its first question and is kept."""

    def __init__(
        self,
        name: str,
        resolve: Callable[[str], ResolvedModel],
        offers: Callable[[], tuple[ModelOffer, ...]],
        make_worker: Callable[[Load], Worker],
        *,
        loaded_max: int = LOADED_MAX,
    ) -> None:
        """`resolve` finds a model by name or raises (NotFound, …); `offers` are all there are; both are quick."""
        self._name = name
        self._resolve = resolve
        self._offers = offers
        self._make_worker = make_worker
        self._loaded_max = loaded_max
        self._workers = dict[_Job, tuple[Load, Worker]]()  # the longest unused first
        self._changing = asyncio.Lock()
        self._is_closed = False

    @property
    def name(self) -> str:
        """See `Provider`."""
        return self._name

    @property
    def kind(self) -> str:
        """See `Provider`."""
        return "llamacpp"

    def health(self, model: str) -> Health | None:
        """How that model's process is; None if it was never started."""
        entry = self._workers.get((model, False)) or self._workers.get((model, True))
        return entry[1].health if entry else None

    @property
    def loaded(self) -> tuple[str, ...]:
        """The models whose process is up."""
        up = (model for (model, _), (_, worker) in self._workers.items() if worker.health.pid is not None)
        return tuple(dict.fromkeys(up))

    async def load(self, model: str) -> None:
        """Start that model's process ahead of its first question; raises as `Worker.start`."""
        worker, _ = await self._worker(model, is_embedding=None)
        await worker.start()

    async def unload(self, model: str) -> bool:
        """End that model's processes unless they are answering; True if none is up any more."""
        workers = [worker for (name, _), (_, worker) in self._workers.items() if name == model]
        return all([await worker.unload() or worker.health.pid is None for worker in workers])

    async def unload_idle(self, idle_s: float) -> tuple[str, ...]:
        """End the processes not used for so long; gives the models' names."""
        return tuple(
            [model for (model, _), (_, worker) in list(self._workers.items()) if await worker.unload(idle_s)]
        )

    def stream(
        self, request: Request, model: str, *, prefix: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[Chunk]]:
        """See `Provider`; a `prefix` is continued by the model's own template."""
        return self._stream(request, model, prefix)

    @asynccontextmanager
    async def _stream(
        self, request: Request, model: str, prefix: str
    ) -> AsyncGenerator[AsyncIterator[Chunk], None]:
        worker, found = await self._worker(model, is_embedding=False)
        asked = chat_request(request, prefix, found)
        async with aclosing(_chunks(worker, asked, self._name)) as chunks:
            yield chunks

    async def embed(self, model: str, texts: tuple[str, ...], *, dimensions: int | None = None) -> Embedded:
        """See `Provider`. A chat model's vectors are the mean over its tokens, from a process of their own."""
        worker, _ = await self._worker(model, is_embedding=True)
        embedded = await worker.embed(texts)
        return Embedded(vectors=embedded.vectors, usage=Usage(input_tokens=embedded.prompt_tokens))

    async def probe(self) -> ProbeResult:
        """See `Provider`: what lies on the disk; nothing is loaded."""
        offers = self._offers()
        if not offers:
            return ProbeResult(is_ok=True, why="There is no model on this computer yet.")
        why = f"{len(offers)} model{'s' * (len(offers) != 1)} on this computer."
        return ProbeResult(is_ok=True, why=why, models=offers)

    async def aclose(self) -> None:
        """See `Provider`: ends every process."""
        self._is_closed = True
        async with self._changing:
            workers = [worker for _, worker in self._workers.values()]
            self._workers.clear()
            await asyncio.gather(*(worker.stop() for worker in workers))

    async def _worker(self, model: str, *, is_embedding: bool | None) -> tuple[Worker, ResolvedModel]:
        """The worker for `model` as it is configured now, and how; `is_embedding` None: for what it is made for."""
        if self._is_closed:
            raise Unavailable(f"{self._name} is closed.")
        try:
            found = self._resolve(model)
        except ProviderError:
            raise
        except LegionError as error:
            raise Refused(error.message, hint=error.hint) from error
        if found.is_embedding and is_embedding is False:
            raise Unsupported(f"{model} makes embeddings only.", capability="streaming")
        does_embed = found.is_embedding or bool(is_embedding)
        load = Load(
            model_path=str(found.path),
            context_tokens=found.context_tokens,
            threads=found.threads,
            slots=found.slots,
            gpu_layers=found.gpu_layers,
            is_embedding=does_embed,
        )
        job = (model, does_embed)
        async with self._changing:
            entry = self._workers.pop(job, None)
            if entry is not None and entry[0] != load:
                await entry[1].stop()  # it was configured anew
                entry = None
            if entry is None:
                await self._make_room()
                entry = (load, self._make_worker(load))
            self._workers[job] = entry
            return entry[1], found

    async def _make_room(self) -> None:
        """A model that is answering is left alone, even if that means one more than the bound for a while."""
        for job in list(self._workers):
            if len(self._workers) < self._loaded_max:
                return
            worker = self._workers[job][1]
            if await worker.unload() or worker.health.state in ("stopped", "backing_off"):
                del self._workers[job]


def chat_request(request: Request, prefix: str, found: ResolvedModel | None = None) -> ChatRequest:
    """The worker's words for `request`; a last assistant message, and the `prefix` behind it, are to be continued."""
    params = request.params
    check_ranges(params)
    if request.suffix:
        raise Unsupported("Models on this computer fill no gaps.", capability="fim")
    messages = list[frames.Message]()
    if request.system:
        # Most templates know one system message, at the beginning.
        messages.append(frames.Message(role="system", content="\n\n".join(request.system)))
    for message in request.messages:
        messages += _messages(message)
    is_prefill = bool(messages) and messages[-1].role == "assistant" and not messages[-1].tool_calls
    if prefix and is_prefill:
        messages[-1] = frames.Message(role="assistant", content=messages[-1].content + prefix)
    elif prefix:
        messages.append(frames.Message(role="assistant", content=prefix))
    schema = "" if params.json_schema is None else msgspec.json.encode(params.json_schema).decode()
    return ChatRequest(
        messages=tuple(messages),
        params=frames.Params(
            output_tokens_max=found.output_tokens_max
            if found and params.max_tokens is None
            else params.max_tokens,
            temperature=found.temperature if found and params.temperature is None else params.temperature,
            repeat_penalty=found.repeat_penalty if found else None,
            top_p=params.top_p,
            top_k=params.top_k,
            seed=params.seed,
            frequency_penalty=params.frequency_penalty,
            presence_penalty=params.presence_penalty,
            stop=params.stop,
        ),
        tools=tuple(
            frames.Tool(
                name=tool.name,
                description=tool.description,
                parameters=msgspec.json.encode(tool.parameters).decode() if tool.parameters else ANY_OBJECT,
            )
            for tool in request.tools
        ),
        tool_choice="required" if request.tool_choice == "any" else request.tool_choice,
        json_schema=schema or (ANY_OBJECT if params.json_mode else ""),
        continue_final=bool(prefix) or is_prefill,
        is_raw=request.is_raw,
    )


def _messages(message: Message) -> list[frames.Message]:
    """Tool results are a message each. Thinking stays here: templates write their own."""
    if any(isinstance(block, ImageBlock) for block in message.content):
        raise Unsupported("Models on this computer cannot see pictures yet.", capability="vision")
    if any(isinstance(block, DocumentBlock) for block in message.content):
        raise Unsupported("Models on this computer cannot read documents.", capability="documents")
    if message.role == "tool":
        return [
            frames.Message(role="tool", content=block.text, tool_call_id=block.call_id)
            for block in message.content
            if isinstance(block, ToolResultBlock)
        ]
    calls = tuple(
        frames.ToolCall(id=block.id, name=block.name, arguments=block.arguments or "{}")
        for block in message.content
        if isinstance(block, ToolUseBlock)
    )
    return [frames.Message(role=message.role, content=message.text, tool_calls=calls)]


async def _chunks(worker: Worker, asked: ChatRequest, who: str) -> AsyncGenerator[Chunk, None]:
    has_calls = False
    seen = 0
    async with aclosing(worker.chat(asked)) as answer:
        async for frame in answer:
            seen += 1
            match frame:
                case Token(channel="thinking"):
                    yield ThinkingDelta(text=frame.text)
                case Token():
                    yield TextDelta(text=frame.text, tokens=frame.count)
                case ToolCallPart():
                    has_calls = True
                    yield ToolCallDelta(
                        index=frame.index, id=frame.call_id, name=frame.name, arguments=frame.arguments
                    )
                case Done():
                    yield _finished(frame, has_calls=has_calls)
                    return
    raise StreamBroken(f"{who} ended its answer without saying so.", chunks_seen=seen)


def _finished(done: Done, *, has_calls: bool) -> Finished:
    stop = STOP[done.stop_reason]
    return Finished(
        stop_reason="tool_use" if stop == "end_turn" and has_calls else stop,
        usage=Usage(
            input_tokens=max(0, done.prompt_tokens - done.cached_tokens),
            output_tokens=done.output_tokens,
            cache_read_tokens=done.cached_tokens,
        ),
    )
