"""The providers' own Python libraries speak to our dialects, and read what our dialects write.

The libraries' requests come over a real socket, are parsed by the dialect, and are answered with the bytes of its writer:
agreement with strangers, not with ourselves.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import ollama
import openai
import pytest

from legion_core.gateway.dialects.anthropic_messages import AnthropicMessages
from legion_core.gateway.dialects.base import Dialect
from legion_core.gateway.dialects.openai_chat import OpenAIChat
from legion_core.gateway.types import (
    ImageBlock,
    Request,
    StreamEvent,
    TextBlock,
    TextDelta,
    ThinkingBlock,
    ThinkingDelta,
    ToolCallDelta,
    ToolResultBlock,
    ToolUseBlock,
)
from legion_core.kernel.errors import (
    ContextTooLong,
    Denied,
    InvalidInput,
    LegionError,
    NotFound,
    Overloaded,
    RateLimited,
    StreamBroken,
    TimedOut,
)
from legion_core.testing.dialect_conformance import Whole, closed, opened
from legion_core.testing.upstreams import Answer, Call, NoAnswer, Raw, Recorded, Upstream, WireName
from tests.support import aio

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


class Door:
    """Serves one dialect on a socket: parses what comes, answers what the test says."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.requests: list[Request] = []
        self.events: Sequence[StreamEvent] = (opened(), TextDelta(text="Hello"), closed())
        self.whole = Whole(closed(), text="Hello")
        self.error: LegionError | None = None
        self.late_error: LegionError | None = None

    def __call__(self, recorded: Recorded) -> Raw:
        try:
            request = self.dialect.parse(recorded.body, recorded.headers, request_id="req_01")
            if self.error is not None:
                raise self.error
        except LegionError as error:
            status, body = self.dialect.render_error(error)
            return Raw(status, body)
        self.requests.append(request)
        if not request.stream:
            return Raw(200, self.dialect.render(self.whole))
        writer = self.dialect.writer(request, created_s=1_700_000_000)
        body = writer.keep_alive()
        for event in self.events:
            body += writer.write(event) + writer.keep_alive()
        if self.late_error is not None:
            body += writer.error(self.late_error)
        return Raw(200, body, content_type=self.dialect.media_type)


@asynccontextmanager
async def openai_door() -> AsyncGenerator[tuple[Door, openai.AsyncOpenAI], None]:
    door = Door(OpenAIChat())
    async with Upstream("openai") as upstream:
        upstream.will(door)
        client = openai.AsyncOpenAI(base_url=upstream.base_url, api_key="lgn_test", max_retries=0)
        async with client:
            yield door, client
        await settle()


@asynccontextmanager
async def anthropic_door() -> AsyncGenerator[tuple[Door, anthropic.AsyncAnthropic], None]:
    door = Door(AnthropicMessages())
    async with Upstream("anthropic") as upstream:
        upstream.will(door)
        client = anthropic.AsyncAnthropic(base_url=upstream.base_url, api_key="lgn_test", max_retries=0)
        async with client:
            yield door, client
        await settle()


async def read_into(got: list[Any], stream: AsyncIterable[Any]) -> None:
    async for thing in stream:
        got.append(thing)


async def settle() -> None:
    """The libraries leave the closing of their generators to the loop: let it."""
    for _ in range(10):
        await asyncio.sleep(0)


def check(work: Callable[[], Any]) -> None:
    aio.run(work())


USER: Any = [{"role": "user", "content": "Hi"}]
ANSWER: tuple[StreamEvent, ...] = (
    opened(),
    ThinkingDelta(text="2+2"),
    ThinkingDelta(text="", signature="sig-9"),
    TextDelta(text="Grüße "),
    TextDelta(text="😀"),
    ToolCallDelta(index=0, id="call_a", name="weather"),
    ToolCallDelta(index=1, id="call_b", name="now"),
    ToolCallDelta(index=0, arguments='{"city": '),
    ToolCallDelta(index=1, arguments="{}"),
    ToolCallDelta(index=0, arguments='"Köln"}'),
    closed("tool_use"),
)


def test_openai_reads_a_whole_answer() -> None:
    async def main() -> None:
        async with openai_door() as (door, client):
            call = ToolUseBlock(id="call_a", name="weather", arguments='{"city":"Köln"}')
            door.whole = Whole(closed("tool_use"), text="I look.", thinking="hm", tool_calls=(call,))
            answer = await client.chat.completions.create(model="auto", messages=USER)
            choice = answer.choices[0]
            assert choice.message.content == "I look."
            assert choice.finish_reason == "tool_calls"
            assert choice.message.tool_calls
            function: Any = choice.message.tool_calls[0]
            assert (function.id, function.function.name) == ("call_a", "weather")
            assert json.loads(function.function.arguments) == {"city": "Köln"}
            assert answer.usage
            assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (14, 5)
            assert answer.usage.prompt_tokens_details
            assert answer.usage.prompt_tokens_details.cached_tokens == 3

    check(main)


def test_openai_reads_a_stream_with_parallel_tool_calls_and_usage() -> None:
    async def main() -> None:
        async with openai_door() as (door, client):
            door.events = ANSWER
            stream = client.chat.completions.stream(
                model="m1", messages=USER, stream_options={"include_usage": True}
            )
            async with stream as events:
                final = await events.get_final_completion()
            message = final.choices[0].message
            assert message.content == "Grüße 😀"
            calls: list[Any] = list(message.tool_calls or [])
            assert [(c.id, c.function.name) for c in calls] == [("call_a", "weather"), ("call_b", "now")]
            assert json.loads(calls[0].function.arguments) == {"city": "Köln"}
            assert final.choices[0].finish_reason == "tool_calls"
            assert final.usage
            assert final.usage.total_tokens == 19
            assert door.requests[0].pins.model == "m1"

    check(main)


def test_openai_gets_no_usage_it_did_not_ask_for() -> None:
    async def main() -> None:
        async with openai_door() as (_, client):
            stream = await client.chat.completions.create(model="auto", messages=USER, stream=True)
            chunks = [chunk async for chunk in stream]
            assert all(chunk.usage is None and len(chunk.choices) == 1 for chunk in chunks)
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello"

    check(main)


def test_openai_sends_everything_we_translate() -> None:
    async def main() -> None:
        async with openai_door() as (door, client):
            messages: Any = [
                {"role": "developer", "content": "Be brief."},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is this?"},
                        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
                        {
                            "type": "image_url",
                            "image_url": {"url": "https://example.org/a.png", "detail": "low"},
                        },
                    ],
                },
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "call_a",
                            "type": "function",
                            "function": {"name": "weather", "arguments": "{}"},
                        },
                        {
                            "id": "call_b",
                            "type": "function",
                            "function": {"name": "weather", "arguments": "{}"},
                        },
                    ],
                },
                {"role": "tool", "tool_call_id": "call_a", "content": "12"},
                {"role": "tool", "tool_call_id": "call_b", "content": [{"type": "text", "text": "13"}]},
            ]
            await client.chat.completions.create(
                model="auto",
                messages=messages,
                tools=[
                    {
                        "type": "function",
                        "function": {"name": "weather", "parameters": SCHEMA, "strict": True},
                    }
                ],
                tool_choice={"type": "function", "function": {"name": "weather"}},
                response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}},
                max_completion_tokens=50,
                temperature=0.5,
                seed=-3,
                stop=["END"],
                reasoning_effort="medium",
                parallel_tool_calls=False,
                metadata={"a": "b"},
                store=False,
                extra_headers={"x-legion-tier": "local", "x-legion-conversation": "conv_1"},
            )
            request = door.requests[0]
            assert request.system == ("Be brief.",)
            assert [message.role for message in request.messages] == ["user", "assistant", "tool"]
            assert request.messages[0].content == (
                TextBlock(text="What is this?"),
                ImageBlock(media_type="image/png", data=PIXEL),
                ImageBlock(url="https://example.org/a.png"),
            )
            assert request.messages[2].content == (
                ToolResultBlock(call_id="call_a", text="12"),
                ToolResultBlock(call_id="call_b", text="13"),
            )
            assert request.tools[0].parameters == SCHEMA
            assert request.tool_choice == "weather"
            assert request.params.json_schema == SCHEMA
            assert request.params.max_tokens == 50
            assert request.params.seed == -3
            assert request.params.stop == ("END",)
            assert request.params.thinking_budget_tokens == 8192
            assert request.conversation_id == "conv_1"
            assert request.client.startswith("AsyncOpenAI/Python")

    check(main)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InvalidInput("`x`: wrong."), openai.BadRequestError),
        (ContextTooLong("Too long."), openai.BadRequestError),
        (Denied("No."), openai.PermissionDeniedError),
        (NotFound("No model."), openai.NotFoundError),
        (RateLimited("Slow down."), openai.RateLimitError),
        (Overloaded("Busy."), openai.InternalServerError),
        (TimedOut("Late."), openai.InternalServerError),
    ],
)
def test_openai_raises_its_typed_exception(error: LegionError, kind: type[openai.APIStatusError]) -> None:
    async def main() -> None:
        async with openai_door() as (door, client):
            door.error = error
            with pytest.raises(kind) as caught:
                await client.chat.completions.create(model="auto", messages=USER)
            assert error.message in caught.value.message
            assert caught.value.code

    check(main)


def test_openai_raises_when_a_stream_fails_after_its_first_byte() -> None:
    async def main() -> None:
        async with openai_door() as (door, client):
            for events, late in (
                (
                    (
                        opened(),
                        TextDelta(text="half"),
                        closed("error", error="It broke.", code="stream_broken"),
                    ),
                    None,
                ),
                ((opened(), TextDelta(text="half")), StreamBroken("It broke.")),
            ):
                door.events, door.late_error = events, late
                stream = await client.chat.completions.create(model="auto", messages=USER, stream=True)
                got: list[Any] = []
                with pytest.raises(openai.APIError, match=r"It broke\."):
                    await read_into(got, stream)
                await stream.close()
                assert "".join(chunk.choices[0].delta.content or "" for chunk in got) == "half"

    check(main)


def test_a_malformed_request_names_its_field_to_openai() -> None:
    async def main() -> None:
        async with openai_door() as (_, client):
            with pytest.raises(openai.BadRequestError) as caught:
                await client.chat.completions.create(model="auto", messages=USER, n=3)
            assert caught.value.param == "n"

    check(main)


def test_anthropic_reads_a_whole_answer() -> None:
    async def main() -> None:
        async with anthropic_door() as (door, client):
            call = ToolUseBlock(id="toolu_a", name="weather", arguments='{"city":"Köln"}')
            door.whole = Whole(closed("tool_use"), text="I look.", thinking="hm", tool_calls=(call,))
            answer = await client.messages.create(model="auto", max_tokens=64, messages=USER)
            assert [block.type for block in answer.content] == ["thinking", "text", "tool_use"]
            tool: Any = answer.content[2]
            assert tool.input == {"city": "Köln"}
            assert answer.stop_reason == "tool_use"
            assert (answer.usage.input_tokens, answer.usage.output_tokens) == (11, 5)
            assert answer.usage.cache_read_input_tokens == 3

    check(main)


def test_anthropic_reads_a_stream_with_thinking_and_parallel_tool_calls() -> None:
    async def main() -> None:
        async with anthropic_door() as (door, client):
            door.events = ANSWER
            async with client.messages.stream(model="m1", max_tokens=64, messages=USER) as stream:
                final = await stream.get_final_message()
            blocks: list[Any] = list(final.content)
            assert [block.type for block in blocks] == ["thinking", "text", "tool_use", "tool_use"]
            assert blocks[0].thinking == "2+2"
            assert blocks[1].text == "Grüße 😀"
            assert (blocks[2].id, blocks[2].name, blocks[2].input) == ("call_a", "weather", {"city": "Köln"})
            assert (blocks[3].id, blocks[3].name, blocks[3].input) == ("call_b", "now", {})
            assert final.stop_reason == "tool_use"
            assert (final.usage.input_tokens, final.usage.output_tokens) == (11, 5)
            # The thinking goes back to the instance it came from.
            follow: Any = [
                *USER,
                {"role": "assistant", "content": final.content},
                {"role": "user", "content": "go on"},
            ]
            await client.messages.create(model="auto", max_tokens=64, messages=follow)
            assert door.requests[1].messages[1].content[0] == ThinkingBlock(
                text="2+2", signature="sig-9", origin="box-a"
            )

    check(main)


def test_anthropic_sends_everything_we_translate() -> None:
    async def main() -> None:
        async with anthropic_door() as (door, client):
            source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
            messages: Any = [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "Look."}, {"type": "image", "source": source}],
                },
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "hm", "signature": "foreign"},
                        {"type": "text", "text": "I look."},
                        {"type": "tool_use", "id": "toolu_a", "name": "weather", "input": {"city": "Köln"}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "toolu_a",
                            "is_error": True,
                            "content": [{"type": "text", "text": "no"}, {"type": "image", "source": source}],
                        },
                        {"type": "text", "text": "And now?", "cache_control": {"type": "ephemeral"}},
                    ],
                },
            ]
            await client.messages.create(
                model="auto",
                max_tokens=4096,
                system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
                messages=messages,
                tools=[
                    {"name": "weather", "input_schema": SCHEMA},
                    {"type": "web_search_20250305", "name": "web_search"},
                ],
                tool_choice={"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
                thinking={"type": "enabled", "budget_tokens": 2048},
                stop_sequences=["END"],
                output_config={"format": {"type": "json_schema", "schema": SCHEMA}},
                metadata={"user_id": "u"},
                extra_body={"temperature": 0.5, "top_k": 7},
            )
            request = door.requests[0]
            assert request.system == ("Be brief.",)
            assert [message.role for message in request.messages] == ["user", "assistant", "tool", "user"]
            assert request.messages[1].content[0] == ThinkingBlock(text="hm", signature="foreign", origin="")
            use: Any = request.messages[1].content[2]
            assert json.loads(use.arguments) == {"city": "Köln"}
            assert request.messages[2].content == (
                ToolResultBlock(call_id="toolu_a", text="no", is_error=True),
            )
            assert request.messages[3].content == (
                ImageBlock(media_type="image/png", data=PIXEL),
                TextBlock(text="And now?"),
            )
            assert [tool.name for tool in request.tools] == ["weather"]
            assert request.tool_choice == "weather"
            params = request.params
            assert (params.thinking_budget_tokens, params.temperature, params.top_k) == (2048, 0.5, 7)
            assert params.stop == ("END",)
            assert params.json_schema == SCHEMA

    check(main)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InvalidInput("`x`: wrong."), anthropic.BadRequestError),
        (Denied("No."), anthropic.PermissionDeniedError),
        (NotFound("No model."), anthropic.NotFoundError),
        (RateLimited("Slow down."), anthropic.RateLimitError),
        (Overloaded("Busy."), anthropic.InternalServerError),
        (TimedOut("Late."), anthropic.InternalServerError),
    ],
)
def test_anthropic_raises_its_typed_exception(
    error: LegionError, kind: type[anthropic.APIStatusError]
) -> None:
    async def main() -> None:
        async with anthropic_door() as (door, client):
            door.error = error
            with pytest.raises(kind) as caught:
                await client.messages.create(model="auto", max_tokens=64, messages=USER)
            assert error.message in str(caught.value)

    check(main)


def test_anthropic_raises_when_a_stream_fails_after_its_first_byte() -> None:
    async def main() -> None:
        async with anthropic_door() as (door, client):
            door.events = (
                opened(),
                TextDelta(text="half"),
                closed("error", error="It broke.", code="overloaded"),
            )
            async with client.messages.stream(model="auto", max_tokens=64, messages=USER) as stream:
                got: list[Any] = []
                with pytest.raises(anthropic.APIStatusError, match=r"It broke\."):
                    await read_into(got, stream.text_stream)
                assert got == ["half"]

    check(main)


def upstream_agrees(wire: WireName, ask: Callable[[str], Any]) -> None:
    """Our fake upstream says what the library can read: the fakes are honest."""

    async def main() -> None:
        async with Upstream(wire) as upstream:
            upstream.will(
                Answer(("Hello ", "😀"), calls=(Call("call_a", "weather", '{"city": "Köln"}'),), split=3)
            )
            text, name, arguments, tokens = await ask(upstream.base_url)
            assert text == "Hello 😀"
            assert name == "weather"
            assert arguments == {"city": "Köln"}
            assert tokens == upstream.billed_tokens == 5
            upstream.will(NoAnswer())

    aio.run(main())


def test_the_fake_openai_upstream_is_read_by_openai() -> None:
    async def ask(url: str) -> tuple[str, str, Any, int]:
        async with openai.AsyncOpenAI(base_url=url, api_key="k", max_retries=0) as client:
            stream = client.chat.completions.stream(
                model="m1", messages=USER, stream_options={"include_usage": True}
            )
            async with stream as events:
                final = await events.get_final_completion()
        call: Any = (final.choices[0].message.tool_calls or [])[0]
        assert final.usage
        arguments = json.loads(call.function.arguments)
        return (
            final.choices[0].message.content or "",
            call.function.name,
            arguments,
            final.usage.completion_tokens,
        )

    upstream_agrees("openai", ask)


def test_the_fake_anthropic_upstream_is_read_by_anthropic() -> None:
    async def ask(url: str) -> tuple[str, str, Any, int]:
        async with (
            anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=0) as client,
            client.messages.stream(model="m1", max_tokens=9, messages=USER) as stream,
        ):
            final = await stream.get_final_message()
        text, call = final.content
        assert text.type == "text"
        assert call.type == "tool_use"
        return text.text, call.name, call.input, final.usage.output_tokens

    upstream_agrees("anthropic", ask)


def test_the_fake_ollama_upstream_is_read_by_ollama() -> None:
    async def ask(url: str) -> tuple[str, str, Any, int]:
        client = ollama.AsyncClient(host=url)
        text, call, tokens = "", None, 0
        async for part in await client.chat(model="m1", messages=USER, stream=True):
            text += part.message.content or ""
            call = part.message.tool_calls[0] if part.message.tool_calls else call
            tokens = part.eval_count or tokens
        listed = await client.list()
        shown = await client.show("m1")
        assert [model.model for model in listed.models] == ["m1"]
        assert shown.capabilities == ["completion", "tools"]
        await client._client.aclose()
        assert call is not None
        return text, call.function.name, call.function.arguments, tokens

    upstream_agrees("ollama", ask)
