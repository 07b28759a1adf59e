"""Attempts under way: counted by instance, told as facts, gone when over."""

from pathlib import Path

from legion_core.gateway.traffic import AttemptBegan, AttemptEnded, Traffic
from legion_core.gateway.types import TextDelta, Tier
from legion_core.kernel.errors import StreamBroken
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.testing.gateway import ask, open_gateway
from legion_core.testing.scripted import ScriptedProvider, continuing, say
from tests.support.aio import run


def test_each_attempt_of_a_failover_is_told_once_with_where_it_ran(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            traffic = under_test.gateway._pipeline._traffic = Traffic(under_test.bus)
            under_test.put(
                ScriptedProvider("near", [TextDelta(text="Hel", tokens=1), StreamBroken("Broke.")])
            )
            under_test.put(ScriptedProvider("far", continuing("Hel", "lo")), Tier.CLOUD)
            counts: list[dict[str, int]] = []
            with under_test.bus.subscribe(AttemptBegan, AttemptEnded) as facts:
                async with under_test.gateway.stream(ask(), LOCAL_OWNER) as stream:
                    async for _ in stream:
                        counts.append(dict(traffic.in_flight))
                told = facts.take_nowait()
            assert [(type(fact).__name__, fact.instance, fact.number) for fact in told] == [  # type: ignore[attr-defined]
                ("AttemptBegan", "near", 1),
                ("AttemptEnded", "near", 1),
                ("AttemptBegan", "far", 2),
                ("AttemptEnded", "far", 2),
            ]
            first, last = told[1], told[3]
            assert isinstance(first, AttemptEnded)
            assert isinstance(last, AttemptEnded)
            assert (first.outcome != "succeeded", first.tokens) == (True, 1)
            assert (last.outcome, last.tier) == ("succeeded", "cloud")
            assert counts[0] == {"near": 1}
            assert {"far": 1} in counts
            assert not traffic.in_flight
            assert not traffic.live

    run(scenario())


def test_an_answer_that_is_left_ends_its_attempt(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            traffic = under_test.gateway._pipeline._traffic = Traffic(under_test.bus)
            under_test.put(ScriptedProvider("near", say("one ", "two ", "three")))
            async with under_test.gateway.stream(ask(), LOCAL_OWNER) as stream:
                async for _ in stream:
                    break
                assert [live.instance for live in traffic.live] == ["near"]
            assert not traffic.live

    run(scenario())
