import pytest
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.views import links


@pytest.mark.parametrize(
    "address", ["https://example.org/a?b=c", "http://127.0.0.1:4567/", "mailto:me@example.org"]
)
def test_web_pages_and_mail_are_offered(address: str) -> None:
    assert links.is_safe(address)


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd", "javascript:alert(1)", "https://", "http://user:word@bank.example/", "data:text/html,x",
        "legion://x", "mailto:", "https:example.org", "", "vscode://file/x",
        "mailto:a@b.example?attach=/etc/passwd", "mailto:a@b.example?%61ttachment=/x", "smb://host/x", "ms-msdt:/id",
        "calculator:", "//evil.example/x", "HTTPS:\\\\evil.example",
    ],
)  # fmt: skip
def test_nothing_else_is(address: str) -> None:
    assert not links.is_safe(address)


def test_a_link_is_opened_only_when_the_person_says_so(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    asked: list[str] = []
    says = {"yes": True}

    def ask(_: QWidget, address: str) -> bool:
        asked.append(address)
        return says["yes"]

    monkeypatch.setattr(
        QDesktopServices, "openUrl", staticmethod(lambda url: bool(opened.append(url.toString())) or True)
    )
    monkeypatch.setattr(links, "ask_open_link", ask)
    parent = QWidget()
    qtbot.addWidget(parent)
    assert links.ask_then_open(parent, "https://example.org/")
    says["yes"] = False
    assert not links.ask_then_open(parent, "https://example.org/")
    assert not links.ask_then_open(parent, "file:///etc/passwd")
    assert opened == ["https://example.org/"]
    assert asked == ["example.org\n\nhttps://example.org/"] * 2


def test_the_real_host_is_shown_first_in_letters_nobody_can_mistake() -> None:
    assert links.shown("https://аpple.com/login").startswith("xn--pple-43d.com\n\nhttps://xn--pple-43d.com/")
    assert links.shown("https://bank.example.evil.example/x").startswith("bank.example.evil.example\n")
