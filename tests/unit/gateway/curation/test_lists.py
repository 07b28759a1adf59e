"""Lists are made one when what they say in vain outweighs writing them anew."""

from collections.abc import Sequence

from legion_core.gateway.curation.lists import List, first_stale, only_named
from legion_core.gateway.curation.rounds import Reader, Round, Said
from legion_core.gateway.types import Message, TextBlock
from tests.unit.gateway.curation.sessions import called, gave


def rounds(count: int, name: str = "bash", argument: str = "command") -> list[Round]:
    reader = Reader(lambda text: len(text) // 4)
    return [
        reader.round_of([f"m{at}"], called(at, name, {argument: f"do/{at}.py"}), [gave(at, "exit code: 0")])[
            0
        ]
        for at in range(count)
    ]


def lists(made: Sequence[Round], each: int, tokens: int) -> list[List]:
    found = list[List]()
    for begin in range(0, len(made), each):
        part = made[begin : begin + each]
        for round_ in part:
            round_.list_at = part[-1].index
        found.append(List(part[-1], part[-1].exchanges[0], "", tokens))
    return found


def segments(made: list[Round]) -> list[Said]:
    said = Message(role="user", content=(TextBlock(text="go"),))
    return [Said(("u",), (said,), 10, rounds=made)]


def test_lists_that_say_what_still_holds_are_left_alone() -> None:
    made = rounds(40)
    tokens = sum(round_.line_tokens for round_ in made[:10])

    assert first_stale(lists(made, 10, tokens), made, segments(made), 40) == 4


def test_lists_of_calls_that_were_made_again_give_way_and_those_before_them_stay() -> None:
    made = rounds(40)
    standing = lists(made, 10, sum(round_.line_tokens for round_ in made[:10]))
    for round_ in made[20:]:
        round_.covered = True

    assert first_stale(standing, made, segments(made), 40) == 2


def test_what_was_asked_for_long_ago_is_said_in_vain() -> None:
    made = rounds(40)
    standing = lists(made, 10, sum(round_.line_tokens for round_ in made[:10]))

    assert first_stale(standing, made, segments(made), 40 + max(round_.horizon for round_ in made)) == 0


def test_a_read_of_a_path_that_is_named_needs_no_line_and_a_command_does() -> None:
    reads, runs = rounds(3, "read_file", "path"), rounds(3)

    assert only_named("#1 read_file do/0.py\n#9 edit do/2.py", reads) == {0, 2}
    assert only_named("#1 bash do/0.py", runs) == set()
