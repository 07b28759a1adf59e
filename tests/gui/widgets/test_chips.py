"""Chips wrap where the line is full."""

from PySide6.QtCore import QRect, Qt
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from app.widgets.chips import Chip
from app.widgets.flow import FlowLayout
from tests.gui.conftest import plain_look


def test_a_line_that_is_full_breaks_and_the_height_follows(qapp: QApplication, qtbot: QtBot) -> None:
    plain_look(qapp)
    host = QWidget()
    qtbot.addWidget(host)
    layout = FlowLayout(host)
    chips = [Chip(f"file-{n}.csv", "1.9k") for n in range(6)]
    for chip in chips:
        layout.addWidget(chip)
    one = layout.heightForWidth(2000)
    assert layout.heightForWidth(200) > 3 * one
    layout.setGeometry(QRect(0, 0, 300, 400))
    assert all(chip.x() >= 0 and chip.geometry().right() <= 300 for chip in chips)
    rows = {chip.y() for chip in chips}
    assert len(rows) > 1
    host.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    layout.setGeometry(QRect(0, 0, 300, 400))
    assert chips[0].geometry().right() == 299


def test_a_chip_is_named_for_what_it_holds(qapp: QApplication, qtbot: QtBot) -> None:
    chip = Chip("gauge.csv", "1.9k")
    qtbot.addWidget(chip)
    assert chip.accessibleName() == "gauge.csv, 1.9k"
    with qtbot.waitSignal(chip.activated):
        qtbot.keyClick(chip, Qt.Key.Key_Return)
