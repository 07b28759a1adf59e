"""What a call would change, before it is made: a file line by line, the program that would really start.

Only what can be known without calling is shown. Files are read as they are now, bounded, and only plain ones.
"""

import difflib
import os
import shlex
import shutil
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from legion_core.agent.change_types import Change, ChangeLine
from legion_core.kernel.redact import redact
from legion_core.kernel.unseen import spelled

FILE_BYTES_MAX = 1 << 20
LINES_MAX = 400  # of one difference; a longer one is cut and says so
LINE_CHARS_MAX = 500
CONTEXT = 3
FILES_MAX = 8
_PATHS = ("path", "file_path", "filepath", "file", "filename", "target_file", "uri")
_WHOLE = ("content", "contents", "text", "file_text", "new_content", "data")
_OLD = ("old_str", "old_string", "oldText", "old_text", "search", "find")
_NEW = ("new_str", "new_string", "newText", "new_text", "replace", "replacement")


def difference(what: str, before: str, after: str, known: Sequence[str] = (), note: str = "") -> Change:
    """The lines of `after` against those of `before`, with a little around them; `known` are secrets to mask."""
    old, new = _lines(before, known), _lines(after, known)
    found: list[ChangeLine] = []
    added = removed = 0
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=len(old) + len(new) > 4_000)
    for number, group in enumerate(matcher.get_grouped_opcodes(CONTEXT)):
        if number:
            found.append(ChangeLine(sign="@", number=0, text="…"))
        for tag, old_from, old_to, new_from, new_to in group:
            if tag == "equal":
                found += [
                    ChangeLine(sign=" ", number=new_from + at + 1, text=text)
                    for at, text in enumerate(old[old_from:old_to])
                ]
                continue
            removed += old_to - old_from
            added += new_to - new_from
            found += [
                ChangeLine(sign="-", number=old_from + at + 1, text=text)
                for at, text in enumerate(old[old_from:old_to])
            ]
            found += [
                ChangeLine(sign="+", number=new_from + at + 1, text=text)
                for at, text in enumerate(new[new_from:new_to])
            ]
    if not found and not note:
        note = "Nothing in it would change."
    return Change(
        what=what, lines=tuple(found[:LINES_MAX]), added=added, removed=removed, note=note,
        is_cut=len(found) > LINES_MAX,
    )  # fmt: skip


def changes_of(
    target: str,
    args: Mapping[str, Any],
    *,
    place: Callable[[str], Path | None],
    known: Sequence[str] = (),
) -> tuple[Change, ...]:
    """What a call of `target` with `args` would change; blocks on the disk, so call it in a thread.

    `place` gives the file behind a path as the tool would find it, None where that cannot be known.
    """
    if target == "shell.command.run":
        return _command(args, known)
    return tuple(_files(args, place, known))[:FILES_MAX]


def _command(args: Mapping[str, Any], known: Sequence[str]) -> tuple[Change, ...]:
    argv = args.get("argv")
    if not isinstance(argv, list) or not argv:
        return ()
    words = [str(word) for word in cast("list[Any]", argv)]
    program = shutil.which(words[0])
    real = os.path.realpath(program) if program else ""
    told = [
        f"starts  {program or words[0]}" + (f"  ({real})" if real and real != program else ""),
        f"in      {os.getcwd()}",
        *(f"word    {shlex.quote(word)}" for word in words[1:]),
    ]
    stdin = str(args.get("stdin") or "")
    if stdin:
        told.append(f"reads   {len(stdin):,} characters of input")
    note = "" if program else "No such program was found."
    lines = [
        ChangeLine(sign=" ", number=0, text=_fit(redact(line, tuple(known)))) for line in told[:LINES_MAX]
    ]
    return (
        Change(
            what="The command as it would be started",
            lines=tuple(lines),
            note=note,
            is_cut=len(told) > LINES_MAX,
        ),
    )


def _files(
    args: Mapping[str, Any], place: Callable[[str], Path | None], known: Sequence[str]
) -> list[Change]:
    path = _first(args, _PATHS)
    edits = args.get("edits")
    if path is None:
        return []
    whole = _first(args, _WHOLE)
    pairs: list[tuple[str, str]] = []
    if isinstance(edits, list):
        for edit in cast("list[Any]", edits)[:100]:
            if isinstance(edit, Mapping):
                told = cast("Mapping[str, Any]", edit)
                pairs.append((_first(told, _OLD) or "", _first(told, _NEW) or ""))
    elif (old := _first(args, _OLD)) is not None:
        pairs = [(old, _first(args, _NEW) or "")]
    if whole is None and not pairs:
        return []
    file = place(path)
    if file is None:
        return [_unknown(path, whole, pairs, known)]
    before, problem = read(file)
    if problem:
        return [msgspec.structs.replace(_unknown(str(file), whole, pairs, known), note=problem)]
    if pairs:
        after, missing = before, 0
        for old, new in pairs:
            missing += old not in after
            after = after.replace(old, new, 1) if old else after
        note = f"{missing} of {len(pairs)} passages to replace are not in the file." if missing else ""
        return [difference(str(file), before, after, known, note)]
    return [difference(str(file), before, whole or "", known, "" if file.exists() else "A new file.")]


def _unknown(what: str, whole: str | None, pairs: Sequence[tuple[str, str]], known: Sequence[str]) -> Change:
    """Where the file is not known, what is told of it alone."""
    before = "\n".join(old for old, _ in pairs)
    after = whole if whole is not None else "\n".join(new for _, new in pairs)
    return difference(what, before, after, known, "The file itself could not be looked at from here.")


def read(file: Path) -> tuple[str, str]:
    """The text of a plain file, empty for none; else why it cannot be shown."""
    try:
        handle = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        return "", ""
    except (OSError, ValueError) as error:
        return "", f"It cannot be read: {getattr(error, 'strerror', None) or error}."
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return "", "It is no plain file."
        with os.fdopen(handle, "rb", closefd=False) as stream:
            content = stream.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        return "", f"It cannot be read: {error.strerror}."
    finally:
        os.close(handle)
    if len(content) > FILE_BYTES_MAX:
        return "", f"It is larger than {FILE_BYTES_MAX >> 20} MB, the most that is compared."
    try:
        return content.decode(), ""
    except UnicodeDecodeError:
        return "", "It is not text now."


def _first(args: Mapping[str, Any], names: Sequence[str]) -> str | None:
    return next((value for name in names if isinstance(value := args.get(name), str)), None)


def _lines(text: str, known: Sequence[str]) -> list[str]:
    return [_fit(line) for line in redact(text, tuple(known)).splitlines()]


def _fit(line: str) -> str:
    kept = spelled(line, kept="\t")
    return kept if len(kept) <= LINE_CHARS_MAX else f"{kept[:LINE_CHARS_MAX]}…"
