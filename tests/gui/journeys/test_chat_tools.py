"""Tools in a chat by keyboard: switched on, asked for with what would change, allowed, refused, shown as cards."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QMenu

from app.views.chat import tool_cards
from app.views.chat.call_dialog import CallDialog
from legion_core.agent.change_types import Change, ChangeLine
from legion_core.api.chat_types import ChatCall, ChatCallChanged, Yes
from legion_core.api.mcp_types import Approval, ApprovalAsked, ApprovalSettled
from legion_core.api.server_types import ServerRow, ServerSpec
from legion_core.gateway.types import ToolResultBlock, ToolUseBlock
from tests.gui.conftest import Person
from tests.gui.fake_connect import NOW

WORDS = '{"path": "/tmp/a.txt", "content": "new"}'
CHANGE = Change(
    what="/tmp/a.txt",
    lines=(ChangeLine(sign="-", number=1, text="old"), ChangeLine(sign="+", number=1, text="new")),
    added=1,
    removed=1,
)


def publish(person: Person, kind: Any, *, is_read: bool = True, **more: Any) -> None:
    """`is_read`: time enough goes by for a person to read a question."""
    at_utc, at_mono_s = person.legion.events.stamp()
    person.legion.events.publish(kind(at_utc=at_utc, at_mono_s=at_mono_s, **more))
    person.settle()
    if is_read:
        person.legion.clock.now += timedelta(seconds=1)


def question(person: Person, number: int = 1, **more: Any) -> Approval:
    chat = person.services.chat.conversation_id
    told: dict[str, Any] = {
        "id": f"a{number}", "client": "chat", "software": "", "tool": "mcp-notes-write", "risk": "write", "title": "write",
        "description": "Writes a file.", "arguments": WORDS, "asked_at": NOW, "expires_at": NOW + timedelta(hours=1),
        "whose": "server:notes", "scopes": ("once", "chat", "always"), "changes": (CHANGE,), "conversation_id": chat,
    }  # fmt: skip
    return Approval(**{**told, **more})


def call(person: Person, answer_id: str, state: str = "waiting", **more: Any) -> ChatCall:
    told: dict[str, Any] = {
        "id": "c1", "conversation_id": person.services.chat.conversation_id, "answer_id": answer_id, "place": 0,
        "call_id": "call_1", "tool": "mcp-notes-write", "title": "write", "source": "server:notes", "risk": "write",
        "arguments": WORDS, "state": state, "started_at": NOW,
    }  # fmt: skip
    return ChatCall(**{**told, **more})


@pytest.fixture
def asked(person: Person) -> str:
    """A chat whose answer called a tool; gives the answer's id."""
    person.type("Write it down")
    person.press("Return")
    running = person.services.chat.running
    assert running is not None
    block = ToolUseBlock(id="call_1", name="mcp-notes-write", arguments=WORDS)
    person.legion.chat.end(running.id, text="I write it.", calls=(block,))
    person.settle()
    return running.id


def cards(person: Person) -> list[Any]:
    return [each for each in person.window.chat_page.reading.model.messages() if each.role == "tool"]


def panel(person: Person) -> Any:
    found = person.window.chat_page.tools.panel
    assert found is not None
    return found


def test_a_new_chat_is_given_tools_before_its_first_question(person: Person) -> None:
    person.press("Ctrl+Shift+T")
    page = person.window.chat_page
    menu = page.tools.control.menu
    acts = {act.objectName(): act for act in menu.actions()}
    assert menu.isVisible()
    acts["chat.tools.server:notes"].trigger()
    menu.close()
    person.settle()
    assert page.composing.tools.text().strip() == "Tools · 2"
    assert page.composing.tools.accessibleName() == "Tools of this chat: 2"
    person.window.chat_page.take_focus()
    person.type("Hello")
    person.press("Return")
    chat = person.services.chat.conversation_id
    assert person.legion.mcp.chats.on == {chat: {"server:notes"}}
    assert ("send", chat, "Hello") in [made[:3] for made in person.legion.chat.calls]
    person.press("Escape")
    person.press("Ctrl+N")
    assert page.composing.tools.text().strip() == "Tools"


def test_a_model_that_knows_no_tools_is_said(person: Person, asked: str) -> None:
    person.legion.mcp.chats.problem = "No model that may answer here can use tools."
    person.window.chat_page.tools.tools.switch("server:notes", True)
    person.settle()
    control = person.window.chat_page.composing.tools
    assert "No model" in control.toolTip()
    assert "No model" in control.accessibleName()


def test_a_call_is_a_card_that_says_how_it_stands(person: Person, asked: str) -> None:
    (card,) = cards(person)
    assert (card.tool.state, card.tool.result) == ("stopped", "No result")
    publish(person, ChatCallChanged, call=call(person, asked))
    (card,) = cards(person)
    assert (card.tool.name, card.tool.state, card.tool.result) == (
        "write · notes",
        "waiting",
        "Waits for you",
    )
    publish(
        person, ChatCallChanged,
        call=call(person, asked, "done", result="written", duration_s=0.02, decision="You allowed it once."),
    )  # fmt: skip
    (card,) = cards(person)
    assert (card.tool.state, card.tool.result) == ("done", "Done, 20 ms")
    assert "You allowed it once." in card.whole_text()
    assert "written" in card.whole_text()


def test_cards_are_there_when_the_chat_is_opened_again(person: Person, asked: str) -> None:
    chat = person.services.chat.conversation_id
    person.legion.mcp.chats.made.append(call(person, asked, "lost", result="Its end is not known."))
    person.press("Ctrl+N")
    person.services.chat.open(chat)
    person.settle()
    (card,) = cards(person)
    assert (card.tool.state, card.tool.result) == ("failed", "End not known")


@pytest.mark.requirement("mcp.approval-diff")
def test_the_question_shows_what_would_change_and_y_allows_it_once(person: Person, asked: str) -> None:
    publish(person, ApprovalAsked, approval=question(person))
    shown = panel(person)
    assert shown.isVisible()
    assert person.window._approval is None  # nothing jumps in front
    assert shown.title.text() == "Call write?"
    assert shown.scope.words().startswith("Tool of the server notes")
    assert person.find("chat.approval.change.0").words() == "/tmp/a.txt, 1 line added, 1 removed"  # type: ignore[attr-defined]
    diff: Any = person.find("chat.approval.diff.0")
    assert [line.sign for line in diff.lines] == ["-", "+"]
    assert "/tmp/a.txt" in shown.arguments.toPlainText()
    assert shown.arguments.isVisible()
    assert shown.allow.hasFocus()
    assert "1 line added" in shown.accessibleDescription()
    person.press("Y")
    assert person.legion.mcp.answers == [("a1", "once", "")]
    assert not shown.isVisible()
    assert person.focused.objectName() == "composer.field"


@pytest.mark.parametrize(("key", "scope"), [("C", "chat"), ("A", "always"), ("Escape", "")])
def test_keys_say_how_far_a_yes_goes_and_escape_denies(
    person: Person, asked: str, key: str, scope: str
) -> None:
    publish(person, ApprovalAsked, approval=question(person))
    person.press(key)
    assert person.legion.mcp.answers == [("a1", scope, "")]


def test_a_no_may_say_why(person: Person, asked: str) -> None:
    publish(person, ApprovalAsked, approval=question(person))
    person.press("N")
    assert person.focused.objectName() == "chat.approval.note"
    person.type("not this file")
    person.press("Return")
    assert person.legion.mcp.answers == [("a1", "", "not this file")]


def test_high_risk_has_no_always_and_the_safe_button_has_the_focus(person: Person, asked: str) -> None:
    publish(
        person, ApprovalAsked,
        approval=question(person, risk="danger", scopes=("once",), changes=(), notes=("Words of evil stand in this chat.",)),
    )  # fmt: skip
    shown = panel(person)
    assert shown.deny.hasFocus()
    assert not shown.buttons["always"].isVisible()
    assert not shown.buttons["chat"].isVisible()
    assert shown.allow.property("kind") == ""
    assert shown.arguments.isVisible()
    assert "evil" in shown.notes.text()
    person.press("A")
    assert person.legion.mcp.answers == []


def test_who_is_writing_goes_on_writing_and_escape_still_denies(person: Person, asked: str) -> None:
    person.type("half a thou")
    publish(person, ApprovalAsked, approval=question(person))
    assert person.focused.objectName() == "composer.field"
    person.type("yc")
    assert person.legion.mcp.answers == []
    person.press("Escape")
    assert person.legion.mcp.answers == [("a1", "", "")]
    assert person.window.chat_page.composing.composer.text() == "half a thouyc"


def test_the_question_of_another_chat_waits_there_and_the_strip_leads_to_it(
    person: Person, asked: str
) -> None:
    publish(person, ApprovalAsked, approval=question(person, conversation_id="elsewhere"))
    found = person.window.chat_page.tools.panel
    assert found is None or not found.isVisible()
    assert person.find("strip.approvals").text() == "1 approval"  # type: ignore[attr-defined]
    person.find("strip.approvals").click()  # type: ignore[attr-defined]
    person.settle()
    dialog: Any = person.window._approval
    assert dialog.isVisible()
    dialog.deny.click()
    person.settle()
    assert person.legion.mcp.answers == [("a1", "", "")]


def test_questions_wait_one_behind_the_other(person: Person, asked: str) -> None:
    publish(person, ApprovalAsked, approval=question(person))
    publish(person, ApprovalAsked, approval=question(person, 2))
    assert panel(person).waiting.words() == "1 more waiting"
    publish(person, ApprovalSettled, id="a1", decision="expired")
    assert panel(person).call_id == "a2"
    person.press("Y")
    assert person.legion.mcp.answers == [("a2", "once", "")]


def test_what_was_always_allowed_can_be_asked_for_again(person: Person, asked: str) -> None:
    yes = Yes(tool="mcp-notes-write", title="write", source="server:notes", print="p", at=NOW)
    person.legion.mcp.chats.standing = (yes,)
    person.window.chat_page.show_tools()
    person.settle()
    menu = person.window.chat_page.tools.control.menu
    acts = {act.objectName(): act for act in menu.actions()}
    acts["chat.tools.forget.mcp-notes-write"].trigger()
    menu.close()
    person.settle()
    assert person.legion.mcp.chats.standing == ()


def test_a_server_that_changed_is_approved_anew_with_its_difference_in_sight(person: Person) -> None:
    person.press("Ctrl+9")
    page: Any = person.window.current
    servers = person.legion.mcp.servers
    row = ServerRow(
        name="notes", spec=ServerSpec(name="notes", command=("notes",)), state="changed", fingerprint="f2",
        approved="f1", changes=(msgspec.structs.replace(CHANGE, what="Tool write"),),
    )  # fmt: skip
    row = msgspec.structs.replace(row, difference=msgspec.structs.replace(row.difference, changed=("write",)))
    servers.rows["notes"] = row
    page.use._approve(row)
    person.settle()
    dialog: Any = page.use.dialog
    assert dialog.safe.hasFocus()
    diff: Any = dialog.findChild(object, "connect.approveServer.diff.0")
    assert [line.text for line in diff.lines] == ["old", "new"]
    dialog.reject()
    QApplication.processEvents()


def test_a_call_that_was_not_made_here_shows_what_the_chat_holds_of_it(person: Person, asked: str) -> None:
    chat = person.services.chat.conversation_id
    messages = person.legion.chat.messages[chat]
    result = ToolResultBlock(call_id="call_1", text="two lines\nof a file")
    below = msgspec.structs.replace(
        messages[-1], id="t1", parent_id=asked, role="tool", text="", calls=(), results=(result,)
    )
    # A client may send a message for each result: the one of this call comes second.
    other = msgspec.structs.replace(below, id="t0", results=(ToolResultBlock(call_id="call_0", text="else"),))
    messages += [other, below]
    person.press("Ctrl+N")
    person.services.chat.open(chat)
    person.settle()
    (card,) = cards(person)
    assert (card.tool.state, card.tool.result) == ("done", "Done")
    assert "of a file" in card.whole_text()
    messages[-1] = msgspec.structs.replace(below, role="user", text="Never mind.", results=())
    person.press("Ctrl+N")
    person.services.chat.open(chat)
    person.settle()
    (card,) = cards(person)
    assert (card.tool.state, card.tool.result) == ("stopped", "No result")


@pytest.mark.parametrize(("state", "count"), [("ApplicationActive", 0), ("ApplicationInactive", 1)])
def test_who_looks_elsewhere_is_told_that_a_chat_waits(
    person: Person, asked: str, monkeypatch: pytest.MonkeyPatch, state: str, count: int
) -> None:
    told: list[tuple[str, str]] = []

    class Shouting:
        def notify(self, title: str, words: str, conversation_id: str) -> None:
            told.append((words, conversation_id))

        def stop(self) -> None:
            pass

    now = getattr(Qt.ApplicationState, state)
    monkeypatch.setattr(person.window.notices, "tray", Shouting())
    monkeypatch.setattr(QGuiApplication, "applicationState", staticmethod(lambda: now))
    publish(person, ApprovalAsked, approval=question(person))
    chat = person.services.chat.conversation_id
    assert told == [("Call write? It waits for your yes.", chat)] * count


def test_a_long_result_shows_its_beginning_and_how_much_more_there_is() -> None:
    assert tool_cards._cut("one\r\ntwo\n", 14) == "one\ntwo"
    turned = '{"path": "/srv/\\u202etxt.exe"}'
    assert tool_cards._brief(turned).isascii()
    assert tool_cards._lines(turned).isascii()
    assert tool_cards._cut("\n".join(str(n) for n in range(20)), 14).splitlines()[-2:] == [
        "13",
        "… 6 more lines",
    ]
    assert tool_cards._cut("x\n" * 15, 14).splitlines()[-1] == "… 1 more lines"
    assert tool_cards._cut("", 14) == ""


def test_cards_of_calls_made_elsewhere_are_laid_out_once(
    person: Person, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = person.services.chat.conversation_id
    person.press("Ctrl+N")
    replaced: list[Any] = []
    model = person.window.chat_page.reading.model
    monkeypatch.setattr(model, "replace", replaced.append)
    person.services.chat.open(chat)
    person.settle()
    assert replaced == []


def test_all_of_a_call_can_be_read_searched_and_copied(person: Person, asked: str) -> None:
    chat = person.services.chat.conversation_id
    messages = person.legion.chat.messages[chat]
    whole = "\n".join(f"line {n}" for n in range(200)) + "\n" + "y" * 600_000
    messages.append(
        msgspec.structs.replace(
            messages[-1], id="t1", parent_id=asked, role="tool", text="", calls=(),
            results=(ToolResultBlock(call_id="call_1", text=whole),),
        )
    )  # fmt: skip
    person.press("Ctrl+N")
    person.services.chat.open(chat)
    person.settle()
    reading = person.window.chat_page.reading
    (card,) = cards(person)
    menu = QMenu()
    reading._fill_menu(card.id, menu)
    (act,) = menu.actions()
    assert act.text() == "Show all of the call"
    act.trigger()
    dialog = person.window.findChildren(CallDialog)[0]
    shown = dialog.text.toPlainText()
    assert shown.startswith("Called with\n\npath: /tmp/a.txt\ncontent: new\n\nIt gave\n\nline 0")
    assert "line 199" in shown
    assert "more characters in this line" in shown
    assert len(shown) < 10_000
    dialog.field.setText("line 150")
    dialog.field.returnPressed.emit()
    assert dialog.text.textCursor().selectedText() == "line 150"
    dialog._copy()
    assert QGuiApplication.clipboard().text() == whole
    dialog.close()
    person.settle()
    menu.deleteLater()
