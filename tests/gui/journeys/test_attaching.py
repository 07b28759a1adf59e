"""Files beside a question: dropped, pasted, taken off, sent, and given back where the question was refused."""

import msgspec
import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QImage
from PySide6.QtWidgets import QApplication, QPushButton

from app.viewmodels.attachments import Attachment, of_picture
from app.widgets.chips import Chip
from app.widgets.pictures import encoded
from legion_core.api.types import Lane, ModelOffer, Tier
from legion_core.kernel.errors import Unavailable
from tests.gui.conftest import Person

SEEING = Lane(
    tier=Tier.LOCAL,
    instance="built-in",
    kind="llamacpp",
    offer=ModelOffer(id="sees", context=8192, capabilities=frozenset({"streaming", "vision"})),
)


def image() -> QImage:
    made = QImage(6, 4, QImage.Format.Format_RGB32)
    made.fill(0x336699)
    return made


def paste(person: Person) -> None:
    data = QMimeData()
    data.setImageData(image())
    person.window.chat_page.composing.composer.field.insertFromMimeData(data)
    person.settle()


def chips(person: Person) -> list[str]:
    found = person.window.chat_page.composing.composer.findChildren(Chip)
    return [chip.accessibleName() for chip in found if chip.isVisible()]


def sent(person: Person) -> list[tuple[object, ...]]:
    return [call for call in person.legion.chat.calls if call[0] == "send"]


def test_a_pasted_picture_goes_with_the_question_even_without_words(person: Person) -> None:
    person.legion.llm.served = (SEEING,)
    paste(person)
    assert chips(person) == ["Pasted picture, 6 × 4"]

    person.press("Return")

    (_, _, words, _, _, images) = sent(person)[0]
    assert (words, len(images)) == ("", 1)  # type: ignore[arg-type]
    assert chips(person) == []
    asked = person.window.chat_page.reading.model.at(0)
    assert (asked.whole_text(), asked.pictures) == ("", 1)


def test_where_nobody_can_see_a_sentence_says_so_and_nothing_is_attached(person: Person) -> None:
    paste(person)

    assert chips(person) == []
    assert person.stage.refusals == ["No model here can see pictures. The Models page shows which can."]


def test_a_text_file_is_told_behind_the_words(person: Person) -> None:
    attaching = person.window.chat_page.composing.attaching
    attaching.files.take_read([Attachment("a.txt", "1 line", text="alpha"), "b.zip is no text."])
    person.type("Read it")
    assert chips(person) == ["a.txt, 1 line"]
    assert person.stage.refusals == ["b.zip is no text."]

    person.press("Return")

    assert sent(person)[0][2] == "Read it\n\na.txt:\n```txt\nalpha\n```"


def test_what_was_refused_comes_back_with_its_pictures(person: Person) -> None:
    person.legion.llm.served = (SEEING,)
    person.legion.chat.refuse_send = Unavailable("No model could answer.", hint="Add one.")
    paste(person)
    person.type("What is it?")
    person.press("Return")

    assert chips(person) == ["Pasted picture, 6 × 4"]
    assert person.window.chat_page.composing.composer.text() == "What is it?"


def test_too_many_are_refused_and_a_chip_is_taken_off_by_a_key(person: Person) -> None:
    person.legion.llm.served = (SEEING,)
    attaching = person.window.chat_page.composing.attaching
    attaching.files.add_pictures([of_picture(f"{at}.png", encoded(image())) for at in range(9)])
    assert person.stage.refusals == ["8 pictures are the most that go with one question."]
    attaching.add_files([f"/nowhere/{at}" for at in range(17)])
    assert person.stage.refusals[-1].startswith("16 files are the most")

    paste(person)
    chip = next(chip for chip in person.window.findChildren(Chip) if chip.isVisible())
    chip.setFocus()
    person.press("Delete")
    assert attaching.files.attached == []


def test_files_may_be_dropped_anywhere_on_the_chat(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    dropped: list[list[str]] = []
    monkeypatch.setattr(
        person.window.chat_page.composing.attaching, "add_files", lambda paths: dropped.append(list(paths))
    )
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile("/a/b.txt")])
    at, copy, left = QPointF(40, 40), Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    main = person.find("chat.main")

    over = QDragEnterEvent(at.toPoint(), copy, data, left, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(main, over)
    assert over.isAccepted()
    QApplication.sendEvent(main, QDropEvent(at, copy, data, left, Qt.KeyboardModifier.NoModifier))

    assert dropped == [["/a/b.txt"]]


def test_an_edited_question_takes_no_files(person: Person) -> None:
    person.window.chat_page.open(person.legion.chat.add("Chat", "q", "a"))
    person.services.commands.run("question.edit")
    person.settle()
    attaching = person.window.chat_page.composing.attaching

    assert not attaching.button.isEnabled()
    attaching.add_files(["/nowhere/a.txt"])
    assert person.stage.refusals == ["An edited message keeps the pictures it had."]
    person.press("Escape")
    assert attaching.button.isEnabled()


@pytest.mark.requirement("chat.private")
def test_a_chat_is_kept_on_this_computer_from_its_first_word_on(person: Person) -> None:
    button = person.find("chat.private")
    assert isinstance(button, QPushButton)
    button.click()
    assert button.accessibleName().startswith("Kept on this computer")
    person.window.chat_page.take_focus()
    person.type("A secret")
    person.press("Return")

    made = person.services.chat.conversation_id
    assert person.legion.llm.marks == [(made, True)]
    assert [call[:2] for call in person.legion.chat.calls if call[0] == "send"] == [("send", made)]

    person.services.commands.run("chat.private")
    person.settle()
    assert person.legion.llm.marks[-1] == (made, False)


@pytest.mark.requirement("chat.private")
def test_the_list_shows_the_mark_and_changes_it(person: Person) -> None:
    place = person.legion.chat.add("Letters", "Hi", "Hello")
    person.services.chats.refresh()
    person.services.chats.toggle_private(place)
    person.settle()

    assert person.legion.llm.marks == [(place, True)]
    shown = person.window.chat_page.list.rows
    index = shown.index(shown.place_of(place))
    assert "kept on this computer" in shown.data(index, 11)
    person.window.chat_page.open(place)
    person.settle()
    assert person.services.chat.is_private
    row = msgspec.structs.replace(person.legion.chat.conversations[place], is_private=False)
    person.legion.chat.conversations[place] = row
    person.services.chats.refresh()
    person.settle()
    assert not person.services.chat.is_private
