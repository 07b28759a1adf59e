"""An engine in memory, connected to a bridge; facts are delivered when a test says so."""

from collections.abc import Iterator
from datetime import datetime

import pytest
from pytestqt.qtbot import QtBot

from app.bridge import Bridge
from tests.gui.fake_legion import FakeLegion, StepSpawner


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
