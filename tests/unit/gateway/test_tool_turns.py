"""Histories with calls stay whole for every provider, and become words where no tool is offered."""

from legion_core.gateway.tool_turns import NEVER_RAN, named_apart, paired, without_calls
from legion_core.gateway.types import Message, TextBlock, ToolResultBlock, ToolUseBlock


def call(name: str) -> ToolUseBlock:
    return ToolUseBlock(id=name, name="read", arguments='{"path": "a"}')


def said(role: str, *blocks: object) -> Message:
    return Message(role=role, content=blocks)  # type: ignore[arg-type]


QUESTION = ("q1", said("user", TextBlock(text="Read it.")))
CALLING = ("a1", said("assistant", TextBlock(text="I do."), call("c1"), call("c2")))


def test_a_history_in_which_every_call_has_its_result_is_left_as_it_is() -> None:
    results = (
        "t1",
        said("tool", ToolResultBlock(call_id="c1", text="x"), ToolResultBlock(call_id="c2", text="y")),
    )
    told = [QUESTION, CALLING, results, ("a2", said("assistant", TextBlock(text="Done.")))]
    assert paired(told) == told


def test_results_that_come_in_messages_of_their_own_are_enough() -> None:
    told = [
        QUESTION,
        CALLING,
        ("t1", said("tool", ToolResultBlock(call_id="c1", text="x"))),
        ("t2", said("tool", ToolResultBlock(call_id="c2", text="y"))),
        ("q2", said("user", TextBlock(text="And?"))),
    ]
    assert paired(told) == told


def test_a_call_without_a_result_gets_one_that_says_so_before_the_next_question() -> None:
    asked = ("q2", said("user", TextBlock(text="Never mind.")))
    one = ("t1", said("tool", ToolResultBlock(call_id="c1", text="x")))
    found = paired([QUESTION, CALLING, one, asked])
    assert [name for name, _ in found] == ["q1", "a1", "t1", "t1.lost", "q2"]
    (lost,) = found[3][1].content
    assert lost == ToolResultBlock(call_id="c2", text=NEVER_RAN, is_error=True)
    assert [name for name, _ in paired([QUESTION, CALLING])] == ["q1", "a1", "a1.lost"]


def test_without_tools_calls_and_results_are_words_and_the_rest_is_as_it_was() -> None:
    results = said("tool", ToolResultBlock(call_id="c1", text="the file"))
    first, second, third = without_calls((QUESTION[1], CALLING[1], results))
    assert first is QUESTION[1]
    assert second.role == "assistant"
    assert "I called read" in second.text
    assert (third.role, "the file" in third.text) == ("user", True)
    plain = (QUESTION[1],)
    assert without_calls(plain) == plain


def test_ids_of_calls_come_only_once() -> None:
    named = named_apart("msg_01abc", [call("0"), call("0"), call("call_0123456789"), call("call_0123456789")])
    ids = [each.id for each in named]
    assert len(set(ids)) == 4
    assert ids[2] == "call_0123456789"
    assert ids[0].startswith("call_01abc")
