"""Bills written behind the answers: nobody sees a gap, a broken disk loses none, and a start finds what was left."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from legion_core.gateway import bills
from legion_core.gateway.bills import HELD_MAX, Bill, Bills
from legion_core.gateway.ledger import MIGRATIONS
from legion_core.gateway.ledger_writing import write_bills
from legion_core.gateway.types import Attempt, Usage
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.storage.failures import StorageFailed
from legion_core.storage.slates import Slates
from legion_core.storage.sqlite import Database, rows
from legion_core.testing.faults import Plan, armed, disk_error, failing
from legion_core.testing.gateway import ask, open_gateway
from legion_core.testing.scripted import ScriptedProvider, say
from tests.support.aio import run
from tests.support.logs import AllowLog

AT = SystemClock().utc_now()


@pytest.fixture(autouse=True)
def _never_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written is written because somebody asked, not because time passed."""
    monkeypatch.setattr(bills, "BEHIND_S", 3600.0)
    monkeypatch.setattr(bills, "RETRY_S", 3600.0)


def bill(number: int, *, tokens: int = 2, outcome: str = "succeeded") -> Bill:
    attempt = Attempt(
        number=1, tier="cloud", instance="a", model="m", outcome=outcome,
        usage=Usage(input_tokens=7, output_tokens=tokens), cost_usd=0.5, started_at=AT,
    )  # fmt: skip
    return Bill(
        request=f"req_{number}", at=AT, outcome=outcome, duration_s=1.0, attempts=(attempt,)
    )  # fmt: skip


@asynccontextmanager
async def opened(path: Path) -> AsyncGenerator[Database]:
    database = await Database.open(path, migrations=MIGRATIONS, durability="process", clock=SystemClock())
    try:
        yield database
    finally:
        await database.close()


async def names(database: Database) -> list[str]:
    found = await database.read(lambda connection: rows(connection, "SELECT id FROM requests ORDER BY id"))
    return [str(name) for (name,) in found]


def every(site: str) -> Plan:
    return Plan(lambda name, _: name == site, disk_error)


def test_a_bill_waits_for_nobody_and_whoever_reads_finds_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "j.db") as database:
            under_test = Bills(database, write_bills)
            for number in range(3):
                await under_test.put(bill(number))
            assert under_test.held == 3
            assert await names(database) == ["req_0", "req_1", "req_2"]
            assert under_test.held == 0
            await under_test.aclose()

    run(scenario())


def test_a_work_that_is_written_later_comes_behind_the_bills(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "j.db") as database:
            under_test = Bills(database, write_bills)
            await under_test.put(bill(1))
            seen = await database.write(lambda connection: rows(connection, "SELECT id FROM requests"))
            assert seen == [("req_1",)]
            await under_test.aclose()

    run(scenario())


def test_whoever_else_holds_bills_for_the_same_journal_is_asked_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "j.db") as database:
            one, other = Bills(database, write_bills), Bills(database, write_bills)
            await one.put(bill(1))
            await other.put(bill(2))
            assert await names(database) == ["req_1", "req_2"]
            await one.aclose()
            await other.aclose()

    run(scenario())


def test_sums_of_a_batch_are_those_of_its_bills_one_by_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "one.db") as one, opened(tmp_path / "many.db") as many:
            told = [bill(1), bill(2, tokens=5), bill(2, tokens=9), bill(3, outcome="timed_out")]
            for each in told:
                await one.write(lambda connection, each=each: write_bills(connection, [each]))
            await many.write(lambda connection: write_bills(connection, told))
            await many.write(lambda connection: write_bills(connection, told))  # and no bill counts twice
            for table in ("requests", "attempts", "totals"):
                sql = f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4, 5, 6"
                assert await one.read(lambda connection, sql=sql: rows(connection, sql)) == (
                    await many.read(lambda connection, sql=sql: rows(connection, sql))
                )

    run(scenario())


def test_time_alone_writes_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bills, "BEHIND_S", 0.0)

    async def scenario() -> None:
        async with opened(tmp_path / "j.db") as database:
            under_test = Bills(database, write_bills)
            await under_test.put(bill(1))
            while under_test.held:
                await asyncio.sleep(0)
            await under_test.aclose()

    run(scenario())


def test_with_too_many_held_an_answer_waits_for_the_journal(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "j.db") as database:
            under_test = Bills(database, write_bills)
            for number in range(HELD_MAX):
                await under_test.put(bill(number))
            assert under_test.held == 0
            await under_test.aclose()

    run(scenario())


def test_closing_the_journal_writes_them_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "j.db") as database:
            under_test = Bills(database, write_bills)
            await under_test.put(bill(1))
        await under_test.aclose()
        assert [each.name for each in tmp_path.iterdir()] == ["j.db"]
        async with opened(tmp_path / "j.db") as database:
            assert await names(database) == ["req_1"]

    run(scenario())


def test_where_the_disk_takes_no_line_an_answer_waits_for_the_journal(
    tmp_path: Path, allow_log: AllowLog
) -> None:
    allow_log("a bill waits for the journal")

    async def scenario() -> None:
        async with opened(tmp_path / "j.db") as database:
            under_test = Bills(database, write_bills)
            with armed(failing("ledger.keep")):
                await under_test.put(bill(1))
                assert under_test.held == 0
                await under_test.put(bill(2))
                assert under_test.held == 1
            await under_test.aclose()

    run(scenario())


def test_a_disk_that_fails_for_a_while_loses_no_bill_and_says_so_meanwhile(
    tmp_path: Path, allow_log: AllowLog
) -> None:
    allow_log("bills are held in memory")

    async def scenario() -> None:
        async with opened(tmp_path / "j.db") as database:
            under_test = Bills(database, write_bills)
            with armed(every("ledger.write")):
                await under_test.put(bill(1))  # nobody knows yet
                assert await names(database) == []  # what can be read is read
                with pytest.raises(StorageFailed):
                    await under_test.put(bill(2))
                await under_test.admit()  # there is room for more
            await under_test.put(bill(3))
            assert await names(database) == ["req_1", "req_2", "req_3"]
            await under_test.aclose()

    run(scenario())


def test_nothing_is_begun_that_could_not_be_billed(
    tmp_path: Path, allow_log: AllowLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow_log("bills are held in memory")
    monkeypatch.setattr(bills, "HELD_MAX", 2)

    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            local = under_test.put(ScriptedProvider("local", *[say("a", "b")] * 4))

            async def ask_for(number: int) -> str:
                answer = await under_test.gateway.answer(ask(request_id=f"req_{number}"), LOCAL_OWNER)
                return answer.text

            with armed(every("ledger.write")):
                assert await ask_for(1) == "ab"
                for number in (2, 3):
                    with pytest.raises(StorageFailed):
                        await ask_for(number)
                assert len(local.calls) == 2  # the third was not sent
            assert await ask_for(4) == "ab"
            told = {row.request: row.usage.output_tokens for row in await under_test.gateway.ledger.rows()}
            assert told == {"req_1": 2, "req_2": 2, "req_4": 2}

    run(scenario())


def test_a_bill_no_journal_takes_keeps_no_other_out(tmp_path: Path, allow_log: AllowLog) -> None:
    allow_log("a bill cannot be written")

    def picky(connection: object, told: object) -> None:
        assert isinstance(told, list | tuple)
        if any(each.request == "req_2" for each in told):
            raise ValueError("no such thing")
        write_bills(connection, told)  # type: ignore[arg-type]

    async def scenario() -> None:
        async with opened(tmp_path / "j.db") as database:
            under_test = Bills(database, picky)
            for number in (1, 2, 3):
                await under_test.put(bill(number))
            await under_test.written()
            assert await names(database) == ["req_1", "req_3"]
            await under_test.aclose()

    run(scenario())


def test_what_could_not_be_written_before_the_end_is_written_by_the_next_start(
    tmp_path: Path, allow_log: AllowLog
) -> None:
    allow_log("bills are held in memory|bills wait for the next start")

    async def scenario() -> None:
        with armed(every("ledger.write")):
            async with opened(tmp_path / "j.db") as database:
                under_test = Bills(database, write_bills)
                await under_test.put(bill(1))
                await under_test.aclose()
        async with opened(tmp_path / "j.db") as database:
            following = Bills(database, write_bills)
            assert await names(database) == []
            await following.recover()
            assert await names(database) == ["req_1"]
            await following.aclose()
        assert [each.name for each in tmp_path.iterdir()] == ["j.db"]

    run(scenario())


def test_a_line_nobody_can_read_keeps_no_other_out(tmp_path: Path, allow_log: AllowLog) -> None:
    allow_log("cannot be read")

    async def scenario() -> None:
        slates = Slates(tmp_path / "j.db", "bills")
        slates.keep(b"{]")
        slates.keep(
            b'{"request":"req_1","at":"2026-01-01T00:00:00.000Z","outcome":"succeeded","duration_s":1.0}'
        )
        slates.close()
        async with opened(tmp_path / "j.db") as database:
            under_test = Bills(database, write_bills)
            await under_test.recover()
            assert await names(database) == ["req_1"]

    run(scenario())
