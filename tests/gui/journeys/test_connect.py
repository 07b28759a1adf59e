"""Connect by keyboard: programs, rights, servers of others, and the question whether a call may be made."""

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from PySide6.QtWidgets import QApplication, QPlainTextEdit

from legion_core.api.mcp_types import (
    ApprovalAsked,
    ApprovalSettled,
    McpCall,
    McpCallChanged,
    McpClientsChanged,
)
from tests.gui.conftest import Person
from tests.gui.fake_connect import NOW, FakeKeys, approval


def publish(person: Person, kind: Any, *, is_read: bool = True, **more: Any) -> None:
    """`is_read`: time enough goes by for a person to read a question."""
    at_utc, at_mono_s = person.legion.events.stamp()
    person.legion.events.publish(kind(at_utc=at_utc, at_mono_s=at_mono_s, **more))
    person.settle()
    if is_read:
        person.legion.clock.now += timedelta(seconds=1)


@pytest.fixture
def page(person: Person) -> Any:
    person.legion.tokens = FakeKeys()  # type: ignore[assignment]
    person.press("Ctrl+9")
    return person.window.current


def test_ctrl_9_opens_connect_with_a_program_in_focus(person: Person, page: Any) -> None:
    assert page.page == "connect"
    assert list(page.serve.grid.cards) == ["zed", "cursor", "claude-code", "codex"]
    assert person.find("connect.address").text() == "http://127.0.0.1:4567/mcp"  # type: ignore[attr-defined]
    assert person.find("connect.command").text() == "/opt/legion mcp"  # type: ignore[attr-defined]
    assert page.connect_model.selected == "zed"
    assert [line.sign for line in page.serve.preview.diffs[0].lines] == [" ", "+", " "]


def test_arrows_walk_the_programs_and_the_preview_follows(person: Person, page: Any) -> None:
    page.serve.grid.cards["zed"].setFocus()
    person.press("Right")
    person.press("Right")
    assert page.connect_model.selected == "claude-code"
    assert page.serve.preview.title.words() == "Preview for Claude Code"
    assert not page.serve.preview.models.isChecked()  # it would change what answers there
    page.serve.preview.models.click()
    person.settle()
    assert person.legion.connect.calls[-1] == ("preview", "claude-code", ("mcp", "models"))


def test_apply_and_undo_say_what_was_done(person: Person, page: Any) -> None:
    person.find("connect.apply.zed").setFocus()
    person.press("Space")
    assert person.focused.objectName() == "connect.undo.zed"
    card = page.serve.grid.cards["zed"]
    assert card.accessibleName() == "Zed, Connected, idle"
    assert person.window.notices.toast.isVisible()
    person.find("connect.undo.zed").click()  # type: ignore[attr-defined]
    person.settle()
    assert card.accessibleName() == "Zed, Found, not connected"
    assert [call[0] for call in person.legion.connect.calls if call[0] != "preview"] == ["apply", "undo"]


def test_a_file_that_cannot_be_read_is_named_and_nothing_can_be_applied(person: Person, page: Any) -> None:
    person.legion.connect.refuse["zed"] = (
        "settings.json cannot be used: a colon is expected here (line 3, column 7)."
    )
    page.connect_model.refresh_preview()
    person.settle()
    assert "line 3, column 7" in page.serve.preview.problem.text()
    assert page.serve.preview.problem.isVisible()
    assert not page.serve.preview.apply.isVisible()


def test_what_can_be_copied_reaches_the_clipboard(person: Person, page: Any) -> None:
    clipboard = QApplication.clipboard()
    person.find("connect.copy.codex").click()  # type: ignore[attr-defined]
    person.settle()
    assert clipboard.text() == '{"codex": "legion"}'
    page.connect_model.select("cursor")
    person.settle()
    page.serve.preview.link.click()
    assert clipboard.text() == "cursor://install"
    page.serve.preview.key.click()
    person.settle()
    assert clipboard.text() == "key of cursor"
    person.find("connect.address.copy").click()  # type: ignore[attr-defined]
    assert clipboard.text() == "http://127.0.0.1:4567/mcp"


def test_space_switches_a_tool_and_read_only_takes_it_back(person: Person, page: Any) -> None:
    tools = page.rights.tools
    assert [tool.title for tool in tools.tools] == ["Workbench", "Remove", "Status", "Models", "Ask"]
    tools.setFocus()
    tools.setCurrentIndex(tools.model().index(1, 0))
    person.press("Space")
    assert person.legion.mcp.given["*"].allow == ("remove",)
    assert tools.tools[1].is_on
    assert page.rights.kind.choice == "custom"
    page.rights.kind.choose("read")
    page.connect_model.read_only()
    person.settle()
    assert not tools.tools[1].is_on


def test_calls_appear_as_they_happen_and_are_counted(person: Person, page: Any) -> None:
    call = McpCall(
        id="1", client="cursor", software="Cursor 3", tool="status", risk="read", arguments='{"query": "x"}',
        started_at=person.stage.now(), outcome="ok", duration_s=0.014,
    )  # fmt: skip
    publish(person, McpCallChanged, call=call)
    (row,) = page.serve.calls.rows.rows
    assert row.cells[1:] == ("status", 'query: "x"', "Cursor", "14 ms")
    assert page.serve.grid.cards["cursor"].accessibleName() == "Cursor, Connected, 1 call today"


def test_a_call_in_the_list_turns_nothing_around(person: Person, page: Any) -> None:
    call = McpCall(
        id="1", client="cursor", software="Cursor 3", tool="status", risk="read",
        arguments='{"argv": ["/srv/\\u202etxt.gpj", "b"]}', started_at=person.stage.now(), outcome="ok", duration_s=0.014,
    )  # fmt: skip
    publish(person, McpCallChanged, call=call)
    (row,) = page.serve.calls.rows.rows
    assert row.cells[2] == 'argv: ["/srv/\\u202etxt.gpj", "b"]'


def test_pausing_refuses_every_call_until_it_goes_on(person: Person, page: Any) -> None:
    person.find("connect.pause").click()  # type: ignore[attr-defined]
    person.settle()
    assert person.legion.mcp.is_paused
    assert not page.server.isChecked()
    page.server.click()
    person.settle()
    assert not person.legion.mcp.is_paused


def test_a_key_is_revoked_by_delete(person: Person, page: Any) -> None:
    keys = page.rights.keys
    assert [row.cells[:2] for row in keys.rows.rows] == [("Cursor", "…a91f")]
    keys.setFocus()
    keys.setCurrentIndex(keys.model().index(0, 0))
    person.press("Delete")
    assert keys.rows.rows == ()


def test_a_server_is_added_looked_at_and_only_then_approved(person: Person, page: Any) -> None:
    page.run("add")
    person.settle()
    dialog = page.use.dialog
    dialog.name.setText("files")
    dialog.command.setText("npx -y 'a server' --root=/srv")
    dialog.env.setPlainText("A=b")
    dialog.act.click()
    person.settle()
    servers = person.legion.mcp.servers
    assert servers.calls == [("add", "files", ("npx", "-y", "a server", "--root=/srv"), "")]
    asked = page.use.dialog
    assert asked is not dialog
    shown = asked.shown.toPlainText()
    assert "  a server\n  --root=/srv" in shown
    assert "A=b" in shown
    assert (
        "  read, here mcp.files.read\n      Reads.\n      - path, string, required: Where it lies." in shown
    )
    assert asked.safe.hasFocus()
    asked.act.click()
    person.settle()
    assert servers.calls[-1] == ("approve", "files", "f1")
    assert page.use.grid.rows.rows[0].cells[3] == "Ready"


def test_a_command_with_an_open_quote_is_not_sent(person: Person, page: Any) -> None:
    page.run("add")
    person.settle()
    page.use.dialog.command.setText("npx 'oops")
    page.use.dialog.act.click()
    assert page.use.dialog.fault.text() == "No closing quotation"
    assert person.legion.mcp.servers.calls == []
    page.use.dialog.reject()


def test_hosts_contacted_are_listed(person: Person, page: Any) -> None:
    page.run("network")
    person.settle()
    rows = page.network.grid.rows.rows
    assert rows[0].cells[:6] == (
        "api.example.org:443",
        "Answers of models",
        "example",
        "3",
        "12 kB",
        "3 MB",
    )
    assert rows[0].spoken.startswith("api.example.org:443, for Answers of models, by example")
    assert page.network.words.text() == "2 hosts, 24 kB sent, 7 MB received"
    assert page.network.title.text() == "api.example.org"


def test_a_host_is_blocked_and_let_through_by_keyboard(person: Person, page: Any) -> None:
    page.run("network")
    person.settle()
    tab, network = page.network, person.legion.network
    assert tab.grid.hasFocus()
    person.press("Return")
    assert tab.blocked.hasFocus()
    assert tab.blocked.accessibleName() == "Block api.example.org"
    person.press("Space")
    person.settle()
    assert network.calls == [("block", "api.example.org")]
    assert tab.blocked.isChecked()
    assert tab.grid.rows.rows[0].cells[-1] == "blocked"
    tab.grid.setFocus()
    person.press("Delete")
    person.settle()
    assert network.calls[-1] == ("allow", "api.example.org")
    assert not tab.blocked.isChecked()


def test_offline_is_one_switch_and_a_host_can_be_named(person: Person, page: Any) -> None:
    page.run("network")
    person.settle()
    tab, network = page.network, person.legion.network
    tab.offline.click()
    person.settle()
    assert network.calls == [("offline", True)]
    assert tab.offline.isChecked()
    tab.host.setText(" *.tracker.example ")
    tab.host.setFocus()
    person.press("Return")
    person.settle()
    assert network.calls[-1] == ("block", "*.tracker.example")
    assert tab.host.text() == ""


def test_a_dangerous_call_is_asked_with_its_arguments_and_denied_by_default(person: Person) -> None:
    publish(person, ApprovalAsked, approval=approval())
    dialog: Any = person.window._approval
    assert dialog.isVisible()
    assert dialog.title.text() == "Let Cursor 3 call shell.run?"
    arguments = dialog.findChild(QPlainTextEdit, "approval.arguments")
    assert '"rm"' in arguments.toPlainText()
    assert dialog.risk.accessibleName() == "High risk"
    assert dialog.deny.hasFocus()
    assert person.find("strip.approvals").text() == "1 approval"  # type: ignore[attr-defined]
    dialog.deny.click()
    person.settle()
    assert person.legion.mcp.decided == [("a1", False)]
    assert not dialog.isVisible()


def test_who_was_typing_when_the_question_appeared_has_not_said_yes(person: Person) -> None:
    publish(person, ApprovalAsked, approval=approval(), is_read=False)
    dialog: Any = person.window._approval
    person.press("Y")
    dialog.allow.click()
    person.settle()
    assert person.legion.mcp.decided == []
    assert dialog.isVisible()
    person.legion.clock.now += timedelta(seconds=1)
    person.press("Y")
    assert person.legion.mcp.decided == [("a1", True)]


def test_what_cannot_be_seen_in_a_call_is_spelled_where_it_is_asked_for(person: Person) -> None:
    """A mark that turns the text behind it makes one path look like another."""
    turned = json.dumps(
        {"path": "/srv/\u202etxt.exe", "note": "a\u200b\U000e0041\u3164b"}, ensure_ascii=False
    )
    publish(person, ApprovalAsked, approval=msgspec.structs.replace(approval(), arguments=turned))
    dialog: Any = person.window._approval
    shown = dialog.findChild(QPlainTextEdit, "approval.arguments").toPlainText()
    assert "/srv/\\u202etxt.exe" in shown
    assert shown.isascii()
    assert dialog.panel.accessibleDescription().isascii()
    dialog.deny.click()
    person.settle()


def test_no_word_of_a_server_looks_like_two_or_like_another_line(person: Person, page: Any) -> None:
    page.run("add")
    person.settle()
    dialog = page.use.dialog
    dialog.name.setText("files")
    dialog.command.setText("npx 'harmless\n  --read-only' 'a\u202eb'")
    dialog.act.click()
    person.settle()
    shown = page.use.dialog.shown.toPlainText()
    assert "  harmless\\u000a  --read-only\n  a\\u202eb\n" in shown
    page.use.dialog.reject()


def test_calls_wait_one_after_the_other_and_one_settled_elsewhere_goes(person: Person) -> None:
    for number in (1, 2):
        publish(person, ApprovalAsked, approval=approval(number))
    dialog: Any = person.window._approval
    assert dialog.waiting.words() == "1 more waiting"
    publish(person, ApprovalSettled, id="a1", decision="expired")
    assert dialog.isVisible()
    dialog.allow.click()
    person.settle()
    assert person.legion.mcp.decided == [("a2", True)]
    assert not dialog.isVisible()


def test_the_strip_and_the_tray_say_who_is_connected(person: Person) -> None:
    publish(person, McpClientsChanged, name="cursor")
    assert person.find("strip.clients").text() == "1 client"  # type: ignore[attr-defined]
    assert person.services.mcp.words == "MCP: running · 1 client"
    person.services.commands.run("connect.pause")
    person.settle()
    assert person.services.mcp.words == "MCP: paused · 1 client"


def test_nothing_is_asked_while_the_page_is_hidden(person: Person, page: Any) -> None:
    person.window.go("chat")
    person.settle()
    before = len(person.stage.spawner.names)
    call = McpCall(
        id="2", client="cursor", software="", tool="status", risk="read", arguments="{}", started_at=NOW
    )
    publish(person, McpCallChanged, call=call)
    assert len(person.stage.spawner.names) == before
