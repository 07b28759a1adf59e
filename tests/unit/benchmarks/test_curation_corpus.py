"""The corpus keeps the mix that docs/curation-corpus.md fixes, and its truth is true."""

import json
from collections import Counter

import pytest

from benchmarks import curation_corpus as corpus
from benchmarks.curation_tokens import pinned
from benchmarks.curation_truth import VIEW_KINDS, Session
from legion_core.gateway.types import TextBlock, ThinkingBlock, ToolResultBlock, ToolUseBlock


def _shares(session: Session) -> Counter[str]:
    count = pinned().count
    shares: Counter[str] = Counter(words=sum(map(count, session.system)))
    for step in session.steps:
        for message in step.added:
            for block in message.content:
                match block:
                    case TextBlock():
                        shares["words" if message.role == "user" else "text"] += count(block.text)
                    case ThinkingBlock():
                        shares["thinking"] += count(block.text)
                    case ToolUseBlock():
                        shares["call"] += count(block.name) + count(block.arguments)
                    case ToolResultBlock():
                        shares["result"] += count(block.text)
                    case _:
                        pytest.fail("no pictures here")
    return shares


@pytest.mark.slow
def test_the_mix_of_long_sessions_is_the_fixed_one() -> None:
    shares: Counter[str] = Counter()
    for number, turns in enumerate(corpus.lengths(0, "50+")):
        shares += _shares(corpus.session(0, "50+", turns, number))
    total = shares.total()
    assert shares["words"] / total <= 0.015
    assert 0.70 <= shares["result"] / total <= 0.90
    assert shares["thinking"] / total <= 0.15


def test_the_same_seed_makes_the_same_session() -> None:
    first, second = (corpus.session(7, "10-19", 14, 1) for _ in range(2))
    assert first == second
    assert corpus.session(8, "10-19", 14, 1) != first


@pytest.mark.parametrize("turns", [1, 3, 4, 19, 60])
def test_a_session_has_as_many_requests_as_turns_and_every_call_its_result(turns: int) -> None:
    session = corpus.session(3, corpus.bucket_of(turns), turns)
    assert len(session.steps) == turns
    open_calls: list[str] = []
    for step in session.steps:
        for message in step.added:
            if message.role == "assistant":
                assert not open_calls
                open_calls = [block.id for block in message.content if isinstance(block, ToolUseBlock)]
            elif message.role == "tool":
                assert [b.call_id for b in message.content if isinstance(b, ToolResultBlock)] == open_calls
                open_calls = []
    assert not open_calls


@pytest.mark.slow
def test_every_answer_stands_in_the_history_at_the_time_it_is_asked() -> None:
    session = corpus.session(5, "50+", 90)
    history = ""
    asked: Counter[str] = Counter()
    for turn, step in enumerate(session.steps, 1):
        for message in step.added:
            for block in message.content:
                match block:
                    case ToolUseBlock():
                        history += (
                            block.arguments + "\n" + "\n".join(map(str, json.loads(block.arguments).values()))
                        )
                    case TextBlock() | ThinkingBlock() | ToolResultBlock():
                        history += block.text + "\n"
                    case _:
                        pytest.fail("no pictures here")
        for fact in session.alive(turn):
            asked[fact.kind] += 1
            assert all(needle in history for needle in fact.needles), fact
    assert set(VIEW_KINDS) - set(asked) <= {"run_exit"}  # one style of tool never tells it


def test_lengths_stay_in_their_bucket() -> None:
    for seed in range(50):
        for bucket, low, high, count, _ in corpus.BUCKETS:
            found = corpus.lengths(seed, bucket)
            assert len(found) == count
            assert all(low <= turns <= high for turns in found)
