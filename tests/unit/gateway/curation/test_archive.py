"""Recall: what was read from a path before what names it, rare words before common ones."""

from legion_core.gateway.curation.archive import Archive, Piece

FILE = "\n".join(f"{row}\tvalue_{row} = {row}" for row in range(1, 200))


def archive(**pieces: tuple[str, str]) -> Archive:
    made = Archive()
    for number, (label, text) in enumerate(pieces.values(), 1):
        made.put(f"#{number}", Piece(text, (f"m{number}",), label))
    return made


def test_a_line_of_a_file_comes_from_the_read_though_later_commands_name_the_file() -> None:
    runs = {f"run{at}": ("Bash pytest src/a.py -v pytest src/a.py -v", f"run {at}\n" * 30) for at in range(5)}
    made = archive(read=("Read /repo/src/a.py /repo/src/a.py", FILE), **runs)

    found = made.recall("What does line 13 of src/a.py say?", 3)
    assert found[0].key == "#1"


def test_a_read_of_these_lines_comes_before_a_read_of_others() -> None:
    made = archive(
        first=("Read /repo/a/b.py:1-50 /repo/a/b.py", FILE),
        second=("Read /repo/a/b.py:60-90 /repo/a/b.py", FILE),
    )

    assert made.recall("line 70 of a/b.py", 3)[0].key == "#2"
    assert made.recall("line 20 of a/b.py", 3)[0].key == "#1"


def test_the_rare_word_of_a_question_decides() -> None:
    common = {f"p{at}": ("", f"this was tried, and why it was given up is told in {at}") for at in range(30)}
    made = archive(wanted=("", "`decode_stream` fails: the header is read twice"), **common)

    assert made.recall("Was decode_stream tried, and why was it given up?", 3)[0].key == "#1"


def test_words_that_stand_nowhere_find_nothing() -> None:
    assert archive(one=("", "some text")).recall("entirely elsewhere", 3) == ()


def test_of_a_path_all_that_was_read_of_it_comes_and_the_reads_come_first() -> None:
    parts = {
        f"read{at}": (f"Read /repo/a.py:{at}0-{at}9 /repo/a.py", f"part {at}\n" * 9) for at in range(1, 7)
    }
    made = archive(**parts, run=("Bash cat /repo/a.py cat /repo/a.py", "ran"))

    assert [piece.key for piece in made.recall("/repo/a.py", 3)] == ["#6", "#5", "#4", "#3", "#2", "#1"]
    assert len(made.recall("part", 3)) == 3


def test_of_reads_that_hold_the_line_the_newest_comes_first_whole_or_in_part() -> None:
    parts = {f"part{at}": ("Read /repo/a.py:1-50 /repo/a.py", f"as it was {at}\n" * 50) for at in range(4)}
    made = archive(**parts, whole=("Read /repo/a.py /repo/a.py", FILE))

    assert made.recall("What does line 20 of a.py say? In /repo/a.py", 3)[0].key == "#5"


def test_what_was_written_into_a_file_comes_before_later_reads_of_it() -> None:
    reads = {f"read{at}": ("Read /repo/src/a.py /repo/src/a.py", FILE) for at in range(5)}
    made = archive(wrote=("Write /repo/src/a.py /repo/src/a.py", "File created"), **reads)
    made.put("#1c", Piece('{"content": "first line"}', ("m1",), "Write"))

    found = made.recall("What did the latest edit put into src/a.py?", 3)
    assert [piece.key for piece in found][:2] == ["#1", "#1c"]


def test_what_was_read_again_as_it_was_leaves_room_for_what_it_was_before() -> None:
    again = {f"again{at}": ("Read /repo/src/a.py /repo/src/a.py", FILE) for at in range(6)}
    made = archive(before=("Read /repo/src/a.py /repo/src/a.py", FILE.upper()), **again)

    found = made.recall("What does line 9 of src/a.py say?", 3)
    assert [piece.key for piece in found] == ["#7", "#1"]


def test_of_a_read_too_long_for_an_answer_the_part_around_the_line_comes() -> None:
    long = "\n".join(f"{row}\tvalue_{row} = compute({row})" + " # why" * 10 for row in range(1, 900))
    made = archive(read=("Read /repo/src/a.py /repo/src/a.py", long))

    found = made.recall("What does line 880 of src/a.py say?", 3)[0]
    assert "value_880 = " in found.text
    assert found.text in long
    assert len(found.text) < 24_000
    assert made.recall("#1", 3)[0].text == long
