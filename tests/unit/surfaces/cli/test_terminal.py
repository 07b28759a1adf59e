"""Whatever a command tells, a terminal only shows it: others' words in it move no cursor and hide nothing."""

import io
import json

import pytest

from legion_core.kernel.errors import Refused
from legion_core.surfaces.cli.main import _told
from legion_core.surfaces.cli.outcome import Outcome, Setting

EVIL = "\x1b]0;owned\x07\x1b[2J\r\x9b31m\u202egnp.exe\u200b\x1bP+q\x1b\\"


def setting(*, is_json: bool = False) -> tuple[Setting, io.StringIO, io.StringIO]:
    out, err = io.StringIO(), io.StringIO()
    return Setting({}, is_json, lambda *_: None, out=out, err=err), out, err  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "result", [Refused(f"files says: {EVIL}"), Outcome(None, f"Done: {EVIL}\n\tnext")], ids=["error", "text"]
)
def test_no_word_of_another_reaches_the_terminal_as_more_than_a_word(result: Refused | Outcome) -> None:
    given, out, err = setting()
    _told(given, result)
    shown = out.getvalue() + err.getvalue()
    assert "gnp.exe" in shown
    assert not set(EVIL) & set(shown) & set("\x1b\x07\r\x9b\u202e\u200b")


def test_json_means_the_same_and_holds_nothing_a_terminal_obeys() -> None:
    given, out, _ = setting(is_json=True)
    _told(given, Outcome({"said": EVIL}))
    assert json.loads(out.getvalue()) == {"data": {"said": EVIL}}
    assert out.getvalue().strip().isprintable()
