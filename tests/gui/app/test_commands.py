from collections import Counter

from PySide6.QtGui import QKeySequence

from app.commands import BUILT_PAGES, BY_ID, COMMANDS, PAGES, Commands, page_key, spoken, tip


def test_every_id_and_every_key_is_used_once() -> None:
    assert all(number == 1 for number in Counter(command.id for command in COMMANDS).values())
    keys = Counter(command.shortcut for command in COMMANDS if command.shortcut)
    assert {key for key, number in keys.items() if number > 1} == set()


def test_qt_understands_every_key() -> None:
    for command in COMMANDS:
        if command.shortcut:
            portable = QKeySequence(command.shortcut, QKeySequence.SequenceFormat.PortableText)
            assert portable.toString(QKeySequence.SequenceFormat.PortableText), command.id


def test_a_page_keeps_its_key_though_others_are_absent() -> None:
    assert [page_key(name) for name in ("chat", "models", "chains", "activity", "settings")] == [
        "Ctrl+1", "Ctrl+2", "Ctrl+4", "Ctrl+0", "Ctrl+,",
    ]  # fmt: skip
    assert {f"page.{name}" for name, _, _ in PAGES if name not in BUILT_PAGES}.isdisjoint(BY_ID)


def test_a_command_runs_only_where_its_condition_holds() -> None:
    ran: list[str] = []
    commands = Commands(conditions={"running": lambda: False, "chat": lambda: True})
    commands.bind("answer.stop", lambda: ran.append("stop"))
    commands.bind("chat.pin", lambda: ran.append("pin"))
    assert not commands.run("answer.stop")
    assert commands.run("chat.pin")
    assert not commands.run("chat.trash")  # nobody bound it
    assert ran == ["pin"]
    assert [command.id for command in commands.available()] == ["chat.pin"]


def test_keys_are_spoken_as_key_caps_show_them() -> None:
    assert spoken("Ctrl+Shift+F") == "Ctrl Shift F"
    assert spoken("Ctrl+,") == "Ctrl ,"
    assert spoken("Ctrl+Shift+F", is_mac=True) == "⇧⌘F"
    assert spoken("F6") == "F6"
    assert tip("page.models") == "Models  Ctrl 2"
