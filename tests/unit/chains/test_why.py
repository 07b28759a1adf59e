"""Why did this not run? Every way in which something of a chain does not run, or not yet, has a code, a sentence and facts."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from legion_core.engine.dispatch import Places
from legion_core.engine.reasons import REASONS
from legion_core.engine.run_types import RunView
from legion_core.engine.types import Reason
from legion_core.kernel.ports import LOCAL_OWNER
from tests.support.aio import run
from tests.unit.chains.drive import WAIT_S, Bench, bench, node
from tests.unit.chains.test_runs import OK, Oracle

Case = Callable[[Bench], Awaitable[Reason | None]]
CASES: dict[str, Case] = {}


def case(code: str) -> Callable[[Case], Case]:
    """The way in which `code` comes about."""

    def keep(work: Case) -> Case:
        CASES[code] = work
        return work

    return keep


def rule(fact: str, operator: str, value: Any = None) -> dict[str, Any]:
    return {"fact": fact, "operator": operator} | ({} if value is None else {"value": value})


async def second(
    on: Bench, /, when: Any = None, first: dict[str, Any] | None = None, **edge: Any
) -> Reason | None:
    """Why the second of two nodes did not run."""
    more = {"when": when} if when is not None else {}
    view = await on.walk(
        {"a": first or {"do": "give"}, "b": {"do": "echo"}}, [{"from": "a", "to": "b", **more, **edge}]
    )
    return node(view, "b").reason


async def transformed(on: Bench, transform: Any, **first: Any) -> Reason | None:
    """Why a node with this transform did not run."""
    view = await on.walk({"a": first or {"do": "give"}, "b": {"do": "echo", "transform": transform}}, ["a b"])
    return node(view, "b").reason


async def until(on: Bench, run_id: str, name: str) -> Reason | None:
    """The reason of a node that has not ended, once it has one."""
    while True:
        view = await on.chains.run_view(run_id)
        if node(view, name).reason is not None:
            return node(view, name).reason
        await asyncio.sleep(0.005)


@case("condition.false")
async def _(on: Bench) -> Reason | None:
    return await second(on, rule("result.status", "equal", 404))


@case("condition.fact_missing")
async def _(on: Bench) -> Reason | None:
    return await second(on, rule("result.nothing", "equal", 1))


@case("condition.types_differ")
async def _(on: Bench) -> Reason | None:
    return await second(on, rule("result.status", "greater_than", "text"))


@case("condition.text_too_long")
async def _(on: Bench) -> Reason | None:
    return await second(
        on, rule("result.value", "matches", "^x+$"), {"do": "give", "args": {"value": "x" * 400_000}}
    )


@case("edge.other_outcome")
async def _(on: Bench) -> Reason | None:
    return await second(on, on="failure")


@case("edge.parent_failed")
async def _(on: Bench) -> Reason | None:
    return await second(on, first={"do": "fail"})


@case("edge.parent_skipped")
async def _(on: Bench) -> Reason | None:
    view = await on.walk(
        {"a": {"do": "echo"}, "b": {"do": "echo"}, "c": {"do": "echo"}},
        [{"from": "a", "to": "b", "on": "failure"}, "b c"],
    )
    return node(view, "c").reason


@case("edge.nothing_to_fan_out")
async def _(on: Bench) -> Reason | None:
    return await second(on, each="$.items")


@case("edge.each_failed")
async def _(on: Bench) -> Reason | None:
    deep: Any = list(range(3_000))
    first = {"do": "give", "transform": {"engine": "static", "template": {"items": [deep]}}}
    return await second(on, first=first, each="$..items[?count($..items[*]) > 0]")


@case("edge.too_many_elements")
async def _(on: Bench) -> Reason | None:
    return await second(on, first={"do": "many", "args": {"count": 100_001}}, each="$")


@case("join.nothing_arrived")
async def _(on: Bench) -> Reason | None:
    never = {"on": "failure"}
    view = await on.walk(
        {"top": {"do": "echo"}, "a": {"do": "echo"}, "b": {"do": "echo"}, "end": {"do": "echo"}},
        ["top a", "top b", {"from": "a", "to": "end", **never}, {"from": "b", "to": "end", **never}],
    )
    assert node(view, "end").reason is not None
    return (await on.walk(
        {"top": {"do": "echo"}, "a": {"do": "echo"}, "b": {"do": "echo"}, "end": {"do": "echo"}},
        [{"from": "top", "to": "a", **never}, {"from": "top", "to": "b", **never}, "a end", "b end"],
    )).nodes[-1].reason  # fmt: skip


@case("join.not_enough")
async def _(on: Bench) -> Reason | None:
    view = await on.walk(
        {
            "top": {"do": "echo"},
            "a": {"do": "echo"},
            "b": {"do": "echo"},
            "end": {"do": "echo", "join": "all"},
        },
        ["top a", {"from": "top", "to": "b", "on": "failure"}, "a end", "b end"],
    )
    return node(view, "end").reason


@case("join.parent_failed")
async def _(on: Bench) -> Reason | None:
    view = await on.walk(
        {"top": {"do": "echo"}, "a": {"do": "fail"}, "b": {"do": "echo"}, "end": {"do": "echo"}},
        ["top a", "top b", "a end", "b end"],
    )
    return node(view, "end").reason


@case("join.already_ran")
async def _(on: Bench) -> Reason | None:
    view = await on.walk(
        {
            "top": {"do": "echo"},
            "a": {"do": "echo"},
            "b": {"do": "echo"},
            "end": {"do": "echo", "join": "any"},
        },
        ["top a", "top b", "a end", "b end"],
    )
    (reason,) = [each.reason for each in view.edges if each.reason is not None]
    return reason


@case("budget.loops_spent")
async def _(on: Bench) -> Reason | None:
    view = await on.walk({"a": {"do": "echo"}, "b": {"do": "echo"}}, ["a b", "b a"], budget={"loops": 1})
    return view.edges[1].reason


@case("run.cancelled")
async def _(on: Bench) -> Reason | None:
    await on.apply({"a": {"do": "hold"}, "b": {"do": "echo"}}, ["a b"])
    run_id = await on.chains.run(LOCAL_OWNER, "it")
    await on.steps.entered.wait()
    await on.chains.cancel(LOCAL_OWNER, run_id)
    return node(await on.chains.wait(run_id, WAIT_S), "b").reason


@case("run.too_deep")
async def _(on: Bench) -> Reason | None:
    await on.apply({"b": {"chain": "two"}}, name="one")
    await on.apply({"a": {"chain": "one"}}, name="two")
    await on.run(name="one")
    deepest = (await on.chains.page())[0][1]
    return (await on.chains.run_view(deepest.id)).nodes[0].reason


@case("run.chain_unknown")
async def _(on: Bench) -> Reason | None:
    return node(await on.walk({"a": {"chain": "nowhere"}}), "a").reason


@case("run.chain_failed")
async def _(on: Bench) -> Reason | None:
    await on.apply({"x": {"do": "fail"}}, name="inner")
    return node(await on.walk({"a": {"chain": "inner"}}), "a").reason


@case("run.node_failed")
async def _(on: Bench) -> Reason | None:
    return (await on.walk({"a": {"do": "fail"}})).reason


@case("run.dry")
async def _(on: Bench) -> Reason | None:
    return node(await on.run(name=await on.apply({"a": {"do": "echo"}}), is_dry=True), "a").reason


@case("run.pinned")
async def _(on: Bench) -> Reason | None:
    return node(await on.run(name=await on.apply({"a": {"do": "echo"}}), pins={"a": 1}), "a").reason


@case("run.reused")
async def _(on: Bench) -> Reason | None:
    view = await on.walk({"a": {"do": "echo"}, "b": {"do": "echo"}}, ["a b"])
    again = await on.chains.wait(await on.chains.replay(LOCAL_OWNER, view.id, "b"), WAIT_S)
    return node(again, "a").reason


@case("run.not_reached")
async def _(on: Bench) -> Reason | None:
    await on.apply({"a": {"do": "hold"}, "b": {"do": "echo"}}, ["a b"])
    return await until(on, await on.chains.run(LOCAL_OWNER, "it"), "b")


@case("join.waiting")
async def _(on: Bench) -> Reason | None:
    await on.apply(
        {"top": {"do": "echo"}, "a": {"do": "echo"}, "b": {"do": "hold"}, "end": {"do": "echo"}},
        ["top a", "top b", "a end", "b end"],
    )
    run_id = await on.chains.run(LOCAL_OWNER, "it")
    while (reason := await until(on, run_id, "end")) and reason.code == "run.not_reached":
        await asyncio.sleep(0.005)
    return reason


@case("transform.failed")
async def _(on: Bench) -> Reason | None:
    return await transformed(on, {"template": {"value": "{{ result.nothing }}"}})


@case("transform.too_large")
async def _(on: Bench) -> Reason | None:
    many = "{% for i in (1..2000) %}{{ result.value }}{% endfor %}"
    return await transformed(on, {"template": {"value": many}}, do="give", args={"value": "x" * 1_000})


@case("transform.too_long")
async def _(on: Bench) -> Reason | None:
    loops = "{% for i in (1..1000) %}{% for j in (1..1000) %}{% for k in (1..1000) %}{% endfor %}{% endfor %}{% endfor %}"
    return await transformed(on, {"template": {"value": loops}})


@case("transform.nothing_found")
async def _(on: Bench) -> Reason | None:
    return await transformed(on, {"engine": "jsonpath", "template": {"value": "$.result.nothing"}})


@case("transform.schema")
async def _(on: Bench) -> Reason | None:
    return await transformed(
        on, {"engine": "static", "template": {"value": 1}, "schema": {"types": {"value": "string"}}}
    )


@case("transform.model_failed")
async def _(on: Bench) -> Reason | None:
    schema = {"required_keys": ["value"]}
    return await transformed(on, {"engine": "llm", "template": "?", "schema": schema})


@case("task.args_invalid")
async def _(on: Bench) -> Reason | None:
    return node(await on.walk({"a": {"do": "shaky", "args": {"name": "x", "times": "often"}}}), "a").reason


@case("task.payload_too_large")
async def _(on: Bench) -> Reason | None:
    return await transformed(
        on,
        {"template": {"value": "{{ result.value }}{{ result.value }}"}},
        do="give",
        args={"value": "x" * 300_000},
    )


@case("task.raised")
async def _(on: Bench) -> Reason | None:
    return node(await on.walk({"a": {"do": "fail"}}), "a").reason


@case("task.timed_out")
async def _(on: Bench) -> Reason | None:
    return node(await on.walk({"a": {"do": "hold", "timeout_s": 0.01}}), "a").reason


@case("task.result_too_large")
async def _(on: Bench) -> Reason | None:
    return node(await on.walk({"a": {"do": "many", "args": {"count": 1_000_000}}}), "a").reason


@case("task.result_not_json")
async def _(on: Bench) -> Reason | None:
    return node(await on.walk({"a": {"do": "odd"}}), "a").reason


@case("task.retries_used_up")
async def _(on: Bench) -> Reason | None:
    retry = {"max": 1, "delay_s": 0.001}
    view = await on.walk({"a": {"do": "shaky", "args": {"name": "x", "times": 9}, "retry": retry}})
    return node(view, "a").reason


@case("task.retry_wait")
async def _(on: Bench) -> Reason | None:
    retry = {"max": 1, "delay_s": 3600, "delay_max_s": 3600}
    await on.apply({"a": {"do": "shaky", "args": {"name": "x", "times": 9}, "retry": retry}})
    return await until(on, await on.chains.run(LOCAL_OWNER, "it"), "a")


@case("task.cancelled")
async def _(on: Bench) -> Reason | None:
    await on.apply({"a": {"do": "hold"}})
    run_id = await on.chains.run(LOCAL_OWNER, "it")
    await on.steps.entered.wait()
    task = node(await on.chains.run_view(run_id), "a")
    await on.here.engine.cancel(LOCAL_OWNER, task.id)
    return node(await on.chains.wait(run_id, WAIT_S), "a").reason


@case("task.delayed")
async def _(on: Bench) -> Reason | None:
    await on.apply({"a": {"do": "echo"}, "b": {"do": "echo"}}, [{"from": "a", "to": "b", "delay": 3600}])
    run_id = await on.chains.run(LOCAL_OWNER, "it")
    while (reason := await until(on, run_id, "b")) and reason.code == "run.not_reached":
        await asyncio.sleep(0.005)
    return reason


@case("task.queued")
async def _(on: Bench) -> Reason | None:
    await on.apply({"a": {"do": "hold"}, "b": {"do": "hold"}, "c": {"do": "hold"}})
    run_id = await on.chains.run(LOCAL_OWNER, "it")
    await on.steps.entered.wait()
    view = await on.chains.run_view(run_id)
    queued = [each for each in view.nodes if each.status == "queued"]
    return (await on.here.engine.get(queued[0].id)).reason


@case("task.function_unknown")
async def _(on: Bench) -> Reason | None:
    await on.apply({"a": {"do": "echo"}, "b": {"do": "give"}}, ["a b"])
    registry: Any = on.here.engine.registry
    for place in (registry._functions, registry._builtin["step"].functions, on.chains._functions):
        place.pop("step.it.give", None)
    return node(await on.run(), "b").reason


def test_the_catalogue_has_at_least_forty_cases() -> None:
    assert len(CASES) >= 40


@pytest.mark.parametrize("code", sorted(CASES))
def test_what_did_not_run_says_why_to_a_program_and_to_a_person(code: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        places = Places(loop=2) if code == "task.queued" else Places()
        async with bench(tmp_path, places=places, asker=Oracle("no", "no", "no")) as on:
            reason = await CASES[code](on)
            assert reason is not None
            assert reason.code == code
            kind = REASONS[code]
            assert reason.sentence
            assert not kind.hint or kind.hint in reason.sentence
            for name, value in reason.facts.items():
                assert name
                assert isinstance(value, str | int | float | bool)

    run(scenario(), bound_s=120.0)


def test_every_node_of_a_run_that_ended_has_run_or_says_why(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            views: list[RunView] = [
                await on.walk({"a": {"do": "give"}, "b": {"do": "fail"}, "c": {"do": "echo"}, "d": {"do": "echo"}},
                              [{"from": "a", "to": "b", "when": OK}, "b c", {"from": "b", "to": "d", "on": "failure"}]),
            ]  # fmt: skip
            for view in views:
                for each in view.nodes:
                    assert each.status == "succeeded" or each.reason is not None

    run(scenario())
