"""The files of other programs: written, refused, restored."""

import json
import os
import stat
import sys
import tomllib
from pathlib import Path

import pytest

from legion_core.connect import disk
from legion_core.connect.clients import CLIENTS
from legion_core.kernel.errors import ConfigError, Conflict, Denied, NotFound, Unsupported
from tests.unit.connect.standing import Stand

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="permissions and links of POSIX")


@pytest.mark.parametrize("client", [client.name for client in CLIENTS])
@pytest.mark.requirement("connect.byte-equal")
def test_a_program_without_a_file_gets_one_and_loses_it_again(tmp_path, client):
    stand = Stand(tmp_path, client)
    assert stand.connector.look(client).state == "found"
    stand.connector.apply(client)
    assert stand.connector.look(client).state == "connected"
    assert b"legion" in stand.read()
    assert set(stand.connector.undo(client).values()) == {"restored"}
    assert not stand.path.exists()
    assert stand.connector.look(client).state == "found"


@pytest.mark.parametrize("client", [client.name for client in CLIENTS])
def test_no_secret_is_written_into_another_programs_file(tmp_path, client):
    stand = Stand(tmp_path, client)
    for parts in (("mcp",), ("mcp", "models")):
        try:
            changes = stand.connector.preview(client, parts)
        except Unsupported:
            assert client in ("claude-desktop", "cursor")
            continue
        written = "\n".join(line.text for change in changes for line in change.lines)
        assert "lgn_" not in written


def test_the_entry_is_what_each_program_reads(tmp_path):
    command, args = "/opt/legion workbench/legion", ["mcp", "--client"]
    for client, names in (
        ("claude-desktop", ("mcpServers",)),
        ("claude-code", ("mcpServers",)),
        ("cursor", ("mcpServers",)),
        ("vscode", ("servers",)),
        ("zed", ("context_servers",)),
    ):
        stand = Stand(tmp_path / client, client)
        stand.connector.apply(client)
        entry = json.loads(stand.read())
        for name in (*names, "legion"):
            entry = entry[name]
        assert (entry["command"], entry["args"]) == (command, [*args, client])
    stand = Stand(tmp_path / "codex", "codex")
    stand.connector.apply("codex")
    document = tomllib.loads(stand.read().decode())
    assert document["mcp_servers"]["legion"] == {"command": command, "args": [*args, "codex"]}
    assert document["model_providers"]["legion"]["wire_api"] == "responses"
    assert document["model_providers"]["legion"]["auth"]["args"] == ["connect", "key", "codex"]
    assert "model_provider" not in document  # what answers stays the person's choice
    stand = Stand(tmp_path / "opencode", "opencode")
    stand.connector.apply("opencode")
    document = json.loads(stand.read())
    assert document["mcp"]["legion"]["command"] == [command, *args, "opencode"]
    assert document["provider"]["legion"]["options"]["apiKey"] == "{file:/srv/keys/opencode}"


def test_claude_code_is_answered_from_here_only_when_asked(tmp_path):
    stand = Stand(tmp_path, "claude-code")
    settings = tmp_path / "home" / ".claude" / "settings.json"
    settings.parent.mkdir(parents=True)
    before = b'{"env": {"A": "b"}, "model": "opus"}'
    settings.write_bytes(before)
    stand.connector.apply("claude-code")
    assert settings.read_bytes() == before
    stand.connector.apply("claude-code", ("mcp", "models"))
    told = json.loads(settings.read_bytes())
    assert told["env"] == {"A": "b", "ANTHROPIC_BASE_URL": "http://127.0.0.1:4567"}
    assert told["apiKeyHelper"] == "'/opt/legion workbench/legion' connect key claude-code"
    stand.connector.apply("claude-code", ("mcp",))  # and let go of again
    assert settings.read_bytes() == before
    stand.connector.undo("claude-code")
    assert settings.read_bytes() == before


@pytest.mark.requirement("connect.byte-equal")
def test_undo_restores_every_byte_and_says_so(tmp_path):
    stand = Stand(tmp_path, "zed")
    before = b'\xef\xbb\xbf// mine\r\n{\r\n\t"theme": "One", // note\r\n\t"a": [1,],\r\n}'
    stand.write(before)
    stand.connector.apply("zed")
    assert stand.read() != before
    assert stand.read().startswith(b"\xef\xbb\xbf// mine\r\n")
    assert list(stand.connector.undo("zed").values()) == ["restored"]
    assert stand.read() == before
    assert not [path for path in stand.kept.iterdir() if path.suffix in (".json", ".before")]


@pytest.mark.requirement("connect.only-our-keys")
def test_undo_after_others_wrote_takes_out_only_ours_and_says_so(tmp_path):
    stand = Stand(tmp_path, "cursor")
    stand.write('{\n  "mcpServers": {\n    "a": {"url": "x"}\n  }\n}\n')
    stand.connector.apply("cursor")
    stand.path.write_bytes(stand.read().replace(b'"url": "x"', b'"url": "y"'))
    assert list(stand.connector.undo("cursor").values()) == ["cleaned"]
    assert stand.read() == b'{\n  "mcpServers": {\n    "a": {"url": "y"}\n  }\n}\n'


def test_undo_when_the_program_took_us_out_changes_nothing(tmp_path):
    stand = Stand(tmp_path, "cursor")
    stand.write("{}")
    stand.connector.apply("cursor")
    stand.write('{"mcpServers": {}}')
    assert stand.connector.look("cursor").state == "removed"
    assert list(stand.connector.undo("cursor").values()) == ["gone"]
    assert stand.read() == b'{"mcpServers": {}}'


def test_undo_of_what_nobody_applied_says_so(tmp_path):
    stand = Stand(tmp_path, "cursor")
    with pytest.raises(NotFound, match="Cursor is not connected"):
        stand.connector.undo("cursor")


def test_an_entry_put_in_by_a_link_is_taken_out_too(tmp_path):
    stand = Stand(tmp_path, "cursor")
    stand.write('{"mcpServers": {"a": {}, "legion": {"command": "legion", "args": ["mcp"]}}}')
    assert stand.connector.look("cursor").state == "changed"
    stand.connector.undo("cursor")
    assert json.loads(stand.read()) == {"mcpServers": {"a": {}}}


def test_applied_twice_is_undone_once(tmp_path):
    stand = Stand(tmp_path, "opencode")
    before = b'{ "theme": "x" }'
    stand.write(before)
    stand.connector.apply("opencode")
    stand.base = "http://127.0.0.1:9999"
    assert stand.connector.look("opencode").state == "changed"
    stand.connector.apply("opencode")
    assert b"9999" in stand.read()
    assert b"4567" not in stand.read()
    stand.connector.undo("opencode")
    assert stand.read() == before


def test_a_file_somebody_broke_is_refused_by_line_and_column_and_left_alone(tmp_path):
    stand = Stand(tmp_path, "claude-desktop")
    broken = b'{\n  "mcpServers": {\n    "a": {},\n  }\n}'
    stand.write(broken)
    with pytest.raises(ConfigError, match=r"claude_desktop_config\.json cannot be used: .*line 3, column 12"):
        stand.connector.apply("claude-desktop")
    assert stand.read() == broken
    look = stand.connector.look("claude-desktop")
    assert look.state == "broken"
    assert "line 3" in look.problem


def test_bytes_that_are_no_text_are_refused_by_line(tmp_path):
    stand = Stand(tmp_path, "cursor")
    stand.write(b'{\n "a": "\xff"}')
    with pytest.raises(ConfigError, match=r"not UTF-8 \(line 2, column 8\)"):
        stand.connector.apply("cursor")


def test_undo_of_a_file_broken_since_is_refused_and_remembered(tmp_path):
    stand = Stand(tmp_path, "cursor")
    stand.write("{}")
    stand.connector.apply("cursor")
    whole = stand.read()
    stand.write(whole[:-2])
    with pytest.raises(ConfigError, match="line"):
        stand.connector.undo("cursor")
    stand.write(whole)
    stand.connector.undo("cursor")
    assert stand.read() == b"{}"


def test_a_program_that_is_not_installed_is_said_to_be_missing(tmp_path):
    stand = Stand(tmp_path, "codex", is_installed=False)
    assert stand.connector.look("codex").state == "missing"
    with pytest.raises(NotFound, match="Codex is not installed here"):
        stand.connector.apply("codex")
    assert not stand.path.exists()
    assert "[mcp_servers.legion]" in stand.connector.snippet("codex")


@POSIX
def test_permissions_are_kept_and_a_new_file_is_private(tmp_path):
    stand = Stand(tmp_path, "cursor")
    stand.write("{}")
    stand.path.chmod(0o640)
    stand.connector.apply("cursor")
    assert stat.S_IMODE(stand.path.stat().st_mode) == 0o640
    other = Stand(tmp_path / "other", "cursor")
    other.connector.apply("cursor")
    assert stat.S_IMODE(other.path.stat().st_mode) == 0o600
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in stand.kept.iterdir() if path.is_file())


@POSIX
def test_a_link_is_followed_and_stays_a_link(tmp_path):
    stand = Stand(tmp_path, "zed")
    real = tmp_path / "dotfiles" / "zed.json"
    real.parent.mkdir()
    real.write_bytes(b"{}")
    stand.path.parent.mkdir(parents=True)
    stand.path.symlink_to(real)
    stand.connector.apply("zed")
    assert stand.path.is_symlink()
    assert b"legion" in real.read_bytes()
    stand.connector.undo("zed")
    assert real.read_bytes() == b"{}"
    assert stand.path.is_symlink()


@POSIX
def test_links_to_nothing_second_names_and_no_plain_files_are_refused_with_the_reason(tmp_path):
    stand = Stand(tmp_path, "zed")
    stand.path.parent.mkdir(parents=True)
    stand.path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"a link to .*nowhere, which does not exist"):
        stand.connector.apply("zed")
    stand.path.unlink()
    stand.path.mkdir()
    with pytest.raises(ConfigError, match="not a plain file"):
        stand.connector.apply("zed")
    stand.path.rmdir()
    stand.write("{}")
    os.link(stand.path, tmp_path / "second")
    with pytest.raises(Conflict, match="second name"):
        stand.connector.apply("zed")
    assert stand.read() == b"{}"


@POSIX
def test_a_read_only_file_is_left_alone(tmp_path):
    stand = Stand(tmp_path, "cursor")
    stand.write("{}")
    stand.path.chmod(0o444)
    with pytest.raises(Denied, match="read-only"):
        stand.connector.apply("cursor")
    assert stand.read() == b"{}"


def test_a_program_that_writes_at_the_same_time_is_not_overwritten(tmp_path, monkeypatch):
    stand = Stand(tmp_path, "claude-code")
    stand.write('{"numStartups": 1}')
    real, calls = disk.replace, []

    def late(found: disk.Found, content: bytes) -> None:
        if not calls:
            stand.write('{"numStartups": 2}')
        calls.append(found)
        real(found, content)

    monkeypatch.setattr(disk, "replace", late)
    stand.connector.apply("claude-code")
    assert len(calls) == 2
    assert json.loads(stand.read())["numStartups"] == 2
    stand.connector.undo("claude-code")
    assert stand.read() == b'{"numStartups": 2}'


def test_a_write_that_fails_leaves_everything_as_it_was(tmp_path, monkeypatch):
    stand = Stand(tmp_path, "claude-code")
    stand.write('{"a": 1}')
    settings = tmp_path / "home" / ".claude" / "settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_bytes(b"{}")
    real = os.replace

    def full(old: object, new: object) -> None:
        if Path(str(new)) == settings:
            raise OSError(28, "No space left on device")
        real(old, new)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ConfigError, match=r"settings\.json could not be written: no space left on device"):
        stand.connector.apply("claude-code", ("mcp", "models"))
    monkeypatch.undo()
    assert stand.read() == b'{"a": 1}'
    assert settings.read_bytes() == b"{}"
    assert not [path for path in settings.parent.iterdir() if path.name.endswith(".new")]
    assert stand.connector.look("claude-code").state == "found"


def test_a_backup_that_is_not_what_was_kept_restores_nothing(tmp_path):
    stand = Stand(tmp_path, "cursor")
    stand.write('{"a": 1}')
    stand.connector.apply("cursor")
    for path in stand.kept.glob("*.before"):
        path.write_bytes(b"{}")
    with pytest.raises(ConfigError, match="is not what was kept"):
        stand.connector.undo("cursor")


def test_http_is_written_with_a_reference_to_the_key_or_not_at_all(tmp_path):
    shown = {}
    for client in CLIENTS:
        try:
            shown[client.name] = Stand(tmp_path / client.name, client.name).connector.snippet(
                client.name, ("mcp",), "http"
            )
        except Unsupported as error:
            shown[client.name] = error.message
    assert "bearer_token_env_var" in shown["codex"]
    assert "Bearer ${env:LEGION_KEY}" in shown["cursor"]
    assert "${input:legion-key}" in shown["vscode"]
    assert "promptString" in shown["vscode"]
    assert "{file:/srv/keys/opencode}" in shown["opencode"]
    assert "plain text" in shown["zed"]
    assert "commands only" in shown["claude-desktop"]


def test_the_preview_shows_the_lines_around_and_changes_nothing(tmp_path):
    stand = Stand(tmp_path, "cursor")
    before = b'{\n  "a": 1,\n  "mcpServers": {},\n  "z": 9\n}\n'
    stand.write(before)
    (change,) = stand.connector.preview("cursor")
    assert stand.read() == before
    assert [line.sign for line in change.lines].count("-") == 1
    assert {line.text.strip() for line in change.lines if line.sign == " "} >= {'"a": 1,', '"z": 9'}
    assert not stand.kept.exists()


def test_links_that_install_carry_the_entry_and_no_secret(tmp_path):
    looks = {look.client.name: look for look in Stand(tmp_path, "cursor").connector.looks()}
    assert looks["cursor"].link.startswith(
        "cursor://anysphere.cursor-deeplink/mcp/install?name=legion&config="
    )
    assert looks["vscode"].link.startswith("vscode:mcp/install?%7B%22name%22%3A%20%22legion%22")
    assert looks["zed"].link == ""
