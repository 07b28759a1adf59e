"""What `legion conversation show` says of a message: its words, what it called, and the beginning of what that gave."""

from datetime import UTC, datetime

from legion_core.api.types import Conversation
from legion_core.surfaces.cli.commands import conversations
from legion_core.surfaces.shapes import CallShape, MessageShape, ResultShape


def said(role: str, content: str = "", **more: object) -> str:
    told: dict[str, object] = {
        "id": "m", "conversation_id": "c", "parent_id": None, "role": role, "content": content,
        "created_at": datetime(2026, 3, 14, tzinfo=UTC), **more,
    }  # fmt: skip
    message = MessageShape(**told)  # type: ignore[arg-type]
    return f"{conversations._who(message)}\n{conversations._said(message, {'c1': 'Read'})}"


def test_a_call_and_what_it_gave_are_told_in_a_line_each() -> None:
    call = CallShape(id="c1", name="Read", arguments='{"path": "a.py"}')
    assert said("assistant", "I look.", calls=(call,)) == 'assistant:\nI look.\n  Read {"path": "a.py"}'
    gave = (
        ResultShape(call_id="c1", text="one\ntwo\nthree\n"),
        ResultShape(call_id="c9", text="no such file", is_error=True),
    )
    assert said("tool", results=gave) == (
        "Tools:\n  Read gave: one  (and 2 more lines)\n  A tool failed: no such file"
    )


def test_a_message_without_words_says_so() -> None:
    assert said("assistant", thinking="Hm.") == "assistant:\n  (thoughts alone)"
    assert said("assistant") == "assistant:\n  (nothing)"
    assert said("system", "Be brief.") == "Instructions:\nBe brief."


def test_one_of_a_thing_is_not_many() -> None:
    assert conversations._plural(1, "conversation") == "1 conversation"
    assert conversations._plural(1_200, "text") == "1,200 texts"


def test_a_passage_that_is_cut_ends_so() -> None:
    moment = datetime(2026, 3, 14, tzinfo=UTC)
    row = Conversation(
        id="c", title="Tides", created_at=moment, updated_at=moment, snippet="the dance of lights " * 9
    )
    assert conversations._table((row,)).endswith("the dance of lights…")
