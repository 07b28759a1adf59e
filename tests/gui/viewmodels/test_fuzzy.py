import time

from hypothesis import given
from hypothesis import strategies as st

from app.viewmodels.fuzzy import Haystack

NAMES = [
    "New chat",
    "Settings",
    "Trip circuit",
    "Reset tripped circuit",
    "Curation: strip thinking",
    "Find in this chat",
]


def found(query: str, names: list[str] = NAMES) -> list[str]:
    return [names[match.index] for match in Haystack(names).search(query)]


def test_the_start_of_a_name_beats_the_start_of_a_word_beats_the_middle() -> None:
    assert found("trip") == ["Trip circuit", "Reset tripped circuit", "Curation: strip thinking"]


def test_every_word_must_be_found_in_any_order() -> None:
    assert found("chat new") == ["New chat"]
    assert found("chat zebra") == []


def test_letters_in_order_are_found_where_no_substring_is() -> None:
    assert "Settings" in found("stgs")


def test_spans_name_the_letters_that_matched() -> None:
    match = Haystack(NAMES).search("chat find")[0]
    name = NAMES[match.index]
    assert [name[start:end].lower() for start, end in match.spans] == ["find", "chat"]


def test_an_empty_query_gives_what_has_the_highest_bonus_first() -> None:
    assert [match.index for match in Haystack(["a", "b", "c"], [0, 5, 1]).search("")] == [1, 2, 0]


@given(st.lists(st.text(alphabet="abc -", max_size=12), max_size=30), st.text(alphabet="abc ", max_size=6))
def test_each_match_holds_every_letter_of_every_word(names: list[str], query: str) -> None:
    for match in Haystack(names).search(query):
        name = " ".join(names[match.index].lower().split())
        for word in query.split():
            assert all(letter in name for letter in word)
        assert all(0 <= start < end <= len(name) for start, end in match.spans)


def test_a_key_press_over_twenty_thousand_names_tries_a_bounded_number_letter_by_letter() -> None:
    # The bound is on work, not on time: the machine running this may be busy.
    names = [
        f"{word} number {at} of the long list"
        for at in range(5000)
        for word in ("alpha", "beta", "gamma", "delta")
    ]
    haystack = Haystack(names)
    began = time.thread_time()
    for query in ("a", "nmb", "lst of", "zz", "gamma 4999"):
        assert len(haystack.search(query)) <= 50
    assert time.thread_time() - began < 5
