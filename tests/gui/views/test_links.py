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
    assert asked == ["https://example.org/", "https://example.org/"]
