"""Painted words that inspectors and lists share: none is cut where there is room for it."""

from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.theme.apply import look
from app.views.activity.table import COLUMNS
from app.views.painted import KeyValues
from tests.gui.conftest import plain_look

SAVED = ("Saved by curation", "about 256,321 tokens, price unknown")


def test_a_value_too_long_to_stand_beside_its_label_stands_below_it(qapp: QApplication, qtbot: QtBot) -> None:
    plain_look(qapp)
    shown = KeyValues("figures")
    qtbot.addWidget(shown)
    shown.show_pairs((("Tries", "1"), SAVED))
    line = look().px(21)
    assert shown.heightForWidth(600) == shown.sizeHint().height()
    assert shown.heightForWidth(312) == shown.sizeHint().height() + line
    assert look().metrics("small").horizontalAdvance(SAVED[1]) <= 312 - 24


def test_the_cost_column_has_room_for_a_price_that_is_not_known(qapp: QApplication) -> None:
    plain_look(qapp)
    _, width = COLUMNS.places(1200)["cost"]
    assert look().metrics("ui").horizontalAdvance("price unknown") <= width
