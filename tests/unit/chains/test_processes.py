"""Several engines on one journal carry one run on together; each sees what the others wrote."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from legion_core.engine.dispatch import Places
from legion_core.engine.run_events import RunAdvanced, RunEnded, RunStarted
from legion_core.kernel.ports import LOCAL_OWNER
from tests.support.aio import run
from tests.unit.chains.drive import WAIT_S, Meeting, Steps, bench, node

FAN: dict[str, Any] = {
    "list": {"do": "many", "args": {"count": 60}},
    "each": {"do": "echo", "args": {"value": "{{ index }}"}},
    "more": {"do": "plain", "args": {"value": "{{ result }}"}},
    "sum": {
        "do": "echo",
        "join": "all",
        "transform": {"engine": "jsonpath", "template": {"value": "$.results.more"}},
    },
    "end": {"do": "echo", "args": {"value": "{{ result | size }}"}},
}
EDGES: list[Any] = [{"from": "list", "to": "each", "each": "$"}, "each more", "more sum", "sum end"]


def test_two_engines_share_a_fan_out_and_its_join_runs_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        few = Places(loop=4, threads=2)
        meeting = Meeting(2)
        first, second = Steps(meeting), Steps(meeting)
        async with (
            bench(tmp_path, places=few, steps=first) as one,
            bench(tmp_path, places=few, steps=second) as two,
        ):
            await one.apply({**FAN, "each": {"do": "meet", "args": {"value": "{{ index }}"}}}, EDGES)
            await two.here.engine.counts()
            runs = [await one.chains.run(LOCAL_OWNER, "it") for _ in range(3)]
            for each in runs:
                view = await two.chains.wait(each, WAIT_S)
                assert view.status == "succeeded"
                assert view.result == "60"
                assert view.summary == {
                    "list": {"succeeded": 1}, "each": {"succeeded": 60}, "more": {"succeeded": 60},
                    "sum": {"succeeded": 1}, "end": {"succeeded": 1},
                }  # fmt: skip
                assert (await two.chains.payload(each, "sum")).result == [str(at) for at in range(60)]
            assert len(one.steps.calls) + len(two.steps.calls) == 3 * (60 + 60 + 1 + 1)
            assert first.named("meet"), "both took part"
            assert second.named("meet"), "both took part"

    run(scenario(), bound_s=120.0)


def test_what_happens_in_a_run_is_told_in_every_process(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as one, bench(tmp_path, serve=False) as two:
            await one.apply({"a": {"do": "echo"}, "b": {"do": "echo"}}, ["a b"])
            await two.here.submit("step.it.echo")  # so that it is known to the other
            while not one.here.engine._work._presence.has_peers:
                await asyncio.sleep(0.001)
            kinds = (RunStarted, RunAdvanced, RunEnded)
            with one.here.bus.subscribe(*kinds) as here, two.here.bus.subscribe(*kinds) as there:
                run_id = await one.chains.run(LOCAL_OWNER, "it")
                for events in (here, there):
                    seen: list[Any] = []
                    while not seen or not isinstance(seen[-1], RunEnded):
                        seen += await events.take()
                    assert {each.run for each in seen} == {run_id}
                    steps = [each for each in seen if isinstance(each, RunAdvanced)]
                    assert [each.node for each in steps] == ["a", "b"]
                    assert [(each.source, each.target, each.reason) for each in steps[0].edges] == [
                        ("a", "b", None)
                    ]
                    assert [each.node for each in steps[0].came] == ["b"]

    run(scenario(), bound_s=110.0)


def test_a_run_left_by_one_engine_is_ended_by_the_next(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as one:
            await one.apply(
                {"a": {"do": "hold"}, "b": {"do": "echo", "args": {"value": "{{ result }}"}}}, ["a b"]
            )
            run_id = await one.chains.run(LOCAL_OWNER, "it")
            await one.steps.entered.wait()
            one.here.engine.chains._writer_hops()._live.clear()
            stopping = asyncio.create_task(one.here.engine.stop(0.0))
            await stopping
        async with bench(tmp_path) as two:
            two.steps.gate.set()
            view = await two.chains.wait(run_id, WAIT_S)
            assert (view.status, view.result) == ("succeeded", "held")
            assert node(view, "a").attempt == 1

    run(scenario(), bound_s=110.0)


@pytest.mark.allow_log("cannot be written", "could not be written", "taken over")
def test_a_disk_that_refuses_for_a_while_delays_a_chain_and_changes_nothing(tmp_path: Path) -> None:
    from legion_core.testing.faults import armed, failing

    async def scenario() -> None:
        async with bench(tmp_path) as on:
            await on.apply(FAN, EDGES)
            await on.run()
            for site in ("storage.begin", "storage.write", "storage.commit"):
                for visit in (2, 5, 9):
                    run_id = await on.chains.run(LOCAL_OWNER, "it")
                    with armed(failing(site, visit=visit)):
                        view = await on.chains.wait(run_id, WAIT_S)
                    assert (view.status, view.result) == ("succeeded", "60"), (site, visit)
                    assert view.summary["sum"] == {"succeeded": 1}

    run(scenario(), bound_s=120.0)
