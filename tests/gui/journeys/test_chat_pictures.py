"""A picture that was attached stands in the chat, small; a click or Enter opens it large."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QBuffer, QByteArray, QIODevice, Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QMenu

from app.viewmodels import chat_pictures
from app.views.chat.pictures import SMALL_KEPT, PictureDialog, decoded
from app.widgets.transcript.accessible import message_words
from legion_core.gateway.types import ImageBlock
from tests.gui.conftest import Person


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake engine has no loop and no threads."""

    async def aside(work: Callable[[], Any]) -> Any:
        return work()

    monkeypatch.setattr(chat_pictures, "aside", aside)


def image(width: int = 900, height: int = 300, colour: str = "#2255cc") -> ImageBlock:
    made = QImage(width, height, QImage.Format.Format_RGB32)
    made.fill(colour)
    data = QByteArray()
    target = QBuffer(data)
    target.open(QIODevice.OpenModeFlag.WriteOnly)
    made.save(target, "PNG")  # type: ignore[call-overload]
    return ImageBlock(media_type="image/png", data=base64.b64encode(bytes(data.data())).decode())


def told(person: Person, *blocks: ImageBlock, text: str = "What is this?") -> str:
    """A question with its pictures, in the open chat."""
    person.services.chat.send(text, blocks)  # type: ignore[arg-type]
    person.settle()
    question = person.services.chat.last_question
    assert question is not None
    person.legion.chat.images[question.id] = blocks
    person.settle()
    person.window.chat_page.reading.pictures._asked.clear()  # it was asked for before the fake had it
    view = person.window.chat_page.reading.transcript
    view.grab()  # painted once: what is in sight is sent for
    person.settle()
    return question.id


def test_a_picture_stands_above_its_words_and_is_read_when_it_is_seen(person: Person) -> None:
    question = told(person, image(), image(colour="#aa3333"))
    reading = person.window.chat_page.reading
    view, item = reading.transcript, reading.model.place(question)

    assert [row.kind for row in view._rows_of(item).rows] == ["pictures", "own"]
    small = reading.pictures.small(question, 1)
    assert small is not None
    assert small.toImage().pixelColor(5, 5).name() == "#aa3333"
    assert small.width() * small.height() < 200_000
    assert "With 2 pictures" in message_words(reading.model.at(item))


def test_a_picture_without_words_is_all_there_is(person: Person) -> None:
    question = told(person, image(), text="")
    reading = person.window.chat_page.reading
    assert [row.kind for row in reading.transcript._rows_of(reading.model.place(question)).rows] == [
        "pictures"
    ]


def test_a_click_opens_it_large_and_the_keyboard_steps_copies_and_saves(
    person: Person, tmp_path: Path
) -> None:
    blocks = (image(), image(40, 30, "#aa3333"))
    question = told(person, *blocks)
    view = person.window.chat_page.reading.transcript
    laid = view._rows_of(view.model.place(question)).lay(view._rows_of(view.model.place(question)).rows[0])
    spots = [spot for x in range(0, laid.width, 8) if (spot := laid.spot_at(x, 20)) is not None]
    assert {spot.value for spot in spots} == {"0", "1"}
    assert laid.spot_at(2, 2) is None

    view.picture_activated.emit(question, 0)
    person.settle()
    dialog = person.window.findChild(PictureDialog)
    assert dialog is not None
    assert dialog.said.text() == "Picture 1 of 2, 900 × 300"
    person.qtbot.keyClick(dialog, Qt.Key.Key_Right)
    assert dialog.said.text() == "Picture 2 of 2, 40 × 30"
    assert dialog.shown.accessibleName() == "Picture 2 of 2, 40 × 30"
    dialog.write(str(tmp_path / "p.png"))
    assert (tmp_path / "p.png").read_bytes() == base64.b64decode(blocks[1].data)
    dialog.copy()
    person.qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    person.settle()
    assert person.window.findChild(PictureDialog) is None


def test_enter_offers_it_among_what_can_be_done(person: Person) -> None:
    question = told(person, image())
    view = person.window.chat_page.reading.transcript
    view.open_menu(question)
    menu = view.findChild(QMenu) or person.window.findChild(QMenu, "transcript.menu")
    assert menu is not None
    names = [action.text() for action in menu.actions()]
    assert "Look at the picture" in names
    menu.close()


def test_only_so_many_small_ones_are_kept(person: Person) -> None:
    held = person.window.chat_page.reading.pictures
    for number in range(SMALL_KEPT + 20):
        person.legion.chat.images[f"m{number}"] = (image(8, 8),)
        held.small(f"m{number}", 0)
    assert len(held._small) == SMALL_KEPT
    assert held.small("m0", 0) is None  # it is sent for again


@pytest.mark.parametrize(
    "block", [ImageBlock(media_type="image/png", data="AAAA"), ImageBlock(url="https://x.example/a.png")]
)
def test_what_is_no_picture_is_told_and_nothing_is_fetched(person: Person, block: ImageBlock) -> None:
    from PySide6.QtCore import QSize

    assert decoded(block, QSize(9, 9), is_cover=True).isNull()
    question = told(person, block)
    person.window.chat_page.reading.pictures.look_at(question, 0)
    person.settle()
    dialog = person.window.findChild(PictureDialog)
    assert dialog is not None
    assert "cannot be shown" in dialog.shown.text() or "is not fetched" in dialog.shown.text()
    dialog.accept()
