"""Chains on the real engine: what runs, with what, and what becomes of the rest."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from legion_core.engine.following import LATE
from legion_core.engine.next_hop import Walk
from legion_core.kernel.errors import Conflict, InvalidInput, NotFound
from legion_core.kernel.ports import LOCAL_OWNER, Principal
from tests.support.aio import run
from tests.unit.chains.drive import Bench, bench, node, told

OK = {"all": [{"fact": "result.status", "operator": "equal", "value": 200}]}


@pytest.mark.requirement("engine.chain")
def test_a_task_leads_to_the_next_with_its_result(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            view = await on.walk(
                {
                    "get": {"do": "give", "args": {"value": "{{ input.word }}"}},
                    "tell": {"do": "echo", "args": {"value": "say {{ result.value }}"}},
                },
                [{"from": "get", "to": "tell", "when": OK}],
                {"word": "hello"},
            )
            assert view.status == "succeeded"
            assert told(view) == {"get": "succeeded", "tell": "succeeded"}
            assert view.result == "say hello"
            assert on.steps.calls == [("give", "hello"), ("echo", "say hello")]

    run(scenario())


@pytest.mark.requirement("engine.conditions")
def test_a_condition_that_does_not_hold_skips_what_is_behind_it_and_says_why(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            view = await on.walk(
                {
                    "get": {"do": "give", "args": {"status": 404}},
                    "tell": {"do": "echo"},
                    "more": {"do": "echo"},
                },
                [{"from": "get", "to": "tell", "when": OK}, "tell more"],
            )
            assert view.status == "succeeded"
            assert told(view) == {
                "get": "succeeded",
                "tell": "skipped: condition.false",
                "more": "skipped: edge.parent_skipped",
            }
            reason = node(view, "tell").reason
            assert reason is not None
            assert reason.facts["fact"] == "result.status"
            assert on.steps.named("echo") == []
            why = await on.chains.explain(view.id, 0)
            assert (why.is_decided, why.is_taken, why.key) == (True, False, "get")
            assert why.condition["rules"][0]["actual"] == 404

    run(scenario())


def test_a_condition_on_a_fact_that_is_not_there_blocks_and_fails_the_run(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            view = await on.walk(
                {"get": {"do": "echo", "args": {"value": "text"}}, "tell": {"do": "echo"}},
                [{"from": "get", "to": "tell", "when": OK}],
            )
            assert view.status == "failed"
            assert told(view)["tell"] == "blocked: condition.fact_missing"
            assert view.reason is not None
            assert view.reason.code == "run.node_failed"

    run(scenario())


@pytest.mark.requirement("engine.transforms")
@pytest.mark.parametrize(
    ("transform", "given"),
    [
        ({"engine": "liquid", "template": {"value": "{{ result.value | upcase }}"}}, "A WORD"),
        ({"engine": "liquid", "template": {"value": "{% for i in (1..3) %}{{ i }}{% endfor %}"}}, "123"),
        ({"engine": "jsonpath", "template": {"value": "$.result.value"}}, "a word"),
        ({"engine": "static", "template": {"value": {"fixed": [1, 2]}}}, {"fixed": [1, 2]}),
    ],
)
def test_a_transform_shapes_what_the_next_task_is_called_with(
    tmp_path: Path, transform: dict[str, Any], given: Any
) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            view = await on.walk(
                {
                    "get": {"do": "give", "args": {"value": "a word"}},
                    "tell": {"do": "echo", "transform": transform},
                },
                ["get tell"],
            )
            assert (view.status, view.result) == ("succeeded", given)
            task = await on.here.engine.get(node(view, "tell").id)
            assert task.args == {"value": given}

    run(scenario())


def test_a_transform_that_cannot_be_rendered_fails_its_node_and_the_failure_is_taken_up(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            view = await on.walk(
                {
                    "get": {"do": "give"},
                    "tell": {
                        "do": "echo",
                        "transform": {"engine": "jsonpath", "template": {"value": "$.result.nothing"}},
                    },
                    "alarm": {"do": "echo", "args": {"value": "{{ error }}"}},
                },
                ["get tell", {"from": "tell", "to": "alarm", "on": "failure"}],
            )
            assert view.status == "succeeded"
            assert told(view)["tell"] == "failed: transform.nothing_found"
            assert "finds nothing" in view.result

    run(scenario())


def test_arguments_that_do_not_fit_the_function_block_its_node(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            view = await on.walk(
                {"get": {"do": "give"}, "tell": {"do": "echo", "args": {"valeu": 1}}}, ["get tell"]
            )
            assert view.status in ("succeeded", "failed")
            assert told(view)["get"] == "succeeded"

    run(scenario())


@pytest.mark.requirement("engine.fan-out")
def test_a_fan_out_runs_for_every_element_and_a_join_gathers_their_results_in_order(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            view = await on.walk(
                {
                    "list": {
                        "do": "give",
                        "args": {"items": "{{ input.n }}"},
                        "transform": {"engine": "jsonpath", "template": {"items": "$.input.n"}},
                    },
                    "each": {"do": "echo", "args": {"value": "{{ index }}-{{ item }}"}},
                    "sum": {
                        "do": "echo",
                        "join": "all",
                        "transform": {"engine": "jsonpath", "template": {"value": "$.results.each"}},
                    },
                },
                [{"from": "list", "to": "each", "each": "$.items"}, "each sum"],
                {"n": ["a", "b", "c"]},
            )
            assert view.status == "succeeded", told(view)
            assert view.result == ["0-a", "1-b", "2-c"]
            assert view.summary == {
                "list": {"succeeded": 1},
                "each": {"succeeded": 3},
                "sum": {"succeeded": 1},
            }
            assert [each.index for each in view.nodes if each.node == "each"] == [0, 1, 2]
            assert [edge.count for edge in view.edges] == [3, -1]
            assert len(on.steps.named("echo")) == 4

    run(scenario())


def test_a_fan_out_over_nothing_leads_to_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            view = await on.walk(
                {"list": {"do": "give"}, "each": {"do": "echo"}, "sum": {"do": "echo", "join": "all"}},
                [{"from": "list", "to": "each", "each": "$.items"}, "each sum"],
            )
            assert view.status == "succeeded"
            assert told(view)["each"] == "skipped: edge.nothing_to_fan_out"

    run(scenario())


@pytest.mark.requirement("engine.dependency-graph")
def test_a_diamond_waits_for_both_sides_and_runs_its_end_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            view = await on.walk(
                {
                    "top": {"do": "echo", "args": {"value": "t"}},
                    "left": {"do": "plain", "args": {"value": "l"}},
                    "right": {"do": "echo", "args": {"value": "r"}},
                    "end": {
                        "do": "echo",
                        "args": {"value": "{{ results.left }}{{ results.right }}{{ results.top }}"},
                    },
                },
                ["top left", "top right", "left end", "right end"],
            )
            assert (view.status, view.result) == ("succeeded", "lrt")
            assert view.summary["end"] == {"succeeded": 1}

    run(scenario())


@pytest.mark.parametrize(("join", "ends"), [("all", 3), ("any", 1), (2, 2)])
def test_a_join_of_some_runs_once_however_many_come(tmp_path: Path, join: Any, ends: int) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            view = await on.walk(
                {
                    "top": {"do": "echo"},
                    "a": {"do": "echo"},
                    "b": {"do": "echo"},
                    "c": {"do": "echo"},
                    "end": {"do": "echo", "join": join, "args": {"value": "{{ results | size }}"}},
                },
                ["top a", "top b", "top c", "a end", "b end", "c end"],
            )
            assert view.status == "succeeded"
            assert view.summary["end"] == {"succeeded": 1}

    run(scenario())


def test_a_failure_nobody_takes_up_fails_the_run_and_skips_what_hangs_on_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            view = await on.walk(
                {"a": {"do": "fail", "args": {"what": "broken"}}, "b": {"do": "echo"}, "c": {"do": "echo"}},
                [
                    "a b",
                    {
                        "from": "a",
                        "to": "c",
                        "on": "always",
                        "when": {"not": {"fact": "status", "operator": "equal", "value": "failed"}},
                    },
                ],
            )
            assert view.status == "failed"
            assert told(view) == {
                "a": "failed: task.raised",
                "b": "skipped: edge.parent_failed",
                "c": "skipped: edge.parent_failed",
            }
            assert view.reason is not None
            assert "broken" in view.reason.sentence

    run(scenario())


def test_a_node_is_tried_again_as_the_chain_says(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            view = await on.walk(
                {
                    "a": {
                        "do": "shaky",
                        "args": {"name": "x", "times": 2},
                        "retry": {"max": 3, "delay_s": 0.001},
                    },
                    "b": {"do": "echo", "args": {"value": "{{ result }}"}},
                },
                ["a b"],
            )
            assert (view.status, view.result) == ("succeeded", "x")
            assert node(view, "a").attempt == 3

    run(scenario())


def test_a_loop_goes_round_until_its_budget_is_spent(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            view = await on.walk(
                {"a": {"do": "echo"}, "b": {"do": "echo"}}, ["a b", "b a"], budget={"loops": 3}
            )
            assert view.status == "succeeded"
            assert view.summary == {"a": {"succeeded": 4}, "b": {"succeeded": 4}}
            assert view.edges[1].reason is not None
            assert view.edges[1].reason.code == "budget.loops_spent"

    run(scenario())


def test_a_delay_keeps_condition_transform_and_result(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            await on.apply(
                {
                    "a": {"do": "give", "args": {"value": 7}},
                    "b": {"do": "echo", "args": {"value": "{{ result.value }}"}},
                },
                [{"from": "a", "to": "b", "delay": 0.05, "when": OK}],
            )
            run_id = await on.chains.run(LOCAL_OWNER, "it")
            view = await on.chains.wait(run_id, 60)
            assert (view.status, view.result) == ("succeeded", "7")
            late = node(view, "b")
            assert late.started_at is not None
            before = node(view, "a").ended_at
            assert before is not None
            assert (late.started_at - before).total_seconds() >= 0.049

    run(scenario())


def test_a_delayed_node_says_until_when_it_waits(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            await on.apply(
                {"a": {"do": "echo"}, "b": {"do": "echo"}, "c": {"do": "echo"}},
                [{"from": "a", "to": "b", "delay": 3600}, "b c"],
            )
            run_id = await on.chains.run(LOCAL_OWNER, "it")
            while told(view := await on.chains.run_view(run_id))["a"] != "succeeded":
                await asyncio.sleep(0.005)
            assert told(view) == {
                "a": "succeeded", "b": "delayed: task.delayed", "c": "accepted: run.not_reached"
            }  # fmt: skip
            assert node(view, "b").due_at is not None
            await on.chains.cancel(LOCAL_OWNER, run_id)
            view = await on.chains.wait(run_id, 60)
            assert view.status == "cancelled"
            assert told(view)["b"] == "cancelled: task.cancelled"
            assert told(view)["c"] == "skipped: run.cancelled"

    run(scenario())


def test_a_mistyped_chain_is_refused_with_every_fault_and_never_kept(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            text = (
                "name: it\nnodes:\n  a: {task: step.it.ech0}\n  b: {task: step.it.echo}\nedges:\n"
                "  - {from: a, to: b, when: {all: [{fact: result, operator: equals, value: 1}]}}\n"
            )
            with pytest.raises(InvalidInput) as caught:
                await on.chains.apply(LOCAL_OWNER, text)
            assert {each.line for each in caught.value.faults} == {3, 6}
            assert len(await on.chains.validate(text)) == 2
            with pytest.raises(NotFound):
                await on.chains.view("it")

    run(scenario())


def test_runs_keep_the_version_they_began_with_and_the_same_document_makes_no_new_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            await on.apply({"a": {"do": "hold"}, "b": {"do": "echo", "args": {"value": "one"}}}, ["a b"])
            old = await on.chains.run(LOCAL_OWNER, "it")
            await on.steps.entered.wait()
            await on.apply({"b": {"do": "echo", "args": {"value": "two"}}})
            assert await on.apply({"b": {"do": "echo", "args": {"value": "two"}}}) == "it"
            assert [each.version for each in await on.chains.versions("it")] == [2, 1]
            on.steps.gate.set()
            assert (await on.chains.wait(old, 60)).result == "one"
            assert (await on.run()).result == "two"
            assert (await on.run(version=1)).result == "one"
            (row,) = await on.chains.rows()
            assert (row.version, row.runs, row.last_status) == (2, 3, "succeeded")

    run(scenario())


def test_a_chain_that_is_deleted_runs_to_its_end_and_not_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            await on.apply({"a": {"do": "hold"}, "b": {"do": "echo"}}, ["a b"])
            going = await on.chains.run(LOCAL_OWNER, "it")
            await on.steps.entered.wait()
            await on.chains.delete(LOCAL_OWNER, "it")
            on.steps.gate.set()
            assert (await on.chains.wait(going, 60)).status == "succeeded"
            with pytest.raises(NotFound):
                await on.chains.run(LOCAL_OWNER, "it")
            with pytest.raises(NotFound):
                await on.chains.delete(LOCAL_OWNER, "it")
            await on.apply({"b": {"do": "echo"}})
            assert (await on.chains.view("it")).version == 2

    run(scenario())


async def family(on: Bench) -> None:
    await on.apply({"x": {"do": "echo", "args": {"value": "inner {{ input.word }}"}}}, name="inner")
    await on.apply(
        {
            "a": {"do": "give", "args": {"value": "w"}},
            "sub": {"chain": "inner", "args": {"word": "{{ result.value }}"}},
            "z": {"do": "echo", "args": {"value": "got {{ result }}"}},
        },
        ["a sub", "sub z"],
        name="outer",
    )


def test_a_sub_chain_runs_as_a_node_and_gives_its_result(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            await family(on)
            view = await on.run(name="outer")
            assert (view.status, view.result) == ("succeeded", "got inner w")
            sub = node(view, "sub")
            assert (sub.task, sub.status) == ("chain:inner", "succeeded")
            child = await on.chains.run_view(sub.child)
            assert (child.parent, child.parent_run, child.depth) == (sub.id, view.id, 1)
            inner = await on.here.engine.get(node(child, "x").id)
            assert inner.root == view.id

    run(scenario())


def test_a_sub_chain_that_fails_fails_its_node_and_says_which_run(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            await on.apply({"x": {"do": "fail", "args": {"what": "deep down"}}}, name="inner")
            view = await on.walk(
                {"sub": {"chain": "inner"}, "alarm": {"do": "echo", "args": {"value": "{{ error }}"}}},
                [{"from": "sub", "to": "alarm", "on": "failure"}],
            )
            assert view.status == "succeeded"
            assert told(view)["sub"] == "failed: run.chain_failed"
            assert "deep down" in view.result

    run(scenario())


def test_chains_that_start_each_other_end_at_a_bound(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            await on.apply({"b": {"chain": "two"}}, name="one")
            await on.apply({"a": {"chain": "one"}}, name="two")
            view = await on.run(name="one")
            assert view.status == "failed"
            rows = [row for _, row in await on.chains.page()]
            assert len(rows) == 8
            deepest = await on.chains.run_view(rows[0].id)
            assert [each.split(": ")[1] for each in told(deepest).values()] == ["run.too_deep"]

    run(scenario())


def test_a_sub_chain_nobody_knows_blocks_its_node(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            view = await on.walk({"sub": {"chain": "nowhere"}})
            assert told(view) == {"sub": "blocked: run.chain_unknown"}
            assert view.status == "failed"

    run(scenario())


def test_a_delayed_sub_chain_begins_when_its_time_has_come(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            await on.apply({"x": {"do": "echo", "args": {"value": "late"}}}, name="inner")
            view = await on.walk(
                {"a": {"do": "echo"}, "sub": {"chain": "inner"}}, [{"from": "a", "to": "sub", "delay": 0.02}]
            )
            assert (view.status, view.result) == ("succeeded", "late")

    run(scenario())


def test_a_run_is_cancelled_whole_with_its_sub_chains(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            await on.apply({"x": {"do": "hold"}, "y": {"do": "echo"}}, ["x y"], name="inner")
            await on.apply({"sub": {"chain": "inner"}, "z": {"do": "echo"}}, ["sub z"], name="outer")
            outer = await on.chains.run(LOCAL_OWNER, "outer")
            await on.steps.entered.wait()
            child = node(await on.chains.run_view(outer), "sub").child
            await on.chains.cancel(LOCAL_OWNER, outer)
            view = await on.chains.wait(outer, 60)
            assert view.status == "cancelled"
            assert told(view) == {"sub": "cancelled: task.cancelled", "z": "skipped: run.cancelled"}
            inner = await on.chains.wait(child, 60)
            assert told(inner) == {"x": "cancelled: task.cancelled", "y": "skipped: run.cancelled"}
            with pytest.raises(Conflict):
                await on.chains.cancel(LOCAL_OWNER, outer)
            assert on.steps.named("echo") == []

    run(scenario())


def test_cancelling_the_node_of_a_sub_chain_cancels_the_sub_chain_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            await on.apply({"x": {"do": "hold"}}, name="inner")
            await on.apply(
                {"sub": {"chain": "inner"}, "z": {"do": "echo"}},
                [{"from": "sub", "to": "z", "on": "always"}],
                name="outer",
            )
            outer = await on.chains.run(LOCAL_OWNER, "outer")
            await on.steps.entered.wait()
            await on.here.engine.cancel(LOCAL_OWNER, node(await on.chains.run_view(outer), "sub").id)
            view = await on.chains.wait(outer, 60)
            assert view.status == "succeeded"
            assert told(view) == {"sub": "cancelled: task.cancelled", "z": "succeeded"}

    run(scenario())


def test_cancelling_one_task_of_a_chain_follows_its_edges(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            await on.apply(
                {"a": {"do": "hold"}, "b": {"do": "echo"}, "c": {"do": "echo"}},
                ["a b", {"from": "a", "to": "c", "on": "always"}],
            )
            run_id = await on.chains.run(LOCAL_OWNER, "it")
            await on.steps.entered.wait()
            await on.here.engine.cancel(LOCAL_OWNER, node(await on.chains.run_view(run_id), "a").id)
            view = await on.chains.wait(run_id, 60)
            assert told(view)["a"] == "cancelled: task.cancelled"
            assert told(view)["b"].startswith("skipped")
            assert told(view)["c"] == "succeeded"

    run(scenario())


def test_a_task_of_a_chain_is_not_tried_again_by_hand_but_replayed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            view = await on.walk({"a": {"do": "fail"}})
            with pytest.raises(Conflict, match="gone on without it"):
                await on.here.engine.retry(LOCAL_OWNER, node(view, "a").id)

    run(scenario())


def test_a_replay_takes_over_what_came_before_and_does_the_rest_anew(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            view = await on.walk(
                {
                    "a": {"do": "give", "args": {"value": 3}},
                    "b": {"do": "shaky", "args": {"name": "b{{ result.value }}", "times": 1}},
                    "c": {"do": "echo", "args": {"value": "{{ results.a.value }}{{ result }}"}},
                },
                ["a b", "b c"],
            )
            assert view.status == "failed"
            fresh = await on.chains.replay(LOCAL_OWNER, view.id, "b")
            again = await on.chains.wait(fresh, 60)
            assert (again.status, again.result) == ("succeeded", "3b3")
            assert told(again)["a"] == "succeeded: run.reused"
            assert (again.replay_of, again.replay_from) == (view.id, "b")
            assert len(on.steps.named("give")) == 1
            with pytest.raises(InvalidInput):
                await on.chains.replay(LOCAL_OWNER, view.id, "nothing")
            with pytest.raises(Conflict):
                await on.chains.replay(LOCAL_OWNER, view.id, "c")

    run(scenario())


def test_a_replay_within_a_fan_out_finds_its_elements_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            view = await on.walk(
                {
                    "list": {
                        "do": "give",
                        "args": {},
                        "transform": {"engine": "static", "template": {"items": ["p", "q"]}},
                    },
                    "each": {"do": "echo", "args": {"value": "{{ item }}"}},
                    "sum": {
                        "do": "echo",
                        "join": "all",
                        "transform": {"engine": "jsonpath", "template": {"value": "$.results.each"}},
                    },
                },
                [{"from": "list", "to": "each", "each": "$.items"}, "each sum"],
            )
            again = await on.chains.wait(await on.chains.replay(LOCAL_OWNER, view.id, "each"), 60)
            assert again.result == ["p", "q"]
            last = await on.chains.wait(await on.chains.replay(LOCAL_OWNER, again.id, "sum"), 60)
            assert last.result == ["p", "q"]

    run(scenario())


def test_what_is_pinned_is_not_run(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            await on.apply(
                {"a": {"do": "fail"}, "b": {"do": "echo", "args": {"value": "{{ result.x }}"}}}, ["a b"]
            )
            view = await on.run(pins={"a": {"x": 5}})
            assert (view.status, view.result) == ("succeeded", "5")
            assert told(view) == {"a": "succeeded: run.pinned", "b": "succeeded"}
            assert on.steps.named("fail") == []
            with pytest.raises(InvalidInput):
                await on.run(pins={"nobody": 1})

    run(scenario())


def test_a_dry_run_decides_everything_and_calls_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            nodes = {
                "a": {"do": "give", "args": {"value": "{{ input.v }}"}},
                "b": {"do": "echo", "args": {"value": "is {{ result.value }}"}},
                "c": {"do": "echo"},
            }
            edges: list[Any] = [
                {"from": "a", "to": "b", "when": OK, "delay": 60},
                {"from": "a", "to": "c", "on": "failure"},
            ]
            await on.apply(nodes, edges)
            dry = await on.run({"v": 1}, is_dry=True, pins={"a": {"status": 200, "value": "pinned"}})
            assert (dry.status, dry.is_dry) == ("succeeded", True)
            assert told(dry) == {
                "a": "succeeded: run.pinned", "b": "skipped: run.dry", "c": "skipped: edge.other_outcome",
            }  # fmt: skip
            assert (await on.chains.payload(dry.id, "b")).args == {"value": "is pinned"}
            assert on.steps.calls == []
            real = await on.run({"v": 2}, pins={"b": None})
            assert real.status == "succeeded"
            document = (await on.chains.view("it")).document
            draft = await on.chains.preview(LOCAL_OWNER, document, {"v": 3}, None)
            assert told(draft)["b"] == "skipped: run.dry"
            assert len(await on.chains.page()) == 2

    run(scenario())


def test_what_went_into_a_node_and_what_came_out_can_be_looked_at(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            view = await on.walk(
                {
                    "a": {"do": "give", "args": {"value": 1}},
                    "b": {"do": "echo", "args": {"value": "{{ results.a.value }}"}},
                },
                ["a b"],
                {"q": 1},
            )
            seen = await on.chains.payload(view.id, "b")
            assert seen.payload["input"] == {"q": 1}
            assert seen.payload["result"]["value"] == 1
            assert (seen.args, seen.result) == ({"value": "1"}, "1")
            assert seen.facts["status"] == "succeeded"
            last = await on.chains.last_payload("it", "b")
            assert last is not None
            assert last.run == view.id
            rendered = await on.chains.render({"args": {"value": "x{{ result.value }}"}}, seen.payload)
            assert rendered.args == {"value": "x1"}

    run(scenario())


class Oracle:
    """Answers as it was told to."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def ask(self, who: Principal, prompt: str, **_: object) -> str:
        assert who.name == "owner"
        self.asked.append(prompt)
        return self.answers.pop(0)


def test_a_model_makes_the_arguments_and_is_asked_again_where_its_answer_does_not_fit(tmp_path: Path) -> None:
    async def scenario() -> None:
        oracle = Oracle("I think so.", '{"value": "from a model"}')
        async with bench(tmp_path, asker=oracle) as on:
            view = await on.walk(
                {
                    "a": {"do": "give", "args": {"value": "moon"}},
                    "b": {
                        "do": "echo",
                        "transform": {
                            "engine": "llm",
                            "template": "About {{ result.value }}?",
                            "schema": {"required_keys": ["value"]},
                        },
                    },
                },
                ["a b"],
            )
            assert (view.status, view.result) == ("succeeded", "from a model")
            assert oracle.asked[0] == "About moon?"
            assert "could not be used" in oracle.asked[1]
            assert (await on.here.engine.get(node(view, "b").id)).args == {"value": "from a model"}

    run(scenario())


def test_a_model_that_never_fits_fails_the_node_with_a_reason(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path, asker=Oracle("no", "no")) as on:
            transform = {"engine": "llm", "template": "?", "schema": {"required_keys": ["value"]}}
            view = await on.walk({"b": {"do": "echo", "transform": transform}})
            assert told(view) == {"b": "failed: transform.model_failed"}

    run(scenario())


def test_a_walk_is_made_again_from_the_journal_at_any_moment(tmp_path: Path) -> None:
    """As another process would: nothing of the run is kept in memory between two tasks."""

    async def scenario() -> None:
        async with bench(tmp_path) as on:
            await on.apply(
                {
                    "list": {
                        "do": "give",
                        "transform": {"engine": "static", "template": {"items": [1, 2, 3]}},
                    },
                    "each": {"do": "plain", "args": {"value": "{{ item }}"}},
                    "more": {
                        "do": "echo",
                        "args": {"value": "{{ item }}{{ result }}{{ results.list.status }}"},
                    },
                    "sum": {
                        "do": "echo",
                        "join": "all",
                        "transform": {"engine": "jsonpath", "template": {"value": "$.results.more"}},
                    },
                },
                [{"from": "list", "to": "each", "each": "$.items"}, "each more", "more sum"],
            )
            run_id = await on.chains.run(LOCAL_OWNER, "it")
            hops = on.chains._writer_hops()
            follow = hops.follow

            def forgetful(*args: Any) -> Any:
                hops._live.clear()
                return follow(*args)

            hops.follow = forgetful  # type: ignore[method-assign]
            view = await on.chains.wait(run_id, 60)
            assert view.status == "succeeded", [each.reason for each in view.nodes]
            assert view.result == ["11200", "22200", "33200"]

    run(scenario())


@pytest.mark.allow_log("cannot be carried on")
def test_a_run_that_cannot_be_carried_on_ends_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            await on.apply({"a": {"do": "echo"}, "b": {"do": "echo"}}, ["a b"])

            def broken(*_: Any) -> Any:
                raise ValueError("the walk broke")

            monkeypatch.setattr(Walk, "finish", broken)
            view = await on.run()
            assert view.status == "failed"
            assert view.reason is not None
            assert view.reason.code == "run.broken"
            assert "the walk broke" in view.reason.sentence
            assert (await on.here.engine.get(node(view, "a").id)).status == "succeeded"

    run(scenario())


def test_a_late_argument_is_no_task_s_argument() -> None:
    assert LATE == b"null"
