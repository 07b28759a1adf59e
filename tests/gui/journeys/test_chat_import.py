"""Chats that were exported elsewhere come in by a file, with how far it is, and can be stopped."""

from pathlib import Path

import msgspec
import pytest
from PySide6.QtWidgets import QFileDialog

from app.viewmodels.chat_import import said_of
from app.views.chat.importing import ImportDialog
from legion_core.gateway.conversation_types import Imported
from tests.gui.conftest import Person


def opened(person: Person, tmp_path: Path) -> ImportDialog:
    person.services.commands.run("chat.import")
    person.settle()
    asked = person.window.findChild(QFileDialog, "chat.importDialog")
    assert asked is not None
    asked.fileSelected.emit(str(tmp_path / "export.zip"))
    asked.reject()
    person.settle()
    dialog = person.window.findChild(ImportDialog)
    assert dialog is not None
    return dialog


def test_an_export_comes_in_and_what_came_is_said(person: Person, tmp_path: Path) -> None:
    dialog = opened(person, tmp_path)

    assert dialog.words.text() == "2 chats imported, 1 has grown, 4 were here already.\n2 files are named."
    assert (dialog.stop_button.text(), dialog.bar.accessibleName()) == ("Close", "How far the import is")
    dialog.stop_button.click()
    person.settle()
    assert person.window.findChild(ImportDialog) is None


def test_a_single_chat_that_came_is_opened_from_the_dialog(
    person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = person.legion.chat.add("Imported", "Where?", "Here.")

    async def one(path: Path, on_progress: object) -> Imported:
        return Imported(conversations=(place,))

    monkeypatch.setattr(person.legion.chat, "import_file", one)
    dialog = opened(person, tmp_path)
    assert dialog.words.text() == "1 chat imported."
    person.press("Return")
    assert person.window.findChild(ImportDialog) is None
    assert person.services.chat.conversation_id == place


def test_escape_stops_it_and_what_came_stays(person: Person, tmp_path: Path) -> None:
    person.stage.spawner.hold()
    dialog = opened(person, tmp_path)
    assert dialog.words.text() == "Reading export.zip"
    dialog.reject()
    assert dialog.isVisible()
    assert dialog.words.text().startswith("Stopping.")
    person.stage.spawner.release()
    person.settle()
    assert dialog.words.text().startswith("Stopped.")
    dialog.reject()
    person.settle()


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Imported(conversations=()), "0 chats imported."),
        (
            Imported(conversations=("a",), notes=tuple("x" * 9)),
            "1 chat imported.\n" + "x\n" * 6 + "And 3 more like these.",
        ),
    ],
)
def test_the_end_is_told_in_few_words(found: Imported, said: str) -> None:
    assert said_of(found) == said


def test_long_instructions_are_told_as_one_paragraph_and_how_long_they_are(person: Person) -> None:
    place = person.legion.chat.add("Session", "Go.", "Gone.")
    messages = person.legion.chat.messages[place]
    rule = "Be brief.\n\n# Rules\n- " + "never this or that. " * 200
    messages.insert(0, msgspec.structs.replace(messages[0], id="s", role="system", text=rule))
    person.window.chat_page.open(place)
    person.settle()
    notice = next(iter(person.window.chat_page.reading.model.messages()))
    told = notice.whole_text()
    assert told.startswith("Instructions of this chat: Be brief. # Rules - never this")
    assert told.endswith(f"… ({len(rule):,} characters in all)")
