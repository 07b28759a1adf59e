"""What the window says of an answer is what the bill says, over many answers with many faults."""

import random
from contextlib import suppress
from pathlib import Path

import pytest

from app.viewmodels.badge import badge_of
from app.viewmodels.trace import trace_of
from legion_core.gateway.ledger_types import By
from legion_core.gateway.measures import Measures
from legion_core.gateway.types import ModelOffer, Price, TextDelta, Tier
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import ConnectionLost, LegionError, Overloaded, StreamBroken
from legion_core.testing.gateway import open_gateway
from legion_core.testing.scripted import ScriptedProvider, continuing
from tests.support.aio import run

WORDS = ("The ", "lease ", "ends ", "in ", "spring.")
ANSWERS, ANSWERS_FULL = 60, 5_000
SUMS: tuple[By, ...] = ("tier", "model", "day", "instance", "client", "conversation", "outcome")
TIERS = (Tier.DIRECT, Tier.FLEET, Tier.CLOUD)


def script(chance: random.Random) -> object:
    """An answer, a refusal, or a stream that breaks after some words."""
    fault = chance.choice((None, None, Overloaded("Busy."), ConnectionLost("Gone."), "cut"))
    if fault is None:
        return continuing(*WORDS)
    if fault == "cut":
        share = chance.random()

        def cut(request: object, model: str, prefix: str) -> list[object]:
            rest = "".join(WORDS)[len(prefix) :]
            return [
                TextDelta(text=rest[: max(1, int(len(rest) * share))], tokens=1),
                StreamBroken("It broke."),
            ]

        return cut
    return [fault]


@pytest.mark.requirement("ledger.all-requests")
def test_badge_and_trace_say_what_the_ledger_says_and_who_was_left_out(
    tmp_path: Path, count_factor: int
) -> None:
    chance, answers = random.Random(7), ANSWERS if count_factor == 1 else ANSWERS_FULL

    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            chat, answered, joined, left_out = under_test.gateway.chat, 0, 0, 0
            told_usd, unpriced = dict[str, float](), 0
            # One that can never take the question, and others that are now and then not to be asked.
            small = ModelOffer(id="m1", context=1)
            under_test.put(ScriptedProvider("small", continuing(*WORDS)), Tier.LOCAL, offer=small)
            for number in range(answers):
                for place, tier in enumerate(TIERS):
                    under_test.health.forget(f"i{place}")
                    price = Price(input=3.0, output=15.0) if tier is Tier.CLOUD and number % 2 else None
                    offer = ModelOffer(id="m1", context=32_768, continuation="prefill", price=price)
                    under_test.put(ScriptedProvider(f"i{place}", script(chance)), tier, offer=offer)  # type: ignore[arg-type]
                    if not chance.randrange(9):
                        health = under_test.health
                        health.set(f"i{place}", health.of(f"i{place}").tripped())
                passed = (await under_test.gateway.explain("When does it end?")).left_out
                turn = await chat.send(None, "When does it end?")
                with suppress(LegionError):
                    await chat.finished(turn)
                message = (await chat.open(turn.conversation_id)).messages[-1]
                rows = sorted(
                    await under_test.gateway.ledger.rows(conversation=turn.conversation_id),
                    key=lambda row: row.attempt,
                )
                badge, trace = badge_of(message), trace_of(message)
                told_usd[turn.conversation_id] = sum(a.cost_usd or 0.0 for a in message.attempts)
                unpriced += sum(a.cost_usd is None for a in message.attempts)
                told = [(a.tier, a.instance, a.model, a.outcome, a.cost_usd) for a in message.attempts]
                assert told == [(r.tier, r.instance, r.model, r.outcome, r.cost_usd) for r in rows]
                assert not trace.is_of_now
                assert [(out.name, out.why) for out in trace.left_out] == [
                    (left.lane.name, left.why) for left in passed
                ]
                left_out += len(passed)
                if not rows:
                    assert message.status == "failed"  # nobody was to be asked
                    continue
                assert badge is not None
                assert [(step.tier, step.is_failed) for step in badge.steps] == [
                    (row.tier, row.outcome != "succeeded") for row in rows
                ]
                assert [bar.label for bar in trace.bars] == [row.instance for row in rows]
                if message.status == "complete":
                    answered += 1
                    joined += len(message.seams)
                    assert message.text == "".join(WORDS)
                    assert badge.parts[0] == rows[-1].tier
                    costs = [row.cost_usd for row in rows]
                    if None in costs:
                        assert badge.parts[-1] == "price unknown"
                    else:
                        assert message.cost_usd == pytest.approx(sum(cost or 0.0 for cost in costs), abs=1e-9)
                for row in rows[:-1]:
                    assert row.instance in trace.verdict or message.status != "complete"
            # The same money and the same unknown prices, whichever way they are added up.
            ledger, whole = under_test.gateway.ledger, pytest.approx(sum(told_usd.values()), abs=1e-9)
            assert sum(told_usd.values()) > 0
            for by in SUMS:
                summed = await ledger.summary(by)
                assert sum(row.cost_usd for row in summed) == whole, by
                assert sum(row.unpriced for row in summed) == unpriced, by
            by_chat = {row.key: row.cost_usd for row in await ledger.summary("conversation")}
            assert by_chat == pytest.approx({key: told_usd[key] for key in by_chat}, abs=1e-9)
            _, figures = await Measures(under_test.database, SystemClock()).read()
            days = {row.key for row in await ledger.summary("day")}
            if days == {SystemClock().utc_now().date().isoformat()}:  # not over midnight
                assert (figures.spent_usd, figures.unpriced) == (whole, unpriced)
            assert answered > answers / 2
            assert joined > 5
            assert left_out > answers

    run(scenario())
