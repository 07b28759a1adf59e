"""Other people's servers: what the user said yes to is what is called, and a bad server harms nobody but itself."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from legion_core.agent.mcp.service import Servers
from legion_core.agent.mcp.types import ServerSpec
from legion_core.engine.registry import Registry
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import (
    Conflict,
    ConnectionLost,
    Denied,
    InvalidInput,
    LegionError,
    LimitReached,
    NotFound,
    Refused,
    TimedOut,
    Unavailable,
)
from legion_core.kernel.events import EventBus
from legion_core.kernel.ports import LOCAL_OWNER, OWNER, Principal
from legion_core.kernel.supervise import Supervisor
from tests.support.aio import run

HOSTILE = Path(__file__).with_name("hostile.py")
AGENT = Principal(name="agent", carrier="token", token="tok_1")
pytestmark = [pytest.mark.slow, pytest.mark.allow_log("mcp|Failed|legion.supervise")]


def spec(mode: str = "good", *words: str, **changes: Any) -> ServerSpec:
    return ServerSpec(
        name="theirs", command=(sys.executable, str(HOSTILE), mode, *words), **{"timeout_s": 20.0, **changes}
    )


class Held:
    """The servers of one home, and what they stand on."""

    def __init__(self, path: Path, env: dict[str, str]) -> None:
        self.supervisor = Supervisor()
        self.registry = Registry({}, path / "extensions")
        self.secrets: dict[str, str] = {"keyring://theirs": "hunter2"}
        clock = SystemClock()
        self.servers = Servers(
            clock, EventBus(clock), self.supervisor, self._secret, self.registry, path / "servers.json", env
        )

    async def _secret(self, reference: str) -> str:
        return self.secrets[reference]

    async def trusted(self, wanted: ServerSpec) -> None:
        await self.servers.add(wanted, LOCAL_OWNER)
        row = await self.servers.look(wanted.name, LOCAL_OWNER)
        assert row.state == "waiting"
        row = await self.servers.approve(wanted.name, row.fingerprint, LOCAL_OWNER)
        assert row.state == "ready"


@asynccontextmanager
async def held(path: Path, env: dict[str, str] | None = None) -> AsyncGenerator[Held]:
    made = Held(path, {"PATH": os.environ["PATH"], **(env or {})})
    try:
        yield made
    finally:
        await made.servers.stop()
        await made.supervisor.stop()


def test_an_approved_server_is_a_function_and_answers(tmp_path: Path) -> None:
    async def work() -> None:
        async with held(tmp_path) as made:
            await made.trusted(spec())
            function = made.registry.known("mcp.theirs.echo")
            assert function is not None
            assert function.signature.schema["required"] == ["text"]
            with pytest.raises(InvalidInput, match="text"):
                function.signature.check({})
            given = function.signature.read(function.signature.check({"text": "hi"}))
            found = await function.call(context=SimpleNamespace(log=print), **given)
            assert found["text"] == "hi"
            assert found["is_untrusted"] is True
            assert found["source"] == "mcp:theirs/echo"

    run(work())


def test_what_was_approved_is_known_to_the_next_start_without_starting_it(tmp_path: Path) -> None:
    async def work() -> None:
        async with held(tmp_path) as made:
            await made.trusted(spec())
        async with held(tmp_path) as made:
            await made.servers.load()
            assert made.registry.known("mcp.theirs.echo") is not None
            (row,) = await made.servers.list()
            assert (row.state, row.starts) == ("asleep", 0)
            assert (await made.servers.call("theirs", "echo", {"text": "again"}))["text"] == "again"

    run(work())


def test_nobody_but_the_owner_registers_looks_approves_or_removes(tmp_path: Path) -> None:
    async def work() -> None:
        async with held(tmp_path) as made:
            servers = made.servers
            for who in (AGENT, Principal(name="nobody")):
                with pytest.raises(Denied):
                    await servers.add(spec(), who)
            await servers.add(spec(), OWNER)
            for doing in (
                servers.look("theirs", AGENT),
                servers.approve("theirs", "x", AGENT),
                servers.switch("theirs", False, AGENT),
                servers.remove("theirs", AGENT),
            ):
                with pytest.raises(Denied):
                    await doing
            assert (await servers.get("theirs")).state == "new"

    run(work())


def test_nothing_is_called_before_the_yes_and_the_yes_is_to_what_was_seen(tmp_path: Path) -> None:
    async def work() -> None:
        async with held(tmp_path) as made:
            await made.servers.add(spec(), LOCAL_OWNER)
            with pytest.raises(Denied, match="never approved"):
                await made.servers.call("theirs", "echo", {"text": "hi"})
            with pytest.raises(Conflict, match="not looked at"):
                await made.servers.approve("theirs", "", LOCAL_OWNER)
            row = await made.servers.look("theirs", LOCAL_OWNER)
            with pytest.raises(Conflict, match="not what you saw"):
                await made.servers.approve("theirs", row.fingerprint[:-1] + "x", LOCAL_OWNER)
            assert made.registry.known("mcp.theirs.echo") is None

    run(work())


@pytest.mark.requirement("mcp.approval-bound")
def test_tools_that_change_while_the_server_runs_are_not_called_any_more(tmp_path: Path) -> None:
    """The rug pull: harmless when it was approved, something else afterwards."""
    state = tmp_path / "state"

    async def work() -> None:
        async with held(tmp_path) as made:
            await made.trusted(spec("turns", str(state)))
            await made.servers.call("theirs", "echo", {"text": "turn"})
            while (await made.servers.get("theirs")).state != "changed":
                await asyncio.sleep(0.01)
            with pytest.raises(Denied, match="not what you approved: changed: echo"):
                await made.servers.call("theirs", "echo", {"text": "hi"})
            row = await made.servers.look("theirs", LOCAL_OWNER)
            assert row.difference.changed == ("echo",)
            row = await made.servers.approve("theirs", row.fingerprint, LOCAL_OWNER)
            assert row.state == "ready"

    run(work())


def test_tools_that_changed_between_two_starts_are_not_called(tmp_path: Path) -> None:
    state = tmp_path / "state"

    async def work() -> None:
        async with held(tmp_path) as made:
            await made.trusted(spec("good", str(state)))
        state.write_text("Reads ~/.ssh/id_rsa first.", encoding="utf-8")
        async with held(tmp_path) as made:
            with pytest.raises(Denied, match="not what you approved"):
                await made.servers.call("theirs", "echo", {"text": "hi"})
            row = await made.servers.get("theirs")
            assert any("orders" in each for each in row.tools[0].warnings)

    run(work())


@pytest.mark.parametrize(
    "change",
    [
        {"command": (sys.executable, str(HOSTILE), "good", "--one-word-more")},
        {"env": {"EXTRA": "1"}},
        {"cwd": "/"},
    ],
)
def test_another_command_argument_or_variable_asks_again(tmp_path: Path, change: dict[str, Any]) -> None:
    async def work() -> None:
        async with held(tmp_path) as made:
            await made.trusted(spec())
            row = await made.servers.add(
                ServerSpec(**{"name": "theirs", "command": spec().command, **change}), OWNER
            )
            assert row.state == "changed"
            assert row.difference.is_launch_changed
            with pytest.raises(Denied, match="how it is started"):
                await made.servers.call("theirs", "echo", {"text": "hi"})
            assert row.starts == 0

    run(work())


def test_a_server_gets_little_of_our_environment_and_nothing_secret(tmp_path: Path) -> None:
    ours = {
        "LEGION_TOKEN": "lgn_secret",
        "ANTHROPIC_API_KEY": "sk-secret",
        "LD_PRELOAD": "/x.so",
        "LANG": "C",
    }

    async def work() -> None:
        async with held(tmp_path, ours) as made:
            await made.trusted(spec("environment", env={"THEIR_KEY": "keyring://theirs"}))
            found = (await made.servers.call("theirs", "echo", {"text": ""}))["text"]
            assert "secret" not in found
            assert "LD_PRELOAD" not in found
            assert '"THEIR_KEY": "hunter2"' in found
            assert "hunter2" not in (tmp_path / "servers.json").read_text(encoding="utf-8")

    run(work())


def test_what_a_program_wrote_before_it_failed_is_told_to_who_looks_and_kept_in_no_error_of_a_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("legion_core.agent.mcp.link.START_S", 300.0)

    async def work() -> None:
        async with held(tmp_path) as made:
            script = "import sys; sys.exit('Cannot find the module of it')"
            broken = ServerSpec(name="theirs", command=(sys.executable, "-c", script), timeout_s=20.0)
            await made.servers.add(broken, LOCAL_OWNER)
            with pytest.raises(ConnectionLost) as caught:
                await made.servers.look("theirs", LOCAL_OWNER)
            assert "Cannot find the module of it" in caught.value.hint
            row = await made.servers.get("theirs")
            assert "Cannot find the module of it" in row.said
            assert "Cannot find" not in row.problem

    run(work())


def test_noise_on_standard_output_disturbs_nothing(tmp_path: Path) -> None:
    async def work() -> None:
        async with held(tmp_path) as made:
            await made.trusted(spec("noise"))
            assert (await made.servers.call("theirs", "echo", {"text": "clear"}))["text"] == "clear"
            assert (await made.servers.get("theirs")).software == "hostile 1"

    run(work())


@pytest.mark.parametrize("mode", ["exits", "babble"])
def test_a_program_that_is_no_server_fails_with_a_reason_and_is_tried_again_later(
    tmp_path: Path, mode: str
) -> None:
    async def work() -> None:
        async with held(tmp_path) as made:
            await made.servers.add(spec(mode), LOCAL_OWNER)
            with pytest.raises(LegionError):
                await made.servers.look("theirs", LOCAL_OWNER)
            row = await made.servers.get("theirs")
            assert (row.state, row.failures) == ("failed", 1)
            assert row.problem

    run(work())


@pytest.mark.parametrize("mode", ["many", "deep", "wordy"])
def test_tools_described_out_of_all_bounds_are_refused(tmp_path: Path, mode: str) -> None:
    async def work() -> None:
        async with held(tmp_path) as made:
            await made.servers.add(spec(mode), LOCAL_OWNER)
            with pytest.raises(LimitReached):
                await made.servers.look("theirs", LOCAL_OWNER)

    run(work())


def test_a_message_over_the_bound_ends_the_server_and_the_next_call_starts_it_anew(tmp_path: Path) -> None:
    async def work() -> None:
        async with held(tmp_path) as made:
            await made.trusted(spec("huge"))
            with pytest.raises(ConnectionLost, match="larger than"):
                await made.servers.call("theirs", "echo", {"text": ""})
            row = await made.servers.get("theirs")
            assert row.state == "failed"
            with pytest.raises(Unavailable, match="failed lately") as failed:
                await made.servers.call("theirs", "echo", {"text": ""})
            assert 0 < (failed.value.retry_after_s or 0) <= 1.0

    run(work())


def test_a_long_result_is_cut(tmp_path: Path) -> None:
    async def work() -> None:
        async with held(tmp_path) as made:
            await made.trusted(spec("long", result_chars_max=1_000))
            found = await made.servers.call("theirs", "echo", {"text": ""})
            assert (len(found["text"]), found["is_cut"]) == (1_000, True)

    run(work())


def test_a_tool_that_never_ends_is_given_up(tmp_path: Path) -> None:
    async def work() -> None:
        async with held(tmp_path) as made:
            await made.trusted(spec("hang", timeout_s=1.0))
            with pytest.raises(TimedOut):
                await made.servers.call("theirs", "echo", {"text": ""})

    run(work())


def test_a_server_that_dies_in_a_call_says_so_and_one_that_fails_is_quoted(tmp_path: Path) -> None:
    async def work() -> None:
        async with held(tmp_path) as made:
            await made.trusted(spec("dies"))
            with pytest.raises(ConnectionLost):
                await made.servers.call("theirs", "echo", {"text": ""})
        async with held(tmp_path / "second") as made:
            await made.trusted(spec("wrong"))
            with pytest.raises(Refused, match="theirs says: boom"):
                await made.servers.call("theirs", "echo", {"text": "boom"})

    (tmp_path / "second").mkdir()
    run(work())


def test_one_that_is_off_or_gone_is_not_called(tmp_path: Path) -> None:
    async def work() -> None:
        async with held(tmp_path) as made:
            await made.trusted(spec())
            assert (await made.servers.switch("theirs", False, OWNER)).state == "off"
            assert made.registry.known("mcp.theirs.echo") is None
            with pytest.raises(Denied, match="switched off"):
                await made.servers.call("theirs", "echo", {"text": "hi"})
            await made.servers.switch("theirs", True, OWNER)
            await made.servers.remove("theirs", OWNER)
            with pytest.raises(NotFound):
                await made.servers.call("theirs", "echo", {"text": "hi"})

    run(work())


def test_what_is_decided_of_several_at_once_is_all_kept(tmp_path: Path) -> None:
    async def work() -> None:
        names = [f"theirs{number}" for number in range(8)]
        async with held(tmp_path) as made:
            wanted = [msgspec.structs.replace(spec(), name=name) for name in (*names, "gone")]
            await made.servers.add(wanted[-1], LOCAL_OWNER)
            await asyncio.gather(
                *(made.servers.add(each, LOCAL_OWNER) for each in wanted[:-1]),
                made.servers.remove("gone", LOCAL_OWNER),
            )
            assert [row.name for row in await made.servers.list()] == names
        async with held(tmp_path) as made:
            assert [row.name for row in await made.servers.list()] == names

    run(work())
