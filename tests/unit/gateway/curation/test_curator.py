"""The view: shorter, legal, true, stable between epochs, and nothing lost."""

import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from legion_core.gateway.curation.calls import read_call
from legion_core.gateway.curation.curator import Curator
from legion_core.gateway.curation.extract import chosen_lines, is_true
from legion_core.gateway.curation.service import count_by_length
from legion_core.gateway.curation.types import CurationSettings, Stage, View
from legion_core.gateway.types import (
    ImageBlock,
    Message,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from tests.unit.gateway.curation.sessions import called, file_text, gave, history, said, steps, user


def faults(messages: tuple[Message, ...]) -> list[str]:
    """What a strict provider would refuse."""
    found, open_calls, seen = list[str](), list[str](), set[str]()
    for message in messages:
        if not message.content:
            found.append("a message without content")
        if message.role == "tool":
            for block in message.content:
                assert isinstance(block, ToolResultBlock)
                if block.call_id not in open_calls:
                    found.append(f"an orphan result {block.call_id}")
                else:
                    open_calls.remove(block.call_id)
            continue
        if open_calls:
            found.append(f"calls without results {open_calls}")
            open_calls = []
        for block in message.content:
            if isinstance(block, ToolUseBlock):
                if block.id in seen:
                    found.append(f"an id twice {block.id}")
                seen.add(block.id)
                open_calls.append(block.id)
    return found + ([f"calls without results {open_calls}"] if open_calls else [])


def words(view: View) -> str:
    return "\n".join(
        block.arguments if isinstance(block, ToolUseBlock) else getattr(block, "text", "")
        for message in view.messages
        for block in message.content
    )


def played(turns: int, **settings: object) -> tuple[Curator, View]:
    curator = Curator(count_by_length, CurationSettings(**settings))  # type: ignore[arg-type]
    view = curator.view()
    for new in steps(turns):
        curator.add(new)
        view = curator.view()
    return curator, view


@pytest.mark.parametrize("turns", [1, 2, 5])
def test_a_short_conversation_is_left_alone(turns: int) -> None:
    _, view = played(turns)

    assert list(view.messages) == history(turns)
    assert view.naive_tokens == view.curated_tokens
    assert view.epoch == 0


def test_a_long_session_is_cut_and_every_provider_takes_each_view() -> None:
    curator = Curator(count_by_length)
    sent = naive = 0
    for turn, new in enumerate(steps(160), 1):
        curator.add(new)
        view = curator.view()
        assert faults(view.messages) == []
        if turn >= 50:
            sent, naive = sent + view.curated_tokens, naive + view.naive_tokens

    assert sent < 0.1 * naive
    assert {edit.strategy for edit in curator.edits} >= {"strip_thinking", "fold_resolved_exchanges"}


def test_what_the_user_said_stands_there_word_for_word() -> None:
    _, view = played(140)

    told = [message for message in view.messages if message.role == "user"]
    assert told == [message for message in history(140) if message.role == "user"]


def test_every_text_is_in_the_view_or_in_the_archive() -> None:
    curator, view = played(140)

    shown = words(view)
    for message in history(140):
        for block in message.content:
            text = block.arguments if isinstance(block, ToolUseBlock) else getattr(block, "text", "")
            assert text in shown or text in curator.archive.values()


def test_a_decision_of_the_model_and_the_last_test_run_stay_in_view() -> None:
    _, view = played(130)

    shown = words(view)
    assert "Decision: `limit_12` is 36" in shown
    assert "Decision: `limit_108` is 324" in shown
    assert "failed," in shown


def test_recall_gives_back_by_key_by_path_and_by_quote() -> None:
    curator, _ = played(60)

    by_key = curator.recall("#4")[0]
    assert by_key.text == file_text("file_4", 0)
    assert by_key.score == 1.0
    assert any("compute_file_4" in found.text for found in curator.recall("src/file_4.py"))
    assert curator.recall("value_file_4_17 = compute_file_4(0, 'v0')")[0].text == by_key.text
    assert curator.recall("nowhere to be found at all") == ()


def test_asked_twice_the_view_is_the_same_and_nothing_is_edited_again() -> None:
    curator, view = played(60)

    again = curator.view()
    assert again.messages == view.messages
    assert again.edits == ()


def test_fed_again_in_the_same_way_the_view_is_the_same() -> None:
    first, view = played(90)
    second, other = played(90)

    assert other.messages == view.messages
    assert second.edits == first.edits
    assert dict(second.archive) == dict(first.archive)


def test_between_epochs_the_view_only_grows_at_its_end() -> None:
    curator = Curator(count_by_length)
    before: tuple[Message, ...] = ()
    epoch = 0
    for new in steps(80):
        curator.add(new)
        view = curator.view()
        if view.epoch == epoch:
            assert view.messages[: len(before)] == before
        before, epoch = view.messages, view.epoch
    assert 0 < epoch < 60


def test_what_was_undone_is_whole_again_and_stays() -> None:
    curator, _ = played(60)
    edit = next(edit for edit in curator.edits if edit.archive_key == "#4")

    assert curator.undo(edit.number)
    view = curator.view()
    assert file_text("file_4", 0) in words(view)
    assert faults(view.messages) == []
    for new in list(steps(90))[60:]:
        curator.add(new)
        view = curator.view()
    assert file_text("file_4", 0) in words(view)


def test_after_a_pause_that_emptied_the_cache_an_epoch_costs_nothing() -> None:
    curator, view = played(9, stages=(Stage(begins=50),))
    assert view.epoch == 0

    assert curator.idle().epoch == 1


def test_a_window_that_fills_up_forces_an_epoch() -> None:
    _, view = played(9, context_tokens=6_000)

    assert view.epoch > 0
    assert view.curated_tokens < 6_000


def test_a_failure_is_never_told_as_a_success() -> None:
    log = "\n".join(["all good"] * 300 + ["Error: build broke"] + ["fine"] * 300 + ["exit code: 2"])
    curator = Curator(count_by_length)
    for new in steps(20):
        curator.add(new)
        curator.view()
    curator.add([called(900, "bash", {"command": "make"}), gave(900, log)])
    for turn in range(901, 930):
        curator.add([called(turn, "grep", {"pattern": f"x{turn}"}), gave(turn, "hit\n" * 500)])
        view = curator.view()

    shown = words(view)
    assert "exit code: 2" in shown
    assert "success" not in shown


@given(st.text(max_size=400), st.integers(20, 400))
@settings(max_examples=150, deadline=None)
def test_an_extract_is_always_lines_of_the_original(text: str, chars: int) -> None:
    assert is_true(chosen_lines(text, chars), text)


def test_a_line_that_is_not_there_or_out_of_order_is_no_extract() -> None:
    assert is_true(["a", "c…"], "a\nb\ncd")
    assert not is_true(["c", "a"], "a\nb\nc")
    assert not is_true(["0 failed"], "10 failed")
    assert not is_true(["10 fail"], "10 failed")


@pytest.mark.parametrize(
    ("name", "arguments", "kind", "thing"),
    [
        ("Read", {"file_path": "/a.py", "offset": 10, "limit": 5}, "read", "/a.py"),
        ("Bash", {"command": "ls -l"}, "run", "ls -l"),
        ("str_replace_based_edit_tool", {"command": "view", "path": "/b"}, "read", "/b"),
        ("Grep", {"pattern": "x", "path": "src"}, "search", "x src"),
        ("frobnicate", {"n": 1}, "other", '{"n": 1}'),
    ],
)
def test_a_call_is_read_by_its_name_and_arguments(
    name: str, arguments: dict[str, object], kind: str, thing: str
) -> None:
    call = read_call(name, json.dumps(arguments))
    assert (call.kind, call.thing) == (kind, thing)


def test_a_read_of_some_lines_replaces_only_reads_of_the_same_lines() -> None:
    whole, some = read_call("read", '{"path":"a"}'), read_call("read", '{"path":"a","offset":5,"limit":10}')
    fewer, edit = read_call("read", '{"path":"a","offset":6,"limit":3}'), read_call("edit", '{"path":"a"}')
    assert whole.covers(some)
    assert some.covers(fewer)
    assert not fewer.covers(some)
    assert not some.covers(whole)
    assert not whole.covers(edit)


def test_bad_histories_become_legal_and_lose_nothing() -> None:
    """Orphans, ids twice, images, all-thinking turns, a huge result, half a surrogate, empty messages."""
    bad = [
        gave(1, "a result of nothing"),
        user("look"),
        Message(role="assistant", content=(ThinkingBlock(text="only thoughts"),)),
        user(""),
        Message(
            role="user", content=(ImageBlock(media_type="image/png", data="AAAA"), TextBlock(text="see"))
        ),
        called(2, "bash", {"command": "x"}),
        user("never mind"),
        called(3, "bash", {"command": "y"}),
        gave(3, "one"),
        gave(3, "two"),
        called(3, "bash", {"command": "z"}),
        gave(3, "three " * 500_000),
        said("half a pair: \ud800"),
        Message(role="assistant", content=()),
        Message(role="user", content=(ToolResultBlock(call_id="none", text="lost"), TextBlock(text="words"))),
    ]
    curator = Curator(count_by_length)
    for message in bad:
        curator.add([message])
    view = curator.view()
    assert faults(view.messages) == []
    for new in steps(30):
        curator.add(
            [
                Message(
                    role=m.role,
                    content=tuple(
                        ToolUseBlock(id="same", name=b.name, arguments=b.arguments)
                        if isinstance(b, ToolUseBlock)
                        else ToolResultBlock(call_id="same", text=b.text)
                        if isinstance(b, ToolResultBlock)
                        else b
                        for b in m.content
                    ),
                )
                for m in new
            ]
        )
        view = curator.view()
        assert faults(view.messages) == []
    everything = words(view) + "\0".join(curator.archive.values())
    for text in ("a result of nothing", "one", "two", "three " * 500_000, "lost", "words", "never mind"):
        assert text in everything


@pytest.mark.slow
def test_any_broken_history_gives_a_legal_view() -> None:
    rng = Random(7)
    for _ in range(60):
        messages = history(40)
        for _ in range(rng.randint(1, 12)):
            at = rng.randrange(len(messages))
            match rng.randrange(3):
                case 0:
                    del messages[at]
                case 1:
                    messages.insert(at, messages[rng.randrange(len(messages))])
                case _:
                    other = rng.randrange(len(messages))
                    messages[at], messages[other] = messages[other], messages[at]
        curator = Curator(count_by_length)
        for message in messages:
            curator.add([message])
            if rng.random() < 0.4 and not any(isinstance(b, ToolUseBlock) for b in message.content):
                assert faults(curator.view().messages) == []
        assert faults(curator.view().messages) == []
