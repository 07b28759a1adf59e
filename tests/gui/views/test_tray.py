from typing import Any

import pytest
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QSystemTrayIcon

from app.views.tray import Tray, tray_icon
from tests.gui.conftest import Person


@pytest.fixture
def tray(person: Person, monkeypatch: pytest.MonkeyPatch) -> Tray:
    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", staticmethod(lambda: True))
    person.window.notices.start_tray()
    made = person.window.notices.tray
    assert made is not None
    return made


def titles(tray: Tray) -> list[str]:
    tray._fill()
    return [action.text() for action in tray.menu.actions() if action.text()]


def test_the_menu_says_what_runs_and_offers_the_usual(person: Person, tray: Tray) -> None:
    person.legion.chat.add("A chat", "q", "a")
    person.services.chats.refresh()
    assert titles(tray) == [
        "Engine running, smollm2-135m-instruct", "Open Workbench", "New chat", "smollm2-135m-instruct, loaded",
        "MCP: running", "Recent chats", "Settings", "Quit",
    ]  # fmt: skip


def test_states_differ_by_shape(person: Person) -> None:
    def image(state: str) -> QImage:
        return tray_icon(state).pixmap(22, 22).toImage()

    pictures = [image(state) for state in ("ready", "working", "fault")]
    assert pictures[0] != pictures[1] != pictures[2] != pictures[0]


def test_a_working_answer_shows_and_goes(person: Person, tray: Tray) -> None:
    person.type("question")
    person.press("Return")
    assert tray._state == "working"
    running = person.services.chat.running
    assert running is not None
    person.legion.chat.end(running.id)
    person.settle()
    assert tray._state == "ready"


def test_a_notification_comes_only_for_a_long_answer_while_the_window_is_not_in_front(
    person: Person, tray: Tray, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PySide6.QtCore import Qt
    from PySide6.QtGui import QGuiApplication

    told: list[str] = []
    monkeypatch.setattr(tray, "notify", lambda title, words, cid: told.append(words))
    for state, seconds, expected in (
        (Qt.ApplicationState.ApplicationActive, 60.0, 0),
        (Qt.ApplicationState.ApplicationInactive, 3.0, 0),
        (Qt.ApplicationState.ApplicationInactive, 60.0, 1),
    ):
        monkeypatch.setattr(QGuiApplication, "applicationState", staticmethod(lambda now=state: now))
        person.services.chat.start_new()
        person.services.chat.send("question")
        running = person.services.chat.running
        assert running is not None
        person.legion.chat.end(running.id, text="done", duration_s=seconds)
        person.settle()
        assert len(told) == expected
    assert told == ["Answered in 1 min: done"]


def test_closing_with_a_tray_asks_once_and_then_hides(
    person: Person, tray: Tray, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.views import about

    asked: list[int] = []

    def keeps(_: Any) -> bool:
        asked.append(1)
        return True

    monkeypatch.setattr(about, "ask_closing", keeps)
    person.window.close()
    assert not person.window.isVisible()
    person.window.raise_up()
    person.window.close()
    assert not person.window.isVisible()
    assert asked == [1]


def test_taking_the_question_back_leaves_the_window_open(
    person: Person, tray: Tray, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.views import about

    monkeypatch.setattr(about, "ask_closing", lambda _: None)
    person.window.close()
    assert person.window.isVisible()


def test_choosing_quit_quits(person: Person, tray: Tray, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.views import about

    quits: list[int] = []
    person.window.quit_asked.connect(lambda: quits.append(1))
    monkeypatch.setattr(about, "ask_closing", lambda _: False)
    person.window.close()
    assert quits == [1]
