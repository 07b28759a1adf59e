"""Each of the six strategies does what its name says, and says so."""

import pytest

from legion_core.gateway.curation.curator import Curator
from legion_core.gateway.curation.service import count_by_length
from legion_core.gateway.curation.types import CurationSettings, Edit, Prices, Stage, Strategy, View
from legion_core.gateway.types import Message, ThinkingBlock
from tests.unit.gateway.curation.sessions import called, file_text, gave, history, said, steps, user
from tests.unit.gateway.curation.test_curator import played, words

ANY_GAIN_PAYS = Prices(cache_read=1.0, cache_write=1.0, cache_least_tokens=0)


def edits_of(curator: Curator, strategy: Strategy) -> list[Edit]:
    return [edit for edit in curator.edits if edit.strategy == strategy]


def cut(messages: list[Message], share: float = 0.3) -> tuple[Curator, View]:
    """A session ended by enough new work that an epoch is due, with this share of it allowed."""
    curator = Curator(
        count_by_length,
        CurationSettings(stages=(Stage(begins=5, share=share),), least_tokens=100, prices=ANY_GAIN_PAYS),
    )
    view = curator.view()
    for message in messages:
        curator.add([message])
        if message.role == "tool":
            view = curator.view()
    for number in range(500, 520):
        curator.add(
            [called(number, "bash", {"command": f"echo {number}"}), gave(number, f"line {number}\n" * 200)]
        )
        view = curator.view()
    return curator, view


@pytest.mark.requirement("curation.strip-thinking")
def test_thinking_of_earlier_answers_goes_and_can_be_recalled() -> None:
    curator, view = played(60)

    edit = edits_of(curator, "strip_thinking")[0]
    assert edit.tokens_removed > 0
    assert curator.archive[edit.archive_key].startswith("I should look at")
    whole = "".join(
        block.text for m in history(60) for block in m.content if isinstance(block, ThinkingBlock)
    )
    assert words(view).count("I should look at") < 0.2 * whole.count("I should look at")


@pytest.mark.requirement("curation.distill-tool-result")
def test_a_long_result_becomes_lines_of_itself_with_a_key() -> None:
    curator, view = played(30)

    edit = edits_of(curator, "distill_tool_result")[0]
    assert edit.archive_key.startswith("#")
    original = curator.archive[edit.archive_key]
    assert original in "\0".join(
        words(View(messages=tuple(history(30)), ids=(), naive_tokens=0, curated_tokens=0)).split("\0")
    )
    assert original not in words(view)


@pytest.mark.requirement("curation.fold-resolved")
def test_an_exchange_that_was_answered_is_folded_and_its_question_stays() -> None:
    curator, view = played(80)

    folded = edits_of(curator, "fold_resolved_exchanges")
    assert folded
    assert "Next task 12: rename things" in words(view)


@pytest.mark.requirement("curation.evict-superseded")
def test_an_older_version_of_a_file_goes_when_a_later_read_shows_all_of_it() -> None:
    messages = [user("go")]
    for number, version in enumerate((1, 2, 3), 1):
        messages += [
            called(number, "read_file", {"path": "src/a.py"}),
            gave(number, file_text("a", version, 90)),
        ]
    messages += [
        called(9, "read_file", {"path": "src/a.py", "offset": 1, "limit": 3}),
        gave(9, "1\tx\n2\ty\n3\tz"),
    ]
    curator, view = cut(messages)

    assert [edit.archive_key for edit in edits_of(curator, "evict_superseded")] == ["#1", "#2"]
    assert "'v1'" not in words(view)
    assert curator.archive["#1"] == file_text("a", 1, 90)


@pytest.mark.requirement("curation.dedup-similar")
def test_the_same_result_twice_is_kept_once_and_a_digit_makes_it_another() -> None:
    same = "result of the search\n" * 80
    messages = [user("go")]
    for number, text in enumerate(
        (same, same, same.replace("search", "search 3 failed"), same.replace("search", "search 4 failed")), 1
    ):
        messages += [called(number, "grep", {"pattern": f"p{number}"}), gave(number, text)]
    curator, _ = cut(messages)

    assert [edit.archive_key for edit in edits_of(curator, "dedup_similar")] == ["#1"]


@pytest.mark.requirement("curation.drop-and-archive")
def test_what_fits_no_more_goes_to_the_archive_before_it_leaves_the_view() -> None:
    messages = [user("go")]
    for number in range(1, 30):
        messages += [
            called(number, "bash", {"command": f"run {number}"}),
            gave(number, f"out {number}\n" * 300),
        ]
    curator, view = cut(messages, 0.05)

    dropped = edits_of(curator, "drop_and_archive")
    assert len(dropped) > 10
    for edit in dropped:
        assert curator.archive[edit.archive_key]
        assert curator.recall(edit.archive_key)[0].text == curator.archive[edit.archive_key]
    assert view.curated_tokens < view.naive_tokens


@pytest.mark.requirement("curation.deterministic")
def test_the_same_history_gives_the_same_edits() -> None:
    assert played(70)[0].edits == played(70)[0].edits


@pytest.mark.requirement("curation.turn-1")
def test_at_the_first_turn_there_is_nothing_to_curate() -> None:
    _, view = played(1)

    assert (view.naive_tokens, view.edits) == (view.curated_tokens, ())


def test_an_answer_that_was_shortened_begins_as_it_did() -> None:
    long = "First I changed the parser so that it reads both forms of the header. " * 30
    messages: list[Message] = []
    for number in range(1, 20):
        messages += [
            user(f"task {number}"),
            called(number, "bash", {"command": f"run {number}"}),
            gave(number, f"out {number}\n" * 200),
            said(long + str(number)),
        ]
    curator, view = cut(messages, 0.05)

    shown = [m.text for m in view.messages if m.role == "assistant" and m.text]
    assert any(text.startswith("First I changed the parser") and "recall #a" in text for text in shown)
    assert curator.recall("#a2")[0].text == long + "1"
    assert len(list(steps(3))) == 3
