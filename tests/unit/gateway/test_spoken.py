"""What was told of an answer, as it lies beside the journal."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from legion_core.gateway.resuming import given_of
from legion_core.gateway.spoken import Begun, Line, Place, Spoken, missing
from legion_core.gateway.types import Pins, Tier
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import InvalidInput
from legion_core.storage.sqlite import Connection, execute, row
from legion_core.testing.gateway import ask, open_gateway
from tests.support.aio import run

WORDS = st.lists(st.tuples(st.booleans(), st.text(max_size=4)), max_size=12)


def lines_of(words: list[tuple[bool, str]]) -> list[Line]:
    lines, place = list[Line](), Place()
    for is_thinking, word in words:
        thinking, text = (word, "") if is_thinking else ("", word)
        lines.append(Line("msg_1", place.thinking, place.text, thinking, text))
        place = Place(place.thinking + len(thinking), place.text + len(text))
    return lines


@settings(max_examples=200, deadline=None)
@given(WORDS, st.integers(0, 50), st.integers(0, 50), st.integers(0, 12))
def test_what_is_missing_behind_any_place_is_the_rest_whatever_lines_are_gone(
    words: list[tuple[bool, str]], thinking: int, text: int, gone: int
) -> None:
    lines = lines_of(words)
    thoughts = "".join(line.thinking for line in lines)
    texts = "".join(line.text for line in lines)
    # What is on disk never lacks a piece in its middle: lines that are gone were put into the parts before.
    first = lines[gone] if gone < len(lines) else None
    least = Place(first.at_thinking, first.at_text) if first else Place(len(thoughts), len(texts))
    place = Place(min(len(thoughts), max(thinking, least.thinking)), min(len(texts), max(text, least.text)))
    assert missing(lines[gone:], place) == (thoughts[place.thinking :], texts[place.text :])


def test_behind_a_gap_nothing_is_believed() -> None:
    lines = lines_of([(False, "one "), (False, "two "), (False, "three")])
    assert missing([lines[0], lines[2]], Place()) == ("", "one ")
    assert missing([lines[2]], Place()) == ("", "")


def test_a_place_is_read_as_it_was_told_and_nothing_else_is_one() -> None:
    place = Place(3, 14)
    assert Place.read(place.id_in("msg_1"), "msg_1") == place
    assert Place.read("", "msg_1") == Place()
    for told in (
        "msg_2.3.14",
        "msg_1.3",
        "msg_1.3.x",
        "msg_1.3.-1",
        "msg_1..",
        "msg_1.3.14.0",
        "msg_1.1.²",
        ".",
    ):
        with pytest.raises(InvalidInput):
            Place.read(told, "msg_1")


def test_what_another_process_told_counts_as_given() -> None:
    given = given_of("hm", "Hello there")
    assert (given.thinking, given.text, given.chars, given.is_empty) == ("hm", "Hello there", 11, False)
    assert given_of("", "").is_empty


def test_what_was_told_is_put_into_the_parts_of_the_answer_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "journal.db") as under_test:
            database, conversations = under_test.database, under_test.gateway.conversations
            made = await conversations.create()
            _, answer = await conversations.ask(
                made.id, ask("Tell").messages, parent_id=None, request_id="req_1"
            )
            conversations.grow(answer.id, 0, "Once ", "")
            told = Spoken(database, SystemClock())
            telling = told.begin(answer.id)
            assert told.begin(answer.id) is telling
            for word in ("Once ", "upon ", "a time"):
                told.keep(telling, text=word)
            assert (telling.text, telling.place) == ("Once upon a time", Place(0, 16))
            told.close()  # as a killed process does: its lines stay, nobody holds them

            for _ in range(2):  # the second finds nothing
                await Spoken(database, SystemClock()).recover()
                assert await conversations.recover() in (0, 1)
            kept = await conversations.message(answer.id)
            assert (kept.text, kept.status) == ("Once upon a time", "interrupted")
            assert not list(tmp_path.glob("*words*"))

    run(scenario())


def test_an_answer_that_ended_leaves_nothing_behind(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "journal.db") as under_test:
            told = Spoken(under_test.database, SystemClock())
            telling = told.begin("msg_1", "hm", "Once")
            told.keep(telling, text=" upon")
            told.end(telling)
            told.end(telling)
            assert told.live("msg_1") is None
            told.close()
            assert not list(tmp_path.glob("*words*"))

    run(scenario())


def test_only_what_was_interrupted_and_has_nothing_behind_it_is_written_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "journal.db") as under_test:
            conversations = under_test.gateway.conversations
            spoken = Spoken(under_test.database, SystemClock())
            made = await conversations.create()
            _, answer = await conversations.ask(
                made.id, ask("Tell").messages, parent_id=None, request_id="req_1"
            )
            conversations.grow(answer.id, 0, "Once ", "hm")
            assert await spoken.reopen(answer.id) is None  # it is being written
            await conversations.recover()
            assert await spoken.reopen(answer.id) == ("hm", "Once ")
            assert (await conversations.message(answer.id)).status == "streaming"
            assert await spoken.reopen(answer.id) is None
            await conversations.recover()
            assert (await conversations.message(answer.id)).text == "Once "
            await conversations.ask(made.id, ask("More").messages, parent_id=answer.id, request_id="req_2")
            assert await spoken.reopen(answer.id) is None
            assert (await conversations.verify()).damaged == ()

    run(scenario())


def test_who_watches_is_remembered_with_the_route_it_insisted_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "journal.db") as under_test:
            spoken = Spoken(under_test.database, SystemClock())
            for pins in (None, Pins(tier=Tier.LOCAL, model="m")):
                await spoken.note("msg_1", Begun(asker="guest", pins=pins))
                assert await spoken.begun("msg_1") == Begun(asker="guest", pins=pins)
            assert await spoken.begun("msg_2") is None

            def age(connection: Connection) -> None:
                execute(connection, "UPDATE watched_answers SET at = '2020-01-01T00:00:00.000Z'")

            await under_test.database.write(age)
            assert await spoken.begun("msg_1") is None
            await spoken.recover()
            assert await under_test.database.read(lambda c: row(c, "SELECT 1 FROM watched_answers")) is None

    run(scenario())
