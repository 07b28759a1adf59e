"""What is painted of an answer besides its words: the caption of its reasoning under the mouse, and how it ended."""

from typing import Any

import pytest
from PySide6.QtCore import QPointF
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.widgets.transcript import laid_chrome
from app.widgets.transcript.model import Action, Badge, Message
from app.widgets.transcript.view import TranscriptView
from tests.gui.conftest import plain_look


@pytest.fixture
def view(qapp: QApplication, qtbot: QtBot) -> TranscriptView:
    plain_look(qapp)
    found = TranscriptView()
    qtbot.addWidget(found)
    found.resize(700, 500)
    found.show()
    qtbot.waitExposed(found)
    return found


def spot_of(view: TranscriptView, value: str) -> QPointF:
    for y in range(0, view.viewport().height(), 3):
        for x in range(0, view.viewport().width(), 3):
            found = view._spot_at(QPointF(x, y))
            if found is not None and found[1].value == value:
                return QPointF(x, y)
    raise AssertionError(f"no {value} is shown")


def test_the_caption_of_the_reasoning_is_lit_while_the_mouse_is_over_it(view: TranscriptView) -> None:
    view.model.reset([Message(id="a", role="assistant", text="Yes.", thinking="Is it so?\n\nIt is.")])
    rest = view.grab().toImage()
    view._hover_at(spot_of(view, "reasoning"))
    lit = view.grab().toImage()
    assert lit != rest
    view._hover_at(QPointF(-1, -1))
    assert view.grab().toImage() == rest


@pytest.mark.parametrize(
    ("status", "has_badge", "said"),
    [
        ("stopped", False, ["Stopped"]),
        ("failed", False, ["Broke off"]),
        ("failed at once", False, ["No answer"]),
        ("done", False, []),
        ("stopped", True, []),
        ("failed", True, []),
    ],
)
def test_how_an_answer_ended_is_said_where_no_badge_does(
    view: TranscriptView, monkeypatch: pytest.MonkeyPatch, status: Any, has_badge: bool, said: list[str]
) -> None:
    painted: list[str] = []
    paint = laid_chrome.text

    def told(painter: Any, room: Any, words: str, *more: Any, **named: Any) -> Any:
        painted.append(words)
        return paint(painter, room, words, *more, **named)

    monkeypatch.setattr(laid_chrome, "text", told)
    badge = Badge(tier="local", model="box m1") if has_badge else None
    text = "" if status.endswith("at once") else "Half of"
    status = status.removesuffix(" at once")
    view.model.reset([Message(id="a", role="assistant", text=text, status=status, badge=badge)])
    view.grab()
    assert [words for words in painted if words in ("Stopped", "Broke off", "No answer")] == said


def test_a_long_failure_is_wrapped_and_stays_beside_its_buttons(view: TranscriptView) -> None:
    actions = (Action("retry", "Try again"), Action("trace", "Show the route"))

    def laid(note: str) -> laid_chrome.ErrorLaid:
        told = Message(id="e", role="error", text="Shorten it.", note=note, actions=actions)
        return laid_chrome.ErrorLaid(told, 680)

    short, long = laid("No model could answer."), laid("Context 8,192 is below what is needed. " * 4)
    assert 40 + long._title.used_width <= long._spots[0].rect.left()
    assert long.height > short.height
