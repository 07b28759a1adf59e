"""The field for code: another text replaces only the lines that differ, and faults stand at their lines."""

import random

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.theme.apply import apply
from app.widgets.code_field import CodeField
from tests.gui.conftest import plain_look


@pytest.fixture
def field(qapp: QApplication, qtbot: QtBot) -> CodeField:
    plain_look(qapp)
    made = CodeField("code", "Code", most=0, has_numbers=True)
    qtbot.addWidget(made)
    made.resize(400, 300)
    made.show()
    return made


def test_any_text_becomes_any_other(field: CodeField) -> None:
    chance = random.Random(2)
    lines = ["a: 1", "b: 2", "", "𝄞 music", "# note", "a: 1"]
    for _ in range(300):
        words = "\n".join(chance.choice(lines) for _ in range(chance.randrange(7)))
        field.set_words(words)
        assert field.toPlainText() == words


def test_the_cursor_stays_where_it_was_when_lines_elsewhere_change(field: CodeField) -> None:
    field.set_words("one\ntwo\nthree\nfour")
    field.go_to_line(3)
    field.set_words("zero\none\ntwo\nthree\nfour\nfive")
    assert field.textCursor().block().text() == "three"


def test_a_change_is_told_once_and_colours_are_no_change(field: CodeField, qapp: QApplication) -> None:
    told: list[str] = []
    field.written.connect(lambda: told.append(field.toPlainText()))
    field.set_words('name: "x" # note')
    apply(qapp, "dark", 1.0)
    plain_look(qapp)
    assert told == ['name: "x" # note']


def test_faults_are_underlined_and_numbered(field: CodeField) -> None:
    field.set_words("a: 1\nb: [")
    blank = field.grab().toImage()
    field.show_faults({2: "this is not YAML"})
    assert [mark.format.toolTip() for mark in field.extraSelections()] == ["this is not YAML"]
    assert field.grab().toImage() != blank
    field.show_faults({9: "beyond the end"})
    assert field.extraSelections() == []


def test_return_keeps_the_indent_and_tab_leaves(field: CodeField, qtbot: QtBot) -> None:
    field.set_words("  key: 1")
    field.moveCursor(field.textCursor().MoveOperation.End)
    qtbot.keyClick(field, Qt.Key.Key_Return)
    qtbot.keyClicks(field, "next: 2")
    assert field.toPlainText() == "  key: 1\n  next: 2"
    assert field.tabChangesFocus()
