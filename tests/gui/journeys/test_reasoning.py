from PySide6.QtGui import QGuiApplication

from app.widgets.transcript.rows import Row
from tests.gui.conftest import Person


def ask(person: Person) -> str:
    person.type("question")
    person.press("Return")
    running = person.services.chat.running
    assert running is not None
    return running.id


def rows(person: Person, answer: str) -> list[Row]:
    view = person.window.chat_page.reading.transcript
    view._tick()
    return view._rows_of(view.model.place(answer)).rows


def kinds(person: Person, answer: str) -> list[str]:
    return [row.kind for row in rows(person, answer)]


def test_reasoning_streams_folded_above_the_answer_and_stays_after_it(person: Person) -> None:
    answer = ask(person)
    person.legion.chat.grow(answer, "", thinking="They ask ")
    person.legion.chat.grow(answer, "", thinking="for a number.")
    person.settle()
    assert kinds(person, answer) == ["reasoning", "wait"]
    person.legion.chat.grow(answer, "Seven.")
    person.settle()
    assert kinds(person, answer) == ["reasoning", "block", "wait"]
    person.legion.chat.end(answer)
    person.settle()
    assert kinds(person, answer) == ["reasoning", "block", "footer"]
    assert person.services.chat.thinking_of(answer) == "They ask for a number."


def test_the_keyboard_unfolds_it_and_it_grows_open(person: Person) -> None:
    answer = ask(person)
    person.legion.chat.grow(answer, "", thinking="First thought.")
    person.settle()
    view = person.window.chat_page.reading.transcript
    view.setFocus()
    person.press("T")
    assert [row.words for row in rows(person, answer) if row.kind == "thought"] == ["First thought."]
    person.legion.chat.grow(answer, "", thinking=" More.\n\nSecond.")
    person.settle()
    person.legion.chat.grow(answer, "Seven.")
    person.settle()
    assert kinds(person, answer) == ["reasoning", "thought", "thought", "block", "wait"]
    assert rows(person, answer)[1].words == "First thought. More."
    person.press("T")
    assert kinds(person, answer) == ["reasoning", "block", "wait"]


def test_the_setting_opens_it_at_once(person: Person) -> None:
    answer = ask(person)
    person.legion.chat.grow(answer, "Seven.", thinking="A number.")
    person.legion.chat.end(answer)
    person.settle()
    assert "thought" not in kinds(person, answer)
    person.services.settings.set("chat.show_thinking", True)
    person.settle()
    assert kinds(person, answer) == ["reasoning", "thought", "block", "footer"]


def test_copying_leaves_the_reasoning_out(person: Person) -> None:
    person.services.settings.set("chat.show_thinking", True)
    answer = ask(person)
    person.legion.chat.grow(answer, "Seven.", thinking="A secret thought.")
    person.legion.chat.end(answer)
    person.settle()
    view = person.window.chat_page.reading.transcript
    view.copy_message(answer)
    assert QGuiApplication.clipboard().text() == "Seven."
    view.copy_message(answer, as_plain=True)
    assert QGuiApplication.clipboard().text() == "Seven."
    view.select_all()
    assert "thought" not in view.selected_text(as_plain=True)
