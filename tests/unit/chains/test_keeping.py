"""What is kept of chains and runs, for how long, and what a run needs that is not in the journal."""

from pathlib import Path
from typing import Any

import pytest

from legion_core.engine import chain_store as store
from legion_core.kernel.errors import NotFound
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.storage.sqlite import execute, row
from tests.support.aio import run
from tests.unit.chains.drive import WAIT_S, bench, node, told

LATER_MS = 4_000_000_000_000
TABLES = ("runs", "run_steps", "run_origins", "tasks")


async def counts(on: Any) -> dict[str, int]:
    """How many rows each table has."""
    return await on.here.database.read(
        lambda c: {name: int((row(c, f"SELECT count(*) FROM {name}") or (0,))[0]) for name in TABLES}
    )


def test_runs_that_ended_long_ago_go_with_all_they_left_and_others_stay(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            await on.apply({"x": {"do": "echo"}}, name="inner")
            await on.apply(
                {"a": {"do": "many", "args": {"count": 2}}, "b": {"do": "echo"}, "sub": {"chain": "inner"}},
                [{"from": "a", "to": "b", "each": "$"}, "a sub"],
                name="outer",
            )
            await on.run(name="outer")
            going = await on.chains.run(LOCAL_OWNER, await on.apply({"h": {"do": "hold"}}, name="long"))
            await on.steps.entered.wait()
            assert (await counts(on))["run_origins"] == 2
            gone = await on.here.database.write(lambda c: store.purge(c, LATER_MS, 100))
            assert gone == 2
            assert await counts(on) == {"runs": 1, "run_steps": 0, "run_origins": 0, "tasks": 1}
            assert (await on.chains.run_row(going)).status == "running"

    run(scenario())


def test_more_runs_than_are_kept_go_oldest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "RUNS_KEPT", 2)

    async def scenario() -> None:
        async with bench(tmp_path) as on:
            await on.apply({"a": {"do": "echo"}})
            runs = [(await on.run()).id for _ in range(5)]
            await on.chains.purge()
            assert [each.id for _, each in await on.chains.page()] == runs[:2:-1]
            with pytest.raises(NotFound):
                await on.chains.run_view(runs[0])

    run(scenario())


def test_old_versions_go_but_those_that_kept_runs_are_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "VERSIONS_KEPT", 2)

    async def scenario() -> None:
        async with bench(tmp_path) as on:
            for number in range(5):
                await on.apply({"a": {"do": "echo", "args": {"value": number}}})
                if number == 1:
                    await on.run()
            assert [each.version for each in await on.chains.versions("it")] == [5, 4, 2]

    run(scenario())


def test_a_function_of_a_drop_in_folder_is_found_by_every_process_that_carries_the_run_on(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "extensions" / "shop"
    folder.mkdir(parents=True)
    (folder / "till.py").write_text(
        "async def ring(amount: int = 0) -> dict[str, int]:\n    return {'amount': amount + 1}\n",
        encoding="utf-8",
    )

    async def scenario() -> None:
        async with bench(tmp_path) as on:
            await on.apply(
                {
                    "wait": {"do": "hold"},
                    "pay": {
                        "task": "shop.till.ring",
                        "transform": {"engine": "static", "template": {"amount": 41}},
                    },
                },
                ["wait pay"],
            )
            run_id = await on.chains.run(LOCAL_OWNER, "it")
            await on.steps.entered.wait()
            await on.here.engine.stop(0.0)
        async with bench(tmp_path) as two:
            two.steps.gate.set()
            view = await two.chains.wait(run_id, WAIT_S)
            assert (view.status, view.result) == ("succeeded", {"amount": 42}), told(view)

    run(scenario(), bound_s=110.0)


def test_a_task_whose_outcome_nobody_knows_holds_its_run_until_a_person_says(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            await on.apply(
                {
                    "a": {"do": "echo"},
                    "pay": {"do": "once"},
                    "b": {"do": "echo", "args": {"value": "{{ result }}"}},
                },
                [{"from": "a", "to": "pay", "delay": 3600}, "pay b"],
            )
            run_id = await on.chains.run(LOCAL_OWNER, "it")
            while told(view := await on.chains.run_view(run_id))["a"] != "succeeded":
                pass
            task = node(view, "pay").id
            await on.here.database.write(
                lambda c: execute(c, "UPDATE tasks SET status = 'unknown', due = 0 WHERE id = ?", [task])
            )
            assert (await on.chains.run_row(run_id)).status == "running"
            await on.here.engine.retry(LOCAL_OWNER, task)
            view = await on.chains.wait(run_id, WAIT_S)
            assert (view.status, view.result) == ("succeeded", "once")
            assert len(on.steps.named("once")) == 1

    run(scenario())


def test_a_large_run_is_shown_by_its_sums(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            view = await on.walk(
                {
                    "a": {"do": "many", "args": {"count": 1_200}},
                    "b": {"do": "echo"},
                    "c": {"do": "echo", "join": "all"},
                },
                [{"from": "a", "to": "b", "each": "$"}, "b c"],
            )
            assert view.summary["b"] == {"succeeded": 1_200}
            assert len(view.nodes) == 1_000
            assert view.edges[1].taken == 1_200

    run(scenario(), bound_s=120.0)


def test_a_whole_tree_of_waiting_and_running_tasks_is_cancelled_in_one_step(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            await on.apply(
                {
                    "a": {"do": "many", "args": {"count": 40}},
                    "b": {"do": "echo"},
                    "c": {"do": "echo", "join": "all"},
                },
                [{"from": "a", "to": "b", "each": "$", "delay": 3600}, "b c"],
            )
            run_id = await on.chains.run(LOCAL_OWNER, "it")
            while "b" not in (await on.chains.run_view(run_id)).summary:
                pass
            await on.chains.cancel(LOCAL_OWNER, run_id)
            view = await on.chains.wait(run_id, WAIT_S)
            assert view.status == "cancelled"
            assert view.summary == {"a": {"succeeded": 1}, "b": {"cancelled": 40}, "c": {"skipped": 1}}
            assert await on.here.engine.counts() == {}

    run(scenario())
