"""A server at an address that was started anew: its tools go on, and nothing is done twice."""

from pathlib import Path
from typing import Any

import pytest

from legion_core.agent.mcp.types import ServerSpec
from legion_core.kernel.errors import ConnectionLost, Refused
from tests.support.aio import run
from tests.unit.agent.mcp.forgetful import Forgetful, forgetful
from tests.unit.agent.mcp.test_servers import Held, held

pytestmark = [pytest.mark.slow, pytest.mark.allow_log("mcp|legion.supervise")]
UNKNOWN = {"code": -32000, "message": "no valid session"}


async def trusted(made: Held, server: Forgetful) -> None:
    await made.trusted(ServerSpec(name="theirs", url=f"{server.url}/mcp", timeout_s=20.0))


@pytest.mark.requirement("mcp.session-forgotten")
@pytest.mark.parametrize(
    ("status", "error"),
    [(404, None), (404, {"id": None, "error": UNKNOWN}), (400, {"error": UNKNOWN})],
)
def test_a_call_to_a_server_that_forgot_its_session_is_made_in_a_new_one(
    tmp_path: Path, status: int, error: dict[str, Any] | None
) -> None:
    async def work() -> None:
        with forgetful(status, error) as server:
            async with held(tmp_path) as made:
                await trusted(made, server)
                assert (await made.servers.call("theirs", "echo", {"text": "one"}))["text"] == "one"
                server.sessions.clear()
                assert (await made.servers.call("theirs", "echo", {"text": "two"}))["text"] == "two"
                assert (server.opened, server.began) == (2, 2)
                assert (await made.servers.get("theirs")).state == "ready"

    run(work())


def test_an_error_that_answers_the_call_itself_ends_no_session_and_is_not_asked_again(tmp_path: Path) -> None:
    async def work() -> None:
        with forgetful(400, {"id": "asked", "error": {"code": -32602, "message": "not like that"}}) as server:
            async with held(tmp_path) as made:
                await trusted(made, server)
                server.refuses_all = True
                with pytest.raises(Refused, match="not like that"):
                    await made.servers.call("theirs", "echo", {"text": "one"})
                server.refuses_all = False
                assert (await made.servers.call("theirs", "echo", {"text": "two"}))["text"] == "two"
                assert server.opened == 1

    run(work())


def test_a_plain_refusal_that_speaks_of_no_session_may_come_after_the_tool_has_run_and_is_not_asked_again(
    tmp_path: Path,
) -> None:
    async def work() -> None:
        with forgetful(400, None) as server:
            async with held(tmp_path) as made:
                await trusted(made, server)
                server.refuses_all, refused = True, server.refused
                with pytest.raises(Refused):
                    await made.servers.call("theirs", "echo", {"text": "one"})
                assert (server.opened, server.refused - refused) == (1, 1)

    run(work())


def test_a_server_that_knows_no_session_at_all_is_asked_twice_and_no_more(tmp_path: Path) -> None:
    async def work() -> None:
        with forgetful(404, None) as server:
            async with held(tmp_path) as made:
                await trusted(made, server)
                server.refuses_all = True
                with pytest.raises(ConnectionLost, match="forgot"):
                    await made.servers.call("theirs", "echo", {"text": "one"})
                assert (server.opened, server.began) == (2, 0)

    run(work())


def test_how_far_a_call_is_is_told_in_lines_that_a_terminal_can_show(tmp_path: Path) -> None:
    async def work() -> None:
        with forgetful(404, None) as server:
            async with held(tmp_path) as made:
                await trusted(made, server)
                heard: list[str] = []
                await made.servers.call("theirs", "echo", {"text": "x"}, heard.append)
                assert heard == ["1 of 2: half", "2"]

    run(work())
