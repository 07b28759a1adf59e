from datetime import timedelta

import msgspec
from PySide6.QtGui import QGuiApplication

from app.views.chat.list import ChatList
from app.views.chat.translate import NOBODY_ELSE
from app.views.window import MainWindow
from legion_core.kernel.errors import Unavailable
from tests.gui.conftest import Person


def running_id(person: Person) -> str:
    running = person.services.chat.running
    assert running is not None
    return running.id


def transcript_texts(person: Person) -> list[str]:
    return [message.whole_text() for message in person.window.chat_page.reading.model.messages()]


def test_after_the_start_the_composer_has_the_focus_and_enter_sends(person: Person) -> None:
    assert person.focused.objectName() == "composer.field"
    person.type("What is a tide table?")
    person.press("Return")
    person.legion.chat.grow(running_id(person), "A list of high and low waters.")
    person.settle()
    person.legion.chat.end(running_id(person))
    person.settle()
    assert transcript_texts(person) == ["What is a tide table?", "A list of high and low waters."]
    assert person.focused.objectName() == "composer.field"
    assert "What is a tide table?" in person.window.windowTitle()
    assert person.window.windowTitle().startswith("Legion Workbench")


def test_shift_enter_breaks_the_line_and_escape_stops(person: Person) -> None:
    person.type("one")
    person.press("Shift+Return")
    person.type("two")
    assert not person.services.chat.is_running
    person.press("Return")
    person.legion.chat.grow(running_id(person), "so far")
    person.settle()
    person.press("Escape")
    answer = person.services.chat.last_answer
    assert answer is not None
    assert (answer.status, answer.text) == ("stopped", "so far")
    assert transcript_texts(person)[0] == "one\ntwo"


def test_a_new_chat_by_ctrl_n_and_back_by_the_list(person: Person) -> None:
    person.type("First question")
    person.press("Return")
    person.legion.chat.end(running_id(person), text="First answer")
    person.settle()
    person.press("Ctrl+N")
    assert person.services.chat.is_new
    person.press("Ctrl+Shift+F")
    assert person.focused.objectName() == "chats.search"
    person.type("First")
    person.services.chats.refresh()
    person.press("Return")
    assert person.services.chat.title == "First question"
    assert transcript_texts(person) == ["First question", "First answer"]


def test_a_search_opens_the_chat_at_what_it_found(person: Person) -> None:
    place = person.legion.chat.add(
        "Tides", "What is a tide table?", "A tide table\n\n" + "and more\n\n" * 200
    )
    held = person.legion.chat.conversations
    held[place] = msgspec.structs.replace(held[place], snippet="What is a «tide» «table»?")
    person.press("Ctrl+Shift+F")
    person.type("tide")
    person.services.chats.refresh()
    person.settle()
    person.press("Return")
    bar = person.window.chat_page.reading.find_bar
    assert bar.isVisible()
    assert (bar.field.text(), bar.count.text()) == ("tide table", "2 of 2")
    assert person.focused.objectName() == "chats.search"  # the next result is one key away


def test_rename_trash_and_undo_from_the_list(person: Person) -> None:
    person.legion.chat.add("Old name", "q", "a", age=timedelta(hours=1))
    person.services.chats.refresh()
    person.press("F6")
    for _ in range(20):
        if person.focused.objectName() == "chats.list":
            break
        person.press("Tab")
    person.press("Home")
    person.press("Down")
    listed = person.focused
    assert isinstance(listed, ChatList)
    listed.setCurrentIndex(listed.rows.index(1))
    person.press("F2")
    assert person.focused.objectName() == "chats.rename"
    person.press("Ctrl+A")
    person.type("New name")
    person.press("Return")
    assert [row.title for row in person.services.chats.found] == ["New name"]
    listed.setFocus()
    listed.setCurrentIndex(listed.rows.index(1))
    person.press("Delete")
    assert person.services.chats.found == ()
    assert person.window.notices.toast.isVisible()
    person.press("Ctrl+Z")
    assert [row.title for row in person.services.chats.found] == ["New name"]


def test_edit_the_last_message_and_cancel_brings_the_draft_back(person: Person) -> None:
    person.type("question")
    person.press("Return")
    person.legion.chat.end(running_id(person), text="answer")
    person.settle()
    person.type("half a thought")
    person.press("Ctrl+Up")
    composing = person.window.chat_page.composing
    assert composing.is_editing
    assert composing.composer.text() == "question"
    person.press("Escape")
    assert composing.composer.text() == "half a thought"
    person.press("Ctrl+Up")
    person.press("Ctrl+A")
    person.type("better question")
    person.press("Return")
    assert person.services.chat.last_question is not None
    assert person.services.chat.last_question.text == "better question"
    assert person.services.chat.last_question.variants == 2
    person.legion.chat.end(running_id(person))
    person.settle()
    assert composing.composer.text() == "half a thought"


def test_the_route_opens_in_the_inspector_and_shows_who_was_left_out(person: Person) -> None:
    person.type("question")
    person.press("Return")
    person.legion.chat.end(running_id(person), text="answer")
    person.settle()
    person.press("Ctrl+I")
    page = person.window.chat_page
    assert page.is_inspector_shown
    trace = page.trace.trace
    assert trace is not None
    assert trace.name == "built-in / smollm2-135m"
    page.reading.transcript.badge_clicked.emit(trace.message_id)
    person.settle()
    assert page.trace.trace is not None
    assert [out.reason for out in page.trace.trace.left_out] == ["Circuit open"]
    page.trace.json_button.click()
    assert '"request_id": "req_1"' in page.trace.raw.toPlainText()


def test_a_failed_answer_shows_its_sentence_and_a_way_to_try_again(person: Person) -> None:
    person.type("question")
    person.press("Return")
    person.legion.chat.end(
        running_id(person),
        status="failed",
        error="No model could answer. Local has no vision.",
        tier="",
        attempts=(),
    )
    person.settle()
    model = person.window.chat_page.reading.model
    last = list(model.messages())[-1]
    assert (last.role, last.note, last.text) == ("error", "No model could answer", "Local has no vision.")
    person.window.chat_page.reading.transcript.action_triggered.emit(last.id, "retry")
    person.settle()
    assert person.services.chat.is_running
    person.legion.chat.end(running_id(person), text="now it works")
    person.settle()
    assert transcript_texts(person)[-1] == "now it works"


def test_a_failure_that_says_only_what_happened_says_what_can_be_done(person: Person) -> None:
    person.type("question")
    person.press("Return")
    person.legion.chat.end(
        running_id(person), status="failed", error="sick answered 529: overloaded", tier="", attempts=()
    )
    person.settle()
    last = list(person.window.chat_page.reading.model.messages())[-1]
    assert (last.note, last.text) == ("sick answered 529: overloaded", NOBODY_ELSE)


def test_a_refused_question_comes_back_with_a_notice(person: Person) -> None:
    person.legion.chat.refuse_send = Unavailable("No model could answer.", hint="Add one in Models.")
    person.type("keep me")
    person.press("Return")
    assert person.window.chat_page.composing.composer.text() == "keep me"
    assert person.window.notices.toast.isVisible()
    assert person.services.chat.is_new


def test_find_in_the_chat(person: Person) -> None:
    person.services.chat.open(
        person.legion.chat.add("Chat", "where is the needle", "here is a needle and a Needle")
    )
    person.settle()
    person.press("Ctrl+F")
    assert person.focused.objectName() == "find.field"
    person.type("needle")
    assert person.window.chat_page.reading.find_bar.count.text() == "1 of 3"
    person.press("Return")
    assert person.window.chat_page.reading.find_bar.count.text() == "2 of 3"
    person.press("Escape")
    assert not person.window.chat_page.reading.find_bar.isVisible()


def test_copy_the_last_answer_and_its_code(person: Person) -> None:
    person.services.chat.open(person.legion.chat.add("Chat", "q", "Text\n\n```python\nprint(1)\n```\nend"))
    person.settle()
    person.press("Ctrl+Shift+C")
    assert QGuiApplication.clipboard().text().startswith("Text")
    person.services.commands.run("answer.copyCode")
    assert QGuiApplication.clipboard().text() == "print(1)"


def test_an_answer_that_continued_elsewhere_shows_a_seam(person: Person) -> None:
    from legion_core.api.types import AnswerJoined, Seam

    person.type("question")
    person.press("Return")
    answer = running_id(person)
    person.legion.chat.grow(answer, "begun ")
    at_utc, at_mono_s = person.legion.events.stamp()
    seam = Seam(
        at_char=6, from_lane="a/m", to_lane="gpu-2/m", to_tier="fleet", after_tokens=2,
        reason="The connection to a broke: it closed", outcome="connection_lost",
    )  # fmt: skip
    person.legion.events.publish(
        AnswerJoined(
            conversation_id=person.services.chat.conversation_id, answer_id=answer, seam=seam, at_utc=at_utc,
            at_mono_s=at_mono_s,
        )
    )  # fmt: skip
    person.settle()
    shown = person.window.chat_page.reading.model.message(answer).seams
    assert [(found.instance, found.reason, found.detail) for found in shown] == [
        ("fleet/gpu-2", "after 2 tokens, connection lost", "a/m: The connection to a broke: it closed")
    ]


def test_the_tier_is_chosen_for_this_chat(person: Person) -> None:
    menu = person.window.chat_page.tier_menu
    action = next(found for found in menu.actions() if found.text() == "Auto, at most local")
    action.trigger()
    person.settle()
    person.type("question")
    person.press("Return")
    sent = next(call for call in person.legion.chat.calls if call[0] == "send")
    assert sent[4].tier_max == 0
    assert person.window.chat_page.tier_button.text().strip() == "Auto, at most local"


def test_panes_are_walked_by_f6(person: Person) -> None:
    seen: list[str] = []
    for _ in range(4):
        person.press("F6")
        focused = person.focused
        region = next(
            name
            for name in ("rail", "chat.side", "chat.main", "strip")
            if person.find(name) is focused or person.find(name).isAncestorOf(focused)
        )
        seen.append(region)
    assert sorted(seen) == sorted(["rail", "chat.side", "chat.main", "strip"])


def test_pages_open_by_their_keys(person: Person) -> None:
    window: MainWindow = person.window
    person.press("Ctrl+2")
    assert window.page == "models"
    person.press("Ctrl+,")
    assert window.page == "settings"
    person.press("Ctrl+1")
    assert window.page == "chat"
    assert person.focused.objectName() == "composer.field"
    person.press("Ctrl+6")  # keeps its place for a page that is not built yet
    assert window.page == "chat"


def test_the_side_column_folds_and_comes_back(person: Person) -> None:
    assert person.window.current.is_side_shown
    person.press("Ctrl+B")
    assert not person.window.current.is_side_shown
    person.press("Ctrl+B")
    assert person.window.current.is_side_shown


def test_in_a_narrow_window_panels_lie_over_the_page(person: Person) -> None:
    window = person.window
    window.resize(900, 560)
    person.settle()
    page = window.current
    assert not page.is_side_shown
    person.press("Ctrl+I")
    assert page.is_inspector_shown
    assert page.inspector is not None
    assert page.splitter.indexOf(page.inspector) < 0
    person.press("Escape")
    assert not page.is_inspector_shown
    window.resize(1280, 800)
    person.settle()
    assert page.is_side_shown
    assert not page.is_inspector_shown


def test_the_palette_runs_commands_and_opens_chats(person: Person) -> None:
    person.legion.chat.add("Packing list for the survey boat", "q", "a")
    person.services.chats.refresh()
    person.press("Ctrl+K")
    assert person.focused.objectName() == "palette.field"
    person.type("survey")
    person.press("Return")
    assert person.services.chat.title == "Packing list for the survey boat"
    person.press("Ctrl+K")
    person.type(">new chat")
    person.press("Return")
    assert person.services.chat.is_new
    person.press("Ctrl+K")
    person.press("Escape")
    assert person.window.overlay is None
    assert person.focused.objectName() == "composer.field"


def test_what_was_typed_survives_another_chat(person: Person) -> None:
    first = person.legion.chat.add("First", "a", "b")
    second = person.legion.chat.add("Second", "c", "d")
    person.window.chat_page.open(first)
    person.settle()
    person.type("not yet sent")
    person.window.chat_page.open(second)
    person.settle()
    assert person.window.chat_page.composing.composer.text() == ""
    person.window.chat_page.open(first)
    person.settle()
    assert person.window.chat_page.composing.composer.text() == "not yet sent"
