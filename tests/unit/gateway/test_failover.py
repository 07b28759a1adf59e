"""One stream over many attempts, through the whole pipeline and a real journal."""

from pathlib import Path

import pytest

from legion_core.gateway.answer import Answer
from legion_core.gateway.types import (
    Finished,
    Joined,
    ModelOffer,
    Opened,
    Pins,
    StreamEvent,
    TextDelta,
    Tier,
    Usage,
)
from legion_core.kernel.errors import (
    BadCredentials,
    ConnectionLost,
    Denied,
    Filtered,
    LegionError,
    NotFound,
    Overloaded,
    StreamBroken,
    Unavailable,
    WorkerDied,
)
from legion_core.kernel.ports import LOCAL_OWNER, NOBODY
from legion_core.testing.gateway import GatewayUnderTest, ask, open_gateway
from legion_core.testing.scripted import ScriptedProvider, call_tool, continuing, say
from tests.support.aio import run


async def events_of(under_test: GatewayUnderTest, **more: object) -> list[StreamEvent]:
    async with under_test.gateway.stream(ask(**more), LOCAL_OWNER) as stream:  # type: ignore[arg-type]
        return [event async for event in stream]


async def answer_of(under_test: GatewayUnderTest, **more: object) -> Answer:
    return await under_test.gateway.answer(ask(**more), LOCAL_OWNER)  # type: ignore[arg-type]


@pytest.mark.requirement("ledger.all-requests")
def test_an_answer_opens_once_ends_once_and_is_on_the_bill_when_its_end_is_seen(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            under_test.put(ScriptedProvider("box", say("Hello ", "world")))
            async with under_test.gateway.stream(ask(), LOCAL_OWNER) as stream:
                events = [event async for event in stream]
                rows = await under_test.gateway.ledger.rows(request="req_1")

            assert [type(event).__name__ for event in events] == [
                "Opened",
                "TextDelta",
                "TextDelta",
                "Closed",
            ]
            assert [(row.instance, row.outcome, row.usage.output_tokens) for row in rows] == [
                ("box", "succeeded", 2)
            ]

    run(scenario())


@pytest.mark.requirement("gateway.mid-stream")
@pytest.mark.parametrize("cut", range(4))
def test_a_provider_that_dies_after_any_token_is_continued_from_the_exact_text(
    tmp_path: Path, cut: int
) -> None:
    pieces = ["The ", "capital ", "of ", "France"]

    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            dying = [
                *(TextDelta(text=piece, tokens=1) for piece in pieces[:cut]),
                StreamBroken("It broke off."),
            ]
            under_test.put(ScriptedProvider("first", dying))
            backup = under_test.put(ScriptedProvider("second", continuing(*pieces)), Tier.CLOUD)

            answer = await answer_of(under_test)

            assert answer.text == "The capital of France"
            assert answer.closed.stop_reason == "end_turn"
            assert backup.calls[0].prefix == "".join(pieces[:cut])
            assert len(answer.seams) == (1 if cut else 0)
            assert [attempt.outcome for attempt in answer.closed.attempts] == ["stream_broken", "succeeded"]
            rows = await under_test.gateway.ledger.rows(request="req_1")
            assert sum(row.usage.output_tokens for row in rows) == len(pieces)

    run(scenario())


@pytest.mark.requirement("gateway.escalate-failure")
def test_a_failure_before_the_first_byte_is_invisible_but_counted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            under_test.put(ScriptedProvider("first", [ConnectionLost("No route.")]))
            under_test.put(ScriptedProvider("second", say("ok")), Tier.DIRECT)

            events = await events_of(under_test)

            opened = events[0]
            assert isinstance(opened, Opened)
            assert (opened.lane.instance, opened.attempts) == ("second", 2)
            assert not any(isinstance(event, Joined) for event in events)
            assert len(under_test.health.of("first").failures) == 1

    run(scenario())


def test_a_worker_that_died_is_asked_once_more_and_continues_its_own_answer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            dying = [
                TextDelta(text="one ", tokens=1),
                WorkerDied("The model's process was killed.", exit_code=-9),
            ]
            local = under_test.put(ScriptedProvider("local", dying, continuing("one ", "two ", "three")))

            answer = await answer_of(under_test)

            assert answer.text == "one two three"
            assert len(local.calls) == 2
            assert answer.seams[0].from_lane == answer.seams[0].to_lane == "local/m1"
            assert answer.seams[0].reason == "The model's process was killed."

    run(scenario())


def test_an_answer_nobody_can_continue_keeps_its_text_and_ends_with_a_sentence(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            under_test.put(
                ScriptedProvider("first", [TextDelta(text="half", tokens=1), StreamBroken("It broke off.")])
            )
            deaf = ModelOffer(id="m2", context=32_768, continuation="none")
            other = under_test.put(ScriptedProvider("deaf", say("anew")), Tier.CLOUD, offer=deaf)

            answer = await answer_of(under_test)

            assert (answer.text, answer.closed.stop_reason) == ("half", "error")
            assert answer.closed.error == "It broke off."
            assert other.calls == []

    run(scenario())


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_a_tool_call_cut_anywhere_is_never_asked_of_another_model(tmp_path: Path, cut: int) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            broken = [*call_tool("write", '{"path": "a.txt"}')[:cut], StreamBroken("It broke off.")]
            under_test.put(ScriptedProvider("first", broken))
            other = under_test.put(ScriptedProvider("second", say("x")), Tier.CLOUD)

            answer = await answer_of(under_test)

            assert answer.closed.stop_reason == "error"
            assert other.calls == []

    run(scenario())


def test_when_all_fail_before_a_byte_the_error_tells_each_of_them(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            under_test.put(ScriptedProvider("first", [ConnectionLost("No route to first.")]))
            under_test.put(ScriptedProvider("second", [Overloaded("It is busy.")]), Tier.CLOUD)

            with pytest.raises(Unavailable, match=r"No route to first.*It is busy"):
                await answer_of(under_test)

            rows = await under_test.gateway.ledger.rows(request="req_1")
            assert [row.outcome for row in rows] == ["connection_lost", "overloaded"]

    run(scenario())


def test_a_wrong_key_does_not_send_the_request_to_a_dearer_tier(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            under_test.put(ScriptedProvider("cloud", [BadCredentials("The key is wrong.")]), Tier.CLOUD)
            dear = under_test.put(ScriptedProvider("frontier", say("x")), Tier.FRONTIER)

            with pytest.raises(BadCredentials):
                await answer_of(under_test)
            assert dear.calls == []

    run(scenario())


def test_what_was_filtered_is_not_asked_elsewhere(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            under_test.put(ScriptedProvider("first", [Filtered("Not allowed.")]))
            other = under_test.put(ScriptedProvider("second", say("x")), Tier.CLOUD)

            with pytest.raises(Filtered):
                await answer_of(under_test)
            assert other.calls == []

    run(scenario())


def test_an_unknown_model_is_not_found_and_the_known_ones_are_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            under_test.put(ScriptedProvider("box", say("x")))

            with pytest.raises(NotFound) as caught:
                await answer_of(under_test, pins=Pins(model="gpt-99"))
            assert "gpt-99" in caught.value.message
            assert "m1" in caught.value.hint

    run(scenario())


def test_nobody_but_the_owner_gets_an_answer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = under_test.put(ScriptedProvider("box", say("x")))

            with pytest.raises(Denied):
                await under_test.gateway.answer(ask(), NOBODY)
            assert box.calls == []

    run(scenario())


def test_a_client_that_leaves_closes_the_provider_and_still_pays_for_what_it_got(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = under_test.put(ScriptedProvider("box", say(*"abcdef")))
            async with under_test.gateway.stream(ask(), LOCAL_OWNER) as stream:
                async for event in stream:
                    if isinstance(event, TextDelta):
                        break

            assert box.open_streams == 0
            rows = await under_test.gateway.ledger.rows(request="req_1")
            assert [(row.outcome, row.usage.output_tokens) for row in rows] == [("cancelled", 1)]

    run(scenario())


def test_a_stream_that_ends_without_its_end_is_no_success(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            under_test.put(ScriptedProvider("box", [TextDelta(text="half", tokens=1)]))

            answer = await answer_of(under_test)

            assert answer.closed.stop_reason == "error"
            assert answer.closed.error_code == "stream_broken"

    run(scenario())


@pytest.mark.requirement("gateway.circuit-per-instance")
def test_the_third_failure_opens_the_circuit_and_the_instance_is_asked_no_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = under_test.put(ScriptedProvider("box", [ConnectionLost("No route.")]))
            for number in range(5):
                with pytest.raises(LegionError):
                    await answer_of(under_test, request_id=f"req_{number}")

            assert len(box.calls) == 3

    run(scenario())


def test_usage_reported_by_the_provider_is_what_the_bill_says(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            usage = Usage(input_tokens=11, output_tokens=3, cache_read_tokens=5, thinking_tokens=2)
            under_test.put(
                ScriptedProvider("box", [TextDelta(text="x"), Finished(stop_reason="end_turn", usage=usage)])
            )

            answer = await answer_of(under_test)

            assert answer.closed.usage == usage
            assert (await under_test.gateway.ledger.rows(request="req_1"))[0].usage == usage

    run(scenario())
