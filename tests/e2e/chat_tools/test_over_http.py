"""A server at an address: real HTTP, its key by reference, no key of ours, and no way round by a redirect."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from legion_core.agent.mcp.types import ServerSpec
from legion_core.api.types import LOCAL_OWNER
from legion_core.kernel.errors import LegionError
from legion_core.testing.upstreams import Call
from tests.e2e.chat_tools.conftest import Desk, desk, once
from tests.e2e.mcp.conftest import Served, lay_extension, served
from tests.support.aio import run

pytestmark = [pytest.mark.slow, pytest.mark.allow_log("mcp|legion")]
KEY = "keyring-value-7d2f9b"


@asynccontextmanager
async def listening(answer: bytes) -> AsyncGenerator[tuple[int, list[bytes]]]:
    """Something that answers every request with these bytes; gives its port and the heads it got."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], heads
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.requirement("chat.tools")
def test_a_tool_of_a_server_at_an_address_is_called_with_its_own_key(
    legion_home: Path, tmp_path: Path
) -> None:
    async def work() -> None:
        lay_extension(tmp_path / "theirs")
        async with served(tmp_path / "theirs") as theirs:
            env = {"THEIRS": f"Bearer {theirs.token}"}
            async with desk(legion_home, env=env) as made:
                await called(made, theirs)

    async def called(made: Desk, theirs: Served) -> None:
        spec = ServerSpec(name="theirs", url=theirs.url, headers={"Authorization": "env://THEIRS"})
        servers = made.legion.mcp.servers
        await servers.add(spec, LOCAL_OWNER)
        row = await servers.look("theirs", LOCAL_OWNER)
        await servers.approve("theirs", row.fingerprint, LOCAL_OWNER)
        assert theirs.token not in (legion_home / "mcp-servers.json").read_text(encoding="utf-8")
        chat = await made.chat("server:theirs")
        name = next(tool.function for tool in row.tools if tool.name == "testing-mcp-echo").replace(".", "-")
        made.will_call(Call("call_0123456789abc", name, '{"text": "over the wire"}'))
        async with made.person(once):
            await made.say(chat)
        (call,) = await made.calls(chat)
        assert (call.state, "over the wire" in call.result) == ("done", True)

    run(work(), 180)


@pytest.mark.requirement("chat.tools-attacks")
@pytest.mark.parametrize("status", [b"302 Found", b"307 Temporary Redirect", b"308 Permanent Redirect"])
def test_a_redirect_is_not_followed_and_takes_no_key_with_it(legion_home: Path, status: bytes) -> None:
    async def work() -> None:
        async with (
            desk(legion_home) as made,
            listening(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as (port, heads),
        ):
            there = (
                b"HTTP/1.1 "
                + status
                + b"\r\nLocation: http://127.0.0.1:%d/mcp\r\nContent-Length: 0\r\n\r\n" % port
            )
            async with listening(there) as (first, seen):
                spec = ServerSpec(
                    name="away", url=f"http://127.0.0.1:{first}/mcp", headers={"X-Key": KEY}, timeout_s=5.0
                )
                await made.legion.mcp.servers.add(spec, LOCAL_OWNER)
                with pytest.raises(LegionError):
                    await made.legion.mcp.servers.look("away", LOCAL_OWNER)
            assert seen
            assert heads == []
            token = (legion_home / "token").read_text(encoding="utf-8").strip().encode()
            assert not any(token in head for head in seen)

    run(work(), 180)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000000\r\n\r\n"
        + b"[" * 5_000_000,
        b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
    ids=["html", "huge", "broken", "nonsense"],
)
def test_what_is_no_server_fails_with_a_reason(legion_home: Path, answer: bytes) -> None:
    async def work() -> None:
        async with desk(legion_home) as made, listening(answer) as (port, _):
            spec = ServerSpec(name="none", url=f"http://127.0.0.1:{port}/mcp", timeout_s=5.0)
            await made.legion.mcp.servers.add(spec, LOCAL_OWNER)
            with pytest.raises(LegionError):
                await made.legion.mcp.servers.look("none", LOCAL_OWNER)
            row = await made.legion.mcp.servers.get("none")
            assert row.state == "failed"
            assert row.problem

    run(work(), 180)
