"""One answer read from many attempts: whatever breaks where, the client has the whole of it, once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.gateway import reading
from legion_core.gateway.reading import Given, Reading, Ready, joined
from legion_core.gateway.types import Chunk, Finished, TextDelta, ThinkingDelta, ToolCallDelta, Usage
from legion_core.kernel.errors import Malformed

END = Finished(stop_reason="end_turn", usage=Usage())
PIECES = st.lists(st.text(alphabet="ab ö🌊", min_size=1, max_size=4), max_size=6)


def thinking(pieces: list[str], signature: str) -> list[Chunk]:
    said: list[Chunk] = [ThinkingDelta(text=piece) for piece in pieces]
    return [*said, ThinkingDelta(text="", signature=signature)] if pieces else []


def calls(arguments: list[str]) -> list[Chunk]:
    out: list[Chunk] = []
    for index, text in enumerate(arguments):
        out.append(ToolCallDelta(index=index, id=f"call_{index}", name="f"))
        out += [ToolCallDelta(index=index, arguments=char) for char in text]
    return out


class Client:
    """What a client puts together of what goes out."""

    def __init__(self) -> None:
        self.given = Given()
        self.thinking = self.text = ""
        self.signatures: list[str] = []
        self.calls: list[tuple[str, str]] = []

    def take(self, ready: Ready) -> None:
        self.given.take(ready)
        match ready:
            case TextDelta():
                self.text += ready.text
            case ThinkingDelta():
                self.thinking += ready.text
                self.signatures += [ready.signature] * bool(ready.signature)
            case ToolCallDelta():
                self.calls.append((ready.id, ready.arguments))

    def read(self, chunks: list[Chunk], *, whole: bool) -> None:
        attempt = Reading(self.given)
        for chunk in chunks:
            for ready in attempt.take(chunk):
                self.see(attempt, ready)
        for ready in attempt.take(END) if whole else ():
            self.see(attempt, ready)

    def see(self, attempt: Reading, ready: Ready) -> None:
        if attempt.thinks_anew:
            attempt.thinks_anew = False
            self.given.think_anew()
            self.thinking, self.signatures = "", []
        self.take(ready)


@given(
    PIECES,
    PIECES,
    st.lists(st.text(alphabet='{}":ab', max_size=6), max_size=3),
    st.lists(st.integers(0, 40), max_size=4),
)
def test_attempts_that_break_anywhere_add_up_to_the_answer(
    thoughts: list[str], pieces: list[str], arguments: list[str], cuts: list[int]
) -> None:
    client, whole = Client(), "".join(pieces)

    def attempt() -> list[Chunk]:
        """What a model says that thinks the same again, and goes on behind the text that is given."""
        rest = whole[len(client.text) :]
        begun = [] if client.text else thinking(thoughts, "signed")
        return [*begun, *(TextDelta(text=char) for char in rest), *calls(arguments)]

    for cut in cuts:
        client.read(attempt()[:cut], whole=False)
    client.read([*attempt(), END], whole=True)

    assert client.text == whole
    assert client.thinking == "".join(thoughts)
    assert client.signatures == ["signed"] * bool(thoughts)
    assert client.calls == [(f"call_{index}", text) for index, text in enumerate(arguments)]


@given(PIECES, PIECES, st.lists(st.text(alphabet='{}":ab', max_size=6), max_size=3), PIECES)
def test_pieces_that_are_joined_say_the_same_and_count_as_many_tokens(
    thoughts: list[str], pieces: list[str], arguments: list[str], more: list[str]
) -> None:
    told: list[Chunk] = [
        *thinking(thoughts, "signed"),
        *(TextDelta(text=each) for each in pieces),
        *calls(arguments),
        *(TextDelta(text=each, tokens=3) for each in more),
        END,
    ]
    one, other = Client(), Client()
    one.read(told, whole=True)
    other.read(list(joined(told)), whole=True)

    assert (other.text, other.thinking, other.calls) == (one.text, one.thinking, one.calls)
    assert other.given.tokens == one.given.tokens
    assert sum(isinstance(each, TextDelta) for each in joined(told)) <= 2


@given(PIECES, PIECES, st.integers(0, 8))
def test_thinking_that_differs_ends_up_as_the_last_model_thought_it(
    first: list[str], second: list[str], cut: int
) -> None:
    client = Client()
    client.read(thinking(first, "one")[:cut], whole=False)
    client.read([*thinking(second, "two"), TextDelta(text="so"), END], whole=True)

    assert client.text == "so"
    if second and not "".join(first).startswith("".join(second)):
        assert client.thinking == "".join(second) or client.thinking.startswith("".join(second))


def test_text_behind_a_call_waits_with_it() -> None:
    client = Client()
    broken = [TextDelta(text="I look. "), *calls(["{}"]), TextDelta(text="Done.")]
    client.read(broken, whole=False)

    assert (client.text, client.calls) == ("I look. ", [])

    client.read([*calls(["{}"]), TextDelta(text="Done."), END], whole=True)

    assert (client.text, client.calls) == ("I look. Done.", [("call_0", "{}")])


def test_interleaved_pieces_of_calls_become_whole_calls_in_order() -> None:
    client = Client()
    pieces: list[Chunk] = [
        ToolCallDelta(index=0, id="a", name="f"),
        ToolCallDelta(index=1, id="b", name="f"),
        ToolCallDelta(index=0, arguments='{"x":'),
        ToolCallDelta(index=1, arguments="{}"),
        ToolCallDelta(index=0, arguments="1}"),
    ]
    client.read([*pieces, END], whole=True)

    assert client.calls == [("a", '{"x":1}'), ("b", "{}")]


def test_what_is_kept_back_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "KEPT_CHARS_MAX", 100)

    with pytest.raises(Malformed):
        Client().read(calls(["x" * 101]), whole=True)


def test_a_signature_that_belongs_to_a_call_comes_with_it_also_behind_a_seam() -> None:
    client = Client()
    client.read([TextDelta(text="I look. ")], whole=False)
    thought: list[Chunk] = [
        ThinkingDelta(text="Hm."),
        *calls(["{}"]),
        ThinkingDelta(text="", signature="0=s;"),
    ]
    client.read([*thought, END], whole=True)

    assert (client.text, client.thinking, client.signatures) == ("I look. ", "", ["0=s;"])


def test_two_calls_of_one_answer_have_two_ids_and_one_without_a_name_is_none() -> None:
    client = Client()
    twice = [ToolCallDelta(index=index, id="call_a", name="f", arguments="{}") for index in (0, 1)]
    client.read(twice, whole=True)
    assert client.calls == [("call_a", "{}"), ("call_a_1", "{}")]
    with pytest.raises(Malformed, match="without naming"):
        Client().read([ToolCallDelta(index=0, id="call_a", name="", arguments="{}")], whole=True)
