"""What a call would change, before it is made: files as they are now, commands as they would start."""

import os
from pathlib import Path
from typing import Any

import pytest

from legion_core.agent.changes import LINES_MAX, changes_of, difference, read


def told(lines: Any) -> list[tuple[str, int, str]]:
    return [(line.sign, line.number, line.text) for line in lines]


def found(target: str, args: dict[str, Any], known: tuple[str, ...] = ()) -> Any:
    (change,) = changes_of(
        target, args, place=lambda path: Path(path) if Path(path).is_absolute() else None, known=known
    )
    return change


def test_a_difference_has_numbers_signs_and_what_lies_between_is_left_out() -> None:
    before = "\n".join(str(number) for number in range(1, 31))
    after = before.replace("2\n", "two\n", 1).replace("\n30", "\nthirty")
    change = difference("a", before, after)
    assert (change.added, change.removed) == (2, 2)
    assert told(change.lines)[:3] == [(" ", 1, "1"), ("-", 2, "2"), ("+", 2, "two")]
    assert ("@", 0, "…") in told(change.lines)
    assert len(change.lines) < 16


@pytest.mark.requirement("mcp.approval-diff")
@pytest.mark.parametrize(
    "args",
    [
        {"content": "one\nnew\n"},
        {"old_str": "old", "new_str": "new"},
        {"old_string": "old", "new_string": "new"},
        {"edits": [{"oldText": "old", "newText": "new"}]},
    ],
)
def test_every_usual_way_to_write_a_file_is_shown_against_the_file_as_it_is(
    tmp_path: Path, args: dict[str, Any]
) -> None:
    file = tmp_path / "a.txt"
    file.write_text("one\nold\n", encoding="utf-8")
    change = found("mcp.files.edit", {"path": str(file), **args})
    assert change.what == str(file)
    assert told(change.lines) == [(" ", 1, "one"), ("-", 2, "old"), ("+", 2, "new")]


def test_a_new_file_a_passage_that_is_not_there_and_no_change_at_all_are_said(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    assert found("file.text.write", {"path": str(file), "text": "x"}).note == "A new file."
    file.write_text("x", encoding="utf-8")
    assert "Nothing" in found("file.text.write", {"path": str(file), "text": "x"}).note
    missing = found("mcp.files.edit", {"path": str(file), "old_str": "y", "new_str": "z"})
    assert missing.note.startswith("1 of 1 passages")


def test_what_cannot_be_looked_at_is_said_and_told_by_the_arguments_alone(tmp_path: Path) -> None:
    away = found("mcp.files.write", {"path": "notes/a.txt", "content": "new"})
    assert "could not be looked at" in away.note
    assert told(away.lines) == [("+", 1, "new")]
    binary = tmp_path / "b"
    binary.write_bytes(b"\xff\xfe\x00")
    assert found("mcp.files.write", {"path": str(binary), "content": "new"}).note == "It is not text now."
    assert "no plain file" in found("mcp.files.write", {"path": str(tmp_path), "content": "x"}).note
    os.mkfifo(tmp_path / "pipe")
    assert read(tmp_path / "pipe")[1] == "It is no plain file."


def test_secrets_control_characters_and_endless_lines_do_not_come_through(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("key = hunter2-hunter2\n", encoding="utf-8")
    content = "key = sk-abcdefghijklmnop\n\x1b[2Jwiped\u202e\n" + "x" * 10_000
    change = found("mcp.files.write", {"path": str(file), "content": content}, ("hunter2-hunter2",))
    whole = repr(change)
    assert "hunter2" not in whole
    assert "sk-abcdefgh" not in whole
    assert all(each.isprintable() for line in change.lines for each in line.text)
    assert max(len(line.text) for line in change.lines) < 600


def test_a_long_difference_is_cut_and_says_so(tmp_path: Path) -> None:
    change = difference("a", "", "\n".join(str(number) for number in range(5_000)))
    assert change.is_cut
    assert len(change.lines) == LINES_MAX
    assert change.added == 5_000


def test_a_command_is_shown_as_what_would_really_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "tool-1"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    (tmp_path / "tool").symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path))
    change = found("shell.command.run", {"argv": ["tool", "a b", "--x"], "stdin": "12345"})
    texts = [line.text for line in change.lines]
    assert texts[0].startswith(f"starts  {tmp_path}/tool")
    assert texts[0].endswith(f"({program})")
    assert "word    'a b'" in texts
    assert "reads   5 characters of input" in texts
    assert found("shell.command.run", {"argv": ["nothing-such"]}).note == "No such program was found."


def test_other_calls_change_nothing_that_could_be_shown() -> None:
    for args in ({}, {"path": "/tmp/x"}, {"text": "hello"}, {"argv": ["x"]}, {"path": 1, "content": "x"}):
        assert changes_of("mcp.notes.echo", args, place=lambda _: None) == ()
    assert changes_of("shell.command.run", {"argv": "no list"}, place=lambda _: None) == ()
