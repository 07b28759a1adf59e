"""What every provider must do, whatever its wire; the scripted one, the HTTP ones and the native one pass the same checks.

Each check takes a bench and raises AssertionError. A check a bench cannot arrange (a real model says what it likes) is
not in its list: see `checks_for`.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Literal, Protocol, TypeAlias, TypeVar

from legion_core.gateway.providers.base import Provider
from legion_core.gateway.types import (
    Chunk,
    Finished,
    Message,
    Params,
    Request,
    TextBlock,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolDefinition,
    ToolResultBlock,
    ToolUseBlock,
)
from legion_core.kernel.errors import (
    ContextTooLong,
    LegionError,
    ProviderError,
    StreamBroken,
    Unsupported,
    WorkerDied,
)
from legion_core.testing.upstream_wires import Call

Power: TypeAlias = Literal[
    "script", "break", "refuse", "usage", "thinking", "context", "embed", "lengths", "prefix", "completions"
]
CANCEL_S = 30.0  # ends what would hang; how soon it is on a quiet machine, `benchmarks.faultgrid` measures
Error = TypeVar("Error", bound=LegionError)


class ProviderBench(Protocol):
    """A provider and the power over what stands behind it. `powers` are the things this bench can arrange."""

    powers: frozenset[Power]
    model: str

    @property
    def provider(self) -> Provider:
        """The provider under test."""
        ...

    @property
    def open_streams(self) -> int:
        """Answers that are still being made behind the provider."""
        ...

    def will_say(
        self,
        *pieces: str,
        thinking: Sequence[str] = (),
        calls: Sequence[Call] = (),
        has_usage: bool = True,
        slowly: bool = False,
    ) -> None:
        """Power `script`: the answers to come; `slowly`: each piece takes a while, and there is no end in sight."""
        ...

    def will_break(self, *pieces: str, at: int) -> None:
        """Power `break`: the answer's connection or process ends after `at` pieces."""
        ...

    async def break_now(self) -> None:
        """Power `break`: end what is behind the provider in the middle of whatever it does."""
        ...

    def will_refuse(self) -> None:
        """Power `refuse`: what stands behind says that it is too busy."""
        ...


Check = Callable[[ProviderBench], Awaitable[None]]


def ask(text: str = "Count to ten.", tokens: int | None = 24, **changes: object) -> Request:
    """A plain question at temperature 0."""
    params = Params(max_tokens=tokens, temperature=0.0, seed=1)
    return Request(
        id="req1",
        messages=(Message(role="user", content=(TextBlock(text=text),)),),
        params=params,
        **changes,  # pyright: ignore[reportArgumentType]
    )


async def collect(bench: ProviderBench, request: Request, *, prefix: str = "") -> list[Chunk]:
    """All chunks of one answer."""
    async with bench.provider.stream(request, bench.model, prefix=prefix) as chunks:
        return [chunk async for chunk in chunks]


async def caught(kind: type[Error], work: Awaitable[object]) -> Error:
    """The error of that kind `work` raises."""
    try:
        result = await work
    except kind as error:
        return error
    raise AssertionError(f"{result!r} came where {kind.__name__} was due")


async def _until_idle(bench: ProviderBench) -> None:
    async with asyncio.timeout(CANCEL_S):
        for _ in iter(lambda: bench.open_streams, 0):
            await asyncio.sleep(0.005)


def text_of(chunks: Sequence[Chunk]) -> str:
    """The answer's text."""
    return "".join(chunk.text for chunk in chunks if isinstance(chunk, TextDelta))


async def names_itself(bench: ProviderBench) -> None:
    """Name and kind are plain words, and the probe finds the model."""
    assert bench.provider.name
    assert bench.provider.kind
    probe = await bench.provider.probe()
    assert probe.is_ok, probe.why
    assert bench.model in {offer.id for offer in probe.models}
    assert all(offer.context > 0 for offer in probe.models)


async def ends_with_one_finished(bench: ProviderBench) -> None:
    """The last chunk is `Finished`, and there is no other."""
    chunks = await collect(bench, ask())
    assert isinstance(chunks[-1], Finished)
    assert sum(isinstance(chunk, Finished) for chunk in chunks) == 1
    assert chunks[-1].usage.output_tokens >= 1
    assert chunks[-1].usage.input_tokens >= 1
    assert text_of(chunks)
    assert bench.open_streams == 0


async def gives_the_text_exactly(bench: ProviderBench) -> None:
    """Every character comes once and in order, empty and multibyte pieces too."""
    pieces = ("Zahl: ", "één", " ", "😀", "\n\n", "\u2028", "data: [DONE]", "\\", '"', " end")
    bench.will_say(*pieces)
    chunks = await collect(bench, ask())
    assert text_of(chunks) == "".join(pieces)
    last = chunks[-1]
    assert isinstance(last, Finished)
    assert last.stop_reason == "end_turn"
    assert not last.usage.is_estimated
    assert last.usage.output_tokens == len(pieces)


async def marks_an_estimate(bench: ProviderBench) -> None:
    """Where the provider counts nothing, the usage is an estimate and says so."""
    bench.will_say("abcd" * 10, has_usage=False)
    last = (await collect(bench, ask()))[-1]
    assert isinstance(last, Finished)
    assert last.usage.is_estimated
    assert last.usage.output_tokens == 10
    assert last.usage.input_tokens > 0


async def stops_at_the_bound(bench: ProviderBench) -> None:
    """A real model ends with `max_tokens` at the bound."""
    last = (await collect(bench, ask("Tell me a very long story.", tokens=5)))[-1]
    assert isinstance(last, Finished)
    assert last.stop_reason == "max_tokens"
    assert last.usage.output_tokens <= 5


async def gives_whole_tool_calls(bench: ProviderBench) -> None:
    """Parallel calls keep their own id, name and arguments, and the answer ends with `tool_use`."""
    calls = (
        Call("call_a", "weather", '{"city": "Köln", "days": 3}', pieces=5),
        Call("call_b", "files.read", '{"path": "a\\"b"}', pieces=1),
        Call("call_c", "now", "{}"),
    )
    tools = tuple(ToolDefinition(name=call.name, parameters={"type": "object"}) for call in calls)
    bench.will_say("I look.", calls=calls)
    chunks = await collect(bench, ask(tools=tools))
    openings = [chunk for chunk in chunks if isinstance(chunk, ToolCallDelta) and chunk.name]
    assert [opening.name for opening in openings] == [call.name for call in calls]
    assert len({opening.id for opening in openings}) == len(calls)
    assert all(opening.id for opening in openings)
    for opening, call in zip(openings, calls, strict=True):
        parts = [c.arguments for c in chunks if isinstance(c, ToolCallDelta) and c.index == opening.index]
        assert _same_json("".join(parts), call.arguments)
    last = chunks[-1]
    assert isinstance(last, Finished)
    assert last.stop_reason == "tool_use"


async def takes_a_whole_tool_turn(bench: ProviderBench) -> None:
    """A conversation with calls and results is accepted."""
    messages = (
        Message(role="user", content=(TextBlock(text="Weather?"),)),
        Message(
            role="assistant",
            content=(
                TextBlock(text="I look."),
                ToolUseBlock(id="call_a", name="weather", arguments='{"city": "Bonn"}'),
                ToolUseBlock(id="call_b", name="weather", arguments=""),
            ),
        ),
        Message(
            role="tool",
            content=(
                ToolResultBlock(call_id="call_a", text="12 °C"),
                ToolResultBlock(call_id="call_b", text="no city", is_error=True),
            ),
        ),
    )
    tools = (ToolDefinition(name="weather", parameters={"type": "object", "properties": {}}),)
    request = Request(
        id="req1", messages=messages, system=("Be brief.",), tools=tools, params=Params(max_tokens=8)
    )
    chunks = await collect(bench, request)
    assert isinstance(chunks[-1], Finished)


async def tells_thinking_from_text(bench: ProviderBench) -> None:
    """Reasoning comes as thinking, before the text, and is no part of it."""
    bench.will_say("Four.", thinking=("2+2", " is"))
    chunks = await collect(bench, ask())
    thought = "".join(chunk.text for chunk in chunks if isinstance(chunk, ThinkingDelta))
    assert thought == "2+2 is"
    assert text_of(chunks) == "Four."


async def ends_the_work_behind_it_when_left(bench: ProviderBench) -> None:
    """Leaving the context ends the work behind the provider, and the next answer is not touched by it."""
    if "script" in bench.powers:
        bench.will_say(*(["word "] * 500), slowly=True)
    request = ask("Tell me a very long story.", tokens=2000)
    async with bench.provider.stream(request, bench.model) as chunks:
        async for chunk in chunks:
            if isinstance(chunk, TextDelta) and chunk.text:
                break
    await _until_idle(bench)
    if "script" in bench.powers:
        bench.will_say("next")
        assert text_of(await collect(bench, ask())) == "next"
    else:
        assert text_of(await collect(bench, ask(tokens=4)))


async def cancels_with_its_task(bench: ProviderBench) -> None:
    """A cancelled task leaves nothing running behind the provider, also before the first chunk."""
    if "script" in bench.powers:
        bench.will_say(*(["word "] * 500), slowly=True)
    with suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            await collect(bench, ask("Tell me a very long story.", tokens=2000))
    await _until_idle(bench)


async def keeps_streams_apart(bench: ProviderBench) -> None:
    """Answers read at the same time do not mix."""
    bench.will_say("one ", "two ", "three")
    answers = await asyncio.gather(*(collect(bench, ask()) for _ in range(8)))
    assert {text_of(chunks) for chunks in answers} == {"one two three"}


async def breaks_honestly(bench: ProviderBench) -> None:
    """A stream that ends anywhere before its own end raises, after giving what came; it never looks finished."""
    pieces = ("a", "b", "c", "d")
    for at in range(len(pieces) + 1):
        bench.will_break(*pieces, at=at)
        got = list[Chunk]()
        error = await caught(StreamBroken, _into(got, bench, ask()))
        assert text_of(got) == "".join(pieces[:at])
        assert error.chunks_seen == len(got)


async def _into(got: list[Chunk], bench: ProviderBench, request: Request) -> None:
    async with bench.provider.stream(request, bench.model) as chunks:
        async for chunk in chunks:
            got.append(chunk)  # noqa: PERF401 - what came before an error is looked at


async def survives_a_death(bench: ProviderBench) -> None:
    """What stands behind dies in the middle of an answer: one of our errors, and nothing hangs."""
    if "script" in bench.powers:
        bench.will_say(*(["word "] * 500), slowly=True)
    got = list[Chunk]()
    try:
        async with asyncio.timeout(20.0):
            async with bench.provider.stream(ask("Tell me a long story.", tokens=500), bench.model) as chunks:
                async for chunk in chunks:
                    got.append(chunk)
                    if len(got) == 2:
                        await bench.break_now()
    except (StreamBroken, WorkerDied):
        assert not any(isinstance(chunk, Finished) for chunk in got)
    else:
        raise AssertionError("a dead stream ended as if it were whole")


async def refuses_before_the_stream(bench: ProviderBench) -> None:
    """A refusal is raised where the stream is opened, not inside it."""
    bench.will_refuse()
    was_open = False

    async def work() -> None:
        nonlocal was_open
        async with bench.provider.stream(ask(), bench.model):
            was_open = True

    error = await caught(ProviderError, work())
    assert error.message
    assert not was_open


async def says_when_the_context_is_too_long(bench: ProviderBench) -> None:
    """A request the model cannot hold is ContextTooLong, with both numbers."""
    error = await caught(ContextTooLong, collect(bench, ask("word " * 60_000)))
    assert 0 < error.limit < error.asked


async def embeds_in_order_or_says_no(bench: ProviderBench) -> None:
    """One vector a text, all of one width; or Unsupported."""
    work = bench.provider.embed(bench.model, ("a", "b", "c"))
    if "embed" not in bench.powers:
        assert (await caught(Unsupported, work)).message
        return
    embedded = await work
    assert len(embedded.vectors) == 3
    assert len({len(vector) for vector in embedded.vectors}) == 1
    assert all(embedded.vectors)
    assert embedded.usage.input_tokens > 0
    # Shorter ones only by the model itself: what it cannot shorten comes as it is.
    shorter = await bench.provider.embed(bench.model, ("a",), dimensions=2)
    natural = len(embedded.vectors[0])
    assert {len(vector) for vector in shorter.vectors} == {2 if "lengths" in bench.powers else natural}


async def goes_on_behind_a_prefix_or_says_no(bench: ProviderBench) -> None:
    """A prefix is not repeated; a provider that cannot continue one says Unsupported before anything is sent."""
    if "script" in bench.powers:
        bench.will_say(" three four")
    work = collect(bench, ask(tokens=8), prefix="one two")
    if "prefix" not in bench.powers:
        assert (await caught(Unsupported, work)).capability
        return
    chunks = await work
    assert not text_of(chunks).startswith("one two")
    assert isinstance(chunks[-1], Finished)


async def goes_on_with_a_text_or_says_no(bench: ProviderBench) -> None:
    """Text is gone on with and counted; a provider that only talks says Unsupported before anything is sent."""
    if "script" in bench.powers:
        bench.will_say(" three", " four")
    work = collect(bench, ask("One, two,", tokens=8, is_raw=True))
    if "completions" not in bench.powers:
        assert (await caught(Unsupported, work)).capability
        return
    chunks = await work
    last = chunks[-1]
    assert isinstance(last, Finished)
    assert last.usage.output_tokens > 0
    assert text_of(chunks)
    if "script" in bench.powers:
        assert text_of(chunks) == " three four"


async def refuses_what_no_backend_may_be_given(bench: ProviderBench) -> None:
    """Numbers out of range are refused here, before any backend sees them."""
    for params in (
        Params(temperature=float("nan")),
        Params(max_tokens=-1),
        Params(top_k=-5),
        Params(top_p=7.0),
        Params(seed=2**80),
    ):
        request = Request(id="r", messages=ask().messages, params=params)
        assert (await caught(Unsupported, collect(bench, request))).capability


async def closes_twice(bench: ProviderBench) -> None:
    """`aclose` may be called again; a closed provider refuses with one of our errors."""
    await bench.provider.aclose()
    await bench.provider.aclose()
    await caught(ProviderError, collect(bench, ask()))


def _same_json(one: str, other: str) -> bool:
    return json.loads(one) == json.loads(other)


CHECKS: tuple[tuple[Check, frozenset[Power]], ...] = (
    (names_itself, frozenset()),
    (ends_with_one_finished, frozenset()),
    (gives_the_text_exactly, frozenset({"script", "usage"})),
    (marks_an_estimate, frozenset({"script", "usage"})),
    (gives_whole_tool_calls, frozenset({"script"})),
    (takes_a_whole_tool_turn, frozenset()),
    (tells_thinking_from_text, frozenset({"thinking"})),
    (ends_the_work_behind_it_when_left, frozenset()),
    (cancels_with_its_task, frozenset()),
    (keeps_streams_apart, frozenset({"script"})),
    (breaks_honestly, frozenset({"script", "break"})),
    (survives_a_death, frozenset({"break"})),
    (refuses_before_the_stream, frozenset({"refuse"})),
    (says_when_the_context_is_too_long, frozenset({"context"})),
    (embeds_in_order_or_says_no, frozenset()),
    (goes_on_behind_a_prefix_or_says_no, frozenset()),
    (goes_on_with_a_text_or_says_no, frozenset()),
    (refuses_what_no_backend_may_be_given, frozenset()),
    (closes_twice, frozenset()),
)


def checks_for(powers: frozenset[Power]) -> list[Check]:
    """The checks a bench with these powers must pass; without `script` also the one only a real model can show."""
    real = [] if "script" in powers else [stops_at_the_bound]
    return [check for check, needed in CHECKS if needed <= powers] + real
