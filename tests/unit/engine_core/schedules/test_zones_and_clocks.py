"""What the system's zone, its zone database and the clocks of other machines do to a schedule: nothing that doubles or loses."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from legion_core.engine import cron, schedule_plan
from legion_core.testing.clock import SimClock
from legion_core.testing.schedules import UnderTest, open_scheduler
from tests.support.aio import run
from tests.unit.engine_core.runners import Box

START = datetime(2026, 1, 1, tzinfo=UTC)


async def started(here: UnderTest, name: str) -> list[datetime]:
    return [row.at for row in await here.rows(name) if row.status == "started"]


@pytest.fixture
def system_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Sets `TZ` for the test; the process has its own zone again afterwards."""
    yield monkeypatch
    monkeypatch.undo()
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the system's zone cannot be changed from here")
@pytest.mark.parametrize("changed_to", ["Asia/Tokyo", "", ":no/such/zone", None])
def test_a_system_whose_own_zone_changes_while_it_runs_moves_no_schedule(
    tmp_path: Path, system_zone: pytest.MonkeyPatch, changed_to: str | None
) -> None:
    async def work() -> None:
        box, clock = Box(), SimClock(start_utc=START)
        async with open_scheduler(tmp_path, {"box.it": box}, clock) as here:
            await here.add("named", "box.it.echo", cron="0 9 * * *", zone="Europe/Berlin", overlap="allow")
            await here.add("unnamed", "box.it.echo", cron="0 9 * * *", overlap="allow")
            clock.advance(86_400)
            await here.turn()
            if changed_to is None:
                system_zone.delenv("TZ", raising=False)
            else:
                system_zone.setenv("TZ", changed_to)
            time.tzset()
            clock.advance(86_400)
            await here.turn()
            assert await started(here, "named") == [START + timedelta(days=n, hours=8) for n in range(2)]
            assert await started(here, "unnamed") == [START + timedelta(days=n, hours=9) for n in range(2)]

    system_zone.setenv("TZ", "America/New_York")
    time.tzset()
    run(work())


def test_new_rules_for_a_zone_hold_after_the_moment_that_was_promised_and_repeat_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A country changes its offset: the database of zones is replaced while the workbench is down."""

    def rules(**changed: str) -> None:
        monkeypatch.setattr(
            cron, "ZoneInfo", lambda name: ZoneInfo(changed.get(name.replace("/", "_"), name))
        )
        cron.zone.cache_clear()
        schedule_plan._next_fire.cache_clear()

    async def one_day(clock: SimClock) -> list[datetime]:
        async with open_scheduler(tmp_path, {"box.it": Box()}, clock) as here:
            if not await here.scheduler.all():
                await here.add("x", "box.it.echo", cron="0 */6 * * *", zone="Asia/Tokyo", overlap="allow")
            for _ in range(24):
                clock.advance(3600)
                await here.turn()
            timing = schedule_plan.checked_timing("0 */6 * * *", "Asia/Tokyo", 0.0, 0)
            coming = next(schedule_plan.moments(timing, schedule_plan.at_ms(clock.utc_now())))
            assert here.alarm.utc_ms == coming, "what is shown is not what is waited for"
            return await started(here, "x")

    clock = SimClock(start_utc=START)
    try:
        rules()
        before = run(one_day(clock))
        rules(Asia_Tokyo="Asia/Kolkata")  # from nine hours ahead of UTC to five and a half
        both = run(one_day(clock))
    finally:
        monkeypatch.undo()
        cron.zone.cache_clear()
        schedule_plan._next_fire.cache_clear()
    assert [f"{moment:%H:%M}" for moment in before] == ["03:00", "09:00", "15:00", "21:00"]
    assert both[:4] == before
    assert [f"{moment:%d %H:%M}" for moment in both[4:]] == ["02 03:00", "02 06:30", "02 12:30", "02 18:30"]


@pytest.mark.requirement("engine.interval-lock")
@pytest.mark.parametrize("ahead_s", [300, -300])
def test_clocks_five_minutes_apart_decide_each_moment_once_and_lose_none(
    tmp_path: Path, ahead_s: float
) -> None:
    async def work() -> None:
        box, right = Box(), SimClock(start_utc=START)
        wrong = SimClock(start_utc=START + timedelta(seconds=ahead_s))
        async with AsyncExitStack() as stack:
            nodes = [
                await stack.enter_async_context(open_scheduler(tmp_path, {"box.it": box}, clock))
                for clock in (right, wrong)
            ]
            await nodes[0].add("tick", "box.it.echo", every_s=60, overlap="allow", missed="all")
            for _ in range(30):
                right.advance(60)
                wrong.advance(60)
                await asyncio.gather(*(node.turn() for node in nodes))
            rows = await nodes[0].rows("tick")
            moments = [row.at for row in rows]
            assert moments == [START + timedelta(minutes=n) for n in range(1, len(moments) + 1)]
            # As far as the clock that is ahead says.
            assert len(moments) == (35 if ahead_s > 0 else 30)
            ended = [(await nodes[0].engine.wait(row.task)).status for row in rows if row.task]
            assert ended == ["succeeded"] * sum(row.status == "started" for row in rows)
            assert len(box.calls) == len(ended)

    run(work())


@pytest.mark.requirement("engine.interval-lock")
def test_one_that_is_gone_after_it_looked_holds_no_moment_from_the_others(tmp_path: Path) -> None:
    """Nothing is locked between looking and writing, so there is no lease to wait for."""

    async def work() -> None:
        box, clock = Box(), SimClock(start_utc=START)
        async with open_scheduler(tmp_path, {"box.it": box}, clock) as other:
            await other.add("tick", "box.it.echo", every_s=60, overlap="allow")
            async with open_scheduler(tmp_path, {"box.it": box}, clock) as dying:
                clock.advance(60)
                due = await dying.scheduler.get("tick")
                await dying.scheduler._decisions([due], int(clock.utc_now().timestamp() * 1000))
            await other.turn()
            (row,) = await other.rows("tick")
            assert (row.status, row.at, row.fencing) == ("started", START + timedelta(minutes=1), 1)
            assert (await other.engine.wait(row.task)).status == "succeeded"

    run(work())
