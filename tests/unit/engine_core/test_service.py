"""What is accepted is kept, run, bounded and told about, whatever the function does."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from legion_core.engine import service
from legion_core.engine.dispatch import Places
from legion_core.engine.events import TaskAccepted, TaskFinished, TaskStarted, TaskWaits
from legion_core.engine.orders import Order
from legion_core.engine.types import Retry
from legion_core.kernel.errors import Conflict, Denied, InvalidInput, LimitReached, NotFound, TimedOut
from legion_core.kernel.ports import LOCAL_OWNER, NOBODY
from legion_core.storage.sqlite import rows
from legion_core.testing.tasks import UnderTest, open_engine
from tests.support.aio import run
from tests.unit.engine_core.runners import Box

Test = Callable[[UnderTest, Box], Awaitable[None]]


def with_engine(tmp_path: Path, test: Test, *, serve: bool = True, places: Places | None = None) -> None:
    async def work() -> None:
        box = Box()
        async with open_engine(
            tmp_path, {"box.it": box}, serve=serve, places=places or Places(), stop_s=0.05
        ) as here:
            await test(here, box)

    run(work())


def test_a_task_is_accepted_run_and_its_result_kept(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        accepted = await here.submit("box.it.echo", value={"a": [1, "ä"]})
        done = await here.engine.wait(accepted.id)

        assert (done.status, done.result, done.reason) == ("succeeded", {"a": [1, "ä"]}, None)
        assert (done.task, done.attempt, done.queue) == ("box.it.echo", 1, "default")
        assert done.created_at is not None
        assert done.started_at is not None
        assert done.ended_at is not None
        assert done.lease_owner == ""
        assert box.calls == [{"a": [1, "ä"]}]

    with_engine(tmp_path, test)


def test_a_plain_function_runs_in_a_thread(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        assert (await here.run("box.it.add", a=3)).result == 4
        assert box.calls == ["legion-task box.it.add"]

    with_engine(tmp_path, test)


def test_events_tell_the_story_in_order(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        with here.bus.subscribe(TaskAccepted, TaskStarted, TaskFinished, TaskWaits) as events:
            await here.run("box.it.flaky", failures=1)
            told = [type(event).__name__ for event in events.take_nowait()]
        assert told == [
            "TaskAccepted", "TaskStarted", "TaskWaits", "TaskStarted", "TaskFinished",
        ]  # fmt: skip

    with_engine(tmp_path, test)


@pytest.mark.parametrize(
    ("task", "args", "error"),
    [
        ("box.it.nothing", {}, NotFound),
        ("no_such.it.f", {}, NotFound),
        ("box", {}, InvalidInput),
        ("box.it.add", {"a": "3"}, InvalidInput),
        ("box.it.add", {"a": 1, "c": 2}, InvalidInput),
        ("box.it.echo", {"value": "x" * (513 * 1024)}, LimitReached),
        ("box.it.echo", {"value": object()}, InvalidInput),
    ],
)
def test_what_cannot_run_is_refused_at_the_door_and_leaves_nothing(
    tmp_path: Path, task: str, args: dict[str, object], error: type[Exception]
) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        with pytest.raises(error):
            await here.submit(task, **args)
        assert await here.engine.page() == []

    with_engine(tmp_path, test)


def test_a_stranger_may_not_submit_cancel_or_retry(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        done = await here.run("box.it.echo")
        with pytest.raises(Denied):
            await here.engine.submit(NOBODY, Order(task="box.it.echo"))
        with pytest.raises(Denied):
            await here.engine.cancel(NOBODY, done.id)
        with pytest.raises(Denied):
            await here.engine.retry(NOBODY, done.id)

    with_engine(tmp_path, test)


def test_a_failure_is_tried_again_as_often_as_the_function_says(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        done = await here.run("box.it.flaky", failures=3)
        assert (done.status, done.attempt, done.result) == ("succeeded", 4, 4)

    with_engine(tmp_path, test)


def test_a_failure_that_stays_ends_dead_with_the_last_reason(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        done = await here.run("box.it.flaky", failures=99)
        assert (done.status, done.attempt) == ("dead", 4)
        assert done.reason is not None
        assert "failure 4" in done.reason.sentence

    with_engine(tmp_path, test)


def test_an_error_that_cannot_get_better_is_not_tried_again(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        done = await here.run("box.it.refuse")
        assert (done.status, box.calls) == ("failed", ["refuse"])
        assert done.reason is not None
        assert done.reason.sentence == "This will never do. Ask differently."

    with_engine(tmp_path, test)


def test_the_far_ends_wish_for_a_pause_is_heard(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        before_s = asyncio.get_running_loop().time()
        assert (await here.run("box.it.limited")).status == "succeeded"
        assert asyncio.get_running_loop().time() - before_s >= 0.03

    with_engine(tmp_path, test)


@pytest.mark.parametrize("task", ["box.it.hang", "box.it.hang_in_thread"])
def test_a_function_past_its_time_is_ended_or_left_behind(tmp_path: Path, task: str) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        done = await here.run(task)
        assert (done.status, done.reason and done.reason.code) == ("failed", "task.timed_out")
        box.thread_gate.set()

    with_engine(tmp_path, test)


def test_a_thread_left_behind_keeps_its_place_until_it_ends(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        await here.run("box.it.hang_in_thread")
        waiting = await here.submit("box.it.add", a=1)
        assert waiting.status == "queued"
        assert (await here.engine.get(waiting.id)).status == "queued"
        box.thread_gate.set()
        assert (await here.engine.wait(waiting.id)).status == "succeeded"

    with_engine(tmp_path, test, places=Places(threads=1))


@pytest.mark.parametrize(
    ("task", "code"),
    [
        ("box.it.odd", "task.result_not_json"),
        ("box.it.huge", "task.result_too_large"),
        ("box.it.leave", "task.raised"),
    ],
)
def test_a_result_that_cannot_be_kept_and_an_exit_are_failures(tmp_path: Path, task: str, code: str) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        done = await here.run(task)
        assert (done.status, done.reason and done.reason.code) == ("failed", code)
        assert (await here.run("box.it.echo", value=1)).result == 1

    with_engine(tmp_path, test)


def test_a_delayed_task_waits_and_then_runs(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        accepted = await here.engine.submit(LOCAL_OWNER, Order(task="box.it.echo", delay_s=0.05))
        assert accepted.status == "delayed"
        assert box.calls == []
        done = await here.engine.wait(accepted.id)
        assert done.status == "succeeded"
        assert done.started_at is not None
        assert done.created_at is not None
        assert (done.started_at - done.created_at).total_seconds() >= 0.05

    with_engine(tmp_path, test)


def test_more_tasks_than_places_wait_and_the_urgent_go_first(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        first = await here.submit("box.it.hold")
        orders = [
            Order(task="box.it.echo", args={"value": number}, priority=number % 3) for number in range(9)
        ]
        waiting = await here.engine.submit_many(LOCAL_OWNER, orders)
        assert {accepted.status for accepted in waiting} == {"queued"}
        box.gate.set()
        for accepted in (first, *waiting):
            assert (await here.engine.wait(accepted.id)).status == "succeeded"
        assert box.calls[1:] == [2, 5, 8, 1, 4, 7, 0, 3, 6]

    with_engine(tmp_path, test, places=Places(loop=1))


def test_a_batch_is_accepted_whole_or_not_at_all(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        good, bad = Order(task="box.it.echo"), Order(task="box.it.nothing")
        with pytest.raises(NotFound):
            await here.engine.submit_many(LOCAL_OWNER, [good, good, bad])
        assert await here.engine.page() == []
        with pytest.raises(InvalidInput):
            await here.engine.submit_many(LOCAL_OWNER, [])
        accepted = await here.engine.submit_many(LOCAL_OWNER, [good] * 700)
        assert len({each.id for each in accepted}) == 700
        for each in accepted:
            assert (await here.engine.wait(each.id)).status == "succeeded"
        assert len(box.calls) == 700

    with_engine(tmp_path, test)


def test_more_than_the_bound_on_its_way_to_the_disk_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert service.WAITING_MAX <= 20_000
    monkeypatch.setattr(service, "WAITING_MAX", 2_000)

    async def test(here: UnderTest, box: Box) -> None:
        batches = [Order(task="box.it.echo")] * 1_000
        sent = [asyncio.ensure_future(here.engine.submit_many(LOCAL_OWNER, batches)) for _ in range(3)]
        done = await asyncio.gather(*sent, return_exceptions=True)
        assert [isinstance(each, LimitReached) for each in done] == [False, False, True]
        while await here.engine.counts():
            await asyncio.sleep(0.01)

    with_engine(tmp_path, test)


def test_the_same_idempotency_key_gives_the_same_task(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        order = Order(task="box.it.echo", args={"value": 1}, idempotency_key="k1")
        together = await here.engine.submit_many(LOCAL_OWNER, [order, order])
        later = await here.engine.submit(LOCAL_OWNER, order)
        assert {each.id for each in (*together, later)} == {together[0].id}
        assert [each.is_new for each in together] == [True, False]
        await here.engine.wait(later.id)
        again = await here.engine.submit(LOCAL_OWNER, order)
        assert (again.id, again.is_new) == (later.id, False)
        assert box.calls == [1]
        assert (await here.run("box.it.echo", value=2)).result == 2  # its place was given back

    with_engine(tmp_path, test, places=Places(loop=1))


def test_a_waiting_task_is_cancelled_at_once_and_a_running_one_when_it_stops(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        running = await here.submit("box.it.hold")
        waiting = await here.submit("box.it.echo")
        delayed = await here.engine.submit(LOCAL_OWNER, Order(task="box.it.echo", delay_s=60))
        await box.entered.wait()
        for accepted in (waiting, delayed, running):
            done = await here.engine.cancel(LOCAL_OWNER, accepted.id)
            assert done.status == "cancelled"
            assert done.reason is not None
            assert done.reason.facts == {"who": "owner"}
        assert box.calls[1:] == []
        with pytest.raises(Conflict):
            await here.engine.cancel(LOCAL_OWNER, running.id)
        with pytest.raises(NotFound):
            await here.engine.cancel(LOCAL_OWNER, "task_none")
        assert (await here.run("box.it.echo", value=5)).result == 5

    with_engine(tmp_path, test, places=Places(loop=1))


def test_cancelling_ends_a_whole_tree_and_nothing_beside_it(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        async def below(parent: str, task: str = "box.it.echo", delay_s: float = 0.0) -> str:
            order = Order(task=task, parent=parent, delay_s=delay_s)
            return (await here.engine.submit(LOCAL_OWNER, order)).id

        root = (await here.submit("box.it.hold")).id
        await box.entered.wait()
        box.entered.clear()
        runs = await below(root, "box.it.hold")
        await box.entered.wait()
        leaves = [await below(runs, delay_s=60) for _ in range(3)]
        leaves += [await below(leaves[0])]  # no place is left for it
        other = await below("", delay_s=60)
        with here.bus.subscribe(TaskFinished) as told:
            assert (await here.engine.cancel(LOCAL_OWNER, root)).status == "cancelled"
            assert {(await here.engine.get(each)).status for each in (runs, *leaves)} == {"cancelled"}
            assert (await here.engine.get(other)).status == "delayed"
            assert here.engine.running == ()
            ended = {event.id for event in told.take_nowait() if isinstance(event, TaskFinished)}
        assert ended == {root, runs, *leaves}
        assert len(box.calls) == 2
        with pytest.raises(Conflict):
            await here.engine.cancel(LOCAL_OWNER, root)

    with_engine(tmp_path, test, places=Places(loop=2))


def test_what_is_left_of_a_tree_whose_root_has_ended_can_be_cancelled(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        root = await here.run("box.it.echo")
        orders = [Order(task="box.it.echo", parent=root.id, delay_s=60)] * 30
        found = await here.engine.submit_many(LOCAL_OWNER, orders)
        assert (await here.engine.cancel(LOCAL_OWNER, root.id)).status == "succeeded"
        assert {(await here.engine.get(each.id)).status for each in found} == {"cancelled"}

    with_engine(tmp_path, test)


def test_a_tree_of_thousands_is_cancelled_in_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "CANCELLED_MAX", 50)

    async def test(here: UnderTest, box: Box) -> None:
        root = await here.submit("box.it.hold")
        await here.engine.submit_many(LOCAL_OWNER, [Order(task="box.it.echo", parent=root.id)] * 175)
        await box.entered.wait()
        await here.engine.cancel(LOCAL_OWNER, root.id)
        assert await here.engine.counts() == {}
        assert len(box.calls) == 1

    with_engine(tmp_path, test, places=Places(loop=1))


def test_two_who_cancel_the_same_task_both_see_its_end(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        held = await here.submit("box.it.hold")
        await box.entered.wait()
        both = await asyncio.gather(*(here.engine.cancel(LOCAL_OWNER, held.id) for _ in range(2)))
        assert [task.status for task in both] == ["cancelled", "cancelled"]

    with_engine(tmp_path, test)


def test_what_failed_can_be_tried_again_by_hand_and_what_succeeded_cannot(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        failed = await here.run("box.it.flaky", failures=4)
        assert failed.status == "dead"
        assert (await here.engine.retry(LOCAL_OWNER, failed.id)).status in ("queued", "running", "succeeded")
        done = await here.engine.wait(failed.id)
        assert (done.status, done.attempt, done.reason) == ("succeeded", 1, None)
        with pytest.raises(Conflict):
            await here.engine.retry(LOCAL_OWNER, failed.id)

    with_engine(tmp_path, test)


def test_a_task_not_begun_in_its_time_expires(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        await here.submit("box.it.hold")
        accepted = await here.engine.submit(LOCAL_OWNER, Order(task="box.it.echo", expires_s=0.03))
        done = await here.engine.wait(accepted.id)
        assert (done.status, done.reason and done.reason.code) == ("expired", "task.expired")
        box.gate.set()

    with_engine(tmp_path, test, places=Places(loop=1))


def test_a_task_has_a_log_and_a_key_that_stays(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        done = await here.run("box.it.talk")
        assert done.result == f"{done.id}-1"
        lines = await here.engine.lines(done.id)
        assert [(line.text, line.level) for line in lines] == [("line 0", "info"), ("line 1", "warning")]
        other = await here.run("box.it.talk_in_thread")
        (line,) = await here.engine.lines(other.id)
        assert line.text == "from a thread with Bearer …redacted…"
        with pytest.raises(NotFound):
            await here.engine.lines("task_none")

    with_engine(tmp_path, test)


def test_a_log_is_bounded(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        done = await here.run("box.it.talk", lines=5000)
        lines = await here.engine.lines(done.id)
        assert len(lines) == 1000
        assert "No more than" in lines[-1].text

    with_engine(tmp_path, test)


def test_what_is_deferred_happens_with_the_completion_or_not_at_all(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        assert (await here.run("box.it.book")).status == "succeeded"
        broken = await here.run("box.it.book", fails=True)
        assert (broken.status, broken.reason and broken.reason.sentence) == (
            "failed",
            "ValueError: the write broke",
        )
        found = await here.database.read(lambda connection: rows(connection, "SELECT n FROM ext_box"))
        assert found == [(1,)]

    with_engine(tmp_path, test)


def test_a_fenced_file_is_written_once_for_all_attempts(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        target = tmp_path / "out.txt"
        done = await here.run("box.it.lay_down", path=str(target), text="hello")
        assert (done.status, done.result) == ("succeeded", True)
        assert target.read_text(encoding="utf-8") == "hello"
        assert [each.name for each in tmp_path.iterdir() if each.name.endswith(".part")] == []

    with_engine(tmp_path, test)


def test_waiting_is_bounded_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        accepted = await here.submit("box.it.hold")
        with pytest.raises(TimedOut):
            await here.engine.wait(accepted.id, timeout_s=0.01)
        assert here.engine._work.telling.waited_for == ()
        with pytest.raises(NotFound):
            await here.engine.wait("task_none")
        box.gate.set()

    with_engine(tmp_path, test)


def test_the_list_pages_by_key_and_filters(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        for number in range(7):
            await here.run("box.it.echo", value=number)
        await here.run("box.it.refuse")
        seen: list[str] = []
        below = 0
        while found := await here.engine.page(limit=3, below=below, task="box.it.echo"):
            seen += [task.id for _, task in found]
            below = found[-1][0]
        assert len(seen) == len(set(seen)) == 7
        assert seen == sorted(seen, reverse=True)
        failed = await here.engine.page(status="failed")
        assert [task.task for _, task in failed] == ["box.it.refuse"]
        assert failed[0][1].reason is not None

    with_engine(tmp_path, test)


def test_an_idle_engine_has_no_timer_and_no_task(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        await here.run("box.it.echo")
        while (
            here.engine._work._alarm.is_set or here.supervisor.census
        ):  # what told of the end is ending itself
            await asyncio.sleep(0.001)
        delayed = await here.engine.submit(LOCAL_OWNER, Order(task="box.it.echo", delay_s=3600))
        assert here.engine._work._alarm.is_set
        await here.engine.cancel(LOCAL_OWNER, delayed.id)

    with_engine(tmp_path, test)


def test_whatever_does_not_run_says_why(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        await here.submit("box.it.hold")
        first = await here.submit("box.it.echo")
        second = await here.submit("box.it.echo")
        delayed = await here.engine.submit(LOCAL_OWNER, Order(task="box.it.echo", delay_s=3600))
        codes = {}
        for accepted in (first, second, delayed):
            reason = (await here.engine.get(accepted.id)).reason
            assert reason is not None
            codes[accepted.id] = (reason.code, reason.facts.get("ahead"))
        assert codes == {
            first.id: ("task.queued", 0),
            second.id: ("task.queued", 1),
            delayed.id: ("task.delayed", None),
        }
        await here.engine.cancel(LOCAL_OWNER, delayed.id)
        box.gate.set()
        await here.engine.wait(second.id)

    with_engine(tmp_path, test, places=Places(loop=1))


def test_a_task_that_will_be_tried_again_says_when_and_what_went_wrong(tmp_path: Path) -> None:
    async def test(here: UnderTest, box: Box) -> None:
        order = Order(
            task="box.it.flaky", args={"failures": 9}, retry=Retry(max=1, delay_s=600, delay_max_s=600)
        )
        accepted = await here.engine.submit(LOCAL_OWNER, order)
        while (found := await here.engine.get(accepted.id)).status != "retry_wait":
            await asyncio.sleep(0)
        assert found.reason is not None
        assert found.reason.code == "task.retry_wait"
        assert "failure 1" in found.reason.sentence
        assert (await here.engine.cancel(LOCAL_OWNER, accepted.id)).status == "cancelled"

    with_engine(tmp_path, test)
