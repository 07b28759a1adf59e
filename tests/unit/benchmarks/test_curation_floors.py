"""Curation keeps its floors on a few seeds; `make floors` plays all of them."""

import pytest

from benchmarks import curation, curation_corpus
from benchmarks.curation_edits import play as random_edits
from benchmarks.curation_policies import ClearToolUses, LastN, LegionRules, Masking, Naive, OursLive, Window
from benchmarks.curation_probes import Reading, falsehoods, originals_of
from benchmarks.curation_rules import faults
from legion_core.gateway.types import Message, TextBlock, ToolResultBlock, ToolUseBlock


def _scores(bucket: str, seeds: int) -> tuple[curation.Score, curation.Score]:
    ours, naive = curation.Score(), curation.Score()
    for seed in range(seeds):
        for _, session in curation_corpus.sessions(seed, (bucket,)):
            ours.merge(curation.play(session, OursLive(session.system), is_ours=True))
            naive.merge(curation.play(session, Naive(session.system)))
    return ours, naive


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bucket", "published"),
    [
        pytest.param("10-19", 54.3, marks=pytest.mark.requirement("curation.turns-10-19")),
        pytest.param("20-49", 72.8, marks=pytest.mark.requirement("curation.turns-20-49")),
    ],
)
def test_the_middle_buckets_are_cut_truthfully_and_cost_no_more(bucket: str, published: float) -> None:
    ours, naive = _scores(bucket, 1)
    assert ours.reduction >= published
    assert ours.bill.anthropic <= 1.01 * naive.bill.anthropic
    assert (ours.refused, ours.false, ours.unverbatim, ours.lost) == (0, [], 0, 0)
    asked = ours.asked
    assert asked.share(asked.in_view, ("rule",)) == 100


@pytest.mark.slow
def test_a_long_session_is_cut_to_a_few_percent_and_tells_the_truth() -> None:
    session = curation_corpus.session(2, "50+", 260)
    ours = curation.play(session, OursLive(session.system), is_ours=True)
    assert ours.reduction >= 90  # the floor of 97 % is for the bucket, whose sessions reach 1,000 turns
    assert (ours.refused, ours.false, ours.unverbatim, ours.lost) == (0, [], 0, 0)


@pytest.mark.slow
def test_short_conversations_cost_no_more_than_left_alone() -> None:
    for bucket in ("1", "2-3", "4-5", "6-9"):
        ours, naive = _scores(bucket, 1)
        assert ours.bill.anthropic <= 1.01 * naive.bill.anthropic
        assert ours.bill.sent <= naive.bill.sent


@pytest.mark.slow
def test_random_edits_of_broken_histories_leave_nothing_a_provider_refuses() -> None:
    counts = random_edits(11, 3_000)
    assert (counts["orphans"], counts["refused"], counts["unverbatim"], counts["lost"]) == (0, 0, 0, 0), (
        counts["first_fault"]
    )


@pytest.mark.slow
def test_played_again_the_views_are_the_same() -> None:
    assert curation.replay_differs(curation_corpus.session(4, "20-49", 40)) == 0


@pytest.mark.slow
def test_the_judge_sees_what_the_usual_ways_do_wrong() -> None:
    session = curation_corpus.session(6, "20-49", 45)
    kinds = {
        kind.name: curation.play(session, kind(session.system))
        for kind in (Naive, Window, LastN, Masking, ClearToolUses, LegionRules)
    }
    assert kinds["naive"].asked.share(kinds["naive"].asked.in_view, curation.VIEW_KINDS) == 100
    assert kinds["masking 10"].asked.share(kinds["masking 10"].asked.in_view, curation.VIEW_KINDS) < 90
    assert kinds["last 20"].bill.anthropic > kinds["naive"].bill.anthropic
    assert kinds["six Legion rules"].refused > 0


def _call(call_id: str) -> Message:
    return Message(role="assistant", content=(ToolUseBlock(id=call_id, name="ls", arguments="{}"),))


def _result(call_id: str) -> Message:
    return Message(role="tool", content=(ToolResultBlock(call_id=call_id, text="x"),))


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ((_call("a"), _result("a")), "begins"),
        ((_call("a"),), "calls without results"),
        ((_result("a"),), "result without call"),
        ((_call("a"), _result("a"), _call("a"), _result("a")), "id twice"),
        ((Message(role="user", content=()),), "empty"),
    ],
)
def test_the_rules_of_providers_bite(messages: tuple[Message, ...], told: str) -> None:
    asked = () if told == "begins" else (Message(role="user", content=(TextBlock(text="go"),)),)
    assert any(told in fault for fault in faults([*asked, *messages]))


def test_an_invented_exit_code_is_a_false_statement() -> None:
    session = curation_corpus.session(6, "20-49", 45)
    results, said, order = originals_of(session)
    failed = next(call for call in session.calls.values() if call.exit_code and call.failing)
    view = [
        Message(
            role="tool",
            content=(
                ToolResultBlock(
                    call_id=failed.id, text="[60 lines]\nexit code 0\n1 failed, 99999 passed\nsrc/no/such.py"
                ),
            ),
        )
    ]
    told = falsehoods(session, Reading.of(view, (), results, said), order)
    assert any("exit code 0" in each for each in told)
    assert any("99999 passed" in each for each in told)
    assert any("src/no/such.py" in each for each in told)


def test_a_quote_of_the_original_is_none() -> None:
    session = curation_corpus.session(6, "20-49", 45)
    results, said, order = originals_of(session)
    failed = next(call for call in session.calls.values() if call.exit_code and call.failing)
    quote = "\n".join(failed.text.split("\n")[-3:])
    view = [Message(role="tool", content=(ToolResultBlock(call_id=failed.id, text=quote),))]
    assert falsehoods(session, Reading.of(view, (), results, said), order) == []
