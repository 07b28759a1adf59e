"""Each moment of a schedule is decided once, by its policies, whatever the clock and the processes do."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from legion_core.engine.refusal import InvalidDocument
from legion_core.engine.schedule_types import ScheduleSpec
from legion_core.kernel.errors import Conflict, InvalidInput, NotFound
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.testing.clock import SimClock
from legion_core.testing.schedules import UnderTest, open_scheduler
from tests.support.aio import run
from tests.unit.engine_core.runners import Box

START = datetime(2026, 1, 1, tzinfo=UTC)
Test = Callable[[UnderTest, Box, SimClock], Awaitable[None]]


def scenario(tmp_path: Path, test: Test) -> None:
    async def work() -> None:
        box, clock = Box(), SimClock(start_utc=START)
        async with open_scheduler(tmp_path, {"box.it": box}, clock) as here:
            await test(here, box, clock)

    run(work())


async def statuses(here: UnderTest, name: str) -> list[tuple[str, float]]:
    """What became of each moment, with its seconds from the start."""
    return [(row.status, (row.at - START).total_seconds()) for row in await here.rows(name)]


async def ended(here: UnderTest, name: str) -> list[str]:
    """How the tasks of a schedule ended, once they have."""
    return [(await here.engine.wait(row.task)).status for row in await here.rows(name) if row.task]


def test_an_interval_starts_its_task_with_its_arguments_at_each_moment(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box, clock: SimClock) -> None:
        await here.add("hourly", "box.it.echo", every_s=3600, args={"value": "tick"}, overlap="allow")
        for _ in range(3):
            await here.turn()
            assert here.alarm.utc_ms / 1000 > clock.utc_now().timestamp()
            clock.advance(3600)
        await here.turn()

        assert await statuses(here, "hourly") == [("started", 3600), ("started", 7200), ("started", 10800)]
        assert await ended(here, "hourly") == ["succeeded"] * 3
        assert box.calls == ["tick"] * 3

    scenario(tmp_path, test)


@pytest.mark.requirement("engine.cron")
def test_a_cron_expression_fires_in_its_zone_at_the_moments_the_preview_gives(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box, clock: SimClock) -> None:
        from legion_core.engine.schedule_plan import at_ms, checked_timing, moments

        await here.add("morning", "box.it.echo", cron="30 2 * * *", zone="Europe/Berlin", overlap="allow")
        timing = checked_timing("30 2 * * *", "Europe/Berlin", 0.0, 0)
        coming = moments(timing, at_ms(START))
        clock.advance(86 * 86_400)  # the night of the summer clock is the third from here
        await here.turn()
        for _ in range(4):
            clock.advance(86_400)
            await here.turn()

        promised = [next(coming) for _ in range(90)]
        assert {at_ms(row.at) for row in await here.rows("morning") if row.status == "started"} <= set(
            promised
        )
        starts = [row.at for row in await here.rows("morning") if row.status == "started"]
        assert (
            datetime(2026, 3, 29, 1, tzinfo=UTC) in starts
        )  # 02:30 is skipped: the first moment after the gap

    scenario(tmp_path, test)


def test_nothing_is_set_where_nothing_is_scheduled(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box, clock: SimClock) -> None:
        await here.turn()
        assert here.alarm.utc_ms == 0
        await here.add("far", "box.it.echo", every_s=86_400)
        await here.turn()
        assert here.alarm.utc_ms == (START + timedelta(days=1)).timestamp() * 1000
        await here.scheduler.pause(LOCAL_OWNER, "far")
        await here.turn()
        assert here.alarm.utc_ms == 0

    scenario(tmp_path, test)


@pytest.mark.requirement("engine.interval-lock")
def test_two_nodes_on_one_journal_decide_each_moment_once(tmp_path: Path) -> None:
    async def work() -> None:
        box, clock = Box(), SimClock(start_utc=START)
        async with AsyncExitStack() as stack:
            nodes = [
                await stack.enter_async_context(open_scheduler(tmp_path, {"box.it": box}, clock))
                for _ in range(3)
            ]
            await nodes[0].add("tick", "box.it.echo", every_s=60, overlap="allow")
            for _ in range(20):
                clock.advance(60)
                await asyncio.gather(*(node.turn() for node in nodes))
            rows = await nodes[1].rows("tick")
            assert [row.at for row in rows] == [START + timedelta(minutes=n) for n in range(1, 21)]
            assert [row.fencing for row in rows] == list(range(1, 21))
            assert await ended(nodes[2], "tick") == ["succeeded"] * 20
            assert len(box.calls) == 20

    run(work())


def test_a_node_that_was_paused_between_looking_and_writing_writes_nothing(tmp_path: Path) -> None:
    async def work() -> None:
        box, clock = Box(), SimClock(start_utc=START)
        async with (
            open_scheduler(tmp_path, {"box.it": box}, clock) as slow,
            open_scheduler(tmp_path, {"box.it": box}, clock) as quick,
        ):
            await quick.add("tick", "box.it.echo", every_s=60)
            clock.advance(60)
            stale = await slow.scheduler.get("tick")
            await quick.turn()
            await slow.scheduler._decide_all([stale], int(clock.utc_now().timestamp() * 1000))
            assert await statuses(slow, "tick") == [("started", 60)]
            assert await ended(quick, "tick") == ["succeeded"]

    run(work())


@pytest.mark.parametrize(
    ("missed", "expected"),
    [
        ("skip", [("skipped", 9 * 3600, 9)]),
        ("once", [("skipped", 8 * 3600, 8), ("started", 9 * 3600, 1)]),
        ("all", [("skipped", 6 * 3600, 6), *(("started", n * 3600, 1) for n in (7, 8, 9))]),
    ],
)
def test_after_a_night_asleep_the_missed_policy_is_kept(
    tmp_path: Path, missed: str, expected: list[tuple[str, float, int]]
) -> None:
    async def test(here: UnderTest, box: Box, clock: SimClock) -> None:
        await here.add("hourly", "box.it.echo", every_s=3600, missed=missed, missed_max=3, overlap="allow")
        clock.advance(9 * 3600 + 1800)
        await here.turn()
        rows = await here.rows("hourly")
        assert [(row.status, (row.at - START).total_seconds(), row.count) for row in rows] == expected
        assert all(row.reason is not None for row in rows if row.status == "skipped")
        clock.advance(1800)
        await here.turn()
        assert (await here.rows("hourly"))[-1].status == "started"

    scenario(tmp_path, test)


def test_a_second_by_second_schedule_that_missed_a_year_is_decided_in_bounded_work(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box, clock: SimClock) -> None:
        await here.add(
            "dense", "box.it.echo", cron="* * * * * *", missed="all", missed_max=2, overlap="allow"
        )
        await here.add("even", "box.it.echo", every_s=1, missed="all", missed_max=2, overlap="allow")
        clock.advance(365 * 86_400)
        await here.turn()
        last = START + timedelta(days=365)
        for name in ("dense", "even"):
            rows = await here.rows(name)
            assert [row.status for row in rows] == ["skipped", "started", "started"]
            assert [row.at for row in rows[1:]] == [last - timedelta(seconds=1), last]
            assert rows[0].count > 900
        assert (await here.rows("even"))[0].count == 365 * 86_400 - 2

    scenario(tmp_path, test)


def test_a_clock_set_back_fires_nothing_twice_and_an_interval_goes_on(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box, clock: SimClock) -> None:
        await here.add("even", "box.it.echo", every_s=600, overlap="allow")
        await here.add("hour", "box.it.echo", cron="0 * * * *", overlap="allow")
        for _ in range(24):
            clock.advance(600)
            await here.turn()
        before = {name: len(await here.rows(name)) for name in ("even", "hour")}
        clock.step_date(-3 * 3600)
        for _ in range(12):
            clock.advance(600)
            await here.turn()
        # Two hours lived through again: the hours have fired, the interval does not stand still for three hours.
        assert len(await here.rows("hour")) == before["hour"] == 4
        assert len(await here.rows("even")) - before["even"] in (11, 12)
        for _ in range(12):
            clock.advance(600)
            await here.turn()
        assert len(await here.rows("hour")) == 5

    scenario(tmp_path, test)


def test_a_clock_that_was_years_ahead_when_the_schedule_was_made_delays_nothing_for_years(
    tmp_path: Path,
) -> None:
    async def test(here: UnderTest, box: Box, clock: SimClock) -> None:
        clock.step_date(15 * 366 * 86_400)
        await here.add("daily", "box.it.echo", cron="0 6 * * *")
        await here.turn()
        clock.step_date(-15 * 366 * 86_400)
        await here.turn()
        assert here.alarm.utc_ms == (START + timedelta(hours=6)).timestamp() * 1000

    scenario(tmp_path, test)


def test_a_clock_set_forward_by_a_day_gives_one_run_for_each_schedule(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box, clock: SimClock) -> None:
        await here.add("hour", "box.it.echo", cron="0 * * * *")
        await here.turn()
        clock.step_date(25 * 3600)
        await here.turn()
        assert [status for status, _ in await statuses(here, "hour")] == ["skipped", "started"]

    scenario(tmp_path, test)


def test_overlap_skip_leaves_the_moment_out_and_names_the_run_before(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box, clock: SimClock) -> None:
        await here.add("long", "box.it.hold", every_s=60)
        for _ in range(2):
            clock.advance(60)
            await here.turn()
        first, second = await here.rows("long")
        assert (first.status, second.status) == ("started", "skipped")
        assert second.reason is not None
        assert (second.reason.code, second.reason.facts["before"]) == ("schedule.overlap", first.task)
        box.gate.set()
        assert await ended(here, "long") == ["succeeded"]
        clock.advance(60)
        await here.turn()
        assert (await here.rows("long"))[-1].status == "started"

    scenario(tmp_path, test)


def test_overlap_queue_lets_one_wait_and_starts_it_when_the_run_before_ends(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box, clock: SimClock) -> None:
        await here.add("long", "box.it.hold", every_s=60, overlap="queue")
        for _ in range(3):
            clock.advance(60)
            await here.turn()
        assert await statuses(here, "long") == [("started", 60), ("waiting", 120), ("skipped", 180)]
        box.gate.set()
        await here.engine.wait((await here.rows("long"))[0].task)
        await here.turn()
        assert [status for status, _ in await statuses(here, "long")] == ["started", "started", "skipped"]
        assert await ended(here, "long") == ["succeeded"] * 2

    scenario(tmp_path, test)


def test_the_end_of_the_run_before_wakes_the_scheduler(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box, clock: SimClock) -> None:
        await here.add("long", "box.it.hold", every_s=60, overlap="queue")
        for _ in range(2):
            clock.advance(60)
            await here.turn()
        here.scheduler._woken.clear()
        box.gate.set()
        await here.scheduler._woken.wait()

    scenario(tmp_path, test)


def test_overlap_cancel_ends_the_run_before(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box, clock: SimClock) -> None:
        await here.add("long", "box.it.hold", every_s=60, overlap="cancel")
        clock.advance(60)
        await here.turn()
        await box.entered.wait()
        clock.advance(60)
        await here.turn()
        first, second = await here.rows("long")
        assert (await here.engine.wait(first.task)).status == "cancelled"
        box.gate.set()
        assert (await here.engine.wait(second.task)).status == "succeeded"

    scenario(tmp_path, test)


def test_what_is_made_up_for_runs_one_after_the_other(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box, clock: SimClock) -> None:
        await here.add("hourly", "box.it.echo", every_s=3600, missed="all", overlap="skip")
        clock.advance(4 * 3600)
        await here.turn()
        while True:
            rows = await here.rows("hourly")
            begun = [row.task for row in rows if row.status == "started"]
            # Oldest first, and one at a time: none begins before the one in front of it has ended.
            assert [row.status for row in rows] == ["started"] * len(begun) + ["waiting"] * (4 - len(begun))
            assert all([(await here.engine.get(task)).status == "succeeded" for task in begun[:-1]])
            if len(begun) == 4:
                break
            await here.engine.wait(begun[-1])
            await here.turn()
        assert await ended(here, "hourly") == ["succeeded"] * 4

    scenario(tmp_path, test)


def test_jitter_begins_later_within_its_bound_and_every_node_reckons_the_same(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box, clock: SimClock) -> None:
        await here.add("spread", "box.it.echo", every_s=3600, jitter_s=600)
        await here.turn()
        late_s = here.alarm.utc_ms / 1000 - (START.timestamp() + 3600)
        assert 0 <= late_s < 600
        clock.advance(3600 + late_s + 0.001)
        await here.turn()
        assert await statuses(here, "spread") == [("started", 3600)]

    scenario(tmp_path, test)


def test_pause_holds_everything_and_resume_makes_up_for_nothing(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box, clock: SimClock) -> None:
        await here.add("hourly", "box.it.echo", every_s=3600)
        await here.scheduler.pause(LOCAL_OWNER, "hourly")
        clock.advance(10_000)
        await here.turn()
        assert await here.rows("hourly") == []
        await here.scheduler.resume(LOCAL_OWNER, "hourly")
        await here.turn()
        assert await here.rows("hourly") == []
        clock.advance(3600)
        await here.turn()
        assert await statuses(here, "hourly") == [("started", 10_800)]

    scenario(tmp_path, test)


def test_a_removed_schedule_is_gone_and_its_name_is_free(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box, clock: SimClock) -> None:
        await here.add("x", "box.it.echo", every_s=60)
        with pytest.raises(Conflict):
            await here.add("x", "box.it.echo", every_s=60)
        await here.scheduler.remove(LOCAL_OWNER, "x")
        with pytest.raises(NotFound):
            await here.scheduler.get("x")
        await here.add("x", "box.it.echo", every_s=60)

    scenario(tmp_path, test)


def test_run_now_is_one_run_more_and_changes_no_timing(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box, clock: SimClock) -> None:
        await here.add("x", "box.it.echo", every_s=60, args={"value": 7})
        row = await here.scheduler.run_now(LOCAL_OWNER, "x")
        again = await here.scheduler.run_now(LOCAL_OWNER, "x")
        assert (await here.engine.wait(row.task)).result == 7
        assert again.at > row.at
        assert (await here.scheduler.get("x")).due_ms == (START.timestamp() + 60) * 1000

    scenario(tmp_path, test)


def test_every_fault_of_a_schedule_is_told_before_it_is_kept(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box, clock: SimClock) -> None:
        with pytest.raises(InvalidDocument) as caught:
            await here.add(
                " x", "box.it.echo", cron="99 * * * *", zone="Nowhere/Land", missed_max=0, jitter_s=-1
            )
        assert {fault.key for fault in caught.value.faults} == {
            "cron minute", "zone", "name", "missed_max", "jitter_s",
        }  # fmt: skip
        for wrong in ({}, {"every_s": 60, "cron": "* * * * *"}, {"every_s": 0.5}, {"every_s": float("nan")}):
            with pytest.raises(InvalidDocument):
                await here.add("x", "box.it.echo", **wrong)
        with pytest.raises(NotFound):
            await here.add("x", "box.it.nothing", every_s=60)
        with pytest.raises(InvalidInput):
            await here.add("x", "box.it.echo", every_s=60, args={"nothing": 1})

    scenario(tmp_path, test)


def test_a_target_that_is_gone_blocks_its_moments_and_says_why(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box, clock: SimClock) -> None:
        await here.add("x", "box.it.echo", every_s=60)
        here.engine.registry._functions.clear()
        here.engine.registry._builtin.clear()
        clock.advance(60)
        await here.turn()
        (row,) = await here.rows("x")
        assert row.status == "blocked"
        assert row.reason is not None
        assert row.reason.code == "schedule.refused"
        assert "box.it.echo" in row.reason.sentence

    scenario(tmp_path, test)


@pytest.mark.allow_log("cannot go on")
def test_a_zone_that_the_system_lost_stops_the_schedule_with_a_message(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box, clock: SimClock) -> None:
        from legion_core.engine import schedule_store as store

        await here.add("x", "box.it.echo", cron="* * * * *", zone="Europe/Berlin")
        found = await here.scheduler.get("x")
        lost = msgspec.structs.replace(found.spec, zone="Europe/Atlantis")

        def lose(connection: store.Connection) -> None:
            from dataclasses import replace

            store.update(connection, replace(found, spec=lost))

        await here.database.write(lose)
        clock.advance(120)
        await here.turn()
        broken = await here.scheduler.get("x")
        assert broken.state == "broken"
        assert "Atlantis" in broken.problem
        assert here.alarm.utc_ms == 0

    scenario(tmp_path, test)


def test_a_change_keeps_the_moments_and_takes_the_new_timing(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box, clock: SimClock) -> None:
        await here.add("x", "box.it.echo", every_s=60)
        clock.advance(60)
        await here.turn()
        spec = ScheduleSpec(name="y", target="box.it.echo", every_s=600)
        await here.scheduler.change(LOCAL_OWNER, "x", spec)
        assert len(await here.rows("y")) == 1
        clock.advance(599)
        await here.turn()
        assert len(await here.rows("y")) == 1
        clock.advance(1)
        await here.turn()
        assert len(await here.rows("y")) == 2

    scenario(tmp_path, test)


def test_a_schedule_does_not_take_the_name_of_another(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box, clock: SimClock) -> None:
        await here.add("x", "box.it.echo", every_s=60)
        await here.add("y", "box.it.echo", every_s=3600)
        taken = ScheduleSpec(name="y", target="box.it.echo", every_s=60)
        with pytest.raises(Conflict, match="'y' already"):
            await here.scheduler.change(LOCAL_OWNER, "x", taken)
        kept = {name: (await here.scheduler.get(name)).spec.every_s for name in ("x", "y")}
        assert kept == {"x": 60, "y": 3600}

    scenario(tmp_path, test)
