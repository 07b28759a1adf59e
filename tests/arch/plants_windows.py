"""Window tests that offend on purpose; `tests/gui/test_window_guards.py` runs this file and reads what is said of it."""

from PySide6.QtCore import QTimer, qWarning
from PySide6.QtWidgets import QLabel

held = []


def teardown_module():
    for thing in held:
        thing.stop() if isinstance(thing, QTimer) else thing.close()
    held.clear()


def test_leaves_a_timer(qapp):
    timer = QTimer()
    timer.setObjectName("forgotten")
    timer.start(1000)
    held.append(timer)


def test_leaves_a_window(qapp):
    window = QLabel("x")
    window.setWindowTitle("forgotten")
    window.show()
    held.append(window)


def test_annoys_qt(qtbot):
    qWarning("bad parent")


def test_honest_closes_its_window(qtbot):
    window = QLabel("x")
    qtbot.addWidget(window)
    window.show()
