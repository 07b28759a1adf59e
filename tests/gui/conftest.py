"""An engine in memory connected to a bridge, and a window on it driven by keys; facts are delivered when a test says so."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import shiboken6
from PySide6.QtCore import QEvent, QObject
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QApplication, QMenu, QWidget
from pytestqt.qtbot import QtBot

from app.bridge import Bridge
from tests.gui.fake_legion import FakeLegion, StepSpawner
from tests.support.leaks import collect

if TYPE_CHECKING:
    from app.views.window import MainWindow


# pytest-qt waits for five seconds where a test names no other time: on a busy machine that is no hang.
for _wait in (QtBot.waitSignal, QtBot.waitSignals, QtBot.waitUntil, QtBot.waitExposed, QtBot.waitActive):
    _wait.__kwdefaults__["timeout"] = 100_000


def _let_go() -> None:
    """Delete what of the app has no owner.

    Its connections hold what they call, which the collector cannot see: each window's view-models would stay for
    ever, and so would a button's menu.
    """
    from app.theme import apply as styled

    for made in shiboken6.getAllValidWrappers():
        if (
            issubclass(type(made), QObject)
            and (type(made) is QMenu or type(made).__module__.startswith(("app.", "tests.")))
            and not isinstance(made, styled.Look)
            and shiboken6.isValid(made)
            and made.parent() is None
        ):
            made.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    application = QApplication.instance()
    if isinstance(application, QApplication) and styled._look is not None:
        plain_look(application)


@pytest.fixture
def afterwards() -> Iterator[None]:
    """After every guard has looked, and before the garbage is freed: what was a window's goes with its test.

    The look goes back to what it was once no window is left that would be dressed anew.
    """
    yield
    _let_go()
    collect()


class Stage:
    """The engine, the bridge, and the sentences that were shown."""

    def __init__(self) -> None:
        self.legion = FakeLegion()
        self.spawner = StepSpawner()
        self.bridge = Bridge(self.spawner)
        self.refusals: list[str] = []
        self.bridge.refused.connect(self.refusals.append)
        self.facts = self.legion.events.subscribe()

    def connect(self) -> None:
        """The engine is up."""
        self.bridge.connect_engine(self.legion)  # type: ignore[arg-type]

    def deliver(self) -> None:
        """Hand over the facts published since the last time, as one frame."""
        while batch := self.facts.take_nowait():
            self.bridge.deliver(batch)

    def now(self) -> datetime:
        return self.legion.clock.now


@pytest.fixture
def stage(qtbot: QtBot) -> Iterator[Stage]:
    made = Stage()
    yield made
    made.bridge.close()
    made.facts.close()


class Person:
    """Sits in front of the window and has a keyboard only."""

    def __init__(self, stage: Stage, window: "MainWindow", qtbot: QtBot) -> None:
        self.stage, self.window, self.qtbot = stage, window, qtbot
        self.services = window.services
        self.legion = stage.legion

    @property
    def focused(self) -> QWidget:
        found = QApplication.focusWidget()
        assert found is not None, "nothing has the focus"
        return found

    def press(self, keys: str) -> None:
        """Press keys as a person names them: `Ctrl+K`, `F6`, `Return`."""
        combination = QKeySequence(keys)[0]
        target = QApplication.focusWidget() or self.window
        self.qtbot.keyClick(target, combination.key(), combination.keyboardModifiers())
        self.settle()

    def type(self, words: str) -> None:
        self.qtbot.keyClicks(self.focused, words)
        self.settle()

    def settle(self) -> None:
        for _ in range(3):
            QApplication.processEvents()
            self.stage.deliver()

    def find(self, name: str) -> QWidget:
        found = self.window.findChild(QWidget, name)
        assert isinstance(found, QWidget), f"there is no {name}"
        return found


def plain_look(application: QApplication) -> None:
    """Light, at its own size. Where it is so already nothing is done: a sheet over every widget costs 30 ms."""
    from app.theme.apply import apply, look

    now = look()
    if (now._choice, now._scale, now._accent) != ("light", 1.0, None):
        apply(application, "light", 1.0)


@pytest.fixture
def person(stage: Stage, qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> Iterator[Person]:
    from app.views.services import Services
    from app.views.store import Store
    from app.views.window import MainWindow

    plain_look(qapp)
    services = Services(stage.bridge, Store(None), stage.now, tmp_path)
    window = MainWindow(services)
    window.resize(1280, 800)  # the offscreen screen is smaller
    window.show()
    qtbot.waitExposed(window)
    window.activateWindow()
    stage.connect()
    window.go("chat")
    made = Person(stage, window, qtbot)
    made.settle()
    yield made
    window.prepare_quit()
    window.notices.stop()
    services.chat.save_draft()
    window.close()
    window.deleteLater()
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)
