"""The registry of tools: names any client takes, who may call what, and what is told of a call."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from legion_core.api.mcp_calls import CALLS_KEPT, Approvals, CallList, shown
from legion_core.api.mcp_grants import EVERYBODY, Grants
from legion_core.api.mcp_service import McpService
from legion_core.api.mcp_tools import Catalogue, Reporter, Tool, ToolResult, standing, tool_name, worst
from legion_core.api.mcp_types import (
    ApprovalAsked,
    ApprovalSettled,
    Grant,
    McpCallChanged,
    McpToolsChanged,
    Risk,
    ToolRow,
)
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import Corrupt, Denied, InvalidInput, NotFound
from legion_core.kernel.events import EventBus
from legion_core.kernel.ids import Ids, system_rng
from legion_core.kernel.ports import LOCAL_OWNER, OWNER, OwnerOnly, Principal
from tests.support.aio import run

CLOCK = SystemClock()


def row(name: str, risk: Risk = "read", source: Any = "extension") -> ToolRow:
    return ToolRow(
        name=name,
        title=name,
        description="",
        source=source,
        target=name,
        risk=risk,
        arguments={"type": "object"},
    )


async def answer(who: Principal, args: Any, reporter: Reporter) -> ToolResult:
    return ToolResult(f"{who.name} {dict(args)}")


class Deaf:
    """A reporter nobody listens to."""

    async def progress(self, done: float, total: float | None, message: str) -> None: ...

    async def log(self, level: str, text: str) -> None: ...

    def began(self, *, task: str = "", run: str = "") -> None: ...


class Made:
    """A service over tools a test writes down."""

    def __init__(self, path: Path, *tools: Tool) -> None:
        self.bus = EventBus(CLOCK)
        ids = Ids(CLOCK, system_rng())
        self.tools = list(tools)

        async def offer() -> list[Tool]:
            return self.tools

        self.approvals = Approvals(CLOCK, ids, self.bus)
        self.service = McpService(
            CLOCK, self.bus, Catalogue(CLOCK, (offer,)), CallList(CLOCK, ids, self.bus), self.approvals,
            Grants(path / "clients.json"), OwnerOnly().authorise, lambda: ("hunter2",),
        )  # fmt: skip

    async def call(self, name: str, who: Principal = OWNER, **args: Any) -> ToolResult:
        return await self.service.call(who, "Zed 1", name, args, Deaf())


def test_names_are_what_the_strictest_client_takes_and_no_two_are_the_same() -> None:
    names = [
        tool_name("http.request.get"),
        tool_name("chain", "a b"),
        tool_name("chain", "a_b"),
        tool_name("chain", "x" * 90),
    ]
    assert names[0] == "http-request-get"
    assert len(set(names)) == 4
    assert tool_name("chain", "a b") != tool_name("chain", "a-b")
    assert all(
        len(name) <= 64 and set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-") for name in names
    )


@pytest.mark.parametrize(
    ("risk", "source", "allow", "deny", "expected"),
    [
        ("read", "extension", (), (), "allowed"),
        ("read", "extension", (), ("t",), "hidden"),
        ("read", "server", (), (), "hidden"),
        ("write", "extension", (), (), "hidden"),
        ("write", "extension", ("t*",), (), "allowed"),
        ("write", "extension", ("t",), ("*",), "hidden"),
        ("danger", "extension", (), (), "hidden"),
        ("danger", "extension", ("*",), (), "asks"),
        ("write", "server", ("t",), (), "allowed"),
    ],
)
def test_a_client_may_read_and_what_the_user_allowed_and_danger_always_asks(
    risk: Risk, source: str, allow: tuple[str, ...], deny: tuple[str, ...], expected: str
) -> None:
    assert standing(row("t", risk, source), Grant(client="c", allow=allow, deny=deny)) == expected


def test_the_risk_of_a_chain_is_its_worst_node() -> None:
    assert worst(()) == "read"
    assert worst(("read", "write")) == "write"
    assert worst(("danger", "read")) == "danger"


def test_grants_outlive_the_process_and_hold_for_one_client_or_all(tmp_path: Path) -> None:
    async def work() -> None:
        grants = Grants(tmp_path / "clients.json")
        await grants.set(Grant(client="a", allow=("x",)))
        await grants.set(Grant(client=EVERYBODY, allow=("y",), deny=("z",)))
        again = Grants(tmp_path / "clients.json")
        assert (await again.of("a")).allow == ("x", "y")
        assert (await again.of("b")) == Grant(client="b", allow=("y",), deny=("z",))
        await again.set(Grant(client="a"))
        assert [grant.client for grant in await again.all()] == [EVERYBODY]

    run(work())


def test_a_file_of_grants_that_cannot_be_read_allows_nothing(tmp_path: Path) -> None:
    (tmp_path / "clients.json").write_text('{"grants": [{"client": "a", "allow": "*"}]}', encoding="utf-8")

    async def work() -> None:
        with pytest.raises(Corrupt):
            await Grants(tmp_path / "clients.json").of("a")

    run(work())


def test_a_call_is_told_with_secrets_masked(tmp_path: Path) -> None:
    async def work() -> None:
        made = Made(tmp_path, Tool(row("t"), answer))
        with made.bus.subscribe(McpCallChanged) as told:
            assert (await made.call("t", password="p", text="hunter2 here")).text.startswith("owner")
            events = told.take_nowait()
        assert [event.call.outcome for event in events if isinstance(event, McpCallChanged)] == [
            "running",
            "ok",
        ]
        (call,) = made.service.calls.latest(10)
        assert (call.client, call.tool, call.outcome) == ("owner", "t", "ok")
        assert call.duration_s is not None
        assert "hunter2" not in call.arguments
        assert '"p"' not in call.arguments

    run(work())


def test_arguments_that_nest_without_end_are_shown_as_far_as_they_go() -> None:
    nested: Any = "deep"
    for _ in range(500):
        nested = {"a": nested}
    assert "…" in shown({"a": nested}, lambda: ())


def test_a_tool_that_is_not_there_is_an_error_and_one_that_is_hidden_a_refusal(tmp_path: Path) -> None:
    async def work() -> None:
        made = Made(tmp_path, Tool(row("w", "write"), answer))
        with pytest.raises(NotFound):
            await made.call("nothing")
        refused = await made.call("w")
        assert refused.is_error
        assert "legion mcp allow w" in refused.text
        assert made.service.calls.latest(1)[0].outcome == "denied"
        assert await made.service.tools("owner") == ()
        await made.service.grants.set(Grant(client="owner", allow=("w",)))
        assert not (await made.call("w")).is_error
        stranger = await made.call("w", Principal(name="owner"))
        assert stranger.is_error

    run(work())


def test_danger_is_refused_at_once_where_no_window_is_open(tmp_path: Path) -> None:
    async def work() -> None:
        made = Made(tmp_path, Tool(row("d", "danger"), answer))
        await made.service.grants.set(Grant(client="owner", allow=("d",)))
        assert "not open" in (await made.call("d")).text

    run(work())


@pytest.mark.parametrize("is_allowed", [True, False])
def test_danger_waits_for_the_window_and_only_the_window_answers(tmp_path: Path, is_allowed: bool) -> None:
    async def work() -> None:
        made = Made(tmp_path, Tool(row("d", "danger"), answer))
        await made.service.grants.set(Grant(client="owner", allow=("d",)))
        made.approvals.desks = 1
        with made.bus.subscribe(ApprovalAsked, ApprovalSettled) as told:
            calling = asyncio.create_task(made.call("d", command="ls"))
            (asked,) = await told.take()
            assert isinstance(asked, ApprovalAsked)
            assert asked.approval.arguments == '{"command":"ls"}'
            assert made.service.calls.latest(1)[0].outcome == "waiting"
            with pytest.raises(Denied):
                made.approvals.decide(asked.approval.id, True, OWNER)
            made.approvals.decide(asked.approval.id, is_allowed, LOCAL_OWNER)
            assert (await calling).is_error is not is_allowed
            (settled,) = await told.take()
            assert isinstance(settled, ApprovalSettled)
            assert settled.decision == ("allowed" if is_allowed else "refused")
        assert made.approvals.waiting() == ()
        with pytest.raises(NotFound):
            made.approvals.decide(asked.approval.id, True, LOCAL_OWNER)

    run(work())


def test_a_paused_server_refuses_every_call(tmp_path: Path) -> None:
    async def work() -> None:
        made = Made(tmp_path, Tool(row("t"), answer))
        made.service.is_paused = True
        assert (await made.call("t")).is_error

    run(work())


def test_one_client_cannot_take_every_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("legion_core.api.mcp_service.RUNNING_PER_CLIENT_MAX", 4)

    async def work() -> None:
        go = asyncio.Event()

        async def wait(who: Principal, args: Any, reporter: Reporter) -> ToolResult:
            await go.wait()
            return ToolResult("done")

        made = Made(tmp_path, Tool(row("t"), wait))
        running = [asyncio.create_task(made.call("t")) for _ in range(4)]
        while made.service.calls.count("running") < 4:
            await asyncio.sleep(0)
        assert "at a time" in (await made.call("t")).text
        go.set()
        assert not any([(await each).is_error for each in running])
        assert not (await made.call("t")).is_error

    run(work())


def test_a_cancelled_call_is_told_as_cancelled_and_leaves_its_place(tmp_path: Path) -> None:
    async def work() -> None:
        async def wait(who: Principal, args: Any, reporter: Reporter) -> ToolResult:
            await asyncio.Event().wait()
            raise AssertionError

        made = Made(tmp_path, Tool(row("t"), wait))
        calling = asyncio.create_task(made.call("t"))
        while not made.service.calls.count("running"):
            await asyncio.sleep(0)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        assert made.service.calls.latest(1)[0].outcome == "cancelled"
        assert made.service.calls.count("running") == 0

    run(work())


def test_a_new_tool_is_told_to_whoever_watches(tmp_path: Path) -> None:
    async def work() -> None:
        made = Made(tmp_path, Tool(row("a"), answer))
        await made.service.catalogue.all()
        with made.bus.subscribe(McpToolsChanged) as told:
            made.tools.append(Tool(row("b"), answer))
            assert list(await made.service.catalogue.all(fresh_s=0.0)) == ["a", "b"]
            assert len(told.take_nowait()) == 1
            await made.service.catalogue.all(fresh_s=0.0)
            assert told.take_nowait() == []

    run(work())


def test_the_call_list_forgets_the_oldest() -> None:
    async def work() -> None:
        calls = CallList(CLOCK, Ids(CLOCK, system_rng()), EventBus(CLOCK))
        first = calls.begin("c", "", row("t"), "{}")
        for _ in range(CALLS_KEPT):
            calls.begin("c", "", row("t"), "{}")
        assert len(calls.latest(10_000)) == CALLS_KEPT
        calls.change(first.id, outcome="ok")  # it has ended, though nobody remembers it

    run(work())


def test_a_client_is_named_by_its_token_and_what_it_says_of_itself_is_cleaned(tmp_path: Path) -> None:
    made = Made(tmp_path)
    made.service.heard("owner", "Zed\x1b[31m 1\n" + "x" * 500, "2025-11-25", "http", sessions=1)
    (client,) = made.service.clients()
    assert (client.name, client.sessions) == ("owner", 1)
    assert "\x1b" not in client.software
    assert len(client.software) <= 80


def test_an_empty_client_cannot_be_granted_anything(tmp_path: Path) -> None:
    async def work() -> None:
        with pytest.raises(InvalidInput):
            await Grants(tmp_path / "c.json").set(Grant(client="", allow=("*",)))

    run(work())
