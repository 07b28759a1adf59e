"""Each of the eight kinds of actor does what its name says, under supervision."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from legion_core.engine.actors import (
    KINDS,
    absorber_dispatch,
    every,
    loop,
    nothing,
    once,
    poll,
    singleton,
    subscription,
)
from legion_core.engine.extension import Context, function
from legion_core.kernel.errors import InvalidInput, NotFound
from legion_core.kernel.ports import LOCAL_OWNER
from tests.support.aio import run
from tests.unit.engine_core.actors.hosting import open_host

SHORT_S = 0.05


class Times:
    """Waits until something has happened so many times."""

    def __init__(self) -> None:
        self.count = 0
        self.values: list[Any] = []
        self._more = asyncio.Event()

    def happened(self, value: Any = None) -> None:
        self.count += 1
        self.values.append(value)
        self._more.set()

    async def reach(self, count: int) -> None:
        while self.count < count:
            self._more.clear()
            await self._more.wait()


@pytest.mark.requirement("engine.actors.eight")
def test_there_are_exactly_eight_kinds() -> None:
    assert sorted(KINDS) == [
        "absorber_dispatch", "every", "loop", "nothing", "once", "poll", "singleton", "subscription",
    ]  # fmt: skip


@pytest.mark.requirement("engine.actors.every")
@pytest.mark.parametrize("record", [True, False])
def test_every_runs_again_and_again_and_each_run_is_a_task_where_it_keeps_a_record(
    tmp_path: Path, record: bool
) -> None:
    async def scenario() -> None:
        times = Times()

        class Runner:
            @function()
            @every(seconds=SHORT_S, record=record)
            async def tick(self, context: Context) -> None:
                context.log("tick")
                times.happened(context.task_id)

        async with open_host(tmp_path, {"x.y": Runner()}) as here:
            await times.reach(3)
            assert here.row("x.y.tick").runs >= 2
            assert here.row("x.y.tick").next_at is not None
            assert bool(await here.tasks("x.y.tick")) is record
        assert len(set(times.values)) == times.count

    run(scenario())


@pytest.mark.parametrize("overlap", ["skip", "queue", "cancel"])
def test_a_run_that_outlasts_its_interval_is_met_by_the_overlap_policy(tmp_path: Path, overlap: Any) -> None:
    async def scenario() -> None:
        begun, ended, gate = Times(), Times(), asyncio.Event()

        class Runner:
            @function()
            @every(seconds=SHORT_S, at_start=True, overlap=overlap, record=False)
            async def tick(self) -> None:
                begun.happened()
                try:
                    await gate.wait()
                finally:
                    ended.happened()

        async with open_host(tmp_path, {"x.y": Runner()}) as here:
            await begun.reach(1)
            if overlap == "cancel":
                await begun.reach(3)
                assert ended.count >= 2
                return
            while not here.row("x.y.tick").skipped:
                await asyncio.sleep(0.01)  # the moments pass by the clock alone
            assert (begun.count, ended.count) == (1, 0)
            gate.set()
            await ended.reach(2)

    run(scenario())


def test_a_run_past_its_time_is_ended_and_counted(tmp_path: Path) -> None:
    async def scenario() -> None:
        begun, ended = Times(), Times()

        class Runner:
            @function()
            @every(seconds=SHORT_S, at_start=True, timeout_s=0.01)
            async def hang(self) -> None:
                begun.happened()
                try:
                    await asyncio.Event().wait()
                finally:
                    ended.happened()

        async with open_host(tmp_path, {"x.y": Runner()}) as here:
            await ended.reach(2)
            await begun.reach(3)
            row = here.row("x.y.hang")
            assert row.failures >= 1
            done = (await here.tasks("x.y.hang"))[-1]
            assert done.reason is not None
            assert done.reason.code == "task.timed_out"

    run(scenario())


@pytest.mark.requirement("engine.actors.poll")
def test_a_poll_acts_on_changes_and_remembers_what_it_saw_across_restarts(tmp_path: Path) -> None:
    async def scenario() -> None:
        looks, changes, seen = Times(), Times(), {"a": 1}

        class Runner:
            @function()
            @poll(seconds=SHORT_S, to="x.y.act")
            async def look(self) -> dict[str, int]:
                looks.happened()
                return dict(seen)

            @function()
            async def act(self, result: dict[str, int], diff: list[dict[str, Any]]) -> None:
                changes.happened((result, diff))

        async with open_host(tmp_path, {"x.y": Runner()}):
            await looks.reach(3)
            assert changes.count == 0
            seen["a"] = 2
            await changes.reach(1)
            assert changes.values == [({"a": 2}, [{"path": "a", "before": 1, "after": 2}])]
            at = looks.count
            await looks.reach(at + 2)
            assert changes.count == 1
        seen["b"] = 1
        async with open_host(tmp_path, {"x.y": Runner()}):
            await changes.reach(2)
            assert changes.values[1][1] == [{"path": "b", "after": 1}]

    run(scenario())


def test_a_poll_without_a_target_publishes_its_change_under_its_own_name(tmp_path: Path) -> None:
    async def scenario() -> None:
        looks, heard, seen = Times(), Times(), [1]

        class Runner:
            @function()
            @poll(seconds=SHORT_S)
            async def look(self) -> list[int]:
                looks.happened()
                return list(seen)

            @function()
            @subscription("x.y.look")
            async def hear(self, message: dict[str, Any]) -> None:
                heard.happened(message["result"])

        async with open_host(tmp_path, {"x.y": Runner()}):
            await looks.reach(1)
            at = looks.count
            await looks.reach(at + 1)  # the first look is kept by now
            seen.append(2)
            await heard.reach(1)
        assert heard.values == [[1, 2]]

    run(scenario())


@pytest.mark.requirement("engine.actors.once")
def test_once_runs_one_time_after_the_start(tmp_path: Path) -> None:
    async def scenario() -> None:
        times = Times()

        class Runner:
            @function()
            @once(after_s=0.0)
            async def begin(self) -> None:
                times.happened()

        async with open_host(tmp_path, {"x.y": Runner()}) as here:
            await times.reach(1)
            (task,) = await here.tasks("x.y.begin")
            await here.engine.wait(task.id)
            while here.row("x.y.begin").state != "ended":
                await asyncio.sleep(0)
            await here.host.reconcile()
            assert len(await here.tasks("x.y.begin")) == 1

    run(scenario())


@pytest.mark.requirement("engine.actors.loop")
def test_loop_runs_again_as_soon_as_it_ended_and_backs_off_from_failures(tmp_path: Path) -> None:
    async def scenario() -> None:
        good, bad = Times(), Times()

        class Runner:
            @function()
            @loop()
            async def work(self) -> None:
                good.happened()

            @function()
            @loop()
            async def fail(self) -> None:
                bad.happened()
                raise RuntimeError("at once")

        async with open_host(tmp_path, {"x.y": Runner()}) as here:
            await good.reach(200)
            assert bad.count < 20
            await bad.reach(2)
            row = here.row("x.y.fail")
            assert row.failures >= 1
            assert "at once" in row.problem
            assert row.state in ("failing", "running")

    run(scenario())


@pytest.mark.requirement("engine.actors.nothing")
def test_nothing_is_there_and_never_runs_by_itself(tmp_path: Path) -> None:
    async def scenario() -> None:
        times, other = Times(), Times()

        class Runner:
            @function()
            @nothing
            async def still(self) -> None:
                times.happened()

            @function()
            @every(seconds=SHORT_S)
            async def tick(self) -> None:
                other.happened()

        async with open_host(tmp_path, {"x.y": Runner()}) as here:
            await other.reach(3)
            assert (times.count, here.row("x.y.still").state) == (0, "idle")

    run(scenario())


@pytest.mark.requirement("engine.actors.subscription")
@pytest.mark.requirement("engine.pubsub-lite")
def test_a_subscription_runs_for_each_message_of_its_topics_and_tries_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        heard, tried = Times(), Times()

        class Runner:
            @function()
            @subscription("orders.#")
            async def every_order(self, topic: str, message: dict[str, int]) -> None:
                heard.happened((topic, message["n"]))

            @function(retry_delay_s=0.001)
            @subscription("orders.*.paid", retries=1)
            async def flaky(self) -> None:
                tried.happened()
                raise RuntimeError("not yet")

        async with open_host(tmp_path, {"x.y": Runner()}) as here:
            tasks = await here.messages.publish(LOCAL_OWNER, "orders.eu.paid", {"n": 1})
            assert len(tasks) == 2
            await heard.reach(1)
            tasks = await here.messages.publish(LOCAL_OWNER, "orders", {"n": 2})
            assert len(tasks) == 1
            await heard.reach(2)
            assert heard.values == [("orders.eu.paid", 1), ("orders", 2)]
            await tried.reach(2)
            assert await here.messages.publish(LOCAL_OWNER, "nobody.hears", None) == ()
            for wrong in ("", "a..b", "a.*", "a.#"):
                with pytest.raises(InvalidInput):
                    await here.messages.publish(LOCAL_OWNER, wrong, None)

    run(scenario())


def test_messages_of_a_flood_wait_on_disk_and_hold_up_nobody(tmp_path: Path) -> None:
    async def scenario() -> None:
        heard = Times()

        class Runner:
            @function()
            @subscription("flood")
            async def slow(self, message: int) -> None:
                heard.happened(message)

        async with open_host(tmp_path, {"x.y": Runner()}) as here:
            for number in range(500):
                await here.messages.publish(LOCAL_OWNER, "flood", number)
            await heard.reach(500)
            assert sorted(heard.values) == list(range(500))

    run(scenario())


@pytest.mark.requirement("engine.actors.absorber")
def test_an_input_goes_to_the_absorber_that_takes_it_and_its_finds_are_absorbed_in_turn(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        told = Times()

        class Runner:
            @function()
            @absorber_dispatch("https://*", takes="url")
            async def page(self, input: str) -> dict[str, Any]:  # noqa: A002
                finds = {"https://a": ["https://b", "/tmp/x.pdf", "gopher://z"], "https://b": ["https://a"]}
                return {"title": input, "absorb": finds.get(input, [])}

            @function()
            @absorber_dispatch("https://b*", takes="url", priority=5)
            async def special(self, input: str, ancestors: list[str]) -> dict[str, Any]:  # noqa: A002
                return {"title": f"special {input} from {ancestors}", "absorb": ["https://a"]}

            @function()
            @absorber_dispatch("*.pdf", takes="file")
            async def paper(self, input: str, metadata: dict[str, Any]) -> None:  # noqa: A002
                raise RuntimeError(f"no paper for {metadata['for']}")

            @function()
            @subscription("absorb.#")
            async def hear(self, topic: str, message: dict[str, Any]) -> None:
                told.happened((topic.rpartition(".")[0], message["absorber"]))

        async with open_host(tmp_path, {"x.y": Runner()}) as here:
            got = await here.messages.absorb(LOCAL_OWNER, "https://a", {"for": "Ada"}, "")
            assert (got["absorber"], got["status"], got["result"]["title"]) == (
                "x.y.page", "succeeded", "https://a",
            )  # fmt: skip
            second, third, fourth = got["absorbed"]
            assert second["result"]["title"] == "special https://b from ['https://a']"
            assert second["absorbed"][0]["status"] == "skipped"
            assert "leads back" in second["absorbed"][0]["problem"]
            assert (third["absorber"], third["status"]) == ("x.y.paper", "failed")
            assert "no paper for Ada" in third["problem"]
            assert fourth["status"] == "skipped"
            await told.reach(3)
            assert sorted(told.values) == [
                ("absorb.complete", "x.y.page"), ("absorb.complete", "x.y.special"), ("absorb.failed", "x.y.paper"),
            ]  # fmt: skip
            with pytest.raises(NotFound):
                await here.messages.absorb(LOCAL_OWNER, "gopher://z", {}, "")

    run(scenario())


def test_a_function_nobody_can_call_is_listed_with_the_reason_and_does_not_run(tmp_path: Path) -> None:
    async def scenario() -> None:
        class Runner:
            @function()
            @every(seconds=SHORT_S)
            async def tick(self, wanted: int) -> int:
                return wanted

        async with open_host(tmp_path, {"x.y": Runner()}) as here:
            assert "`wanted`" in here.row("x.y.tick").problem

    run(scenario())


def test_what_cannot_be_an_actor_is_said_where_it_is_declared() -> None:
    with pytest.raises(AssertionError):
        every(seconds=0.0)
    with pytest.raises(AssertionError):

        @every(seconds=1)
        @once()
        def twice() -> None:
            """Two kinds at once."""


@pytest.mark.requirement("engine.actors.singleton")
def test_a_singleton_lives_at_one_place_and_moves_when_its_process_ends(tmp_path: Path) -> None:
    async def scenario() -> None:
        here, there = Times(), Times()

        def runner(times: Times) -> object:
            class Runner:
                @function()
                @singleton(seconds=SHORT_S, record=False)
                async def tick(self) -> None:
                    times.happened()

            return Runner()

        async with open_host(tmp_path, {"x.y": runner(there)}, starts=False) as second:
            async with open_host(tmp_path, {"x.y": runner(here)}) as first:
                await here.reach(1)
                await second.host.start()
                await here.reach(4)
                assert there.count == 0
                row = second.row("x.y.tick")
                assert (row.state, row.holder) == ("held", first.engine.owner)
                assert first.row("x.y.tick").fencing == 1
            at = here.count
            await there.reach(3)
            assert here.count == at
            assert second.row("x.y.tick").fencing == 2

    run(scenario())
