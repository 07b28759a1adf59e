"""The benches the conformance suites run on: one for each provider that has a wire or a script."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from legion_core.gateway.providers.anthropic import Anthropic
from legion_core.gateway.providers.azure_foundry import AzureFoundry
from legion_core.gateway.providers.base import Provider
from legion_core.gateway.providers.bedrock import Bedrock
from legion_core.gateway.providers.gemini import Gemini
from legion_core.gateway.providers.llamacpp import LlamaCpp, ResolvedModel
from legion_core.gateway.providers.mlx import Mlx
from legion_core.gateway.providers.ollama import Ollama
from legion_core.gateway.providers.openai import OpenAICompatible
from legion_core.gateway.providers.vertex import Vertex
from legion_core.gateway.providers.vllm import Vllm
from legion_core.gateway.providers.wire import Limits
from legion_core.gateway.types import Finished, ModelOffer, TextDelta, ThinkingDelta, ToolCallDelta, Usage
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import NotFound, Overloaded
from legion_core.kernel.supervise import Supervisor
from legion_core.testing.provider_conformance import Power, ProviderBench
from legion_core.testing.scripted import Pause, ScriptedProvider, Step, say
from legion_core.testing.upstreams import Answer, Call, Die, Upstream, WireName, error, events_of
from legion_core.workers.supervisor import Worker

LIMITS = Limits(connect_s=5, first_event_s=10, idle_s=10, answer_s=10)
OPEN = AbstractAsyncContextManager[ProviderBench]
KEY = "sk-test-0123456789abcdef"


@dataclass
class WireBench:
    """A provider before a fake upstream."""

    upstream: Upstream
    provider: Provider
    powers: frozenset[Power]
    model: str = "m1"

    @property
    def open_streams(self) -> int:
        return self.upstream.open_answers

    def will_say(
        self,
        *pieces: str,
        thinking: Sequence[str] = (),
        calls: Sequence[Call] = (),
        has_usage: bool = True,
        slowly: bool = False,
    ) -> None:
        self.upstream.will(
            Answer(
                pieces,
                thinking=tuple(thinking),
                calls=tuple(calls),
                has_usage=has_usage,
                delay_s=0.02 if slowly else 0.0,
            )
        )

    def will_break(self, *pieces: str, at: int) -> None:
        whole = Answer(pieces)
        first = next(i for i, e in enumerate(events_of(self.upstream.wire, whole)) if e.tokens)
        self.upstream.will(Answer(pieces, fault=Die(first + at)))

    async def break_now(self) -> None:
        for writer in list(self.upstream._writers):
            writer.transport.abort()

    def will_refuse(self) -> None:
        self.upstream.will(error(self.upstream.wire, 503, "overloaded_error", "too busy"))


@dataclass
class ScriptedBench:
    """The provider of the pipeline's own tests: it must be no kinder than the real ones."""

    provider: ScriptedProvider
    powers: frozenset[Power] = frozenset(
        {"script", "break", "refuse", "usage", "thinking", "prefix", "embed", "completions"}
    )
    model: str = "m1"
    _gate: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def open_streams(self) -> int:
        return self.provider.open_streams

    def will_say(
        self,
        *pieces: str,
        thinking: Sequence[str] = (),
        calls: Sequence[Call] = (),
        has_usage: bool = True,
        slowly: bool = False,
    ) -> None:
        steps = list[Step](ThinkingDelta(text=piece) for piece in thinking)
        for piece in pieces:
            steps += [Pause(0.02)] if slowly else []
            steps.append(TextDelta(text=piece, tokens=1))
        for index, call in enumerate(calls):
            steps.append(ToolCallDelta(index=index, id=call.id, name=call.name))
            steps += [ToolCallDelta(index=index, arguments=cut) for cut in call.cuts]
        usage = Usage(input_tokens=7, output_tokens=len(pieces))
        if not has_usage:
            usage = Usage(input_tokens=4, output_tokens=sum(map(len, pieces)) // 4, is_estimated=True)
        steps.append(Finished(stop_reason="tool_use" if calls else "end_turn", usage=usage))
        self.provider.then(steps)

    def will_break(self, *pieces: str, at: int) -> None:
        self.provider.then(say(*pieces)[:at])

    async def break_now(self) -> None:
        self.provider.die_now()

    def will_refuse(self) -> None:
        self.provider.then([Overloaded("too busy")])


@asynccontextmanager
async def scripted() -> AsyncGenerator[ProviderBench, None]:
    provider = ScriptedProvider("scripted", vector=(1.0, 0.0))
    yield ScriptedBench(provider)
    await provider.aclose()


POWERS: dict[Callable[[], OPEN], frozenset[Power]] = {scripted: ScriptedBench.powers}


def wired(
    wire: WireName,
    make: Callable[[str], Provider],
    powers: frozenset[Power],
    behind: str | None = None,
    model: str = "m1",
) -> Callable[[], OPEN]:
    """`behind` is what stands behind the origin in the address, where it is not the wire's usual."""

    @asynccontextmanager
    async def bench() -> AsyncGenerator[ProviderBench, None]:
        async with Upstream(wire, key="" if wire == "ollama" else KEY) as upstream:
            provider = make(upstream.base_url if behind is None else upstream.origin + behind)
            yield WireBench(upstream, provider, powers, model)
            await provider.aclose()

    POWERS[bench] = powers
    return bench


CAN = frozenset[Power]({"script", "break", "refuse", "usage", "thinking"})
PREFILL = (ModelOffer(id="m1", continuation="prefill"),)

CLAUDE = (ModelOffer(id="claude-sonnet-4@20250514", continuation="prefill"),)
EMBEDS = (ModelOffer(id="m1", continuation="instruct"),)

BENCHES: dict[str, Callable[[], OPEN]] = {
    "scripted": scripted,
    "openai": wired(
        "openai",
        lambda url: OpenAICompatible("box", url, SystemClock(), api_key=KEY, limits=LIMITS),
        CAN | {"completions", "embed", "lengths"},
    ),
    "anthropic": wired(
        "anthropic",
        lambda url: Anthropic("box", url, SystemClock(), api_key=KEY, models=PREFILL, limits=LIMITS),
        CAN | {"prefix"},
    ),
    "anthropic-new": wired(
        "anthropic", lambda url: Anthropic("box", url, SystemClock(), api_key=KEY, limits=LIMITS), CAN
    ),
    "ollama": wired(
        "ollama",
        lambda url: Ollama("box", url, SystemClock(), limits=LIMITS),
        CAN | {"completions", "embed", "lengths", "prefix"},
    ),
    "vllm": wired(
        "openai",
        lambda url: Vllm("box", url, SystemClock(), api_key=KEY, limits=LIMITS, models=PREFILL),
        CAN | {"completions", "embed", "lengths", "prefix"},
    ),
    "gemini": wired(
        "gemini",
        lambda url: Gemini("box", url, SystemClock(), api_key=KEY, models=PREFILL, limits=LIMITS),
        CAN | {"embed", "lengths", "prefix"},
    ),
    "gemini-new": wired(
        "gemini",
        lambda url: Gemini("box", url, SystemClock(), api_key=KEY, limits=LIMITS),
        CAN | {"embed", "lengths"},
    ),
    "vertex": wired(
        "gemini",
        lambda url: Vertex("box", url, SystemClock(), api_key=KEY, models=EMBEDS, limits=LIMITS),
        CAN | {"embed", "lengths"},
        "/v1/projects/p1/locations/europe-west4",
    ),
    "vertex-claude": wired(
        "anthropic",
        lambda url: Vertex("box", url, SystemClock(), api_key=KEY, models=CLAUDE, limits=LIMITS),
        CAN | {"prefix"},
        "/v1/projects/p1/locations/global",
        "claude-sonnet-4@20250514",
    ),
    "bedrock": wired(
        "bedrock",
        lambda url: Bedrock("box", url, SystemClock(), api_key=KEY, models=PREFILL, limits=LIMITS),
        CAN | {"prefix"},
    ),
    "azure": wired(
        "openai",
        lambda url: AzureFoundry("box", url, SystemClock(), api_key=KEY, limits=LIMITS),
        CAN | {"completions", "embed", "lengths"},
        "/openai/v1",
    ),
    "azure-deployments": wired(
        "openai",
        lambda url: AzureFoundry("box", url, SystemClock(), api_key=KEY, limits=LIMITS),
        CAN | {"completions", "embed", "lengths"},
        "?api-version=2024-10-21",
    ),
}


@dataclass
class NativeBench:
    """The real engine on the starter model, in its real child process."""

    provider: LlamaCpp
    model: str = "starter"
    powers: frozenset[Power] = frozenset({"break", "context", "prefix", "embed", "completions"})

    @property
    def open_streams(self) -> int:
        health = self.provider.health(self.model)
        return health.open_requests if health else 0

    def will_say(
        self,
        *pieces: str,
        thinking: Sequence[str] = (),
        calls: Sequence[Call] = (),
        has_usage: bool = True,
        slowly: bool = False,
    ) -> None:
        raise AssertionError("a real model says what it likes")

    def will_break(self, *pieces: str, at: int) -> None:
        raise AssertionError("a real model says what it likes")

    async def break_now(self) -> None:
        health = self.provider.health(self.model)
        assert health is not None
        assert health.pid is not None
        os.kill(health.pid, signal.SIGKILL)

    def will_refuse(self) -> None:
        raise AssertionError("a real model does not refuse")


@asynccontextmanager
async def mlx(folder: Path, command: tuple[str, ...], context: int) -> AsyncGenerator[NativeBench, None]:
    """The provider of MLX over a child of `command`: the scripted one, or the library's on the starter's weights."""
    offer = ModelOffer(id=str(folder), context=context, continuation="prefill")
    provider = Mlx("mac", SystemClock(), models=(offer,), downloads=folder, command=command)
    try:
        yield NativeBench(provider, model=str(folder))
    finally:
        await provider.aclose()


@asynccontextmanager
async def native(path: Path) -> AsyncGenerator[NativeBench, None]:
    supervisor = Supervisor()

    def resolve(model: str) -> ResolvedModel:
        if model not in ("starter", "vectors"):
            raise NotFound(f"There is no model {model!r}.")
        return ResolvedModel(path, context_tokens=1024, threads=2, is_embedding=model == "vectors")

    provider = LlamaCpp(
        "computer",
        resolve,
        lambda: (ModelOffer(id="starter", context=1024, continuation="prefill"),),
        lambda load: Worker(supervisor, SystemClock(), load),
    )
    try:
        yield NativeBench(provider)
    finally:
        await provider.aclose()
        await supervisor.stop()
