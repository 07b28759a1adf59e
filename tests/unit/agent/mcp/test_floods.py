"""A server that floods, or hides what it offers, costs us little and is not called as if nothing had happened."""

from pathlib import Path

import pytest

from legion_core.agent.mcp.types import ServerSpec
from legion_core.kernel.errors import ConnectionLost, LegionError, Refused, Unavailable
from legion_core.kernel.ports import LOCAL_OWNER
from tests.support.aio import run
from tests.unit.agent.mcp.test_servers import held, spec

pytestmark = [pytest.mark.slow, pytest.mark.allow_log("mcp|legion.supervise")]


def test_a_storm_of_changes_is_read_once_at_a_time_and_before_the_next_call(tmp_path: Path) -> None:
    async def work() -> None:
        async with held(tmp_path) as made:
            await made.trusted(spec("storm"))
            listed = 1
            while listed == 1:
                listed = int((await made.servers.call("theirs", "echo", {"text": ""}))["text"])
                assert sum(name.startswith("mcp.reread") for name in made.supervisor.census) <= 1
            assert listed < 200
            assert (await made.servers.get("theirs")).state == "ready"

    run(work())


def test_one_that_says_its_tools_changed_and_does_not_list_them_is_not_called(tmp_path: Path) -> None:
    async def work() -> None:
        async with held(tmp_path) as made:
            await made.trusted(spec("hides"))

            async def call_on() -> None:
                while True:  # what it says beside its answer may be heard a moment after it
                    await made.servers.call("theirs", "echo", {"text": ""})

            with pytest.raises((ConnectionLost, Unavailable)):
                await call_on()
            assert (await made.servers.get("theirs")).state == "failed"

    run(work())


def test_one_that_asks_without_listening_is_ended(tmp_path: Path) -> None:
    async def work() -> None:
        async with held(tmp_path) as made:
            await made.trusted(spec("asks"))
            with pytest.raises(ConnectionLost, match="asks more than it takes answers to"):
                await made.servers.call("theirs", "echo", {"text": ""})

    run(work())


@pytest.mark.parametrize(("mode", "words"), [("twins", "same name"), ("unseen", "cannot be shown")])
def test_tools_whose_names_stand_for_two_things_are_refused(tmp_path: Path, mode: str, words: str) -> None:
    async def work() -> None:
        async with held(tmp_path) as made:
            wanted: ServerSpec = spec(mode)
            await made.servers.add(wanted, LOCAL_OWNER)
            with pytest.raises(Refused, match=words):
                await made.servers.look("theirs", LOCAL_OWNER)
            with pytest.raises(LegionError):
                await made.servers.approve("theirs", "0" * 64, LOCAL_OWNER)

    run(work())
