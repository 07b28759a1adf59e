"""Our MCP server as the official client sees it, in both revisions of the protocol."""

import asyncio
import json
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError

from tests.e2e.mcp.conftest import lay_extension, served
from tests.support.aio import run

pytestmark = [pytest.mark.slow, pytest.mark.allow_log("^mcp|no luck today")]
CHAIN = """
name: greet
description: Greets somebody.
nodes:
  say: {task: testing.mcp.echo, args: {text: "Hello, {{ input.name }}."}}
"""


def text_of(result: types.CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, types.TextContent)
    return block.text


@pytest.mark.requirement("mcp.runtime-tools")
def test_functions_chains_and_models_are_tools_with_real_schemas(legion_home: Path, mode: str) -> None:
    lay_extension(legion_home)

    async def work() -> None:
        async with served(legion_home) as node:
            await node.legion.chains.apply(CHAIN)
            await node.legion.mcp.allow("owner", ("testing-*",))
            async with node.client(mode) as client:
                tools = {tool.name: tool for tool in (await client.list_tools()).tools}
                assert client.protocol_version == ("2025-11-25" if mode == "legacy" else "2026-07-28")
                assert {"llm-chat", "chain-greet", "testing-mcp-echo", "workbench-status"} <= set(tools)
                assert list(tools) == sorted(tools)
                echo = tools["testing-mcp-echo"]
                assert echo.description == "Say it back."
                assert echo.input_schema["required"] == ["text"]
                assert echo.input_schema["properties"]["times"] == {
                    "type": "integer", "description": "how often", "default": 1,
                }  # fmt: skip
                change = tools["testing-mcp-change"].input_schema["properties"]
                assert change["colour"]["enum"] == ["green", "red"]
                assert (change["size"]["minimum"], change["size"]["maximum"]) == (1, 9)
                notes = echo.annotations
                assert notes is not None
                assert (notes.read_only_hint, notes.destructive_hint) == (True, False)
                destroy = tools["testing-mcp-destroy"].annotations
                assert destroy is not None
                assert (destroy.read_only_hint, destroy.destructive_hint) == (False, True)
                assert set(tools["chain-greet"].input_schema["properties"]) == {"name"}

                called = await client.call_tool("testing-mcp-echo", {"text": "ab", "times": 2})
                assert called.structured_content == {"text": "abab"}
                assert json.loads(text_of(called)) == {"text": "abab"}
                assert "Hello, Ada." in text_of(await client.call_tool("chain-greet", {"name": "Ada"}))

    run(work(), 400)


def test_what_goes_wrong_is_a_result_and_what_is_not_there_an_error(legion_home: Path, mode: str) -> None:
    lay_extension(legion_home)

    async def work() -> None:
        async with served(legion_home) as node, node.client(mode) as client:
            wrong = await client.call_tool("testing-mcp-echo", {"times": 1})
            assert wrong.is_error
            assert "text" in text_of(wrong)
            failed = await client.call_tool("testing-mcp-fails", {})
            assert failed.is_error
            assert "no luck today" in text_of(failed)
            refused = await client.call_tool("testing-mcp-destroy", {})
            assert refused.is_error
            assert "not allowed" in text_of(refused)
            with pytest.raises(MCPError) as unknown:
                await client.call_tool("testing-mcp-nothing", {})
            assert unknown.value.code == types.INVALID_PARAMS
            outcomes = [call.outcome for call in node.legion.mcp.calls()]
            assert outcomes == ["denied", "error", "error"]

    run(work(), 400)


def test_progress_and_log_lines_reach_the_client_that_asked(legion_home: Path, mode: str) -> None:
    lay_extension(legion_home)

    async def work() -> None:
        heard: list[str] = []
        lines: list[str] = []

        async def progress(done: float, total: float | None, message: str | None) -> None:
            heard.append(message or "")

        async def log(params: types.LoggingMessageNotificationParams) -> None:
            lines.append(f"{params.level}: {params.data}")

        async with (
            served(legion_home) as node,
            node.client(mode, logging_callback=log, log_level="info") as client,
        ):
            called = await client.call_tool("testing-mcp-slow", {"text": "end"}, progress_callback=progress)
            assert text_of(called) == "end"
            while len(lines) < 2 or len(heard) < 2:
                await asyncio.sleep(0.01)
            assert heard == ["one", "two"]
            assert lines == ["warning: one", "warning: two"]

    run(work(), 400)


def test_a_client_that_gives_up_ends_its_task(legion_home: Path, mode: str) -> None:
    lay_extension(legion_home)

    async def work() -> None:
        async with served(legion_home) as node, node.client(mode) as client:
            calling = asyncio.create_task(client.call_tool("testing-mcp-never", {}))
            while not node.legion.tasks.running:
                await asyncio.sleep(0.01)
            (task,) = node.legion.tasks.running
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)
            assert (await node.legion.tasks.wait(task, 90.0)).status == "cancelled"
            while node.legion.mcp.calls()[0].outcome != "cancelled":
                await asyncio.sleep(0.01)

    run(work(), 400)


def test_lists_are_told_to_change_when_an_extension_or_chain_comes(legion_home: Path) -> None:
    async def work() -> None:
        changed = asyncio.Event()

        async def heard(message: Any) -> None:
            if isinstance(message, types.ToolListChangedNotification):
                changed.set()

        async with served(legion_home) as node:
            async with node.client("legacy", message_handler=heard) as client:
                before = {tool.name for tool in (await client.list_tools()).tools}
                await asyncio.to_thread(lay_extension, legion_home)
                await changed.wait()
                assert {tool.name for tool in (await client.list_tools()).tools} - before == {
                    "testing-mcp-echo", "testing-mcp-slow", "testing-mcp-never", "testing-mcp-fails",
                }  # fmt: skip
                changed.clear()
                await node.legion.chains.apply(CHAIN)
                await changed.wait()
            async with node.client("auto") as client, client.listen(tools_list_changed=True) as events:
                await node.legion.mcp.allow("owner", ("testing-*",))
                async for event in events:
                    assert type(event).__name__ == "ToolsListChanged"
                    break

    run(work(), 400)


def test_chains_runs_and_logs_can_be_read_and_their_names_completed(legion_home: Path, mode: str) -> None:
    lay_extension(legion_home)

    async def work() -> None:
        async with served(legion_home) as node:
            await node.legion.chains.apply(CHAIN)
            async with node.client(mode) as client:
                await client.call_tool("chain-greet", {"name": "Ada"})
                listed = [str(each.uri) for each in (await client.list_resources()).resources]
                assert "legion://chains/greet" in listed
                (run_uri,) = [uri for uri in listed if uri.startswith("legion://runs/")]
                templates = (await client.list_resource_templates()).resource_templates
                assert "legion://tasks/{task}/log" in {each.uri_template for each in templates}
                (chain,) = (await client.read_resource("legion://chains/greet")).contents
                assert isinstance(chain, types.TextResourceContents)
                assert chain.text.strip() == CHAIN.strip()
                (told,) = (await client.read_resource(run_uri)).contents
                assert isinstance(told, types.TextResourceContents)
                assert json.loads(told.text)["status"] == "succeeded"
                (status,) = (await client.read_resource("legion://status")).contents
                assert isinstance(status, types.TextResourceContents)
                at_a_glance = status.text + text_of(await client.call_tool("workbench-status", {}))
                assert str(legion_home / "token") not in at_a_glance  # where it lies is the owner's matter
                assert json.loads(status.text)["mode"] == "lite"
                with pytest.raises(MCPError):
                    await client.read_resource("legion://chains/nothing")
                with pytest.raises(MCPError):
                    await client.read_resource("file:///etc/passwd")
                completed = await client.complete(
                    types.ResourceTemplateReference(type="ref/resource", uri="legion://chains/{name}"),
                    {"name": "name", "value": "gr"},
                )
                assert completed.completion.values == ["greet"]
                prompts = {each.name for each in (await client.list_prompts()).prompts}
                assert {"explain-run", "write-chain", "mend-chain"} <= prompts
                mend = await client.get_prompt("mend-chain", {"name": "greet"})
                content = mend.messages[0].content
                assert isinstance(content, types.TextContent)
                assert "testing.mcp.echo" in content.text

    run(work(), 400)


def test_each_token_has_its_own_tools_and_no_more_than_its_scopes(legion_home: Path) -> None:
    lay_extension(legion_home)

    async def work() -> None:
        async with served(legion_home) as node:
            tokens, mcp = node.legion.tokens, node.legion.mcp
            node.token = (await tokens.create("editor", ("mcp",))).secret
            await mcp.allow("editor", ("testing-mcp-change",))
            async with node.client() as client:
                names = {tool.name for tool in (await client.list_tools()).tools}
                assert "testing-mcp-change" in names
                assert "testing-mcp-destroy" not in names
                changed = await client.call_tool("testing-mcp-change", {"colour": "red", "size": 3})
                assert not changed.is_error, text_of(changed)
                assert {call.client for call in mcp.calls()} == {"editor"}
            await tokens.revoke("editor")
            with pytest.raises(Exception):  # noqa: B017, PT011
                async with node.client() as client:
                    await client.list_tools()
            node.token = (await tokens.create("reader", ("gateway/chat:use",))).secret
            with pytest.raises(Exception):  # noqa: B017, PT011
                async with node.client() as client:
                    await client.list_tools()

    run(work(), 400)


@pytest.mark.requirement("mcp.cross-talk")
def test_a_hundred_clients_with_the_same_ids_hear_only_their_own_answers(legion_home: Path) -> None:
    lay_extension(legion_home)
    clients, calls = 100, 2

    async def work() -> None:
        async with served(legion_home) as node, node.http() as http:

            async def one(number: int) -> None:
                session, ids = await opened(http, node.url), range(1, calls + 1)
                headers = {**ACCEPT, "Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"}
                for request_id in ids:  # every client counts 1, 2, 3 …
                    said = f"{number}/{request_id}"
                    params = {"name": "testing-mcp-echo", "arguments": {"text": said}}
                    body = {"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params}
                    answer = frame_of((await http.post(node.url, json=body, headers=headers)).text)
                    assert answer["id"] == request_id
                    assert answer["result"]["structuredContent"] == {"text": said}

            await asyncio.gather(*(one(number) for number in range(clients)))

    run(work(), 400)


ACCEPT = {"Accept": "application/json, text/event-stream"}
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    },
}


def frame_of(text: str) -> dict[str, Any]:
    """The last frame of an event stream, or the body itself."""
    lines = [line[5:].strip() for line in text.splitlines() if line.startswith("data:") and line[5:].strip()]
    return json.loads(lines[-1] if lines else text)


async def opened(http: Any, url: str) -> str:
    """A session, shaken hands."""
    answer = await http.post(url, json=HELLO, headers=ACCEPT)
    assert answer.status_code == 200, answer.text
    session = str(answer.headers["mcp-session-id"])
    done = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    await http.post(url, json=done, headers={**ACCEPT, "Mcp-Session-Id": session})
    return session
