"""What a screen reader and a keyboard meet: every control has a name, an id and a tooltip, and Tab reaches all of it."""

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QAccessibleInterface
from PySide6.QtWidgets import QAbstractButton, QApplication, QComboBox, QLineEdit, QWidget

from app.commands import COMMANDS, spoken
from tests.gui.conftest import Person

PAGES = ("chat", "models", "routing", "settings", "activity", "schedules", "chains", "connect")
# Parts Qt makes itself inside its own controls.
QT_PARTS = ("qt_", "_q_")


def interfaces(root: QAccessibleInterface) -> Iterator[QAccessibleInterface]:
    waiting, seen = [root], 0
    while waiting:
        found = waiting.pop()
        if found is None or not found.isValid():
            continue
        seen += 1
        assert seen < 20_000
        yield found
        waiting += [found.child(at) for at in range(found.childCount())]


def focusable(window: QWidget) -> list[QWidget]:
    return [
        widget
        for widget in window.findChildren(QWidget)
        if widget.isVisibleTo(window)
        and widget.isEnabled()
        and widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        and not widget.objectName().startswith(QT_PARTS)
    ]


def is_reached_by_arrows(widget: QWidget) -> bool:
    """One of several of which one is chosen: Tab comes to the chosen one, arrows go on from there."""
    group = widget.group() if isinstance(widget, QAbstractButton) else None
    return group is not None and group.exclusive() and not widget.isChecked()  # type: ignore[attr-defined]


def show(person: Person, page: str) -> None:
    person.legion.chat.add("A chat", "question", "answer")
    person.services.chats.refresh()
    person.services.chat.open(next(iter(person.legion.chat.conversations)))
    person.legion.activity.add_task("http.request.get", "failed", reason="No such host.")
    person.legion.schedules.put("hourly", every_s=3600.0)
    person.window.go(page)
    person.settle()
    person.window.current.show_inspector()
    person.settle()


def nameless(window: QWidget) -> list[str]:
    """What a screen reader could only call a button or a field."""
    root = QAccessible.queryAccessibleInterface(window)
    assert root is not None
    return [
        f"{found.object().metaObject().className()} {found.object().objectName()!r}"
        for found in interfaces(root)
        if found.object() is not None
        and found.state().focusable
        and not found.state().invisible
        and not found.text(QAccessible.Text.Name)
    ]


def without_id(window: QWidget) -> list[str]:
    return [
        f"{type(widget).__name__} {widget.accessibleName()!r}"
        for widget in focusable(window)
        if not widget.objectName()
    ]


def without_tooltip(window: QWidget) -> list[str]:
    return [
        widget.objectName()
        for widget in focusable(window)
        if isinstance(widget, QAbstractButton | QLineEdit | QComboBox)
        and not widget.toolTip()
        and not (isinstance(widget, QAbstractButton) and widget.text())
    ]


def with_the_same_id(page: QWidget) -> list[str]:
    names = [
        widget.objectName() for widget in focusable(page) if not widget.objectName().startswith("segment.")
    ]
    return sorted({name for name in names if names.count(name) > 1})


def out_of_reach(person: Person) -> set[str]:
    """What Tab never comes to; it has to come back to where it began."""
    wanted = {
        widget.objectName()
        for widget in focusable(person.window)
        if widget.focusProxy() is None and not is_reached_by_arrows(widget)
    }
    reached: set[str] = set()
    for _ in range(6 * len(wanted) + 20):
        person.window.focusNextChild()
        focused = QApplication.focusWidget()
        assert focused is not None
        reached.add(focused.objectName())
    return wanted - reached


@pytest.mark.parametrize("page", PAGES)
def test_every_control_has_a_name_an_id_of_its_own_and_a_tooltip_and_tab_reaches_it(
    person: Person, page: str
) -> None:
    show(person, page)
    assert nameless(person.window) == []
    assert without_id(person.window) == []
    assert without_tooltip(person.window) == []
    assert with_the_same_id(person.window.current) == []
    assert out_of_reach(person) == set()


def test_every_shortcut_is_an_action_and_every_command_does_something(person: Person) -> None:
    actions = {action.objectName().removeprefix("command.") for action in person.window.actions()}
    assert actions == {command.id for command in COMMANDS if command.shortcut}
    assert {command.id for command in COMMANDS} == set(person.services.commands.runs)


def test_tooltips_tell_the_keys(person: Person) -> None:
    assert person.find("rail.models").toolTip() == "Models  Ctrl 2"
    assert person.find("rail.settings").toolTip() == "Settings  Ctrl ,"
    assert person.find("chats.new").toolTip() == f"New chat  {spoken('Ctrl+N')}"


def test_the_list_of_chats_is_read_with_tier_and_time(person: Person) -> None:
    show(person, "chat")
    rows = person.window.chat_page.list.rows
    said = rows.data(rows.index(1), Qt.ItemDataRole.AccessibleTextRole)
    assert said == "A chat, tier: local, 14:06"


def test_arrows_walk_the_rail_and_enter_opens(person: Person) -> None:
    person.window.rail.focus(Qt.FocusReason.TabFocusReason)
    person.press("Down")
    assert person.focused.objectName() == "rail.models"
    assert person.window.page == "chat"
    person.press("Space")
    assert person.window.page == "models"
