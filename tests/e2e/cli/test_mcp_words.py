"""`legion mcp …` as a person reads it: all that is approved is shown, and a slip in a grant is told."""

import sys
from pathlib import Path

import pytest

from tests.e2e.cli.command import inside

HOSTILE = Path(__file__).parents[2] / "unit" / "agent" / "mcp" / "hostile.py"
pytestmark = [pytest.mark.slow, pytest.mark.allow_log("mcp|legion.supervise")]


def test_a_server_is_shown_whole_before_it_is_approved(legion_home: Path, tmp_path: Path) -> None:
    words = "Reads a file. " + "It may be long. " * 60 + "The end."
    (state := tmp_path / "state").write_text(words, encoding="utf-8")
    program = (sys.executable, str(HOSTILE), "good", str(state))
    added = inside(
        legion_home,
        "mcp",
        "server",
        "add",
        "theirs",
        "--cwd",
        str(tmp_path),
        "--env",
        "KEY=a b",
        "--",
        *program,
    )
    assert added.status == 0, added.err

    looked = inside(legion_home, "mcp", "server", "look", "theirs")

    assert looked.err == ""  # no word of waiting where nobody sits
    lines = looked.out.splitlines()
    for line in (
        *(f"  {word}" for word in program),
        f"In the folder  {tmp_path}",
        "  KEY=a b",
        "  echo, here mcp.theirs.echo",
        f"      {words}",
        "      - text, string, required",
    ):
        assert line in lines, looked.out
    approved = inside(legion_home, *lines[-1].partition("legion ")[2].split())
    assert approved.status == 0, approved.err
    assert "If you trust it" not in inside(legion_home, "mcp", "server", "show", "theirs").out


def test_a_grant_to_nobody_or_of_nothing_says_so(legion_home: Path) -> None:
    told = inside(legion_home, "mcp", "allow", "chain-aply", "chain-*", "--client", "edtor")
    assert told.out.splitlines() == [
        "edtor may call chain-aply, chain-*, and what only reads.",
        "No tool goes by chain-aply yet; `legion mcp tools` lists them.",
        "No token goes by edtor yet; `legion token list` lists them.",
    ]
    assert inside(legion_home, "token", "create", "editor").status == 0
    told = inside(legion_home, "mcp", "forbid", "task-show", "--client", "editor")
    assert told.out.splitlines() == ["editor does not see task-show."]
    for verb in ("revoke", "create"):
        assert inside(legion_home, "token", verb, "editor").status == 0
    told = inside(legion_home, "mcp", "forbid", "task-show", "--client", "editor")
    assert told.out.splitlines()[1:] == [
        "No token goes by editor any more; `--client editor~2` is the one made anew."
    ]


def test_a_description_that_is_cut_shows_that_it_is(legion_home: Path) -> None:
    told = inside(legion_home, "--json", "mcp", "tools")
    firsts = [row["description"].partition("\n")[0] for row in told.data]
    assert any(len(first) > 80 for first in firsts)
    lines = inside(legion_home, "mcp", "tools").out.splitlines()[1:]
    for line, first in zip(lines, firsts, strict=True):
        assert line.endswith(first if len(first) <= 80 else "…")
