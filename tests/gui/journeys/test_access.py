"""The Access group of the Settings page, used as a person uses it."""

from typing import Any

import pytest

from app.views.settings import access as section
from app.views.settings.page import SettingsPage
from tests.gui.journeys.test_pages import settings_page


def open_access(who: Any) -> SettingsPage:
    page = settings_page(who)
    who.settle()
    return page


def test_a_token_is_made_shown_once_and_revoked(person: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    open_access(person)
    person.find("access.name").setFocus()
    person.type("my-editor")
    person.press("Return")
    person.settle()
    secret: Any = person.find("access.secret")
    assert secret.text().startswith("lgn_")
    assert secret.isVisible()
    assert person.find("access.name").text() == ""
    person.find("access.put-away").click()
    person.settle()
    assert not person.find("access.made").isVisible()
    assert person.find("access.secret").text() == ""
    assert person.find("token.my-editor") is not None

    monkeypatch.setattr(section, "ask_revoke_token", lambda *_: True)
    person.find("token.my-editor.revoke").click()
    person.settle()
    assert {row.name: row.state for row in person.legion.tokens.rows}["my-editor"] == "revoked"


def test_a_name_that_is_taken_is_said_beside_the_form(person: Any) -> None:
    page = open_access(person)
    for _ in range(2):
        page._access.create("twice", "chat", None)
        person.settle()
    refusal: Any = person.find("access.refusal")
    assert refusal.isVisible()
    assert "already" in refusal.text()


def test_a_policy_is_checked_while_it_is_written_previewed_and_put_in_force(person: Any) -> None:
    page = open_access(person)
    apply: Any = person.find("access.apply")
    shown: Any = page.findChild(section.AccessSection)
    assert not apply.isEnabled()
    assert shown.pill.accessibleName() == "No policy"
    page._access.edit("version = 1\n[roles.a]\nalow = []\n")
    page._access._check()
    person.settle()
    assert page._access.faults == ("line 3: `alow` means nothing here; there are description, allow, deny",)
    assert not apply.isEnabled()
    assert shown.pill.accessibleName() == "No policy, 1 fault"
    person.find("access.back").click()
    person.find("access.example").click()
    person.settle()
    assert page._access.faults == ()
    assert {row.subject for row in page._access.preview} == {"cursor", "my-editor"}
    assert person.find("access.apply").isEnabled()
    assert shown.pill.accessibleName() == "No policy, Not in force yet"
    person.find("access.apply").click()
    person.settle()
    assert shown.pill.accessibleName() == "In force"
    assert person.legion.rbac.authorizer.is_policy
    assert not person.find("access.apply").isEnabled()


def test_what_is_written_survives_that_the_page_is_drawn_anew(person: Any) -> None:
    page = open_access(person)
    page._access.edit("version = 1\n# mine\n")
    page._rebuild()
    person.settle()
    editor: Any = person.find("access.policy")
    assert "# mine" in editor.toPlainText()


def test_words_of_the_preview_say_what_is_new_and_what_is_lost() -> None:
    from app.viewmodels.access import who_may
    from legion_core.api.rbac import PreviewRow

    rows = [
        PreviewRow(subject="x", path="gateway/chat", action="use", is_allowed_now=True, is_allowed_then=True, why_then=""),
        PreviewRow(subject="x", path="tasks", action="read", is_allowed_now=False, is_allowed_then=True, why_then=""),
        PreviewRow(subject="x", path="chains", action="read", is_allowed_now=True, is_allowed_then=False, why_then=""),
    ]  # fmt: skip

    assert who_may(rows) == (("x", "use gateway/chat, read tasks", "read tasks", "read chains"),)
