"""Clients that ask once more, clients that wait long, and clients that go."""

import asyncio
import json
from typing import Any

import pytest

from legion_core.gateway import dedupe
from legion_core.kernel.errors import Unavailable
from legion_core.surfaces.rest.limits import Limits
from tests.support.aio import run
from tests.unit.surfaces.fakes import CLOSED, OPENED, ScriptedLlm, legion, texts
from tests.unit.surfaces.raw import TOKEN, Answer, Serving, ask, parse, request, serving

JSON = "Content-Type: application/json"
CHAT = "/v1/chat/completions"


def body(text: str = "Hi", **fields: object) -> bytes:
    told = {"model": "auto", "messages": [{"role": "user", "content": text}], "stream": True, **fields}
    return json.dumps(told).encode()


def said(answer: Answer) -> str:
    """The text of a streamed answer; its chunks are not cut inside an event."""
    events = [line[6:] for line in answer.body.decode().splitlines() if line.startswith("data: {")]
    deltas = [choice["delta"] for event in events for choice in json.loads(event)["choices"]]
    return "".join(delta.get("content", "") for delta in deltas)


def heard(here: Serving, llm: ScriptedLlm) -> int:
    """How many clients are being answered."""
    shared = here.server._desk.in_flight._running.values()
    return max(len(llm.requests), sum(running.listeners for running in shared))


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def together(*headers: tuple[str, ...], bodies: tuple[bytes, ...] = ()) -> tuple[list[Answer], ScriptedLlm]:
    """The same question once for each tuple of headers, all while the first is being answered."""

    async def work() -> tuple[list[Answer], ScriptedLlm]:
        gate = asyncio.Event()
        llm = ScriptedLlm(OPENED, *texts("Hel"), gate.wait, *texts("lo"), CLOSED)
        async with serving(legion=legion(llm)) as here:
            asked = list[asyncio.Task[Answer]]()
            for number, more in enumerate(headers):
                what = bodies[number] if bodies else body()
                asked.append(asyncio.create_task(ask(here, "POST", CHAT, JSON, *more, body=what)))
                await until(lambda: asked[-1].done() or heard(here, llm) == len(asked))
            gate.set()
            return list(await asyncio.gather(*asked)), llm

    return run(work())


def test_the_same_idempotency_key_hears_the_running_answer_from_its_beginning() -> None:
    answers, llm = together(("Idempotency-Key: k1",), ("Idempotency-Key: k1",))

    assert [said(answer) for answer in answers] == ["Hello", "Hello"]
    assert len(llm.requests) == 1
    assert answers[0].header("x-legion-request") == answers[1].header("x-legion-request")


def test_a_key_that_was_used_with_another_question_is_a_conflict() -> None:
    answers, llm = together(
        ("Idempotency-Key: k1",), ("Idempotency-Key: k1",), bodies=(body("one"), body("two"))
    )

    assert [answer.status for answer in answers] == [200, 409]
    assert json.loads(answers[1].body)["error"]["message"]
    assert len(llm.requests) == 1


def test_a_finished_answer_is_told_again_under_its_key() -> None:
    async def work() -> tuple[list[Answer], ScriptedLlm]:
        llm = ScriptedLlm(OPENED, *texts("Hel", "lo"), CLOSED)
        async with serving(legion=legion(llm)) as here:
            asked = [
                await ask(here, "POST", CHAT, JSON, "Idempotency-Key: k1", body=body()) for _ in range(2)
            ]
            return asked, llm

    answers, llm = run(work())

    assert [said(answer) for answer in answers] == ["Hello", "Hello"]
    assert len(llm.requests) == 1


def test_a_retry_that_says_so_joins_and_two_equal_questions_stay_two() -> None:
    first, again = ("x-stainless-retry-count: 0",), ("x-stainless-retry-count: 1",)

    _, retried = together(first, again)
    _, parallel = together(first, first)
    _, plain = together((), ())

    assert [len(llm.requests) for llm in (retried, parallel, plain)] == [1, 2, 2]


def test_an_answer_that_lost_its_client_waits_a_moment_for_its_retry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dedupe, "LINGER_S", 60.0)  # a moment, also where the machine is busy

    async def work() -> None:
        gate = asyncio.Event()
        llm = ScriptedLlm(OPENED, *texts("Hel"), gate.wait, *texts("lo"), CLOSED)
        async with serving(legion=legion(llm)) as here:
            lost = await _lost(here, "originator: codex_cli_rs")
            await until(lambda: llm.requests)
            lost.close()
            shared = here.server._desk.in_flight
            await until(lambda: all(running.listeners == 0 for running in shared._running.values()))
            again = asyncio.create_task(
                ask(here, "POST", CHAT, JSON, "originator: codex_cli_rs", body=body())
            )
            await until(lambda: any(running.listeners for running in shared._running.values()))
            gate.set()

            assert said(await again) == "Hello"
            assert len(llm.requests) == 1

    run(work())


def test_an_answer_nobody_listens_to_any_more_is_stopped() -> None:
    async def work() -> None:
        llm = ScriptedLlm(OPENED, *texts("Hel"), asyncio.Event().wait, CLOSED)
        async with serving(legion=legion(llm)) as here:
            lost = await _lost(here, "Idempotency-Key: k1")
            await until(lambda: llm.requests)
            lost.close()

            await llm.cancelled.wait()
            await until(lambda: len(here.server._desk.in_flight) == 0)

    run(work())


async def _lost(here: Serving, *headers: str) -> asyncio.StreamWriter:
    """A client that asks and reads nothing."""
    _, writer = await asyncio.open_connection("127.0.0.1", here.port)
    told = body()
    head = [
        f"POST {CHAT} HTTP/1.1",
        f"Host: 127.0.0.1:{here.port}",
        f"Authorization: Bearer {TOKEN}",
        JSON,
        f"Content-Length: {len(told)}",
        *headers,
    ]
    writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + told)
    return writer


async def waited(llm: ScriptedLlm, gate: asyncio.Event, until_seen: bytes) -> bytes:
    """What a client gets that sees these bytes before the gate opens."""
    async with serving(legion=legion(llm), limits=Limits(opening_s=0.01, quiet_s=0.01)) as here:
        data = request("POST", CHAT, JSON, body=body(), port=here.port)
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(data)
        seen = await reader.readuntil(until_seen)
        gate.set()
        seen += await reader.read(-1)
        writer.close()
        return seen


def test_a_first_word_that_takes_long_is_waited_for_in_an_open_stream() -> None:
    async def work() -> Answer:
        gate = asyncio.Event()
        llm = ScriptedLlm(gate.wait, OPENED, *texts("Hel", "lo"), CLOSED)
        return parse(await waited(llm, gate, b": keep-alive"))

    answer = run(work())

    assert answer.status == 200
    assert answer.header("x-legion-request")
    assert answer.header("x-legion-instance") is None
    assert said(answer) == "Hello"


def test_a_failure_after_a_long_wait_is_told_inside_the_stream() -> None:
    async def work() -> Answer:
        gate = asyncio.Event()
        llm = ScriptedLlm(gate.wait, Unavailable("Nobody is there."))
        return parse(await waited(llm, gate, b"200 OK"))

    answer = run(work())

    assert b"Nobody is there." in answer.body
    assert b"[DONE]" not in answer.body
