"""Lines that outlive their process: what the next one finds of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from legion_core.storage.slates import WIPED_FROM_BYTES, Slates

DIES = """
import os, sys
from pathlib import Path
from legion_core.storage.slates import Slates
slates = Slates(Path(sys.argv[1]), "word")
pages = [slates.keep(b"one"), slates.keep(b"two"), slates.keep(b"three")]
slates.done(pages[0])
os.write(pages[0].handle, b"torn in the mid")
print("kept", flush=True)
sys.stdin.read()
"""


def names(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir())


def test_nothing_is_opened_before_the_first_line_and_nothing_is_left_after_the_last(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    slates = Slates(path, "word")
    assert names(path) == []
    page = slates.keep(b"one")
    assert names(path) == ["j.db.word-0", "j.db.word-1"]
    assert (tmp_path / "j.db.word-0").stat().st_mode & 0o077 == 0
    slates.done(page)
    slates.close()
    slates.close()
    assert names(path) == []


def test_what_still_waits_at_the_close_is_found_by_the_next(tmp_path: Path) -> None:
    slates = Slates(tmp_path / "j.db", "word")
    slates.keep(b"one")
    slates.close()
    following = Slates(tmp_path / "j.db", "word")
    (left,) = following.left()
    assert left.lines == (b"one",)
    assert Slates(tmp_path / "j.db", "word").left() == []  # one at a time
    left.release()
    (left,) = following.left()
    left.drop()
    assert names(tmp_path / "j.db") == []


@pytest.mark.skipif(sys.platform == "win32", reason="kills with a POSIX signal")
def test_a_killed_process_leaves_its_whole_lines_and_one_that_lives_leaves_none(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", DIES, str(tmp_path / "j.db")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout is not None
    assert child.stdin is not None
    with child.stdout, child.stdin:
        assert child.stdout.readline() == b"kept\n"
        slates = Slates(tmp_path / "j.db", "word")
        assert slates.left() == []
        child.kill()
        child.wait()
    (left,) = slates.left()
    assert left.lines == (b"one", b"two", b"three")
    left.drop()


def test_two_processes_have_pages_of_their_own(tmp_path: Path) -> None:
    one, other = Slates(tmp_path / "j.db", "word"), Slates(tmp_path / "j.db", "word")
    pages = one.keep(b"mine"), other.keep(b"yours")
    assert pages[0].path != pages[1].path
    one.close()
    third = Slates(tmp_path / "j.db", "word")
    assert third.keep(b"new").path not in {page.path for page in pages}  # nor on what somebody left
    other.close()
    third.close()
    found = Slates(tmp_path / "j.db", "word").left()
    assert {left.lines for left in found} == {(b"mine",), (b"yours",), (b"new",)}
    for left in found:
        left.drop()


def test_a_page_is_wiped_while_the_other_fills_however_long_it_goes_on(tmp_path: Path) -> None:
    slates = Slates(tmp_path / "j.db", "word")
    line, largest = b"x" * 1000, 0
    waiting = [slates.keep(line)]
    for _ in range(20 * WIPED_FROM_BYTES // len(line)):
        slates.turn()
        waiting.append(slates.keep(line))
        slates.done(waiting.pop(0))
        largest = max(largest, *(each.stat().st_size for each in tmp_path.iterdir()))
    assert largest <= WIPED_FROM_BYTES + 2 * len(line)
    slates.done(waiting.pop())
    slates.close()


def test_a_line_the_disk_took_half_of_spoils_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slates = Slates(tmp_path / "j.db", "word")
    slates.keep(b"one")
    whole = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda handle, data: whole(handle, data[:2]))
        with pytest.raises(OSError, match="No space left"):
            slates.keep(b"two")
    slates.keep(b"three")
    slates.close()
    (left,) = Slates(tmp_path / "j.db", "word").left()
    assert left.lines == (b"one", b"three")
    left.drop()
