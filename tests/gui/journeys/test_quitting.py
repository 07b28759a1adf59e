from pathlib import Path

import pytest

from app.bridge import Bridge
from app.views.drafts import NewDraft
from app.views.question import Question
from app.views.services import Services
from app.views.store import Store
from app.views.window import what_stops
from tests.gui.conftest import Person, Stage


@pytest.fixture
def quits(person: Person) -> list[int]:
    told: list[int] = []
    person.window.quit_asked.connect(lambda: told.append(1))
    return told


def question(person: Person) -> Question:
    found = [shown for shown in person.window.findChildren(Question) if shown.isVisible()]
    assert len(found) == 1
    return found[0]


def test_with_nothing_running_it_quits_at_once(person: Person, quits: list[int]) -> None:
    person.press("Ctrl+Q")
    assert quits == [1]
    assert person.window.findChildren(Question) == []


def test_a_running_answer_is_asked_about_once_and_the_safe_button_has_the_focus(
    person: Person, quits: list[int]
) -> None:
    person.type("question")
    person.press("Return")
    person.press("Ctrl+Q")
    asked = question(person)
    assert "1 answer" in asked.accessibleDescription()
    assert asked.safe.hasFocus()
    person.window.ask_quit()
    assert question(person) is asked
    person.press("Escape")
    assert quits == []
    person.window.ask_quit()
    question(person).act.click()
    assert quits == [1]


def test_an_answer_of_another_chat_counts_and_a_finished_one_does_not(
    person: Person, quits: list[int]
) -> None:
    person.type("question")
    person.press("Return")
    running = person.services.chat.running
    assert running is not None
    person.press("Ctrl+N")
    assert person.services.chat.answers_running == 1
    person.legion.chat.end(running.id)
    person.settle()
    person.press("Ctrl+Q")
    assert quits == [1]


def test_the_question_quits_by_itself_once_nothing_would_be_lost(person: Person, quits: list[int]) -> None:
    person.type("question")
    person.press("Return")
    running = person.services.chat.running
    assert running is not None
    person.press("Ctrl+Q")
    asked = question(person)
    person.legion.chat.end(running.id)
    person.settle()
    assert not asked.isVisible()
    assert quits == [1]


def test_an_answer_that_ends_after_the_question_was_refused_quits_nothing(
    person: Person, quits: list[int]
) -> None:
    person.type("question")
    person.press("Return")
    running = person.services.chat.running
    assert running is not None
    person.press("Ctrl+Q")
    person.press("Escape")
    person.legion.chat.end(running.id)
    person.settle()
    assert quits == []


def test_a_running_download_is_named(person: Person, quits: list[int]) -> None:
    person.services.models.pull("qwen3")
    person.settle()
    person.press("Ctrl+Q")
    assert "1 download stops" in question(person).accessibleDescription()
    person.press("Escape")
    assert quits == []


def test_a_signal_ends_it_although_the_question_is_open(person: Person) -> None:
    person.type("question")
    person.press("Return")
    person.press("Ctrl+Q")
    asked = question(person)
    person.window.prepare_quit()
    assert not asked.isVisible()


def test_what_stops_is_said_for_both() -> None:
    assert what_stops(0, 0) == ""
    assert what_stops(2, 1).startswith("2 answers on the way stop; what is there so far is kept. 1 download")


def test_an_unsent_new_question_is_there_again_after_a_restart(
    person: Person, stage: Stage, tmp_path: Path
) -> None:
    person.type("half a thought")
    person.services.chat.save_draft()
    again = Services(Bridge(stage.spawner), Store(None), stage.now, tmp_path)
    assert again.chat.draft == "half a thought"
    person.press("Return")
    assert NewDraft(tmp_path).read() == ""


def test_a_new_question_waits_while_another_chat_is_read(person: Person) -> None:
    other = person.legion.chat.add("Other", "a", "b")
    person.type("half a thought")
    person.window.chat_page.open(other)
    person.settle()
    person.press("Ctrl+N")
    assert person.window.chat_page.composing.composer.text() == "half a thought"


@pytest.mark.parametrize("words", ["", "  \n"])
def test_a_blank_draft_leaves_no_file(tmp_path: Path, words: str) -> None:
    draft = NewDraft(tmp_path)
    draft.keep("words")
    assert (tmp_path / "draft.txt").stat().st_mode & 0o077 == 0
    draft.keep(words)
    assert not (tmp_path / "draft.txt").exists()
