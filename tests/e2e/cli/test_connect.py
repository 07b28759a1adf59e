"""`legion connect`: from a file of another program to the same file again."""

import json
from pathlib import Path

import pytest

from tests.e2e.cli.command import Ran, inside, legion

BEFORE = '// mine\n{\n  "theme": "One Light", // keep\n}\n'


@pytest.fixture
def person(tmp_path: Path) -> Path:
    """A home with Zed in it."""
    settings = tmp_path / "person" / ".config" / "zed" / "settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(BEFORE, encoding="utf-8")
    return tmp_path / "person"


def connect(person: Path, *words: str) -> Ran:
    return inside(person.parent / "home", "connect", *words, HOME=str(person), PATH="/nowhere")


@pytest.mark.slow
def test_connected_and_let_go_again(person):
    settings = person / ".config" / "zed" / "settings.json"
    states = {row["name"]: row["state"] for row in connect(person, "list", "--json").data}
    assert states == {name: "found" if name == "zed" else "missing" for name in states}
    assert len(states) == 7

    shown = connect(person, "preview", "zed").out
    assert "+" in shown
    assert settings.read_text(encoding="utf-8") == BEFORE

    assert "Zed is connected." in connect(person, "apply", "zed").out
    text = settings.read_text(encoding="utf-8")
    key = connect(person, "key", "zed", "--json").data["key"]
    assert key.startswith("lgn_")
    assert key not in text
    assert '"--client", "zed"' in text
    assert "connected already" in connect(person, "preview", "zed").out

    undone = connect(person, "undo", "zed", "--json").data
    assert [each["ending"] for each in undone["files"]] == ["restored"]
    assert "~/.config/zed/settings.json is byte for byte what it was." in undone["words"]
    assert settings.read_text(encoding="utf-8") == BEFORE
    assert connect(person, "key", "zed", "--json").error["code"] == "not_found"


def test_refusals_name_what_to_do(person):
    settings = person / ".config" / "zed" / "settings.json"
    settings.write_text('{\n "a": }', encoding="utf-8")
    ran = connect(person, "apply", "zed", "--json")
    assert ran.status == 1
    assert "line 2, column 7" in ran.error["message"]
    assert settings.read_text(encoding="utf-8") == '{\n "a": }'
    assert "one of claude-desktop" in connect(person, "preview", "emacs", "--json").error["hint"]
    assert "not installed" in connect(person, "apply", "codex").err
    assert "plain text" in connect(person, "preview", "zed", "--http").err
    assert "no other program can write it" in connect(person, "preview", "cursor", "--models").err


def test_a_program_without_a_file_is_shown_what_to_copy(person):
    change = connect(person, "preview", "codex", "--json").data
    assert change["files"][0]["is_new"] is True
    told = "\n".join(line["text"] for line in change["files"][0]["lines"])
    assert "[mcp_servers.legion]" in told
    assert json.dumps(str(person.parent / "home")) in told


@pytest.mark.slow
def test_a_program_without_a_key_gets_no_tools_and_hears_what_to_do(tmp_path):
    ran = legion(tmp_path / "home", "mcp", "--client", "cursor")
    assert ran.status == 1
    assert ran.out == ""
    assert "legion connect apply cursor" in ran.err
