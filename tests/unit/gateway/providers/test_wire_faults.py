"""Upstreams that misbehave, one wire at a time: what comes of it is typed, bounded and honest.

From the catalogue of faults: F50, F51, F53, F54, F59, F64, F68; S13 for redirections.
"""

import asyncio
import gzip
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from legion_core.gateway.providers.base import Provider
from legion_core.gateway.providers.registry import make
from legion_core.gateway.providers.wire import Limits
from legion_core.gateway.types import (
    Chunk,
    Finished,
    Message,
    ModelOffer,
    Params,
    Request,
    TextBlock,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
)
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import (
    BadCredentials,
    ConfigError,
    ConnectionLost,
    Malformed,
    Overloaded,
    ProviderError,
    RateLimited,
    StreamBroken,
    TimedOut,
)
from legion_core.testing import upstream_bedrock
from legion_core.testing.upstreams import (
    Answer,
    Call,
    Die,
    Insert,
    NoAnswer,
    Plan,
    Raw,
    Say,
    Stall,
    Upstream,
    WireName,
    error,
    events_of,
)
from tests.support import aio

WIRES: tuple[WireName, ...] = ("openai", "anthropic", "ollama", "gemini", "bedrock")
KEY = "sk-very-secret-0123456789"
QUICK = Limits(connect_s=5, first_event_s=0.3, idle_s=0.2, answer_s=2)
CALM = Limits(connect_s=5, first_event_s=10, idle_s=10, answer_s=10)
RICH = Answer(
    ("Hel", "lo ", "wörld"),
    thinking=("hm", "m"),
    calls=(Call("call_a", "weather", '{"city": "Köln"}', pieces=4),),
)

every_wire = pytest.mark.parametrize("wire", WIRES)


@asynccontextmanager
async def standing(
    wire: WireName, *plans: Plan, limits: Limits = CALM, key: str = KEY, **more: Any
) -> AsyncGenerator[tuple[Upstream, Provider], None]:
    async with Upstream(wire, **more) as upstream:
        if plans:
            upstream.will(*plans)
        models = (ModelOffer(id="m1", continuation="prefill"),)
        provider = make(
            "box", wire, SystemClock(), base_url=upstream.base_url, api_key=key, models=models, limits=limits
        )
        yield upstream, provider
        await provider.aclose()


def request(**changes: Any) -> Request:
    messages = (Message(role="user", content=(TextBlock(text="Hi"),)),)
    return Request(id="r1", messages=messages, **changes)


async def outcome(
    provider: Provider, asked: Request | None = None
) -> tuple[list[Chunk], ProviderError | None]:
    """The chunks that came, and the error that ended them."""
    got: list[Chunk] = []
    try:
        async with provider.stream(asked or request(), "m1") as chunks:
            async for chunk in chunks:
                got.append(chunk)
    except ProviderError as caught:
        error = caught
    else:
        return got, None
    assert KEY not in error.sentence()
    return got, error


def run(wire: WireName, *plans: Plan, limits: Limits = CALM) -> tuple[list[Chunk], ProviderError | None]:
    async def main() -> tuple[list[Chunk], ProviderError | None]:
        async with standing(wire, *plans, limits=limits) as (_, provider):
            return await outcome(provider)

    return aio.run(main())


def said(chunks: list[Chunk]) -> dict[str, str]:
    """What the chunks come to, however they were cut."""
    return {
        "text": "".join(c.text for c in chunks if isinstance(c, TextDelta)),
        "thinking": "".join(c.text for c in chunks if isinstance(c, ThinkingDelta)),
        "arguments": "".join(c.arguments for c in chunks if isinstance(c, ToolCallDelta)),
        "names": ",".join(c.name for c in chunks if isinstance(c, ToolCallDelta) and c.name),
    }


@every_wire
def test_an_answer_is_the_same_wherever_its_bytes_are_cut(wire: WireName) -> None:
    whole, failure = run(wire, RICH)
    assert failure is None
    for size in (1, 2, 3, 7, 64, 1000):
        cut, failure = run(wire, replace(RICH, split=size))
        assert failure is None
        assert said(cut) == said(whole)
        assert cut[-1] == whole[-1]


@every_wire
@pytest.mark.parametrize("by", ["fin", "rst"])
def test_a_connection_cut_before_any_event_breaks_the_stream_or_finishes_it_truly(
    wire: WireName, by: Any
) -> None:
    """The wire's own end decides: before it the stream is broken, from it on it is whole."""
    events = events_of(wire, RICH)
    whole, _ = run(wire, RICH)
    ends = {
        "openai": b'"finish_reason": "tool_calls"',
        "anthropic": b'"stop_reason": "tool_use"',
        "ollama": b'"done": true',
        "gemini": b'"finishReason"',
        "bedrock": b"messageStop",
    }
    end = next(at for at, event in enumerate(events) if ends[wire] in event.data)
    for at in range(len(events)):
        got, failure = run(wire, replace(RICH, fault=Die(at, by=by)))
        if at > end and by == "fin":
            assert failure is None
        if failure is None:
            assert at > end
            assert said(got) == said(whole)
            assert isinstance(got[-1], Finished)
        else:
            # A reset may also overtake what was sent before it.
            assert isinstance(failure, StreamBroken)
            assert failure.chunks_seen == len(got)
            assert not any(isinstance(chunk, Finished) for chunk in got)
            assert said(whole)["text"].startswith(said(got)["text"])


@every_wire
def test_an_event_of_the_future_is_passed_over(wire: WireName) -> None:
    whole, _ = run(wire, RICH)
    future = {
        "openai": b'event: future.thing\ndata: {"type": "future.thing", "choices": 7}\n\ndata: {"object": "new", "x": 1}\n\n',
        "anthropic": b'event: future.thing\ndata: {"type": "future.thing", "delta": 7}\n\n'
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"future_delta","x":1}}\n\n',
        "ollama": b'{"future": {"thing": 1}, "done": false}\n\n',
        "gemini": b'data: {"futureThing": {"x": 1}, "candidates": [{"futureField": 1, "index": 1}]}\n\n',
        "bedrock": upstream_bedrock.event("futureThing", {"delta": 7})
        + upstream_bedrock.event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"futureDelta": {}}}),
    }[wire]
    for at in (0, 1, 3):
        got, failure = run(wire, replace(RICH, fault=Insert(at, future)))
        assert failure is None
        assert said(got) == said(whole)


@every_wire
def test_an_error_inside_a_stream_is_told_by_its_class(wire: WireName) -> None:
    payload = {
        "openai": b'data: {"error": {"message": "too busy", "type": "overloaded_error"}}\n\n',
        "anthropic": b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"too busy"}}\n\n',
        "ollama": b'{"error": "too busy"}\n',
        "gemini": b'data: {"error": {"code": 503, "message": "too busy", "status": "UNAVAILABLE"}}\n\n',
        "bedrock": upstream_bedrock.exception("serviceUnavailableException", "too busy"),
    }[wire]
    got, failure = run(wire, Answer(("a", "b", "c", "d"), fault=Say(3, payload)))
    assert isinstance(failure, StreamBroken if wire == "ollama" else Overloaded)
    assert "too busy" in failure.message
    assert not any(isinstance(chunk, Finished) for chunk in got)


@every_wire
def test_garbage_inside_a_stream_is_malformed(wire: WireName) -> None:
    name = b"event: content_block_delta\n" if wire == "anthropic" else b""
    wrong = b'{"choices": 5, "type": 5, "message": 5, "candidates": 5, "delta": 5}'
    for garbage in (b"{nonsense", b"[1, 2]", wrong):
        line = garbage + b"\n" if wire == "ollama" else name + b"data: " + garbage + b"\n\n"
        if wire == "bedrock":
            headers = {":message-type": "event", ":event-type": "contentBlockDelta"}
            line = upstream_bedrock.frame(headers, garbage)
        _, failure = run(wire, Answer(("a", "b", "c"), fault=Say(2, line)))
        assert isinstance(failure, Malformed)


@every_wire
@pytest.mark.parametrize(
    ("plan", "kind"),
    [
        (Raw(200, b"<html><title>Log in</title></html>", content_type="text/html"), Malformed),
        (Raw(200, b"hello", content_type="text/plain"), Malformed),
        (Raw(200, b"", content_type="text/event-stream"), StreamBroken),
        (Raw(200, b"{} {}"), Malformed),
        (Raw(200, b'{"a": NaN}'), Malformed),
        (Raw(200, gzip.compress(b"x" * 999)[:-20], (("content-encoding", "gzip"),)), ProviderError),
        (Raw(200, b"not gzip", (("content-encoding", "gzip"),)), StreamBroken),
        (Raw(302, b"", (("location", "/login"),)), Malformed),
        (Raw(500, b"<html>" + b"x" * 200_000), ProviderError),
        (NoAnswer(), ConnectionLost),
    ],
)
def test_what_is_no_answer_is_one_of_our_errors(
    wire: WireName, plan: Plan, kind: type[ProviderError]
) -> None:
    got, failure = run(wire, plan)
    assert got == []
    assert isinstance(failure, kind)
    assert len(failure.message) < 600


@every_wire
def test_a_refusal_keeps_its_pause(wire: WireName) -> None:
    _, failure = run(wire, error(wire, 429, "rate_limit_error", "slow down", ("Retry-After", "17")))
    assert isinstance(failure, RateLimited)
    assert failure.retry_after_s == 17


@every_wire
@pytest.mark.parametrize(
    "plan",
    [
        NoAnswer(hangs=True),
        Answer(("a", "b", "c"), fault=Stall(0)),
        Answer(("a", "b", "c"), fault=Stall(2)),
        Answer(("a", "b", "c"), fault=Stall(2, drip_s=0.05)),
    ],
    ids=["no headers", "no first event", "mid answer", "a byte now and then"],
)
def test_silence_ends_in_a_time_out_and_closes_upstream(wire: WireName, plan: Plan) -> None:
    async def main() -> None:
        async with standing(wire, plan, limits=QUICK) as (upstream, provider):
            _, failure = await outcome(provider)
            assert isinstance(failure, TimedOut)
            async with asyncio.timeout(100):
                while upstream.open_answers:
                    await asyncio.sleep(0.005)
            assert upstream.questions[0].was_left

    aio.run(main())


def test_signs_of_life_between_events_do_not_hide_a_silence_for_ever() -> None:
    """An event resets the clock, a comment does not: here they come ten times as often as silence may last."""
    _, failure = run("openai", Answer(("a", "b", "c"), fault=Stall(2, drip_s=0.02)), limits=QUICK)
    assert isinstance(failure, TimedOut)


@every_wire
def test_a_wrong_key_is_told_without_being_shown(wire: WireName) -> None:
    async def main() -> None:
        async with standing(wire, key="sk-wrong-0123456789abc") as (upstream, provider):
            upstream.key = KEY
            _, failure = await outcome(provider)
            assert isinstance(failure, BadCredentials)
            assert "sk-wrong" not in failure.sentence()
            probe = await provider.probe()
            assert not probe.is_ok
            assert "key" in probe.why
            assert "sk-wrong" not in probe.why

    aio.run(main())


@every_wire
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_key_follows_no_redirection(wire: WireName, status: int) -> None:
    async def main() -> None:
        async with Upstream(wire) as thief, standing(wire) as (upstream, provider):
            upstream.will(Raw(status, b"", (("location", thief.origin + "/v1/steal"),)))
            _, failure = await outcome(provider)
            assert isinstance(failure, Malformed)
            assert thief.requests == []

    aio.run(main())


@every_wire
def test_nothing_on_this_machine_goes_through_a_proxy(
    wire: WireName, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with Upstream("openai") as proxy:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
                monkeypatch.setenv(name, proxy.origin)
            async with standing(wire, Answer(("a",))) as (_, provider):
                got, failure = await outcome(provider)
                assert failure is None
                assert said(got)["text"] == "a"
            assert proxy.requests == []

    aio.run(main())


def test_nobody_there_is_a_lost_connection() -> None:
    async def main() -> None:
        async with Upstream("openai") as upstream:
            gone = upstream.base_url
        provider = make("box", "openai", SystemClock(), base_url=gone, limits=CALM)
        _, failure = await outcome(provider)
        assert isinstance(failure, ConnectionLost)
        assert "box" in failure.message
        probe = await provider.probe()
        assert not probe.is_ok
        await provider.aclose()

    aio.run(main())


def test_a_connection_serves_again_after_a_whole_answer() -> None:
    """A caller that stops reading at `Finished`, as the failover does, keeps the connection."""

    async def main() -> None:
        async with standing("openai", Answer(("a",))) as (upstream, provider):
            for _ in range(3):
                async with provider.stream(request(), "m1") as chunks:
                    async for chunk in chunks:
                        if isinstance(chunk, Finished):
                            break
            assert len(upstream.questions) == 3
            assert len(upstream._writers) == 1

    aio.run(main())


@pytest.mark.parametrize("address", ["", "box", "ftp://box", "http://", "file:///etc/passwd", "http:///v1"])
def test_an_address_that_is_none_is_a_fault_of_the_configuration(address: str) -> None:
    from legion_core.gateway.providers.openai import OpenAICompatible

    with pytest.raises(ConfigError, match="base_url"):
        OpenAICompatible("box", address, SystemClock())


def test_a_key_no_header_can_carry_is_a_fault_of_the_configuration_and_is_not_shown() -> None:
    for key in ("sk-line\nbreak", "sk-ünicode"):
        with pytest.raises(ConfigError) as caught:
            make("box", "openai", SystemClock(), base_url="http://127.0.0.1:1/v1", api_key=key)
        assert key not in caught.value.sentence()


def test_a_prefix_cut_off_for_the_wire_is_not_told_twice() -> None:
    """Anthropic refuses a prefill that ends in white space; the model writes it again, the client does not see it."""

    async def main() -> None:
        async with standing("anthropic", Answer((" ", " three", " four"))) as (upstream, provider):
            async with provider.stream(request(), "m1", prefix="one two  ") as chunks:
                text = "".join([chunk.text async for chunk in chunks if isinstance(chunk, TextDelta)])
            assert text == "three four"
            sent = upstream.questions[0].json["messages"][-1]
            assert sent == {"role": "assistant", "content": [{"type": "text", "text": "one two"}]}

    aio.run(main())


@every_wire
def test_cancelling_bills_no_more_than_what_was_under_way(wire: WireName) -> None:
    async def main() -> None:
        async with standing(wire, Answer(("word ",) * 400, delay_s=0.01)) as (upstream, provider):
            async with provider.stream(request(params=Params(max_tokens=400)), "m1") as chunks:
                async for chunk in chunks:
                    if isinstance(chunk, TextDelta):
                        break
            async with asyncio.timeout(100):
                while upstream.open_answers:
                    await asyncio.sleep(0.005)
            assert upstream.billed_tokens < 100
            asked = upstream.questions[0]
            assert json.loads(asked.body).get("model", "m1") == "m1"
            assert wire not in ("gemini", "bedrock") or "/m1" in asked.path

    aio.run(main())


def test_a_prompt_count_left_out_by_a_server_with_a_cache_is_an_estimate() -> None:
    last_line = b'{"model":"m1","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","eval_count":2}\n'
    got, failure = run("ollama", Answer(("a", "b"), fault=Say(2, last_line)))
    assert failure is None
    last = got[-1]
    assert isinstance(last, Finished)
    assert last.usage.is_estimated
    assert last.usage.output_tokens == 2
    assert last.usage.input_tokens > 0


@pytest.mark.parametrize("tokens", [-7, 10**12, 2**62])
@every_wire
def test_a_count_of_tokens_that_cannot_be_is_estimated_and_never_pays_back(
    wire: WireName, tokens: int
) -> None:
    got, caught = run(wire, Answer(("Hel", "lo"), input_tokens=tokens))

    assert caught is None
    finished = got[-1]
    assert isinstance(finished, Finished)
    assert finished.usage.is_estimated
    assert 0 <= finished.usage.input_tokens < 1_000
    assert 0 < finished.usage.output_tokens < 1_000


def test_an_end_before_anything_was_said_is_no_answer() -> None:
    got, caught = run("openai", Answer(fault=Say(at_event=0, data=b"data: [DONE]\n\n")))
    assert got == []
    assert isinstance(caught, StreamBroken)
