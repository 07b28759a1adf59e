"""What was done to others' MCP servers (reliability.md, real attacks) and fails here."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.mcp.conftest import Served, lay_extension, served
from tests.e2e.mcp.test_server import ACCEPT, HELLO, frame_of, opened
from tests.support.aio import run

pytestmark = [pytest.mark.slow, pytest.mark.allow_log("^mcp")]
MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


def port_of(node: Served) -> str:
    return node.url.split(":")[2].split("/")[0]


@pytest.mark.requirement("mcp.rebinding")
def test_a_page_that_reaches_loopback_gets_nothing_with_or_without_a_token(legion_home: Path) -> None:
    async def work() -> None:
        async with served(legion_home) as node, node.http() as http:
            port = port_of(node)
            for headers in (
                {"Host": f"evil.example:{port}"},
                {"Host": f"127.0.0.1.evil.example:{port}"},
                {"Host": "127.0.0.1:1"},
                {"Origin": "http://evil.example"},
                {"Origin": "null"},
                {"Origin": "http://localhost.evil"},
                {"Origin": "http://127.0.0.1:1"},
                {"Sec-Fetch-Site": "cross-site"},
            ):
                for token in ({}, {"Authorization": ""}):
                    answer = await http.post(node.url, json=HELLO, headers={**ACCEPT, **headers, **token})
                    assert answer.status_code in (403, 421), headers
                    assert "mcp-session-id" not in answer.headers
            for content in ("text/plain", "application/x-www-form-urlencoded"):
                answer = await http.post(
                    node.url, content=json.dumps(HELLO), headers={**ACCEPT, "Content-Type": content}
                )
                assert answer.status_code == 415
            preflight = await http.request("OPTIONS", node.url, headers={"Origin": "http://evil.example"})
            assert preflight.status_code in (403, 405)
            assert not [name for name in preflight.headers if name.startswith("access-control")]
            assert node.legion.mcp.clients() == ()

    run(work(), 400)


def test_no_token_a_wrong_one_or_two_open_no_session(legion_home: Path) -> None:
    async def work() -> None:
        async with served(legion_home) as node, node.http() as http:
            for headers, status in (
                ({"Authorization": ""}, 401),
                ({"Authorization": "Bearer wrong"}, 401),
                ({"x-api-key": "another"}, 400),
            ):
                answer = await http.post(node.url, json=HELLO, headers={**ACCEPT, **headers})
                assert answer.status_code == status
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}
            modern = {
                **ACCEPT,
                "MCP-Protocol-Version": MODERN,
                "Mcp-Method": "tools/list",
                "Authorization": "",
            }
            assert (await http.post(node.url, json=body, headers=modern)).status_code == 401

    run(work(), 400)


@pytest.mark.requirement("mcp.session-bound")
def test_a_session_stolen_by_another_token_does_not_exist_for_it(legion_home: Path) -> None:
    async def work() -> None:
        async with served(legion_home) as node, node.http() as http:
            session = await opened(http, node.url)
            headers = {**ACCEPT, "Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"}
            body = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
            assert "tools" in frame_of((await http.post(node.url, json=body, headers=headers)).text)["result"]
            thief = {**headers, "Authorization": ""}
            for method in ("POST", "GET", "DELETE"):
                content = {"json": body} if method == "POST" else {}
                assert (await http.request(method, node.url, headers=thief, **content)).status_code == 401
            made = await node.legion.tokens.create("other-editor", ("mcp",))
            other = {**headers, "Authorization": f"Bearer {made.secret}"}
            assert (await http.post(node.url, json=HELLO, headers={**ACCEPT, **other})).status_code == 404
            for method in ("POST", "GET", "DELETE"):
                content = {"json": body} if method == "POST" else {}
                answer = await http.request(method, node.url, headers=other, **content)
                assert answer.status_code == 404, (method, answer.text)
            assert "tools" in frame_of((await http.post(node.url, json=body, headers=headers)).text)["result"]
            guessed = {**headers, "Mcp-Session-Id": "0" * 32}
            assert (await http.post(node.url, json=body, headers=guessed)).status_code == 404
            assert (await http.delete(node.url, headers=headers)).status_code == 200
            assert (await http.post(node.url, json=body, headers=headers)).status_code == 404

    run(work(), 400)


def test_what_is_not_a_message_or_too_large_is_refused_and_the_next_one_answered(legion_home: Path) -> None:
    async def work() -> None:
        async with served(legion_home) as node, node.http() as http:
            session = await opened(http, node.url)
            headers = {**ACCEPT, "Mcp-Session-Id": session, "Content-Type": "application/json"}
            huge = json.dumps({**HELLO, "params": {"x": "y" * (5 << 20)}})
            nested = (
                '{"jsonrpc":"2.0","id":1,"method":"ping","params":' + '{"a":' * 20_000 + "1" + "}" * 20_001
            )
            batch = json.dumps([HELLO] * 50)
            for body, status in (
                (huge, 413),
                (nested, 400),
                (batch, 400),
                ("{", 400),
                ('"x"', 400),
                ("[]", 400),
            ):
                answer = await http.post(node.url, content=body, headers=headers)
                assert answer.status_code == status, (status, answer.text[:200])
                modern = {**headers, "MCP-Protocol-Version": MODERN, "Mcp-Method": "ping"}
                assert (await http.post(node.url, content=body, headers=modern)).status_code in (400, 413)
            ping = {"jsonrpc": "2.0", "id": 3, "method": "ping"}
            assert frame_of((await http.post(node.url, json=ping, headers=headers)).text)["result"] == {}

    run(work(), 400)


def test_a_flood_of_unknown_methods_is_answered_and_leaves_nothing_behind(legion_home: Path) -> None:
    async def work() -> None:
        async with served(legion_home) as node, node.http() as http:
            session = await opened(http, node.url)
            headers = {**ACCEPT, "Mcp-Session-Id": session}
            before = set(node.node.supervisor.census)

            async def flood(number: int) -> None:
                for method in ("no/such", "tools/../call", "__class__", "", "a" * 5_000):
                    body = {"jsonrpc": "2.0", "id": number, "method": method, "params": {"name": "x"}}
                    answer = await http.post(node.url, json=body, headers=headers)
                    if answer.status_code == 200:
                        assert frame_of(answer.text)["error"]["code"] in (-32601, -32602)
                    else:
                        assert 400 <= answer.status_code < 500

            await asyncio.gather(*(flood(number) for number in range(20)))
            left = {name for name in node.node.supervisor.census if name.startswith("mcp.call")}
            assert left <= before
            assert node.legion.mcp.calls() == ()

    run(work(), 400)


def test_sessions_are_bounded(legion_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("legion_core.surfaces.mcp.http.SESSIONS_MAX", 5)

    async def work() -> None:
        async with served(legion_home) as node, node.http() as http:
            sessions = [await opened(http, node.url) for _ in range(5)]
            assert (await http.post(node.url, json=HELLO, headers=ACCEPT)).status_code == 503
            await http.delete(node.url, headers={**ACCEPT, "Mcp-Session-Id": sessions[0]})
            assert await opened(http, node.url)

    run(work(), 400)


@pytest.mark.requirement("mcp.headers-match")
def test_headers_that_name_another_method_or_tool_than_the_body_are_refused(legion_home: Path) -> None:
    lay_extension(legion_home)

    async def work() -> None:
        async with served(legion_home) as node, node.http() as http:
            params = {"name": "testing-mcp-echo", "arguments": {"text": "x"}, "_meta": META}
            body: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            right = {
                "MCP-Protocol-Version": MODERN,
                "Mcp-Method": "tools/call",
                "Mcp-Name": "testing-mcp-echo",
            }
            good = await http.post(node.url, json=body, headers={**ACCEPT, **right})
            assert good.status_code == 200
            for wrong in (
                {"Mcp-Method": "tools/list"},
                {"Mcp-Name": "workbench-status"},
                {"Mcp-Method": "TOOLS/CALL"},
            ):
                answer = await http.post(node.url, json=body, headers={**ACCEPT, **right, **wrong})
                assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32020)
            twice = [*ACCEPT.items(), *right.items(), ("Mcp-Name", "workbench-status")]
            answer = await http.post(node.url, json=body, headers=twice)
            assert answer.status_code == 400
            unknown = {**ACCEPT, **right, "MCP-Protocol-Version": "2099-01-01"}
            answer = await http.post(node.url, json=body, headers=unknown)
            assert (answer.status_code, answer.json()["error"]["code"]) in ((400, -32022), (400, -32020))

    run(work(), 400)


def test_nobody_can_have_a_program_started_or_approve_it_by_way_of_a_tool(legion_home: Path) -> None:
    async def work() -> None:
        async with served(legion_home) as node, node.client() as client:
            await node.legion.mcp.allow("owner", ("*",))
            names = {tool.name for tool in (await client.list_tools()).tools}
            assert not [name for name in names if "server" in name or "approve" in name or "grant" in name]
            assert (await client.call_tool("shell-command-run", {"argv": ["id"]})).is_error
            assert node.legion.tasks.running == ()
            planted = legion_home / "extensions" / "x"
            planted.mkdir(parents=True)
            (planted / ".mcp.json").write_text('{"mcpServers": {"x": {"command": "id"}}}', encoding="utf-8")
            assert await node.legion.mcp.servers.list() == ()

    run(work(), 400)


def test_a_node_that_stops_ends_open_streams_at_once(legion_home: Path) -> None:
    async def work() -> None:
        async with served(legion_home) as node, node.http() as http:
            session = await opened(http, node.url)
            headers = {"Accept": "text/event-stream", "Mcp-Session-Id": session}
            request = http.build_request("GET", node.url, headers=headers)
            answer = await http.send(request, stream=True)
            assert answer.status_code == 200
            await node.node.stop_serving()
            with pytest.raises(Exception):  # noqa: B017, PT011
                async for _ in answer.aiter_bytes():
                    pass
            await answer.aclose()

    run(work(), 400)
