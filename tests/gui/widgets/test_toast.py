"""The toast: one at a time, undone by button or key, and never in the way for longer than its time."""

import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QEnterEvent
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.widgets.toast import Toast
from tests.gui.conftest import plain_look


@pytest.fixture
def window(qapp: QApplication, qtbot: QtBot) -> QWidget:
    plain_look(qapp)
    made = QWidget()
    qtbot.addWidget(made)
    made.resize(900, 560)
    made.show()
    made.activateWindow()
    qtbot.waitUntil(made.isActiveWindow, timeout=100_000)
    return made


def test_it_says_its_sentence_at_the_bottom_and_offers_undo(window: QWidget, qtbot: QtBot) -> None:
    toast, undone = Toast(window), list[int]()
    toast.tell("Moved it", icon="trash-2", undo=lambda: undone.append(1))
    assert toast.isVisible()
    assert toast.geometry().bottom() < window.height() - 24
    assert toast.accessibleName() == "Moved it"
    button = toast.findChild(QPushButton, "toast.undo")
    assert button is not None
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert undone == [1]
    assert toast.isHidden()


def test_the_undo_key_works_while_it_is_shown_and_only_once(window: QWidget, qtbot: QtBot) -> None:
    toast, undone = Toast(window), list[int]()
    toast.tell("Moved it", undo=lambda: undone.append(1))
    qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert undone == [1]


def test_without_undo_there_is_no_button(window: QWidget) -> None:
    toast = Toast(window)
    toast.tell("Done")
    button = toast.findChild(QPushButton, "toast.undo")
    assert button is not None
    assert button.isHidden()


def test_it_goes_by_itself_and_leaves_no_timer(window: QWidget, qtbot: QtBot) -> None:
    toast = Toast(window)
    toast.tell("Gone soon", shown_ms=1)
    qtbot.waitUntil(toast.isHidden, timeout=100_000)
    assert not toast._timer.isActive()


def test_time_stands_still_under_the_mouse(window: QWidget) -> None:
    toast = Toast(window)
    toast.tell("Read me")
    at = QPointF(5, 5)
    QApplication.sendEvent(toast, QEnterEvent(at, at, at))
    assert not toast._timer.isActive()
    QApplication.sendEvent(toast, QEvent(QEvent.Type.Leave))
    assert toast._timer.isActive()


def test_a_long_sentence_takes_two_lines_and_is_never_cut_in_a_letter(window: QWidget) -> None:
    toast = Toast(window)
    long = "The file could not be read, since it ends in the middle of a table. Load it again from where it came."
    toast.tell(long)
    words = toast.findChild(QLabel, "toast.words")
    assert words is not None
    lines = words.text().split("\n")
    assert len(lines) == 2
    assert " ".join(lines) == long
    toast.tell(f"{long} {long} {long}")
    lines = words.text().split("\n")
    assert len(lines) == 2
    assert lines[1].endswith("…")
    QApplication.processEvents()
    assert all(words.fontMetrics().horizontalAdvance(line) <= words.width() for line in lines)
    assert toast.width() <= window.width()
    assert toast.accessibleName() == f"{long} {long} {long}"
