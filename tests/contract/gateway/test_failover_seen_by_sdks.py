"""Answers that broke off and went on elsewhere, as the protocols' official libraries understand them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import ollama
import pytest
from anthropic import AsyncAnthropic
from google import genai
from google.genai import types
from openai import AsyncOpenAI

from legion_core.testing.fault_grid import CONTENTS, Cell, ContentName, Grid, open_grid
from legion_core.testing.grid_clients import TOOL
from legion_core.testing.upstreams import events_of
from tests.support import aio

Said = tuple[str, list[tuple[str, Any]]]
FUNCTION = {"name": "write", "parameters": TOOL}
HELLO: Any = [{"role": "user", "content": "Tell me."}]


async def openai_chat(url: str, token: str, model: str) -> Said:
    async with (
        AsyncOpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0) as client,
        client.chat.completions.stream(
            model=model, messages=HELLO, tools=[{"type": "function", "function": FUNCTION}]
        ) as stream,
    ):
        message = (await stream.get_final_completion()).choices[0].message
    calls = [(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or ()]
    return message.content or "", calls


async def openai_responses(url: str, token: str, model: str) -> Said:
    async with (
        AsyncOpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0) as client,
        client.responses.stream(
            model=model,
            input="Tell me.",
            tools=[{"type": "function", "strict": False, **FUNCTION}],
            store=False,
        ) as stream,
    ):
        answer = await stream.get_final_response()
    calls = [
        (item.name, json.loads(item.arguments)) for item in answer.output if item.type == "function_call"
    ]
    return answer.output_text, calls


async def anthropic(url: str, token: str, model: str) -> Said:
    async with (
        AsyncAnthropic(base_url=url, api_key=token, max_retries=0) as client,
        client.messages.stream(
            model=model, max_tokens=999, messages=HELLO, tools=[{"name": "write", "input_schema": TOOL}]
        ) as stream,
    ):
        message = await stream.get_final_message()
    text = "".join(block.text for block in message.content if block.type == "text")
    return text, [(block.name, block.input) for block in message.content if block.type == "tool_use"]


async def ollama_chat(url: str, token: str, model: str) -> Said:
    client = ollama.AsyncClient(host=url, headers={"Authorization": f"Bearer {token}"})
    text, calls = "", list[tuple[str, Any]]()
    tool = ollama.Tool(type="function", function=ollama.Tool.Function(**FUNCTION))  # type: ignore[arg-type]
    async for part in await client.chat(model=model, messages=HELLO, tools=[tool], stream=True):
        text += part.message.content or ""
        calls += [
            (call.function.name, dict(call.function.arguments)) for call in part.message.tool_calls or ()
        ]
    await client._client.aclose()
    return text, calls


async def gemini(url: str, token: str, model: str) -> Said:
    # Its asynchronous half leaves generators to the collector.
    return await asyncio.to_thread(_gemini, url, token, model)


def _gemini(url: str, token: str, model: str) -> Said:
    tool = types.Tool(
        function_declarations=[types.FunctionDeclaration(name="write", parameters_json_schema=TOOL)]
    )
    config = types.GenerateContentConfig(tools=[tool])
    text, calls = "", list[tuple[str, Any]]()
    with genai.Client(api_key=token, http_options=types.HttpOptions(base_url=url)) as client:
        for part in client.models.generate_content_stream(model=model, contents="Tell me.", config=config):
            for each in part.parts or ():
                text += each.text or ""
                if each.function_call:
                    calls.append((each.function_call.name or "", each.function_call.args))
    return text, calls


CLIENTS: dict[str, Callable[[str, str, str], Awaitable[Said]]] = {
    "openai chat": openai_chat,
    "openai responses": openai_responses,
    "anthropic": anthropic,
    "ollama": ollama_chat,
    "gemini": gemini,
}


@pytest.mark.slow
@pytest.mark.parametrize("library", CLIENTS)
def test_the_official_library_reads_an_answer_that_moved_as_if_it_had_not(
    legion_home: Path, library: str
) -> None:
    async def scenario() -> None:
        async with open_grid(legion_home) as grid:
            token = (legion_home / "token").read_text(encoding="utf-8").strip()
            for kind, content in (("anthropic", "two tools"), ("openai", "text"), ("bedrock", "tool")):
                await _through(grid, token, kind, content)  # type: ignore[arg-type]

    async def _through(grid: Grid, token: str, kind: str, content: ContentName) -> None:
        answer, _ = CONTENTS[content]
        calls = [(call.name, json.loads(call.arguments)) for call in answer.calls]
        last = len(events_of(grid.wire(kind), answer)) - 1
        for cut in (0, last // 3, last // 2, last):
            model = grid.prepare(Cell(kind, content, "rst", cut, "chat"))
            said = await CLIENTS[library](grid.url, token, model)
            assert said == ("".join(answer.pieces), calls), (kind, cut)

    aio.run(scenario(), bound_s=400)
