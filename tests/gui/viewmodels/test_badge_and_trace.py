import json
from datetime import timedelta

import msgspec
import pytest

from app.viewmodels.badge import badge_of
from app.viewmodels.trace import reason_of, seam_words, trace_of
from legion_core.api.types import Attempt, ChatMessage, LeftOut, PassedOver, Seam, Usage
from tests.gui.conftest import Stage
from tests.gui.fake_legion import LANE, NOW
from tests.support.aio import run


def answer(**fields: object) -> ChatMessage:
    attempts = (
        Attempt(
            number=1, tier="direct", instance="box-a", model="m", outcome="stream_broken",
            usage=Usage(output_tokens=118), started_at=NOW, first_token_s=0.3, duration_s=1.6,
        ),
        Attempt(
            number=2, tier="fleet", instance="gpu-2", model="qwen3-32b", outcome="succeeded",
            usage=Usage(output_tokens=284), started_at=NOW + timedelta(seconds=1.6), first_token_s=0.3, duration_s=4.5,
        ),
    )  # fmt: skip
    values: dict[str, object] = {
        "id": "a", "conversation_id": "c", "parent_id": "q", "role": "assistant", "text": "t", "created_at": NOW,
        "tier": "fleet", "instance": "gpu-2", "model": "qwen3-32b", "request_id": "rq-7f3a91",
        "usage": Usage(input_tokens=11_104, output_tokens=402), "cost_usd": 0.0, "first_token_s": 0.64,
        "duration_s": 6.1, "attempts": attempts,
        "seams": (Seam(at_char=3, from_lane="box-a/m", to_lane="gpu-2/qwen3-32b", to_tier="fleet", after_tokens=118, reason="r"),),
    }  # fmt: skip
    return ChatMessage(**{**values, **fields})  # type: ignore[arg-type]


def test_the_badge_says_tier_instance_tokens_time_speed_and_cost() -> None:
    badge = badge_of(answer())
    assert badge is not None
    assert badge.parts == ("fleet", "gpu-2 qwen3-32b", "402 tok", "6.1 s", "73 tok/s", "free")
    assert [(step.tier, step.is_failed) for step in badge.steps] == [("direct", True), ("fleet", False)]


def test_local_is_free_and_an_unknown_price_is_said() -> None:
    free = badge_of(answer(tier="local", cost_usd=None))
    unknown = badge_of(answer(tier="cloud", cost_usd=None))
    assert free is not None
    assert unknown is not None
    assert free.parts[-1] == "free"
    assert unknown.parts[-1] == "price unknown"


def test_estimates_and_ends_before_time_are_said() -> None:
    badge = badge_of(answer(usage=Usage(output_tokens=9, is_estimated=True), status="interrupted"))
    assert badge is not None
    assert "about 9 tok" in badge.parts
    assert badge.parts[-1] == "interrupted"


def test_a_growing_answer_and_a_question_have_no_badge() -> None:
    assert badge_of(answer(status="streaming")) is None
    assert badge_of(answer(role="user")) is None


def test_the_trace_puts_attempts_on_one_time_axis() -> None:
    trace = trace_of(answer())
    assert [(round(bar.start_s, 1), round(bar.wait_s, 1), round(bar.stream_s, 1)) for bar in trace.bars] == [
        (0.0, 0.3, 1.3), (1.6, 0.3, 4.2),
    ]  # fmt: skip
    assert trace.bars[0].note == "stream broke off at 118 tok"
    assert round(trace.total_s, 6) == 6.1
    assert trace.verdict == ("Answered by a shared machine. direct/box-a broke off after its first words.")
    assert dict(trace.figures)["Tokens in, out"] == "11,104 and 402"
    assert json.loads(trace.raw_json)["request_id"] == "rq-7f3a91"


def test_a_failed_answer_is_told_by_its_own_sentence() -> None:
    trace = trace_of(answer(status="failed", error="No model could answer.", tier="", attempts=()))
    assert (trace.state, trace.verdict) == ("Failed", "No model could answer.")


def test_left_out_lanes_carry_a_word_and_a_sentence(stage: Stage) -> None:
    decision = run(stage.legion.llm.explain("x"))
    out = trace_of(answer(), decision).left_out[0]
    assert (out.tier, out.reason, out.tone) == ("cloud", "Circuit open", "err")
    assert "retry in 41 s" in out.why


def test_who_was_left_out_then_is_told_and_not_who_would_be_now(stage: Stage) -> None:
    passed = PassedOver(
        tier="local", instance="built-in", models=("a", "b"), reason="circuit", why="Tripped by hand"
    )
    decision = run(stage.legion.llm.explain("x"))
    trace = trace_of(msgspec.structs.replace(answer(), left_out=(passed,)), decision)
    assert [(out.name, out.reason, out.why) for out in trace.left_out] == [
        ("built-in/a", "Tripped", "Tripped by hand"),
        ("built-in/b", "Tripped", "Tripped by hand"),
    ]
    assert not trace.is_of_now
    assert trace_of(answer(), decision).is_of_now
    assert trace_of(msgspec.structs.replace(answer(), left_out=()), decision).left_out == ()


def test_an_instance_that_broke_off_twice_is_named_once() -> None:
    whole = answer()
    trace = trace_of(msgspec.structs.replace(whole, attempts=(whole.attempts[0], *whole.attempts)))
    assert trace.verdict.endswith(" direct/box-a (2 times) broke off after its first words.")


def test_the_trace_can_be_written_back_and_forth() -> None:
    message = answer()
    assert msgspec.json.decode(trace_of(message).raw_json, type=ChatMessage) == message


def test_who_could_not_answer_is_told_apart_from_who_broke_off() -> None:
    whole = answer()
    silent = msgspec.structs.replace(
        whole.attempts[0], instance="box-b", outcome="overloaded", usage=Usage(), first_token_s=None
    )
    trace = trace_of(msgspec.structs.replace(whole, attempts=(silent, *whole.attempts)))
    assert trace.verdict == (
        "Answered by a shared machine. direct/box-b could not answer. direct/box-a broke off after its first words."
    )
    assert dict(trace.figures)["Continued"] == "once, from the exact text"
    asked = msgspec.structs.replace(
        whole, seams=tuple(msgspec.structs.replace(seam, is_degraded=True) for seam in whole.seams)
    )
    assert dict(trace_of(asked).figures)["Continued"] == "once, by being asked to"


@pytest.mark.parametrize(
    ("why", "word"),
    [
        ("Tripped by hand", "Tripped"),
        ("Draining: it finishes what runs and takes nothing new", "Draining"),
        ("Circuit half-open, one probe is under way", "Half-open"),
        ("Resting at the provider's wish, retry in 9 s", "Resting"),
        ("Circuit open, retry in 41 s", "Circuit open"),
    ],
)
def test_what_keeps_requests_from_a_circuit_has_its_own_word(why: str, word: str) -> None:
    entry = LeftOut(lane=LANE, reason="circuit", why=why)
    assert reason_of(entry)[0] == word


def test_what_this_computer_answered_is_free_and_took_some_energy() -> None:
    here = [
        Attempt(
            number=1, tier="local", instance="local", model="m", outcome="succeeded", started_at=NOW, duration_s=seconds
        )
        for seconds in (120.0, 0.2)
    ]  # fmt: skip

    def cost(*attempts: Attempt, tier: str = "local", usd: float | None = 0.0) -> str:
        return dict(trace_of(answer(attempts=attempts, tier=tier, cost_usd=usd)).figures)["Cost"]

    assert cost(*here) == "Free, about 1.00 Wh"
    assert cost(here[1]) == "Free, under 0.01 Wh"
    assert cost(tier="fleet") == "Free"
    assert cost(here[0], tier="cloud", usd=0.02) == "$0.02"
    assert cost(here[0], tier="cloud", usd=None) == "price unknown"


@pytest.mark.parametrize(
    ("outcome", "reason", "words"),
    [
        ("connection_lost", "The connection to box-a broke: it closed", "connection lost"),
        ("timed_out", "box-a has said nothing for 20 s.", "stalled"),
        ("rate_limited", "box-a asks to wait.", "rate limited"),
        ("interrupted", "The workbench stopped while this answer was being written.", "workbench restarted"),
        ("", "A sentence from an older home.", "broke off"),
        ("", "stream_broken", "stream broke off"),
    ],
)
def test_a_seam_says_why_in_a_word_or_two_and_keeps_the_sentence(
    outcome: str, reason: str, words: str
) -> None:
    seam = Seam(
        at_char=3, from_lane="box-a/m", to_lane="gpu-2/m", to_tier="fleet", after_tokens=2,
        reason=reason, outcome=outcome,
    )  # fmt: skip
    shown, whole = seam_words(seam)
    assert shown == words
    assert whole.endswith(words if reason == "stream_broken" else reason)
    again = seam_words(msgspec.structs.replace(seam, is_degraded=True))[1]
    assert again.startswith(whole)
    assert "Told to go on" in again


def test_of_an_answer_that_came_by_an_import_nothing_is_claimed() -> None:
    trace = trace_of(
        answer(
            tier="", instance="", model="", request_id="", usage=None, cost_usd=None, first_token_s=None,
            duration_s=None, attempts=(), seams=(),
        )
    )  # fmt: skip
    assert (trace.state, trace.name) == ("Imported", "Written elsewhere")
    assert not trace.bars
    assert not trace.figures
    assert "import" in trace.verdict
