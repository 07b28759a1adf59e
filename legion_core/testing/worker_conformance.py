"""What every engine behind the worker must do; the scripted and the native ones pass the same checks.

Each check takes a bench and raises AssertionError. Run them all: `for check in CHECKS: await check(bench)`.
"""

import asyncio
import json
import math
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import TypeVar

from legion_core.kernel.errors import ContextTooLong, Malformed, Unsupported, WorkerDied
from legion_core.kernel.supervise import Supervisor
from legion_core.testing.engines import EngineBench
from legion_core.workers import frames
from legion_core.workers.child import EXIT_PROTOCOL
from legion_core.workers.frames import Done, Message, Params, Ready, Token, Tool, ToolCallPart
from legion_core.workers.supervisor import Answer, ChatRequest, Worker

Check = Callable[[EngineBench], Awaitable[None]]
Kind = TypeVar("Kind", Ready, Token)

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "n": {"type": "integer"}},
        "required": ["city", "n"],
        "additionalProperties": False,
    }
)


@asynccontextmanager
async def running(bench: EngineBench, *, is_embedding: bool = False) -> AsyncGenerator[Worker, None]:
    """A worker of that engine, stopped at the end, with no task left behind."""
    supervisor = Supervisor()
    worker = bench.worker(supervisor, is_embedding=is_embedding)
    try:
        yield worker
    finally:
        await worker.stop()
        await supervisor.stop()


def ask(text: str, tokens: int = 24, temperature: float = 0.0) -> ChatRequest:
    """A plain question."""
    return ChatRequest(
        messages=(Message(role="user", content=text),),
        params=Params(output_tokens_max=tokens, temperature=temperature, seed=1),
    )


async def collect(worker: Worker, request: ChatRequest) -> tuple[str, list[Answer], Done]:
    """The whole answer: its text, its frames, its end."""
    got: list[Answer] = [frame async for frame in worker.chat(request)]
    last = got[-1]
    assert isinstance(last, Done), f"the last frame is {last!r}"
    return "".join(frame.text for frame in got if isinstance(frame, Token)), got, last


async def says_what_it_is(bench: EngineBench) -> None:
    """`Ready` names the engine, its version and the context."""
    async with running(bench) as worker:
        ready = await worker.start()
        assert isinstance(ready, Ready)
        assert ready.engine == bench.name
        assert ready.engine_version
        assert ready.context_tokens == bench.load.context_tokens
        assert worker.health.state == "ready"
        assert await worker.start() is ready
        assert worker.health.starts == 1


async def streams_text(bench: EngineBench) -> None:
    """Text comes in pieces, then one `Done` with true counts."""
    async with running(bench) as worker:
        text, got, last = await collect(worker, ask("Count to ten.", tokens=12))
        assert text
        assert last.stop_reason in ("stop", "length")
        assert 1 <= last.output_tokens <= 12
        assert last.prompt_tokens >= 1
        assert sum(isinstance(frame, Done) for frame in got) == 1
        assert sum(f.count for f in got if isinstance(f, Token)) <= last.output_tokens


async def stops_at_the_bound(bench: EngineBench) -> None:
    """`output_tokens_max` ends the answer with `length`."""
    async with running(bench) as worker:
        _, _, last = await collect(worker, ask("Tell me a very long story.", tokens=5))
        assert last.stop_reason == "length"
        assert last.output_tokens == 5


async def cancels_promptly(bench: EngineBench) -> None:
    """Leaving the stream stops the generation: the next answer comes from the same process, long before the old ended."""
    async with running(bench) as worker:
        request = ask("Tell me a very long story.", tokens=900)
        async with aclosing(worker.chat(request)) as answer:
            async for frame in answer:
                assert isinstance(frame, Token)
                break
        pid = worker.health.pid
        text, _, last = await collect(worker, ask("Count to ten.", tokens=4))
        assert text
        assert last.output_tokens <= 4
        assert worker.health.pid == pid
        assert worker.health.open_requests == 0


async def answers_a_ping_while_generating(bench: EngineBench) -> None:
    """The child's reader is free while a token is computed."""
    async with (
        running(bench) as worker,
        aclosing(worker.chat(ask("Tell me a long story.", tokens=200))) as answer,
    ):
        async for _ in answer:
            await worker.ping()
            break


async def serves_several_at_once(bench: EngineBench) -> None:
    """Requests beyond the slots wait their turn and are all answered."""
    async with running(bench) as worker:
        ends = await asyncio.gather(*(collect(worker, ask(f"Say {n}.", tokens=3)) for n in range(4)))
        assert all(text and last.output_tokens <= 3 for text, _, last in ends)


async def obeys_a_json_schema(bench: EngineBench) -> None:
    """The answer parses and has the schema's shape."""
    async with running(bench) as worker:
        request = ChatRequest(
            messages=(Message(role="user", content="Name a city and a number, as JSON."),),
            params=Params(output_tokens_max=120, temperature=0.0),
            json_schema=SCHEMA,
        )
        text, _, last = await collect(worker, request)
        assert last.stop_reason == "stop"
        answer = json.loads(text)
        assert set(answer) == {"city", "n"}
        assert isinstance(answer["n"], int)


async def forces_a_tool_call(bench: EngineBench) -> None:
    """A named tool is called with arguments of its schema's shape."""
    async with running(bench) as worker:
        request = ChatRequest(
            messages=(Message(role="user", content="What is the weather in Paris?"),),
            params=Params(output_tokens_max=120, temperature=0.0),
            tools=(Tool(name="weather", description="Tells the weather.", parameters=SCHEMA),),
            tool_choice="weather",
        )
        got = [frame async for frame in worker.chat(request)]
        calls = [frame for frame in got if isinstance(frame, ToolCallPart)]
        assert calls
        assert calls[0].name == "weather"
        assert set(json.loads("".join(call.arguments for call in calls))) == {"city", "n"}
        last = got[-1]
        assert isinstance(last, Done)
        assert last.stop_reason == "tool_calls"


async def continues_a_prefill(bench: EngineBench) -> None:
    """The half answer is continued, neither repeated nor begun anew."""
    async with running(bench) as worker:
        question = ask("Count to ten, in words.", tokens=16)
        whole, _, _ = await collect(worker, question)
        assert len(whole) >= 8
        half = whole[: len(whole) // 2]
        # A cut inside a word would be another tokenisation, so the half ends where a word ends.
        half = half[: half.rstrip().rfind(" ")] if " " in half.rstrip() else half
        request = ChatRequest(
            messages=(*question.messages, Message(role="assistant", content=half)),
            params=Params(output_tokens_max=8, temperature=0.0, seed=1),
            continue_final=True,
        )
        rest, _, _ = await collect(worker, request)
        expected = whole[len(half) :]
        same = min(6, len(expected))
        assert rest[:same] == expected[:same], f"{half!r} was continued by {rest!r}, not {expected!r}"


async def goes_on_with_a_text(bench: EngineBench) -> None:
    """Text is gone on with as it is: no template comes before it."""
    async with running(bench) as worker:
        plain = ask("Once upon a time, in a land far", tokens=8)
        _, _, talk = await collect(worker, plain)
        text, _, last = await collect(worker, replace(plain, is_raw=True))
        assert text
        assert last.stop_reason in ("length", "stop")
        assert last.output_tokens <= 8
        assert 0 < last.prompt_tokens <= talk.prompt_tokens
        again, _, _ = await collect(worker, replace(plain, is_raw=True))
        assert again == text


async def refuses_to_continue_a_question(bench: EngineBench) -> None:
    """Only the assistant's words can be continued; the refusal ends nothing else."""
    async with running(bench) as worker:
        request = ChatRequest(messages=(Message(role="user", content="Hello"),), continue_final=True)
        try:
            await collect(worker, request)
        except Malformed:
            pass
        else:
            raise AssertionError("a user's message was continued")
        text, _, _ = await collect(worker, ask("Hello", tokens=3))
        assert text


async def survives_absurd_parameters(bench: EngineBench) -> None:
    """Values that native samplers choke on are clamped."""
    async with running(bench) as worker:
        for params in (
            Params(output_tokens_max=3, temperature=-1.0, top_k=-5, top_p=7.0, seed=-1, min_p=-3.0),
            Params(output_tokens_max=3, temperature=1e300, top_k=2**40, repeat_penalty=0.0, seed=2**63),
            Params(
                output_tokens_max=3, frequency_penalty=1e9, presence_penalty=-1e9, stop=("", "x" * 10_000)
            ),
        ):
            request = ChatRequest(messages=(Message(role="user", content="Hello"),), params=params)
            _, _, last = await collect(worker, request)
            assert last.output_tokens <= 3
        _, _, last = await collect(worker, ask("Hello", tokens=0))
        assert last.output_tokens == 0


async def refuses_what_does_not_fit(bench: EngineBench) -> None:
    """A prompt over the context is refused with both numbers, and the next request works."""
    async with running(bench) as worker:
        ready = await worker.start()
        refusal: ContextTooLong | None = None
        try:
            await collect(worker, ask("word " * (ready.context_tokens + 50), tokens=3))
        except ContextTooLong as error:
            refusal = error
        assert refusal is not None, "a prompt over the context was answered"
        assert refusal.limit == ready.context_tokens
        assert refusal.asked > refusal.limit
        text, _, _ = await collect(worker, ask("Hello", tokens=3))
        assert text


async def embeds(bench: EngineBench) -> None:
    """Vectors are finite, of unit length and one width, in the order of the texts."""
    async with running(bench, is_embedding=True) as worker:
        texts = ("a cat sat on the mat", "stock prices fell", "a cat sat on the mat")
        result = await worker.embed(texts)
        assert len(result.vectors) == 3
        width = len(result.vectors[0])
        assert width >= 8
        for vector in result.vectors:
            assert len(vector) == width
            assert all(math.isfinite(value) for value in vector)
            assert abs(math.fsum(value * value for value in vector) - 1) < 1e-3
        same = math.fsum(a * b for a, b in zip(result.vectors[0], result.vectors[2], strict=True))
        other = math.fsum(a * b for a, b in zip(result.vectors[0], result.vectors[1], strict=True))
        assert same > 0.99
        assert other < same


async def refuses_the_other_kind(bench: EngineBench) -> None:
    """A model loaded for chat embeds nothing, one loaded for embeddings does not chat; both say so."""
    async with running(bench) as worker:
        refusal: Unsupported | None = None
        try:
            await worker.embed(("text",))
        except Unsupported as error:
            refusal = error
        assert refusal is not None
    async with running(bench, is_embedding=True) as worker:
        refusal = None
        try:
            await collect(worker, ask("Hello", tokens=3))
        except Unsupported as error:
            refusal = error
        assert refusal is not None


async def ends_a_stream_when_killed(bench: EngineBench) -> None:
    """Killed mid-answer: WorkerDied with the signal; the next request is answered by a new process."""
    async with running(bench) as worker:
        died: WorkerDied | None = None
        try:
            async with aclosing(worker.chat(ask("Tell me a very long story.", tokens=900))) as answer:
                async for _ in answer:
                    pid = worker.health.pid
                    if pid is not None:
                        os.kill(pid, signal.SIGKILL)
        except WorkerDied as error:
            died = error
        assert died is not None
        assert died.exit_code == -signal.SIGKILL
        assert "SIGKILL" in died.message
        text, _, _ = await collect(worker, ask("Hello", tokens=3))
        assert text
        assert worker.health.crashes == 1
        assert worker.health.starts == 2


async def _raw_child(bench: EngineBench) -> Process:
    return await asyncio.create_subprocess_exec(
        *bench.command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=bench.environment
    )


async def exits_when_its_parent_hangs_up(bench: EngineBench) -> None:
    """End of stdin ends the process with status 0, also in the middle of an answer."""
    child = await _raw_child(bench)
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(frames.encode(bench.load))
    child.stdin.write(frames.encode(frames.Ping(id=7)))
    ready = await _read_until(child, Ready)
    assert ready.engine == bench.name
    request = frames.Chat(
        id=1,
        messages=(Message(role="user", content="Tell me a very long story."),),
        params=Params(output_tokens_max=900),
    )
    child.stdin.write(frames.encode(request))
    await _read_until(child, Token)
    child.stdin.close()
    # What it still says must be read, or its last frame could block it.
    await child.communicate()
    assert child.returncode == 0


async def refuses_garbage(bench: EngineBench) -> None:
    """Bytes that are not frames end the child at once with a status of their own."""
    child = await _raw_child(bench)
    _, stderr = await child.communicate(b"GET / HTTP/1.1\r\n\r\n")
    assert child.returncode == EXIT_PROTOCOL
    assert b"frame" in stderr


async def _read_until(child: Process, kind: type[Kind]) -> Kind:
    assert child.stdout is not None
    while True:
        head = await child.stdout.readexactly(frames.HEAD_BYTES)
        frame = frames.decode_to_parent(await child.stdout.readexactly(frames.body_bytes(head)))
        if isinstance(frame, kind):
            return frame


CHECKS: tuple[Check, ...] = (
    says_what_it_is,
    streams_text,
    stops_at_the_bound,
    cancels_promptly,
    answers_a_ping_while_generating,
    serves_several_at_once,
    obeys_a_json_schema,
    forces_a_tool_call,
    continues_a_prefill,
    goes_on_with_a_text,
    refuses_to_continue_a_question,
    survives_absurd_parameters,
    refuses_what_does_not_fit,
    embeds,
    refuses_the_other_kind,
    ends_a_stream_when_killed,
    exits_when_its_parent_hangs_up,
    refuses_garbage,
)
