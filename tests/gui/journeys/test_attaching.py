"""Files beside a question: dropped, pasted, taken off, sent, and given back where the question was refused."""

import msgspec
import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QImage
from PySide6.QtWidgets import QApplication, QPushButton

from app.viewmodels import attachments
from app.viewmodels.attachments import Attachment, of_picture
from app.widgets.chips import Chip
from app.widgets.pictures import encoded
from app.widgets.transcript.accessible import message_words
from app.widgets.transcript.laid_documents import DocumentsLaid
from legion_core.api.types import DocumentBlock, Lane, ModelOffer, Tier
from legion_core.kernel.errors import Unavailable
from tests.gui.conftest import Person

SEEING = Lane(
    tier=Tier.LOCAL,
    instance="built-in",
    kind="llamacpp",
    offer=ModelOffer(id="sees", context=8192, capabilities=frozenset({"streaming", "vision"})),
)

READING = Lane(
    tier=Tier.CLOUD,
    instance="anthropic",
    kind="anthropic",
    offer=ModelOffer(id="reads", context=8192, capabilities=frozenset({"streaming", "documents"})),
)
LEASE = Attachment(
    "lease.pdf", "PDF, 3 pages", document=DocumentBlock(data="JVBERi0=", name="lease.pdf", pages=3)
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


def test_a_pdf_goes_with_the_question_and_stands_above_its_words(person: Person) -> None:
    person.legion.llm.served = (READING,)
    person.window.chat_page.composing.attaching.files.take_read([LEASE])
    person.settle()
    assert chips(person) == ["lease.pdf, PDF, 3 pages"]
    person.window.chat_page.take_focus()
    person.type("Sum it up")
    person.press("Return")

    (_, _, words, _, _, shown) = sent(person)[0]
    assert (words, shown) == ("Sum it up", (LEASE.document,))
    assert chips(person) == []
    reading = person.window.chat_page.reading
    asked = reading.model.at(0)
    assert (asked.documents, asked.pictures) == (("lease.pdf",), 0)
    rows = reading.transcript._rows_of(0)
    assert [row.kind for row in rows.rows] == ["documents", "own"]
    laid = rows.lay(rows.rows[0])
    tips = {spot.tip for x in range(0, laid.width, 4) if (spot := laid.spot_at(x, 8)) is not None}
    assert tips == {"Document lease.pdf"}
    assert "Document lease.pdf" in message_words(asked)
    assert not reading.transcript.grab().isNull()


def test_a_refused_question_gives_its_pdf_back_and_a_key_or_the_cross_takes_it_off(person: Person) -> None:
    person.legion.llm.served = (READING,)
    person.legion.chat.refuse_send = Unavailable("No model could answer.", hint="Add one.")
    files = person.window.chat_page.composing.attaching.files
    files.take_read([LEASE])
    person.settle()
    person.window.chat_page.take_focus()
    person.type("Sum it up")
    person.press("Return")
    assert chips(person) == ["lease.pdf, PDF, 3 pages"]

    chip = next(chip for chip in person.window.findChildren(Chip) if chip.isVisible())
    chip.setFocus()
    person.press("Delete")
    assert files.attached == []
    files.take_read([LEASE])
    person.settle()
    chip = next(chip for chip in person.window.findChildren(Chip) if chip.isVisible())
    person.qtbot.mouseClick(chip, Qt.MouseButton.LeftButton, pos=chip._cross().center().toPoint())
    assert files.attached == []


def test_where_nobody_reads_pdfs_or_they_are_too_many_a_sentence_says_so(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = person.window.chat_page.composing.attaching.files
    files.take_read([LEASE])
    person.settle()
    assert person.stage.refusals == ["No model here can read PDFs. The Models page shows which can."]

    person.legion.llm.served = (READING,)
    monkeypatch.setattr(attachments, "FILE_BYTES_MAX", 8)
    files.take_read([LEASE, LEASE])
    assert person.stage.refusals[-1].endswith("of PDFs are the most that go with one question.")
    assert files.attached == []


def test_long_names_of_pdfs_are_elided_and_wrap_within_the_column(person: Person) -> None:
    laid = DocumentsLaid(("x" * 120 + ".pdf", "b.pdf", "c.pdf"), 300)

    assert laid.height > DocumentsLaid(("b.pdf",), 300).height
    spots = [laid.spot_at(x, y) for x in range(0, 300, 4) for y in range(0, laid.height, 4)]
    found = {spot.value: spot.rect for spot in spots if spot is not None}
    assert len(found) == 3
    assert all(box.left() >= 0 and box.right() <= 300 for box in found.values())


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
    assert person.stage.refusals == ["An edited message keeps the pictures and PDFs it had."]
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
