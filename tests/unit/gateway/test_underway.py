"""Requests under way lie beside the journal while they last, and nothing of them is left once they are billed."""

import asyncio
from pathlib import Path

import pytest

from legion_core.gateway import underway
from legion_core.gateway.types import TextDelta
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.testing.gateway import ask, open_gateway
from legion_core.testing.scripted import ScriptedProvider, Wait, say
from tests.support.aio import run


def beside(path: Path) -> list[str]:
    return sorted(each.name for each in path.iterdir() if "underway" in each.name)


def test_an_answer_is_told_while_it_lasts_and_has_one_bill_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(underway, "EVERY_S", 0.001)

    async def scenario() -> None:
        gate = asyncio.Event()
        async with open_gateway(tmp_path / "j.db") as under_test:
            words = [TextDelta(text="Hello ", tokens=1), Wait(gate), *say("there")]
            under_test.put(ScriptedProvider("box", words))
            task = asyncio.ensure_future(under_test.gateway.answer(ask(), LOCAL_OWNER))
            while not beside(tmp_path):
                await asyncio.sleep(0)
            page = tmp_path / "j.db.underway-0"
            while not (told := underway.latest(page.read_bytes().splitlines())):
                await asyncio.sleep(0)
            assert [(bill.request, bill.outcome) for bill in told] == [("req_1", "interrupted")]
            assert [attempt.usage.output_tokens for attempt in told[0].attempts] == [1]
            gate.set()
            await task
            (row,) = await under_test.gateway.ledger.rows()
            assert (row.outcome, row.usage.output_tokens) == ("succeeded", 1)
        assert beside(tmp_path) == []

    run(scenario())


def test_a_quick_answer_is_never_written_there(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            under_test.put(ScriptedProvider("box", say("Hello")))
            await under_test.gateway.answer(ask(), LOCAL_OWNER)
            assert beside(tmp_path) == []

    run(scenario())


@pytest.mark.allow_log("cannot be read")
def test_what_cannot_be_read_of_it_is_passed_over() -> None:
    assert underway.latest([b"{", b"[1.0,[]]"]) == []
