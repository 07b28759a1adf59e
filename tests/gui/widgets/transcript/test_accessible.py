"""Screen readers: the transcript is a list of messages, also after another chat came and after it is gone."""

import gc

from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from app.widgets.transcript.accessible import message_words
from app.widgets.transcript.model import Badge, ChainStep, Message
from app.widgets.transcript.view import TranscriptView
from tests.gui.conftest import plain_look

BADGE = Badge((ChainStep("local"),), "local", "smollm2", 12, 0.5, 24.0, "free")


def chat(prefix: str, count: int) -> list[Message]:
    return [
        Message(id=f"{prefix}{n}", role="assistant", text=f"words {n}", badge=BADGE) for n in range(count)
    ]


def test_messages_are_items_of_a_list(qapp: QApplication, qtbot: QtBot) -> None:
    plain_look(qapp)
    view = TranscriptView()
    qtbot.addWidget(view)
    view.resize(600, 300)
    view.show()
    view.model.reset(chat("m", 50))
    voice = QAccessible.queryAccessibleInterface(view)
    assert voice is not None
    assert voice.role() == QAccessible.Role.List
    assert voice.childCount() == 50
    last = voice.child(49)
    assert last.role() == QAccessible.Role.ListItem
    assert "words 49" in last.text(QAccessible.Text.Name)
    assert "tier: local" in last.text(QAccessible.Text.Name)
    assert not last.rect().isEmpty()
    assert voice.child(0).rect().isEmpty()
    assert voice.indexOfChild(last) == 49
    assert voice.text(QAccessible.Text.Name) == "Conversation"


def test_items_go_with_their_chat_and_with_the_view(qapp: QApplication) -> None:
    for _ in range(3):
        parent = QWidget()
        view = TranscriptView(parent=parent)
        voice = QAccessible.queryAccessibleInterface(view)
        assert voice is not None
        for prefix in ("a", "b"):
            view.model.reset(chat(prefix, 900))
            names = [voice.child(n).text(QAccessible.Text.Name) for n in (*range(0, 898, 30), 898)]
            assert "words 898" in names[-1]
        view.model.drop_from("b3")
        assert voice.childCount() == 3
        del voice
        parent.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        del view, parent
        gc.collect()


def test_what_is_read_out_says_who_and_when() -> None:
    words = message_words(Message(id="u", role="user", text="hi", time="14:02"))
    assert words == "You, 14:02. hi"
