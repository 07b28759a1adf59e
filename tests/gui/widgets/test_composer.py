"""The composer: keys, what a send gives, pastes that do not freeze it, and the one button."""

import pytest
from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtWidgets import QApplication, QPushButton, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.theme.apply import apply
from app.widgets.chips import Chip
from app.widgets.composer import Composer


@pytest.fixture
def composer(qapp: QApplication, qtbot: QtBot) -> Composer:
    apply(qapp, "dark")
    window = QWidget()
    qtbot.addWidget(window)
    window.resize(600, 500)
    layout = QVBoxLayout(window)
    made = Composer()
    layout.addWidget(made)
    layout.addStretch()
    window.show()
    made.take_focus()
    # Python owns the window through the composer's parent chain for the length of the test.
    made.keep = window  # pyright: ignore[reportAttributeAccessIssue]
    return made


def paste(composer: Composer, words: str) -> None:
    data = QMimeData()
    data.setText(words)
    composer.field.insertFromMimeData(data)


def test_enter_sends_and_empties_the_field(composer: Composer, qtbot: QtBot) -> None:
    qtbot.keyClicks(composer.field, "hello there")
    with qtbot.waitSignal(composer.submitted) as sent:
        qtbot.keyClick(composer.field, Qt.Key.Key_Return)
    assert sent.args == ["hello there"]
    assert composer.text() == ""


def test_shift_enter_breaks_the_line(composer: Composer, qtbot: QtBot) -> None:
    qtbot.keyClicks(composer.field, "a")
    qtbot.keyClick(composer.field, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClicks(composer.field, "b")
    assert composer.text() == "a\nb"


def test_with_the_keys_swapped_enter_breaks_and_ctrl_enter_sends(composer: Composer, qtbot: QtBot) -> None:
    composer.enter_sends = False
    qtbot.keyClicks(composer.field, "a")
    qtbot.keyClick(composer.field, Qt.Key.Key_Return)
    assert composer.text() == "a\n"
    with qtbot.waitSignal(composer.submitted):
        qtbot.keyClick(composer.field, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)


def test_nothing_is_not_sent(composer: Composer, qtbot: QtBot) -> None:
    assert not composer.button.isEnabled()
    composer.set_text("  \n ")
    assert not composer.button.isEnabled()
    with qtbot.assertNotEmitted(composer.submitted):
        qtbot.keyClick(composer.field, Qt.Key.Key_Return)


def test_while_an_answer_comes_the_button_and_escape_stop_it(composer: Composer, qtbot: QtBot) -> None:
    composer.set_running(True)
    assert composer.button.accessibleName() == "Stop"
    with qtbot.waitSignal(composer.stop_requested):
        qtbot.keyClick(composer.field, Qt.Key.Key_Escape)
    with qtbot.waitSignal(composer.stop_requested):
        qtbot.mouseClick(composer.button, Qt.MouseButton.LeftButton)
    composer.set_text("next")
    with qtbot.assertNotEmitted(composer.submitted):
        qtbot.keyClick(composer.field, Qt.Key.Key_Return)
    assert composer.text() == "next"
    composer.set_running(False)
    assert composer.button.accessibleName() == "Send"


def test_up_in_an_empty_field_brings_the_last_text_back(composer: Composer, qtbot: QtBot) -> None:
    qtbot.keyClick(composer.field, Qt.Key.Key_Up)
    assert composer.text() == ""
    composer.set_text("again")
    composer.submit()
    qtbot.keyClick(composer.field, Qt.Key.Key_Up)
    assert composer.text() == "again"


def test_a_long_paste_is_a_chip_and_goes_with_the_text(composer: Composer, qtbot: QtBot) -> None:
    log = "\n".join(f"line {n}" for n in range(20_000))
    composer.set_text("Why?")
    paste(composer, log)
    assert composer.text() == "Why?"
    chip = composer.findChild(Chip)
    assert chip is not None
    assert "20,000 lines" in chip.accessibleName()
    with qtbot.waitSignal(composer.submitted) as sent:
        composer.submit()
    assert sent.args == [f"Why?\n\n{log}"]
    assert composer.whole_text() == ""


def test_a_chip_comes_off_by_key_and_by_its_cross(composer: Composer, qtbot: QtBot) -> None:
    paste(composer, "x" * 30_000)
    chip = composer.findChild(Chip)
    assert chip is not None
    qtbot.keyClick(chip, Qt.Key.Key_Delete)
    assert composer.whole_text() == ""
    QApplication.processEvents()
    paste(composer, "y" * 30_000)
    chip = composer.findChildren(Chip)[-1]
    qtbot.mouseClick(chip, Qt.MouseButton.LeftButton, pos=chip._cross().center().toPoint())
    assert composer.whole_text() == ""
    assert not composer.button.isEnabled()


def test_a_short_paste_is_plain_text(composer: Composer) -> None:
    data = QMimeData()
    data.setHtml("<b>bold</b> words")
    data.setText("bold words")
    composer.field.insertFromMimeData(data)
    assert composer.text() == "bold words"
    assert composer.findChild(Chip) is None


def test_dropped_files_are_told(composer: Composer, qtbot: QtBot) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile("/tmp/a.csv")])
    with qtbot.waitSignal(composer.files_dropped) as told:
        composer.field.insertFromMimeData(data)
    assert told.args == [["/tmp/a.csv"]]


def test_the_field_grows_with_its_lines_up_to_a_share_of_the_window(composer: Composer) -> None:
    one = composer.height()
    composer.set_text("a\nb\nc")
    assert composer.field.height() == 3 * 20 + 13
    assert composer.sizeHint().height() > one - 1
    composer.set_text("\n".join("abcdefgh"[n % 8] for n in range(90)))
    assert composer.field.height() <= composer.window().height() * 0.4


def test_a_draft_is_told_once_the_typing_rests_and_emptied_on_send(composer: Composer, qtbot: QtBot) -> None:
    told: list[str] = []
    composer.draft_changed.connect(told.append)
    with qtbot.waitSignal(composer.draft_changed):
        qtbot.keyClicks(composer.field, "abc")
    assert told == ["abc"]
    composer.submit()
    assert told == ["abc", ""]
    assert not composer._draft.isActive()


def test_where_nothing_can_answer_the_button_says_why(composer: Composer, qtbot: QtBot) -> None:
    composer.set_text("hi")
    composer.set_sendable(False, "No model is installed")
    assert not composer.button.isEnabled()
    assert composer.button.toolTip() == "No model is installed"
    with qtbot.assertNotEmitted(composer.submitted):
        composer.submit()


def test_controls_have_names(composer: Composer) -> None:
    tool = QPushButton("x")
    composer.add_tool(tool)
    assert composer.field.accessibleName() == "Message"
    assert composer.button.accessibleName() == "Send"
