"""One stream over many attempts, through the whole pipeline and a real journal."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec
import pytest

from legion_core.gateway.answer import Answer
from legion_core.gateway.splice import anchor_of
from legion_core.gateway.types import (
    Chunk,
    Closed,
    Finished,
    Joined,
    ModelOffer,
    Opened,
    Params,
    Pins,
    Request,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    Tier,
    ToolCallDelta,
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
    ProviderError,
    StreamBroken,
    Unavailable,
    WorkerDied,
)
from legion_core.kernel.ports import LOCAL_OWNER, NOBODY
from legion_core.testing.gateway import GatewayUnderTest, ask, open_gateway
from legion_core.testing.scripted import (
    Call,
    Hang,
    Pause,
    ScriptedProvider,
    Stall,
    Step,
    Wait,
    call_tool,
    continuing,
    say,
)
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
            deaf = ModelOffer(id="m2", context=32_768, continuation="none")
            under_test.put(
                ScriptedProvider("first", [TextDelta(text="half", tokens=1), StreamBroken("It broke off.")]),
                offer=deaf,
            )
            other = under_test.put(ScriptedProvider("deaf", say("anew")), Tier.CLOUD, offer=deaf)

            answer = await answer_of(under_test)

            assert (answer.text, answer.closed.stop_reason) == ("half", "error")
            assert answer.closed.error == "It broke off."
            assert other.calls == []

    run(scenario())


@pytest.mark.parametrize("cut", range(9))
def test_a_tool_call_cut_anywhere_is_made_whole_elsewhere_and_given_once(tmp_path: Path, cut: int) -> None:
    two = (
        TextDelta(text="I write. ", tokens=1),
        *call_tool("write", '{"path": "a.txt"}'),
        *call_tool("write", '{"path": "b.txt"}', call_id="call_2", index=1),
    )

    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            under_test.put(ScriptedProvider("first", [*two[:cut], StreamBroken("It broke off.")]))
            end = Finished(stop_reason="tool_use", usage=Usage(input_tokens=7, output_tokens=6))

            def whole(_request: Request, _model: str, prefix: str) -> tuple[Step, ...]:
                assert prefix in ("", "I write. ")
                return (*(two[1:] if prefix else two), end)

            under_test.put(ScriptedProvider("second", whole), Tier.CLOUD)

            events = await events_of(under_test)

            calls = [event for event in events if isinstance(event, ToolCallDelta)]
            assert [(call.id, call.arguments) for call in calls] == [
                ("call_1", '{"path": "a.txt"}'),
                ("call_2", '{"path": "b.txt"}'),
            ]
            assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "I write. "
            closed = events[-1]
            assert isinstance(closed, Closed)
            assert closed.stop_reason == "tool_use"

    run(scenario())


@pytest.mark.parametrize("cut", range(1, 5))
def test_a_tool_call_that_nobody_can_finish_is_not_given_at_all(tmp_path: Path, cut: int) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            broken = [*call_tool("write", '{"path": "a.txt"}')[:cut], StreamBroken("It broke off.")]
            under_test.put(ScriptedProvider("first", broken))

            answer = await answer_of(under_test)

            assert answer.closed.stop_reason == "error"
            assert answer.tool_calls == ()

    run(scenario())


def test_thinking_that_is_thought_again_is_heard_once(tmp_path: Path) -> None:
    thoughts = ("Let me ", "see. ", "Yes.")

    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            dying = [
                *(ThinkingDelta(text=thought) for thought in thoughts[:2]),
                StreamBroken("It broke off."),
            ]
            under_test.put(ScriptedProvider("first", dying))
            again = (
                *(ThinkingDelta(text=thought) for thought in thoughts),
                ThinkingDelta(text="", signature="s"),
            )
            under_test.put(ScriptedProvider("second", [*again, *say("Ten.")]), Tier.CLOUD)

            events = await events_of(under_test)

            thinking = [event for event in events if isinstance(event, ThinkingDelta)]
            assert "".join(event.text for event in thinking) == "".join(thoughts)
            assert [event.signature for event in thinking if event.signature] == ["s"]
            assert [event.seam.thinks_anew for event in events if isinstance(event, Joined)] == [False]

    run(scenario())


def test_thinking_that_goes_another_way_begins_anew(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            dying = [ThinkingDelta(text="Let me see. "), StreamBroken("It broke off.")]
            under_test.put(ScriptedProvider("first", dying))
            other = [ThinkingDelta(text="Let me "), ThinkingDelta(text="count."), *say("Ten.")]
            under_test.put(ScriptedProvider("second", other), Tier.CLOUD)

            answer = await answer_of(under_test)

            assert (answer.thinking, answer.text) == ("Let me count.", "Ten.")
            assert [seam.thinks_anew for seam in answer.seams] == [True]

    run(scenario())


def test_a_model_that_can_only_be_told_goes_on_behind_the_repeated_words_and_is_marked(
    tmp_path: Path,
) -> None:
    first, rest = "The first half of a sentence that is cut in the mid", "dle goes on."

    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            under_test.put(ScriptedProvider("first", [TextDelta(text=first), StreamBroken("It broke off.")]))

            def obedient(request: Request, _model: str, prefix: str) -> tuple[Step, ...]:
                assert prefix == ""
                assert request.messages[-2].text == first
                return say(*anchor_of(first), *rest)

            told = ModelOffer(id="m2", context=32_768, continuation="instruct")
            under_test.put(ScriptedProvider("second", obedient), Tier.CLOUD, offer=told)

            answer = await answer_of(under_test)
            rows = await under_test.gateway.ledger.rows(request="req_1")

            assert answer.text == first + rest
            assert [(seam.is_degraded, seam.at_char) for seam in answer.seams] == [(True, len(first))]
            assert "degraded" in rows[1].why

    run(scenario())


def test_a_model_that_continues_to_the_letter_is_asked_before_a_nearer_one_that_is_only_told(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            under_test.put(ScriptedProvider("first", [TextDelta(text="one "), StreamBroken("It broke off.")]))
            told = ModelOffer(id="m2", context=32_768, continuation="instruct")
            near = under_test.put(ScriptedProvider("near", say("x")), Tier.DIRECT, offer=told)
            under_test.put(ScriptedProvider("far", continuing("one ", "two")), Tier.FRONTIER)

            answer = await answer_of(under_test)

            assert answer.text == "one two"
            assert near.calls == []
            assert not answer.seams[0].is_degraded

    run(scenario())


def test_a_lane_without_a_neighbour_that_breaks_in_the_middle_is_asked_once_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            dying = [TextDelta(text="one ", tokens=1), StreamBroken("It broke off.")]
            box = under_test.put(ScriptedProvider("box", dying, continuing("one ", "two")))

            answer = await answer_of(under_test)

            assert answer.text == "one two"
            assert len(box.calls) == 2

    run(scenario())


def test_structured_output_goes_on_without_its_grammar_and_must_be_whole_in_the_end(tmp_path: Path) -> None:
    params = Params(json_schema={"type": "object"}, max_tokens=100)

    async def answer_with(rest: str, name: str) -> tuple[Answer, Request]:
        async with open_gateway(tmp_path / f"{name}.db") as under_test:
            under_test.put(
                ScriptedProvider("first", [TextDelta(text='{"a": '), StreamBroken("It broke off.")])
            )
            backup = under_test.put(ScriptedProvider("second", say(rest)), Tier.CLOUD)
            request = msgspec.structs.replace(ask(), params=params)
            able = ModelOffer(
                id="m1",
                context=32_768,
                continuation="prefill",
                capabilities=frozenset({"streaming", "structured_output"}),
            )
            for instance in under_test.gateway.inventory.instances:
                instance.offers = (able,)
            answer = await under_test.gateway.answer(request, LOCAL_OWNER)
            return answer, backup.calls[0].request

    async def scenario() -> None:
        answer, asked = await answer_with("1}", "whole")
        assert answer.text == '{"a": 1}'
        assert asked.params.json_schema is None
        assert '{"type":"object"}' in asked.system[-1]
        assert asked.params.max_tokens == 99

        broken, _ = await answer_with('{"a": 1}', "broken")
        assert (broken.closed.stop_reason, broken.closed.error_code) == ("error", "malformed")

    run(scenario())


@pytest.mark.slow
def test_a_silence_far_beyond_a_lanes_own_pace_is_taken_for_death_if_another_can_go_on(
    tmp_path: Path,
) -> None:
    pieces = [f"tok{number} " for number in range(40)]

    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            slow = [step for piece in pieces[:30] for step in (Pause(0.01), TextDelta(text=piece, tokens=1))]
            under_test.put(ScriptedProvider("first", [*slow, Stall()]))
            under_test.put(ScriptedProvider("second", continuing(*pieces)), Tier.CLOUD)

            answer = await answer_of(under_test)

            assert answer.text == "".join(pieces)
            assert [attempt.outcome for attempt in answer.closed.attempts] == ["timed_out", "succeeded"]

    run(scenario())


@pytest.mark.slow
def test_a_silence_that_nobody_else_could_end_is_waited_out(tmp_path: Path) -> None:
    pieces = [f"tok{number} " for number in range(30)]

    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            paced = [step for piece in pieces for step in (Pause(0.001), TextDelta(text=piece, tokens=1))]
            under_test.put(ScriptedProvider("only", [*paced, Pause(2.0), *say("end")]))

            answer = await answer_of(under_test)

            assert answer.text == "".join(pieces) + "end"

    run(scenario())


def test_a_stream_whose_chunks_are_all_there_lets_others_have_their_turn(tmp_path: Path) -> None:
    class Eager(ScriptedProvider):
        """Everything at once, as a wire gives what came in one piece."""

        async def _play(self, steps: list[Step], call: Call) -> AsyncGenerator[Chunk, None]:
            for step in steps:
                assert not isinstance(step, Pause | Stall | Wait | Hang | ProviderError)
                yield step

    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            under_test.put(Eager("box", say(*("word " for _ in range(50_000)))))
            ticks = 0

            async def tick() -> None:
                nonlocal ticks
                while True:
                    ticks += 1
                    await asyncio.sleep(0)

            clock = asyncio.create_task(tick())
            answer = await answer_of(under_test)
            clock.cancel()
            await asyncio.gather(clock, return_exceptions=True)

            assert len(answer.text) == 250_000
            assert ticks > 10

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


def test_where_every_circuit_is_open_an_instance_that_mostly_answers_is_asked_all_the_same(
    tmp_path: Path,
) -> None:
    """Ours: three bad moments in a row must not leave a user without any answer for a minute."""

    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            fails = [ConnectionLost("No route.")]
            flaky = under_test.put(ScriptedProvider("flaky", *[say("ok")] * 20, *[fails] * 3, say("again")))
            for number in range(20):
                await answer_of(under_test, request_id=f"req_{number}")
            with pytest.raises(LegionError):
                await answer_of(under_test, request_id="bad")
            assert under_test.health.of("flaky").opened_at_s is not None

            answer = await answer_of(under_test, request_id="last")

            assert answer.text == "again"
            assert len(flaky.calls) == 24
            assert under_test.health.of("flaky").opened_at_s is None

    run(scenario())


def test_a_lane_that_mostly_answers_is_asked_once_more_where_all_others_failed_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            fails = [ConnectionLost("No route.")]
            flaky = under_test.put(ScriptedProvider("flaky", *[say("ok")] * 20, fails, say("again")))
            dead = under_test.put(ScriptedProvider("dead", fails), Tier.CLOUD)
            for number in range(20):
                await answer_of(under_test, request_id=f"req_{number}")

            answer = await answer_of(under_test, request_id="last")

            assert answer.text == "again"
            assert [each.instance for each in answer.closed.attempts] == ["flaky", "dead", "flaky"]
            assert len(dead.calls) == 1
            assert len(flaky.calls) == 22

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


def test_a_dead_attempt_is_billed_what_it_was_given_to_read_and_the_words_it_was_to_go_on_behind(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            said = "s" * 400
            broke = StreamBroken("It broke.")
            under_test.put(ScriptedProvider("one", [TextDelta(text=said, tokens=100), broke]))
            under_test.put(ScriptedProvider("two", [TextDelta(text=" more", tokens=1), broke]), Tier.CLOUD)
            await answer_of(under_test, text="q" * 40)
            rows = await under_test.gateway.ledger.rows(request="req_1")
            assert [(row.usage.input_tokens, row.usage.output_tokens) for row in rows[:2]] == [
                (10, 100),
                (110, 1),
            ]
            assert all(row.usage.is_estimated for row in rows)

    run(scenario())
