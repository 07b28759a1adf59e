"""Servers that know no streams: asked for one, they give the answer as one JSON object, and that is read too."""

import asyncio
import json
from typing import Any

import pytest

from legion_core.gateway.providers.openai import OpenAICompatible
from legion_core.gateway.types import (
    Chunk,
    Finished,
    Message,
    Request,
    TextBlock,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
)
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import Malformed, ProviderError
from tests.support.aio import run

REQUEST = Request(id="r1", messages=(Message(role="user", content=(TextBlock(text="Hi"),)),), stream=True)


def whole(message: dict[str, Any], finish: str = "stop", **fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    return {"id": "c1", "object": "chat.completion", "choices": [choice], "usage": usage, **fields}


def asked(body: bytes) -> list[Chunk]:
    tasks: list[asyncio.Task[None] | None] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        writer.write(head + body)
        await writer.drain()
        await reader.read()
        writer.close()

    async def scenario() -> list[Chunk]:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        provider = OpenAICompatible("box", f"http://127.0.0.1:{port}/v1", SystemClock())
        try:
            async with provider.stream(REQUEST, "m") as chunks:
                return [chunk async for chunk in chunks]
        finally:
            await provider.aclose()
            server.close()
            await server.wait_closed()
            await asyncio.gather(*(task for task in tasks if task is not None))

    return run(scenario())


@pytest.mark.parametrize("indent", [None, 2], ids=["on one line", "on many"])
def test_an_answer_in_one_piece_is_read_as_its_words_and_its_end(indent: int | None) -> None:
    told = whole({"content": "Hello there.", "reasoning_content": "A greeting."})

    thinking, text, finished = asked(json.dumps(told, indent=indent).encode())

    assert (thinking, text) == (ThinkingDelta(text="A greeting."), TextDelta(text="Hello there."))
    assert isinstance(finished, Finished)
    assert (finished.stop_reason, finished.usage.input_tokens, finished.usage.output_tokens) == (
        "end_turn",
        7,
        3,
    )


def test_its_tool_calls_are_calls() -> None:
    calls = [
        {
            "id": f"c{number}",
            "type": "function",
            "function": {"name": "look", "arguments": f'{{"at":{number}}}'},
        }
        for number in (1, 2)
    ]

    first, second, finished = asked(
        json.dumps(whole({"content": None, "tool_calls": calls}, "tool_calls")).encode()
    )

    assert first == ToolCallDelta(index=0, id="c1", name="look", arguments='{"at":1}')
    assert second == ToolCallDelta(index=1, id="c2", name="look", arguments='{"at":2}')
    assert isinstance(finished, Finished)
    assert finished.stop_reason == "tool_use"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"error":{"message":"overloaded"}}', ProviderError),
        (b'{"choices":[]}', Malformed),
        (b'{"choices":[{"message":7}]}', Malformed),
        (b'{"choices":[{"message":{}}]}', Malformed),
        (json.dumps(whole({"content": "Hello"})).encode()[:-9], Malformed),
        (b"<html>Sign in</html>", Malformed),
    ],
    ids=["an error", "no choice", "no message", "nothing said", "cut", "a page"],
)
def test_what_is_no_whole_answer_is_an_error_as_ever(body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        asked(body)
