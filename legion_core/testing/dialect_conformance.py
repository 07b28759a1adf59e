"""What every dialect must do: the same checks on each of them.

Each check takes a bench and raises AssertionError. The bench knows how to say things in its dialect; the checks know what
must come of it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from legion_core.gateway.dialects.base import Dialect
from legion_core.gateway.providers.sse import SseEvent
from legion_core.gateway.types import (
    Attempt,
    Closed,
    Joined,
    Lane,
    ModelOffer,
    Opened,
    Request,
    Seam,
    StopReason,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    Tier,
    ToolCallDelta,
    ToolUseBlock,
    Usage,
)
from legion_core.kernel import errors
from legion_core.kernel.errors import InvalidInput, LegionError

ID = "req_01"
LANE = Lane(tier=Tier.LOCAL, instance="box-a", kind="scripted", offer=ModelOffer(id="m1"))
USAGE = Usage(input_tokens=11, output_tokens=5, cache_read_tokens=3, thinking_tokens=2)

# What clients have tried elsewhere to send a key or a request to another place, and near relations.
FORBIDDEN_FIELDS: tuple[str, ...] = (
    "base_url", "baseURL", "base-url", "api_base", "apiBase", "api_url", "url", "endpoint", "host", "hostname", "port",
    "proxy", "proxies", "http_proxy", "https_proxy", "headers", "extra_headers", "default_headers", "extra_body",
    "extra_query", "api_key", "apiKey", "api-key", "key", "token", "auth", "authorization", "bearer", "credentials",
    "password", "organization", "project", "api_version", "deployment_id", "custom_llm_provider", "provider",
    "gatewayUrl", "callback_url", "webhook", "timeout", "max_retries", "client", "ssl_verify", "cert", "litellm_params",
    "n_discard", "n_keep", "n_ctx", "num_ctx", "slot_id", "cache_prompt", "grammar", "model_path", "lora",
)  # fmt: skip


class StreamReader(Protocol):
    """Takes a streamed body apart as it arrives; `SseParser` is one."""

    def feed(self, data: bytes) -> list[SseEvent]:
        """What is whole with these bytes."""
        ...

    def close(self) -> list[SseEvent]:
        """What was left when the stream ended."""
        ...


class DialectBench(Protocol):
    """How to speak one dialect."""

    dialect: Dialect

    def parse(self, body: bytes, headers: Mapping[str, str]) -> Request:
        """The dialect's reading of a body; where `model` and `stream` are not in the body, the bench moves them."""
        ...

    def body(self, **changes: Any) -> dict[str, Any]:
        """The smallest good body, with these fields set; it does not ask for a stream."""
        ...

    def wrong_fields(self) -> Sequence[tuple[dict[str, Any], str]]:
        """Changes that make the body wrong, each with the path of the field that is to blame."""
        ...

    def too_many(self) -> Sequence[dict[str, Any]]:
        """Bodies with more of something than is taken."""
        ...

    def many(self) -> dict[str, Any]:
        """A body of two thousand parts, which is not too many."""
        ...

    def reader(self) -> StreamReader:
        """A fresh reader of a streamed body."""
        ...

    def fault(self, body: bytes) -> str:
        """The message of a rendered error; AssertionError if it has not the dialect's shape."""
        ...

    def text(self, events: Sequence[SseEvent]) -> str:
        """The answer's text as a client reads it out of a stream."""
        ...

    def tool_calls(self, events: Sequence[SseEvent]) -> list[tuple[str, str, str]]:
        """Id, name and arguments of each call as a client reads them."""
        ...

    def has_succeeded(self, events: Sequence[SseEvent]) -> bool:
        """Whether a client would take this stream for a whole answer."""
        ...

    def error(self, events: Sequence[SseEvent]) -> str:
        """The message of the error a client reads out of a stream, or empty."""
        ...


Check = Callable[[DialectBench], None]


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole answer; see `WholeAnswer`."""

    closed: Closed
    request_id: str = ID
    model: str = "m1"
    text: str = ""
    thinking: str = ""
    tool_calls: tuple[ToolUseBlock, ...] = ()


def closed(stop_reason: StopReason = "end_turn", *, error: str = "", code: str = "") -> Closed:
    """The last event of an answer."""
    attempt = Attempt(
        number=1,
        tier="local",
        instance="box-a",
        model="m1",
        outcome="succeeded",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return Closed(
        stop_reason=stop_reason,
        usage=USAGE,
        cost_usd=None,
        attempts=(attempt,),
        duration_s=1.0,
        first_token_s=0.1,
        error=error,
        error_code=code,
    )


def opened() -> Opened:
    """The first event of an answer."""
    return Opened(request_id=ID, lane=LANE, attempts=1)


def parse(bench: DialectBench, body: object, headers: Mapping[str, str] | None = None) -> Request:
    """`body` as JSON through the dialect."""
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    return bench.parse(raw, headers or {})


def refused(bench: DialectBench, body: object, headers: Mapping[str, str] | None = None) -> InvalidInput:
    """The fault the dialect finds in `body`; nothing but InvalidInput passes, and it renders as a 400."""
    try:
        request = parse(bench, body, headers)
    except InvalidInput as fault:
        error = fault
    else:
        raise AssertionError(f"{body!r:.200} became {request!r:.200}")
    status, rendered = bench.dialect.render_error(error)
    assert status == 400
    assert error.message
    assert bench.fault(rendered)
    return error


def streamed(bench: DialectBench, *events: StreamEvent, request: Request | None = None) -> list[SseEvent]:
    """The events as a client's reader sees them, read byte by byte."""
    writer = bench.dialect.writer(request or parse(bench, bench.body(stream=True)), created_s=1_700_000_000)
    parser = bench.reader()
    out = list[SseEvent]()
    for event in events:
        for byte in writer.write(event):
            out += parser.feed(bytes([byte]))
        if not isinstance(event, Closed):
            out += parser.feed(writer.keep_alive())
    return out + parser.close()


def takes_the_smallest_body(bench: DialectBench) -> None:
    """It becomes a Request that lets the router choose."""
    request = parse(bench, bench.body())
    assert request.id == ID
    assert request.dialect == bench.dialect.name
    assert request.pins.model is None
    assert not request.stream
    assert request.messages[-1].text


def refuses_what_is_not_json(bench: DialectBench) -> None:
    """Garbage of every kind is the caller's fault, in one way."""
    good = json.dumps(bench.body()).encode()
    deep = b"[" * 100_000
    hot = [
        text for changes, _ in bench.wrong_fields() if '"hot"' in (text := json.dumps(bench.body(**changes)))
    ]
    assert hot, "the bench says nothing of a number that is text"
    for number in ("1e999", "NaN", "-Infinity"):
        refused(bench, hot[0].replace('"hot"', number).encode())
    for raw in (
        b"", b" ", b"null", b"[]", b"5", b'"x"', b"{", good + b"x", good + good, good[:-1], good.decode().encode("utf-16"),
        b"\xef\xbb\xbf" + good, b"\xff" + good, good.replace(b'"', b'"\xff', 1), good[:-1] + b',"x":NaN}',
        good[:-1] + b',"temperature":NaN}', good[:-1] + b',"x":' + deep,
        good[:-1] + b',"x":"\\ud800"}', good[:-1] + b',"\xff":1}', good[:-1] + b',"\\ud800":1}', b"model=x&messages=y", b"<html></html>", b"\x00" * 100,
    ):  # fmt: skip
        refused(bench, raw)


def names_the_wrong_field(bench: DialectBench) -> None:
    """A fault says where it is."""
    for changes, field in bench.wrong_fields():
        error = refused(bench, bench.body(**changes))
        assert f"`{field}`" in error.message, f"{changes!r:.120} → {error.message}"


def refuses_repeated_names(bench: DialectBench) -> None:
    """A field given twice means nothing certain."""
    body = bench.body()
    good = json.dumps(body).encode()
    name = next(name for name in body if name != "model")
    refused(bench, good[:-1] + b"," + json.dumps({name: body[name]}).encode()[1:])
    refused(bench, b'{"model":"a","model":"b",' + good[1:].replace(b'"model"', b'"x"'))
    if b'"role": "user"' in good:
        refused(bench, good.replace(b'"role": "user"', b'"role": "user", "role": "assistant"'))
    # Names that occur often, but once in each object, are no repetition.
    fine = bench.body(
        metadata={"messages": {"model": 1}, "model": {"role": 2, "stream": [{"role": 1}, {"role": 1}]}}
    )
    assert parse(bench, fine).messages


def bounds_its_counts(bench: DialectBench) -> None:
    """Thousands of parts are refused before anything is made of them."""
    for body in bench.too_many():
        refused(bench, body)
    assert parse(bench, bench.many())


def lets_no_client_reach_out(bench: DialectBench) -> None:
    """No field can set an address, a header or a key: with it or without it, the request is the same."""
    plain = parse(bench, bench.body())
    for field in FORBIDDEN_FIELDS:
        for value in ("http://evil.example/", {"authorization": "Bearer stolen"}, -1, ["x"]):
            assert parse(bench, bench.body(**{field: value})) == plain, field
    assert len(FORBIDDEN_FIELDS) >= 40


def pins_by_model_and_headers(bench: DialectBench) -> None:
    """The model is a wish, headers are orders."""
    for word in ("auto", "legion", "AUTO", ""):
        assert parse(bench, bench.body(model=word)).pins.model is None
    assert parse(bench, bench.body(model="m7")).pins.model == "m7"
    request = parse(
        bench,
        bench.body(model="m7"),
        {
            "x-legion-tier": "Cloud",
            "x-legion-instance": "box-a",
            "x-legion-model": "m8",
            "x-legion-conversation": "conv_1",
            "user-agent": "test/1",
        },
    )
    assert request.pins.tier is Tier.CLOUD
    assert request.pins.instance == "box-a"
    assert request.pins.model == "m8"
    assert request.conversation_id == "conv_1"
    assert request.client == "test/1"
    assert "x-legion-tier" in refused(bench, bench.body(), {"x-legion-tier": "moon"}).message
    refused(bench, bench.body(), {"x-legion-instance": "x" * 1000})


def streams_text_exactly(bench: DialectBench) -> None:
    """Every character comes through, whatever it means to the wire."""
    pieces = ("Zahl: ", "één", "😀", "\n\n", "\r", "\u2028", "data: [DONE]\n\n", "\\", '"', "\x00", " end")
    events = streamed(bench, opened(), *(TextDelta(text=piece) for piece in pieces), closed())
    assert bench.text(events) == "".join(pieces)
    assert bench.has_succeeded(events)
    assert not bench.error(events)


def hides_a_seam_from_the_text(bench: DialectBench) -> None:
    """Where another attempt goes on, the client's text is one text, with one beginning and one end."""
    seam = Seam(
        at_char=3,
        from_lane="box-a/m1",
        to_lane="box-b/m2\r\n\r\ndata: x",
        to_tier="cloud",
        after_tokens=1,
        reason="stream_broken",
    )
    events = streamed(
        bench, opened(), TextDelta(text="one"), Joined(seam=seam), TextDelta(text=" two"), closed()
    )
    assert bench.text(events) == "one two"
    assert bench.has_succeeded(events)


def streams_whole_tool_calls(bench: DialectBench) -> None:
    """Parallel calls come out whole, also when their pieces were interleaved."""
    calls = [
        ("call_a", "weather", '{"city": "Köln"}'),
        ("call_b", "now", "{}"),
        ("call_c", "files.read", '{"p": "a\\"b"}'),
    ]
    deltas = list[StreamEvent](ToolCallDelta(index=at, id=c[0], name=c[1]) for at, c in enumerate(calls))
    for cut in range(0, 20, 4):
        deltas += [
            ToolCallDelta(index=at, arguments=call[2][cut : cut + 4])
            for at, call in enumerate(calls)
            if call[2][cut:]
        ]
    for events in (deltas, sorted(deltas, key=lambda delta: getattr(delta, "index"))):  # noqa: B009
        read = streamed(bench, opened(), TextDelta(text="I look."), *events, closed("tool_use"))
        assert bench.tool_calls(read) == calls
        assert bench.text(read) == "I look."
        assert bench.has_succeeded(read)


def keeps_thinking_out_of_the_text(bench: DialectBench) -> None:
    """Reasoning and its signature are not the answer."""
    events = streamed(
        bench,
        opened(),
        ThinkingDelta(text="2+2"),
        ThinkingDelta(text="", signature="sig"),
        ThinkingDelta(text="again"),
        TextDelta(text="Four."),
        closed(),
    )
    assert bench.text(events) == "Four."
    assert bench.has_succeeded(events)


def never_makes_a_failure_look_whole(bench: DialectBench) -> None:
    """An answer that closed in error, or broke off, is an error to every client."""
    for last in (closed("error", error="Both boxes died.", code="stream_broken"), None):
        events = streamed(bench, opened(), TextDelta(text="half"), *([last] if last else []))
        assert not bench.has_succeeded(events)
        assert bench.text(events) == "half"
        if last:
            assert "Both boxes died." in bench.error(events)
    writer = bench.dialect.writer(parse(bench, bench.body(stream=True)), created_s=1)
    raw = writer.write(opened()) + writer.error(errors.StreamBroken("It broke.", hint="Ask again."))
    events = bench.reader().feed(raw)
    assert not bench.has_succeeded(events)
    assert "It broke. Ask again." in bench.error(events)
    # A tool call that was cut off is not given its end.
    cut = streamed(
        bench,
        opened(),
        ToolCallDelta(index=0, id="c", name="n", arguments='{"a'),
        closed("error", error="cut"),
    )
    assert not bench.has_succeeded(cut)
    try:
        bench.dialect.render(Whole(closed("error", error="Both boxes died.", code="overloaded"), text="half"))
    except LegionError as error:
        status, body = bench.dialect.render_error(error)
        assert status >= 500
        assert b"Both boxes died." in body
    else:
        raise AssertionError("a failed answer was rendered as a whole one")


def gives_every_error_its_shape(bench: DialectBench) -> None:
    """Each class has a status; ours are 500 and tell nothing of the inside."""
    for kind in _all_errors():
        status, body = bench.dialect.render_error(kind("secret inside"))
        assert 400 <= status < 600
        assert bench.fault(body)
        if kind.blame == "us":
            assert status == 500
            assert b"secret inside" not in body
    for kind, status in (
        (errors.InvalidInput, 400),
        (errors.Denied, 403),
        (errors.NotFound, 404),
        (errors.RateLimited, 429),
        (errors.ContextTooLong, 400),
        (errors.TimedOut, 504),
        (errors.BadCredentials, 502),
    ):
        assert bench.dialect.render_error(kind("x"))[0] == status, kind


def renders_a_whole_answer(bench: DialectBench) -> None:
    """Text, calls, stop and usage are all there."""
    call = ToolUseBlock(id="call_a", name="weather", arguments='{"city": "Köln"}')
    body = bench.dialect.render(Whole(closed("tool_use"), text="I look.", thinking="hm", tool_calls=(call,)))
    for word in ("I look.", "hm", "call_a", "weather", "Köln", "m1"):
        assert word in body.decode()
    for stop in ("end_turn", "tool_use", "max_tokens", "stop_sequence", "content_filter", "cancelled"):
        assert json.loads(bench.dialect.render(Whole(closed(stop), text="x")))


def keeps_alive_unseen(bench: DialectBench) -> None:
    """A sign of life may come anywhere between events and changes nothing a client reads."""
    writer = bench.dialect.writer(parse(bench, bench.body(stream=True)), created_s=1)
    raw = (
        writer.keep_alive() + writer.write(opened()) + writer.keep_alive() + writer.write(TextDelta(text="x"))
    )
    raw += writer.keep_alive() + writer.write(closed())
    events = bench.reader().feed(raw)
    assert bench.text(events) == "x"
    assert bench.has_succeeded(events)


def parses_what_it_is_given_once(bench: DialectBench) -> None:
    """The request is a value: it goes over a wire and comes back the same."""
    request = parse(bench, bench.body(stream=True, model="m1"))
    kind = type(request)
    assert msgspec.json.decode(msgspec.json.encode(request), type=kind) == request


def _all_errors() -> list[type[LegionError]]:
    found = [LegionError]
    for kind in found:
        found += [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    return found


CHECKS: tuple[Check, ...] = (
    takes_the_smallest_body,
    refuses_what_is_not_json,
    names_the_wrong_field,
    refuses_repeated_names,
    bounds_its_counts,
    lets_no_client_reach_out,
    pins_by_model_and_headers,
    streams_text_exactly,
    hides_a_seam_from_the_text,
    streams_whole_tool_calls,
    keeps_thinking_out_of_the_text,
    never_makes_a_failure_look_whole,
    gives_every_error_its_shape,
    renders_a_whole_answer,
    keeps_alive_unseen,
    parses_what_it_is_given_once,
)
