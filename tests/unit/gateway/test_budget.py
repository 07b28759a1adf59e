"""Limits on money, through the whole pipeline and a real journal."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from legion_core.gateway.answer import Answer
from legion_core.gateway.budget import OUTPUT_SCARCE, Limits, most_tokens
from legion_core.gateway.cost import most_usd
from legion_core.gateway.types import ModelOffer, Params, Price, Request, Tier
from legion_core.kernel.errors import ConnectionLost, LimitReached, Overloaded
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.testing.clock import SimClock
from legion_core.testing.gateway import GatewayUnderTest, ask, open_gateway
from legion_core.testing.scripted import ScriptedProvider, Wait, say
from tests.support.aio import run

PRICE = Price(input=1.0, output=10.0)
PAID = ModelOffer(id="m1", context=32_768, price=PRICE)


def question(number: int = 0, *, conversation: str | None = None, client: str = "") -> Request:
    return msgspec.structs.replace(
        ask("hello", request_id=f"req_{number}"),
        params=Params(max_tokens=100),
        conversation_id=conversation,
        client=client,
    )


MOST = most_usd(PRICE, Tier.CLOUD, most_tokens(question()), 100) or 0.0


async def try_to(under_test: GatewayUnderTest, request: Request) -> Answer | LimitReached:
    try:
        return await under_test.gateway.answer(request, LOCAL_OWNER)
    except LimitReached as error:
        return error


async def held_usd(under_test: GatewayUnderTest) -> float:
    return sum(row.held_usd for row in await under_test.gateway.budget.rows() if row.scope == "day")


@asynccontextmanager
async def asked_at_once(
    path: Path, count: int, limits: Limits, **more: str | None
) -> AsyncGenerator[tuple[GatewayUnderTest, list[Answer | LimitReached]]]:
    """`count` requests at once to a paid model that answers none of them before the last has been decided."""
    async with open_gateway(path, limits=limits) as under_test:
        gate = asyncio.Event()
        cloud = under_test.put(
            ScriptedProvider("cloud", [Wait(gate), *say("a", "b")]), Tier.CLOUD, offer=PAID
        )
        requests = [question(number, **more) for number in range(count)]  # type: ignore[arg-type]
        tasks = [asyncio.create_task(try_to(under_test, request)) for request in requests]
        while len(cloud.calls) + sum(task.done() for task in tasks) < count:
            await asyncio.sleep(0)
        assert abs(await held_usd(under_test) - MOST * len(cloud.calls)) < 1e-9
        gate.set()
        yield under_test, list(await asyncio.gather(*tasks))


def test_of_64_requests_at_once_with_money_for_10_exactly_10_are_admitted(tmp_path: Path) -> None:
    async def scenario() -> None:
        limits = Limits(day_usd=MOST * 10)
        async with asked_at_once(tmp_path / "j.db", 64, limits) as (under_test, found):
            refused = [each for each in found if isinstance(each, LimitReached)]
            (row,) = await under_test.gateway.budget.rows()

        assert (len(found) - len(refused), len(refused)) == (10, 54)
        assert refused[0].message.startswith("cloud/m1: it may cost $")
        assert refused[0].retry == "never"
        # Each answer was 7 tokens in and 2 out.
        assert row.held_usd == 0
        assert row.spent_usd == pytest.approx(10 * 27e-6, abs=1e-12)

    run(scenario())


def test_money_that_was_held_and_not_spent_is_there_for_the_next(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db", limits=Limits(day_usd=MOST * 1.5)) as under_test:
            under_test.put(ScriptedProvider("cloud", say("a", "b")), Tier.CLOUD, offer=PAID)
            found = [await try_to(under_test, question(number)) for number in range(5)]

        assert all(isinstance(each, Answer) for each in found)

    run(scenario())


def test_a_limit_on_a_conversation_and_one_on_a_client_hold_for_that_one_alone(tmp_path: Path) -> None:
    asked = [
        ("one", "curl/8.1"),
        ("one", "curl/8.1"),
        ("two", "curl/8.2"),
        ("three", "curl/9"),
        ("four", "x"),
    ]

    async def scenario() -> list[Answer | LimitReached]:
        limits = Limits(conversation_usd=MOST, client_day_usd=MOST * 2)
        async with open_gateway(tmp_path / "j.db", limits=limits) as under_test:
            gate = asyncio.Event()
            cloud = under_test.put(ScriptedProvider("cloud", [Wait(gate), *say("a")]), Tier.CLOUD, offer=PAID)
            tasks = list[asyncio.Task[Answer | LimitReached]]()
            for number, (conversation, client) in enumerate(asked):
                request = question(number, conversation=conversation, client=client)
                begun = len(cloud.calls)
                tasks.append(asyncio.create_task(try_to(under_test, request)))
                while len(cloud.calls) == begun and not tasks[-1].done():
                    await asyncio.sleep(0)
            gate.set()
            return list(await asyncio.gather(*tasks))

    found = run(scenario())

    assert [isinstance(each, Answer) for each in found] == [True, False, True, False, True]
    assert "this conversation's budget" in str(found[1])
    assert "today's budget of curl" in str(found[3])


def test_what_costs_nothing_needs_no_money_and_takes_over_when_there_is_none(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db", limits=Limits(day_usd=MOST / 2)) as under_test:
            under_test.put(ScriptedProvider("cloud", say("paid")), Tier.CLOUD, offer=PAID)
            box = under_test.put(ScriptedProvider("box", say("free")), Tier.DIRECT)
            answers = [await try_to(under_test, question(number)) for number in range(3)]

        assert [answer.text for answer in answers if isinstance(answer, Answer)] == ["free"] * 3
        assert len(box.calls) == 3

    run(scenario())


def test_an_unknown_price_is_refused_under_a_budget_and_allowed_by_name(tmp_path: Path) -> None:
    async def scenario(limits: Limits, name: str) -> Answer | LimitReached:
        async with open_gateway(tmp_path / name, limits=limits) as under_test:
            under_test.put(ScriptedProvider("cloud", say("ok")), Tier.CLOUD)
            return await try_to(under_test, question())

    refused = run(scenario(Limits(day_usd=1.0), "a.db"))
    allowed = run(scenario(Limits(day_usd=1.0, allow_unknown_price=True), "b.db"))
    without = run(scenario(Limits(), "c.db"))

    assert isinstance(refused, LimitReached)
    assert "its price is unknown" in refused.message
    assert isinstance(allowed, Answer)
    assert isinstance(without, Answer)


def test_what_a_killed_process_held_is_settled_as_interrupted_and_stays_held_until_its_day_is_over(
    tmp_path: Path,
) -> None:
    clock, limits = SimClock(), Limits(day_usd=MOST * 1.5, conversation_usd=MOST * 1.5)

    async def killed() -> None:
        async with open_gateway(
            tmp_path / "j.db", clock, limits=limits, owner="999999999:long gone"
        ) as under_test:
            under_test.put(ScriptedProvider("cloud", say("a")), Tier.CLOUD, offer=PAID)
            request = question(1, conversation="conv")
            decision = under_test.gateway._pipeline.route(request)
            await under_test.gateway.budget.reserve(request, decision)  # and no bill: the process is gone

    async def next_start() -> tuple[float, list[str], Answer | LimitReached]:
        async with open_gateway(tmp_path / "j.db", clock, limits=limits, owner="1:here") as under_test:
            under_test.put(ScriptedProvider("cloud", say("a")), Tier.CLOUD, offer=PAID)
            rows = await under_test.gateway.ledger.rows(request="req_1")
            assert all(row.cost_usd is None for row in rows)
            return (
                await held_usd(under_test),
                [row.outcome for row in rows],
                await try_to(under_test, question(2, conversation="conv")),
            )

    run(killed())
    held, outcomes, answer = run(next_start())
    assert held == pytest.approx(MOST)
    assert outcomes == ["interrupted"]
    assert isinstance(answer, LimitReached)

    clock.step_date(86_400)
    held, _, answer = run(next_start())
    assert held == 0
    assert isinstance(answer, Answer)


def test_a_restart_does_not_touch_what_another_living_process_holds(tmp_path: Path) -> None:
    async def scenario() -> None:
        limits = Limits(day_usd=MOST * 1.5)
        from legion_core.gateway.service import owner_of_this_process

        owner = owner_of_this_process()
        async with open_gateway(tmp_path / "j.db", limits=limits, owner=owner) as first:
            first.put(ScriptedProvider("cloud", say("a")), Tier.CLOUD, offer=PAID)
            await first.gateway.budget.reserve(question(1), first.gateway._pipeline.route(question(1)))
            async with open_gateway(tmp_path / "j.db", limits=limits, owner="1:another") as second:
                second.put(ScriptedProvider("cloud", say("a")), Tier.CLOUD, offer=PAID)
                assert isinstance(await try_to(second, question(2)), LimitReached)
                assert await second.gateway.ledger.rows(request="req_1") == ()

    run(scenario())


def test_the_safe_side_of_a_token_count_holds_for_prose_code_and_chinese() -> None:
    texts = (
        "The quick brown fox jumps over the lazy dog. " * 40,
        "x=[i**2 for i in range(9)];" * 40,
        "中文字符" * 200,
    )
    # At least one token per Chinese character, and one per two to three characters of code.
    assert [most_tokens(ask(text)) - 512 for text in texts] == [900, 540, 1_200]


def test_a_further_attempt_needs_money_of_its_own_and_without_it_the_answer_ends_with_the_first_error(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db", limits=Limits(day_usd=MOST * 1.5)) as under_test:
            under_test.put(ScriptedProvider("first", [Overloaded("It is too busy.")]), Tier.CLOUD, offer=PAID)
            second = under_test.put(ScriptedProvider("second", say("a")), Tier.FRONTIER, offer=PAID)

            with pytest.raises(Overloaded):
                await under_test.gateway.answer(question(), LOCAL_OWNER)

            assert second.calls == []
            assert await held_usd(under_test) == 0

    run(scenario())


def test_a_free_answer_that_breaks_off_goes_on_at_a_paid_model_only_with_money_for_it(tmp_path: Path) -> None:
    async def scenario(limits: Limits, name: str) -> tuple[int, float]:
        async with open_gateway(tmp_path / name, limits=limits) as under_test:
            under_test.put(ScriptedProvider("box", [ConnectionLost("No route.")]), Tier.DIRECT)
            gate = asyncio.Event()
            cloud = under_test.put(ScriptedProvider("cloud", [Wait(gate), *say("a")]), Tier.CLOUD, offer=PAID)
            task = asyncio.create_task(try_until_settled(under_test))
            while not cloud.calls and not task.done():
                await asyncio.sleep(0)
            held = await held_usd(under_test)
            gate.set()
            await task
            return len(cloud.calls), held

    async def try_until_settled(under_test: GatewayUnderTest) -> None:
        with contextlib.suppress(ConnectionLost):
            await under_test.gateway.answer(question(), LOCAL_OWNER)

    assert run(scenario(Limits(day_usd=MOST * 1.5), "a.db")) == (1, pytest.approx(MOST))
    assert run(scenario(Limits(day_usd=MOST / 2), "b.db")) == (0, 0)


def test_a_question_without_a_bound_is_bounded_where_money_is_short_and_only_there(tmp_path: Path) -> None:
    unbounded = ask("hello", request_id="req_1")
    short = (most_usd(PRICE, Tier.CLOUD, most_tokens(unbounded), OUTPUT_SCARCE) or 0.0) * 1.5

    async def scenario(limits: Limits, name: str) -> int | None:
        async with open_gateway(tmp_path / name, limits=limits) as under_test:
            cloud = under_test.put(ScriptedProvider("cloud", say("a")), Tier.CLOUD, offer=PAID)
            await under_test.gateway.answer(unbounded, LOCAL_OWNER)
            return cloud.calls[0].request.params.max_tokens

    assert run(scenario(Limits(day_usd=short), "a.db")) == OUTPUT_SCARCE
    assert run(scenario(Limits(day_usd=10.0), "b.db")) is None
