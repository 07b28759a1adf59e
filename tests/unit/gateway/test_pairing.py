"""What clients send of calls and results, however broken, leaves as pairs, and nothing that was said is lost."""

from hypothesis import given
from hypothesis import strategies as st

from legion_core.gateway.pairing import STRAY, UNKNOWN, is_paired, paired_up
from legion_core.gateway.types import Block, ImageBlock, Message, TextBlock, ToolResultBlock, ToolUseBlock

IDS = st.sampled_from(("a", "b", "a_2"))
WORDS = st.builds(TextBlock, text=st.sampled_from(("one", "two")))
CALLS = st.builds(ToolUseBlock, id=IDS, name=st.just("read"), arguments=st.just("{}"))
RESULTS = st.builds(ToolResultBlock, call_id=IDS, text=st.sampled_from(("x", "y")))


def _of(role: str, *blocks: st.SearchStrategy[Block]) -> st.SearchStrategy[Message]:
    content = st.lists(st.one_of(*blocks), max_size=4).map(tuple)
    return st.builds(Message, role=st.just(role), content=content)


MESSAGES = st.one_of(_of("user", WORDS, RESULTS), _of("assistant", WORDS, CALLS), _of("tool", RESULTS))


@given(st.lists(MESSAGES, max_size=9))
def test_whatever_comes_leaves_in_pairs_with_every_word_of_it(messages: list[Message]) -> None:
    found = paired_up(messages)
    assert is_paired(found)
    assert paired_up(found) == found
    texts = [
        block.text for message in found for block in message.content if not isinstance(block, ToolUseBlock)
    ]
    said = [block for message in messages for block in message.content]
    for block in said:
        if isinstance(block, TextBlock):
            assert block.text in texts
        elif isinstance(block, ToolResultBlock):
            assert block.text in texts or STRAY + block.text in texts
    calls = [block for message in found for block in message.content if isinstance(block, ToolUseBlock)]
    assert len(calls) == sum(isinstance(block, ToolUseBlock) for block in said)


def _call(*names: str) -> Message:
    return Message(
        role="assistant",
        content=tuple(ToolUseBlock(id=name, name="read", arguments="{}") for name in names),
    )


def _gave(name: str, text: str = "x") -> Message:
    return Message(role="tool", content=(ToolResultBlock(call_id=name, text=text),))


def _user(text: str) -> Message:
    return Message(role="user", content=(TextBlock(text=text),))


def test_a_call_that_was_interrupted_is_said_to_have_no_known_result() -> None:
    asked, called = _user("Go"), _call("a")
    lost = Message(role="tool", content=(ToolResultBlock(call_id="a", text=UNKNOWN, is_error=True),))
    assert paired_up([asked, called, _user("Next")]) == (asked, called, lost, _user("Next"))


def test_ids_that_begin_anew_with_each_answer_are_told_apart_with_their_results() -> None:
    found = paired_up(
        [_call("a"), _gave("a", "one"), _call("a", "a"), _gave("a", "two"), _gave("a", "three")]
    )
    assert [block.id for message in found for block in message.content if isinstance(block, ToolUseBlock)] == ["a", "a_2", "a_3"]  # fmt: skip
    told = [(block.call_id, block.text) for message in found for block in message.content if isinstance(block, ToolResultBlock)]  # fmt: skip
    assert told == [("a", "one"), ("a_2", "two"), ("a_3", "three")]


def test_a_stray_result_does_not_part_the_others_from_their_calls() -> None:
    found = paired_up([_call("a", "b"), _gave("z", "stray"), _gave("a"), _gave("b"), _user("Next")])
    assert [message.role for message in found] == ["assistant", "tool", "tool", "user", "user"]
    assert found[3].text == STRAY + "stray"


def test_a_picture_stays_with_its_result() -> None:
    picture = ImageBlock(media_type="image/png", data="AA==")
    given = Message(role="tool", content=(ToolResultBlock(call_id="a", text="x"), picture))
    assert paired_up([_call("a"), given, _call("b")])[1] == given
