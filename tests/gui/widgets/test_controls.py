"""Switch and segmented control: what keys and clicks do, and who is told."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QPushButton
from pytestqt.qtbot import QtBot

from app.theme.apply import apply
from app.views.parts import button
from app.widgets.segmented import Segmented
from app.widgets.switch import Switch
from tests.gui.conftest import plain_look

CHOICES = (("light", "Light"), ("dark", "Dark"), ("system", "System"))


def test_a_switch_toggles_by_space_and_click_and_shows_it(qapp: QApplication, qtbot: QtBot) -> None:
    plain_look(qapp)
    switch = Switch("Follow the end")
    qtbot.addWidget(switch)
    switch.show()
    off = switch.grab().toImage()
    with qtbot.waitSignal(switch.toggled):
        qtbot.keyClick(switch, Qt.Key.Key_Space)
    assert switch.isChecked()
    assert switch.grab().toImage() != off
    qtbot.mouseClick(switch, Qt.MouseButton.LeftButton)
    assert not switch.isChecked()
    assert switch.accessibleName() == "Follow the end"


def test_a_switch_grows_with_the_text(qapp: QApplication, qtbot: QtBot) -> None:
    switch = Switch()
    qtbot.addWidget(switch)
    small = switch.sizeHint()
    apply(qapp, "light", 2.0)
    assert switch.sizeHint().height() > small.height()


def test_a_segmented_control_is_one_tab_stop_moved_by_arrows(qapp: QApplication, qtbot: QtBot) -> None:
    apply(qapp, "dark")
    control = Segmented(CHOICES, "Theme")
    qtbot.addWidget(control)
    control.show()
    told: list[str] = []
    control.changed.connect(told.append)
    stops = [b for b in control.findChildren(QPushButton) if b.focusPolicy() & Qt.FocusPolicy.TabFocus]
    assert [b.text() for b in stops] == ["Light"]
    qtbot.keyClick(stops[0], Qt.Key.Key_Right)
    assert control.choice == "dark"
    qtbot.keyClick(stops[0], Qt.Key.Key_End)
    qtbot.keyClick(stops[0], Qt.Key.Key_Right)
    assert told == ["dark", "system"]
    qtbot.keyClick(stops[0], Qt.Key.Key_Home)
    assert control.choice == "light"


def test_choosing_by_code_tells_nobody_and_a_click_does(qapp: QApplication, qtbot: QtBot) -> None:
    control = Segmented(CHOICES, "Theme")
    qtbot.addWidget(control)
    control.show()
    with qtbot.assertNotEmitted(control.changed):
        control.choose("system")
    assert control.choice == "system"
    first = control.findChild(QPushButton, "segment.light")
    assert first is not None
    assert first.accessibleName() == "Theme: Light"
    with qtbot.waitSignal(control.changed) as told:
        qtbot.mouseClick(first, Qt.MouseButton.LeftButton)
    assert told.args == ["light"]


def test_left_and_right_are_mirrored_where_reading_is(qapp: QApplication, qtbot: QtBot) -> None:
    control = Segmented(CHOICES)
    qtbot.addWidget(control)
    control.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    assert control.step(Qt.Key.Key_Left)
    assert control.choice == "dark"


def test_a_button_is_pressed_by_enter_and_by_space(qapp: QApplication, qtbot: QtBot) -> None:
    plain_look(qapp)
    heard: list[int] = []
    made = button("Save", "save", lambda: heard.append(1))
    qtbot.addWidget(made)
    made.show()
    for key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
        qtbot.keyClick(made, key)
    assert len(heard) == 3


def test_a_key_cap_stands_after_the_words_and_goes_where_room_is_short(
    qapp: QApplication, qtbot: QtBot
) -> None:
    plain_look(qapp)
    plain, capped = button("Allow once", "a"), button("Allow once", "b", key="Y")
    for made in (plain, capped):
        qtbot.addWidget(made)
        made.show()
    assert capped.accessibleName() == plain.accessibleName() == "Allow once"
    assert capped.sizeHint().width() > plain.sizeHint().width()
    assert capped.minimumSizeHint().width() == plain.sizeHint().width()
    capped.resize(capped.sizeHint())
    plain.resize(capped.sizeHint())
    assert capped.grab().toImage() != plain.grab().toImage()
    capped.resize(capped.minimumSizeHint())
    plain.resize(plain.sizeHint())
    assert capped.grab().toImage() == plain.grab().toImage()
