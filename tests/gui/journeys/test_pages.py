from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent

from app.views.models.page import ModelsPage
from app.views.parts import ElidedLabel
from app.views.settings.page import SettingsPage
from app.views.store import WIZARD_DONE
from app.views.wizard import Wizard
from tests.gui.conftest import Person


def models_page(person: Person) -> ModelsPage:
    person.press("Ctrl+2")
    page = person.window.current
    assert isinstance(page, ModelsPage)
    return page


def settings_page(person: Person) -> SettingsPage:
    person.press("Ctrl+,")
    page = person.window.current
    assert isinstance(page, SettingsPage)
    return page


def test_models_are_walked_by_arrows_and_the_inspector_follows(person: Person) -> None:
    page = models_page(person)
    assert person.focused.objectName() == "models.installed"
    assert page.model_panel.title.words() == "smollm2-135m-instruct"
    person.press("Down")
    assert page.model_panel.title.words() == "qwen3-coder-30b-a3b"
    assert page.model_panel.unload_button.isHidden()


def test_models_that_another_page_asked_for_stand_on_the_page_when_it_opens(person: Person) -> None:
    person.services.models.visit()
    person.services.providers.visit()
    person.settle()
    page = models_page(person)
    assert [line.title for line in page.installed.lines.rows] == [
        row.name for row in person.services.models.all_rows
    ]
    assert page.providers.lines.rows
    assert page.installed_empty.isHidden()


def test_the_context_slider_reckons_the_fit_anew(person: Person) -> None:
    page = models_page(person)
    page.model_panel.context.setFocus()
    person.press("Right")
    person.services.models._fit_pause.timeout.emit()
    assert person.legion.models.calls[-1] == ("fit", "smollm2-135m-instruct", 4096)
    assert page.model_panel.context_value.text() == "4,096"


def test_chat_with_it_pins_the_model_to_a_new_chat(person: Person) -> None:
    models_page(person)
    person.press("Down")
    person.press("Return")
    assert person.window.page == "chat"
    assert person.focused.objectName() == "composer.field"
    assert person.window.chat_page.tier_button.text().strip() == "Only qwen3-coder-30b-a3b"
    person.type("hello")
    person.press("Return")
    sent = next(call for call in person.legion.chat.calls if call[0] == "send")
    assert sent[4].model == "qwen3-coder-30b-a3b"


def test_the_title_says_what_is_shown(person: Person) -> None:
    person.window.go("models")
    assert person.window.windowTitle() == "Legion Workbench – Models"
    person.window.go("settings")
    assert person.window.windowTitle() == "Legion Workbench – Settings"
    person.window.go("chat")
    assert person.window.windowTitle() == "Legion Workbench"


def test_removing_asks_with_the_loss_and_keeps_by_default(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.views import question as question_module

    page = models_page(person)
    person.press("Down")
    seen: list[str] = []

    def keep(self: Any) -> int:
        seen.append(f"{self.windowTitle()} {self.accessibleDescription()}")
        assert self.safe.isDefault()
        return 0

    monkeypatch.setattr(question_module.Question, "exec", keep)
    person.press("Delete")
    assert seen == ["Remove qwen3-coder-30b-a3b? 13.8 GB are freed. You would have to download it again."]
    assert not [call for call in person.legion.models.calls if call[0] == "remove"]
    monkeypatch.setattr(question_module.Question, "exec", lambda self: 1)
    page.installed.setFocus()
    person.press("Delete")
    assert [call for call in person.legion.models.calls if call[0] == "remove"]
    assert person.window.notices.toast.accessibleName() == "Removed qwen3-coder-30b-a3b, 13.8 GB freed"


def test_the_starter_cannot_be_removed_and_says_why(person: Person) -> None:
    models_page(person)
    person.press("Delete")
    assert not [call for call in person.legion.models.calls if call[0] == "remove"]
    assert "always a model" in person.window.notices.toast.accessibleName()


def test_a_models_sum_is_read_again_and_what_changed_is_said(person: Person) -> None:
    page = models_page(person)
    panel = page.model_panel
    panel.verify_button.setFocus()
    person.press("Space")
    assert panel.sum.text() == "Read and compared: 9c41…e07b, as it was stored."
    person.legion.models.digest = "f" * 64
    panel.verify_button.click()
    person.settle()
    assert panel.sum.text().startswith("The file is not the one that was stored: its sum is ffff…ffff.")
    assert panel.sum.property("tone") == "error"
    person.press("Ctrl+1")
    models_page(person)
    person.press("Down")
    assert not panel.sum.isVisible()


def test_what_takes_a_moment_keeps_the_focus_on_its_own_button(person: Person) -> None:
    page = models_page(person)
    for button in (page.model_panel.measure_button, page.model_panel.verify_button):
        button.setFocus()
        person.press("Space")
        assert person.focused is button
    person.window.services.commands.run("models.providers")
    person.settle()
    details = page.provider_panel.details
    details.test.setFocus()
    person.press("Space")
    assert person.focused is details.test
    assert "210 ms" in details.result.text()


def test_a_file_dropped_on_the_page_is_imported(person: Person) -> None:
    page = models_page(person)
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile("/somewhere/mine.gguf")])
    drop = QDropEvent(
        QPointF(5, 5),
        Qt.DropAction.CopyAction,
        mime,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    page.dropEvent(drop)
    person.settle()
    assert person.services.models.selected == "mine"


def test_a_provider_is_added_by_keyboard_after_its_test(person: Person) -> None:
    page = models_page(person)
    person.window.services.commands.run("models.providers")
    person.settle()
    assert page.tabs.current == "providers"
    page.add_button.setFocus()
    person.press("Space")
    form = page.provider_panel.form
    assert person.focused is form.kind
    person.press("Down")
    assert form.kind.currentData() == "openai"
    person.press("Tab")
    person.press("Ctrl+A")
    person.type("mine")
    person.press("Tab")
    person.press("Tab")
    assert person.focused is form.key
    person.type("wrong")
    person.press("Return")
    assert form.result.text() == "The key was refused. Check that it is complete."
    assert not form.save.isEnabled()
    assert form.untested.isVisible()
    person.press("Ctrl+A")
    person.type("right")
    person.press("Return")
    assert form.save.isEnabled()
    person.press("Return")
    assert "mine" in person.legion.providers.rows
    assert not page.provider_panel.is_form


def test_the_key_is_never_shown(person: Person) -> None:
    page = models_page(person)
    page.add_provider()
    form = page.provider_panel.form
    form.key.setText("secret-key")
    assert "secret-key" not in form.key.displayText()


def test_downloads_appear_and_are_cancelled(person: Person) -> None:
    page = models_page(person)
    assert not page.downloads.isVisible()
    person.services.models.pull("mistral")
    person.settle()
    assert page.downloads.isVisible()
    cancel = person.find("download.mistral.cancel")
    assert cancel.accessibleName() == "Cancel: mistral"
    cancel.setFocus()
    person.press("Space")
    assert ("cancel", "mistral") in person.legion.models.calls


def test_a_download_is_paused_and_gone_on_with_by_keyboard_and_the_drawer_folds(person: Person) -> None:
    page = models_page(person)
    for name in ("mistral", "phi"):
        person.services.models.pull(name)
    person.settle()
    hold = person.find("download.mistral.hold")
    assert hold.accessibleName() == "Pause: mistral"
    hold.setFocus()
    person.press("Space")
    assert ("pause", "mistral") in person.legion.models.calls
    assert hold.accessibleName() == "Go on: mistral"
    person.press("Space")
    assert ("resume", "mistral") in person.legion.models.calls
    page.downloads.pause_all.click()
    person.settle()
    assert ("pause", "phi") in person.legion.models.calls
    assert not page.downloads.pause_all.isVisible()
    page.downloads.fold.click()
    assert not hold.isVisible()
    assert page.downloads.fold.accessibleName() == "Show the downloads"


def test_an_address_in_the_own_network_is_only_asked_after_a_yes(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.views import question as question_module

    page = models_page(person)
    page.tabs.choose("discover")
    seen: list[str] = []

    def answer(self: Any) -> int:
        seen.append(self.windowTitle())
        return len(seen) - 1

    monkeypatch.setattr(question_module.Question, "exec", answer)
    for _ in range(2):
        page.address.setFocus()
        person.type("http://192.168.1.5/m.gguf")
        person.press("Return")
    assert seen == ["Download from your own network?"] * 2
    assert [call[2] for call in person.legion.models.calls if call[0] == "pull"] == [False, False, True]


def test_a_model_server_of_this_computer_is_offered_and_added_with_one_click(person: Person) -> None:
    from types import SimpleNamespace

    person.legion.providers.servers = (
        SimpleNamespace(
            kind="ollama", title="Ollama", name="ollama", base_url="http://127.0.0.1:11434", version="0.12",
            models=("/home/ada/models/qwen3.gguf",), needs_key=False, is_added=False,
        ),
    )  # fmt: skip
    person.legion.providers.good_key = None  # type: ignore[assignment]
    page = models_page(person)
    assert ("find",) not in person.legion.providers.calls
    page.tabs.choose("providers")
    person.settle()
    assert page.found.isVisible()
    assert "qwen3.gguf" in {each.words() for each in page.found.findChildren(ElidedLabel)}
    add = person.find("found.ollama.add")
    assert add.accessibleName() == "Add Ollama 0.12, http://127.0.0.1:11434, 1 model"
    add.setFocus()
    person.press("Space")
    assert "ollama" in person.legion.providers.rows
    assert not page.found.isVisible()
    assert page.provider_panel.title.words() == "ollama"


def test_the_form_of_a_family_without_an_address_says_what_may_stand_there(person: Person) -> None:
    page = models_page(person)
    page.tabs.choose("providers")
    page.add_provider()
    form = page.provider_panel.form
    form.kind.setCurrentIndex(form.kind.findData("mlx"))
    assert form.base_url.placeholderText() == "empty, or http://127.0.0.1:8080/v1"
    assert form.key_note.text().startswith("None; its models are folders.")
    assert form.test.isEnabled()


def test_a_setting_is_found_changed_and_reset(person: Person) -> None:
    page = settings_page(person)
    person.press("Ctrl+F")
    assert person.focused.objectName() == "settings.search"
    person.type("broken answer")
    assert list(page._rows) == ["gateway.continue_broken"]
    switch = person.find("setting.gateway.continue_broken.control")
    switch.setFocus()
    person.press("Space")
    assert person.legion.settings.get("gateway.continue_broken") is False
    reset = person.find("setting.gateway.continue_broken.reset")
    assert reset.isVisible()
    reset.setFocus()
    person.press("Space")
    assert person.legion.settings.get("gateway.continue_broken") is True


def test_a_wrong_number_is_said_at_its_field_and_not_written(person: Person) -> None:
    page = settings_page(person)
    field: Any = person.find("setting.gateway.failures.control")
    field.setFocus()
    person.press("Ctrl+A")
    person.type("many")
    person.press("Return")
    assert page._rows["gateway.failures"].fault == "Enter a whole number."
    person.press("Ctrl+A")
    person.type("500")
    person.press("Return")
    assert page._rows["gateway.failures"].fault == "500 is above 100. Enter 100 or less."
    person.press("Ctrl+A")
    person.type("9")
    person.press("Return")
    assert page._rows["gateway.failures"].fault == ""
    assert person.legion.settings.get("gateway.failures") == 9


def test_the_palette_jumps_to_a_setting_of_the_full_level(person: Person) -> None:
    person.press("Ctrl+K")
    person.type(":port")
    person.press("Return")
    person.settle()
    assert person.window.page == "settings"
    assert person.focused.objectName() == "setting.server.port.control"


def test_secrets_are_set_by_name_and_masked(person: Person) -> None:
    page = settings_page(person)
    name: Any = person.find("secrets.name")
    value: Any = person.find("secrets.value")
    name.setFocus()
    person.type("provider-box")
    person.press("Tab")
    person.type("s3cret")
    assert "s3cret" not in value.displayText()
    person.press("Return")
    assert person.legion.secrets.held["provider-box"] == "s3cret"
    assert value.text() == ""
    assert page.findChild(type(person.find("secret.provider-box")), "secret.provider-box") is not None


def test_the_set_up_is_walked_by_enter_and_left_by_escape(person: Person) -> None:
    person.services.commands.run("help.wizard")
    person.settle()
    wizard = person.window.overlay
    assert isinstance(wizard, Wizard)
    for step in (1, 2, 3):
        person.press("Return")
        assert wizard.steps.at == step
        assert wizard.skip.isVisible() is (step < 3)  # at the end nothing is left to be skipped
    person.press("Return")
    assert person.window.overlay is None
    assert person.services.store.flag(WIZARD_DONE)
    person.services.commands.run("help.wizard")
    person.settle()
    person.press("Escape")
    assert person.window.overlay is None
    assert person.focused.objectName() == "composer.field"


def test_in_the_set_up_tab_stays_inside_and_a_letter_begins_a_chat(person: Person) -> None:
    person.services.commands.run("help.wizard")
    person.settle()
    wizard = person.window.overlay
    assert wizard is not None
    for _ in range(12):
        person.press("Tab")
        assert wizard.isAncestorOf(person.focused)
    wizard.findChild(type(person.find("wizard.next")), "wizard.next").setFocus()  # type: ignore[union-attr]
    person.type("H")
    assert person.window.overlay is None
    person.type("ello")
    assert person.window.chat_page.composing.composer.text() == "Hello"


def test_the_theme_of_the_set_up_is_in_force_at_once(person: Person) -> None:
    from app.theme.apply import look

    person.services.commands.run("help.wizard")
    person.settle()
    theme: Any = person.find("wizard.theme")
    theme.changed.emit("dark")
    person.settle()
    assert look().theme == "dark"


def test_export_writes_the_chat(person: Person, tmp_path: Path) -> None:
    import asyncio

    cid = person.legion.chat.add("Chat", "q", "a")
    person.services.chat.open(cid)
    seen: list[Any] = []
    original = person.stage.spawner.spawn

    def spawn(name: str, work: Any) -> None:
        if name == "app.conversation.export":
            seen.append(asyncio.run(work))
        else:
            original(name, work)

    person.stage.spawner.spawn = spawn  # type: ignore[method-assign]
    person.window.chat_page._write_export(cid, str(tmp_path / "chat.md"))
    assert (tmp_path / "chat.md").read_text(encoding="utf-8") == "q\n\na"
    assert person.window.notices.toast.accessibleName() == "Saved chat.md"


def test_about_shows_the_version_and_the_licences(person: Person) -> None:
    person.services.commands.run("help.about")
    person.settle()
    text: Any = person.find("about.licences")
    said = text.toPlainText()
    assert "Apache License" in said
    assert "SIL Open Font License" in said
    assert "Lucide" in said
    person.find("about.close").setFocus()
    person.press("Space")


def test_the_sheet_lists_every_key(person: Person) -> None:
    from PySide6.QtWidgets import QLabel

    from app.commands import COMMANDS, spoken

    person.press("Ctrl+/")
    words = {label.text() for label in person.find("shortcuts").findChildren(QLabel)}
    assert {spoken(command.shortcut) for command in COMMANDS if command.shortcut} <= words
    person.press("Escape")


def test_the_engines_tab_says_how_each_process_is(person: Person) -> None:
    from legion_core.api.models import EngineRow

    person.legion.models.processes = (
        EngineRow(model="smollm2-135m", state="ready", pid=47, engine="llama.cpp", version="0.4", starts=2, crashes=1),
    )  # fmt: skip
    person.services.commands.run("models.engines")
    person.settle()
    page = person.window.current
    line = page.engines.lines.rows[0]  # type: ignore[attr-defined]
    assert line.title == "smollm2-135m"
    assert line.detail == "llama.cpp 0.4, process 47, started 2 times, crashed once"


@pytest.mark.parametrize("state", ["ready", "starting", "backing_off", "stopped"])
def test_every_state_of_a_process_has_its_pill_and_icon(state: str) -> None:
    from app.theme.tokens import resource_path
    from app.views.models.page import PROCESS_PILLS

    assert resource_path("icons", f"{PROCESS_PILLS[state][2]}.svg").is_file()


def test_the_head_of_the_settings_names_the_group_that_was_chosen_also_the_last(person: Person) -> None:
    """The last group is short: it cannot be scrolled to the top."""
    person.press("Ctrl+,")
    page: Any = person.window.current
    for name in (*page.groups.names, page.groups.names[0]):
        page.list.setCurrentIndex(page.groups.index(page.groups.names.index(name)))
        person.settle()
        assert page.head_title.text() == name


@pytest.mark.parametrize("keys", ["Ctrl+2", "Ctrl+3", "Ctrl+5", "Ctrl+9"])
def test_an_inspector_that_was_closed_is_brought_back_by_mouse_too(person: Person, keys: str) -> None:
    person.press(keys)
    page: Any = person.window.current
    opener = person.find(f"{page.page}.showInspector")
    assert page.is_inspector_shown
    assert not opener.isVisible()
    page.toggle_inspector()
    assert opener.isVisible()
    opener.click()  # pyright: ignore[reportAttributeAccessIssue]
    assert page.is_inspector_shown
    assert not opener.isVisible()


def test_a_tab_without_an_inspector_offers_none_and_what_was_wanted_is_kept(person: Person) -> None:
    person.press("Ctrl+3")
    page: Any = person.window.current
    opener = person.find("routing.showInspector")
    page.tabs.choose("spend")
    assert not page.is_inspector_shown
    assert not opener.isVisible()
    page.tabs.choose("ladder")
    assert page.is_inspector_shown
    page.toggle_inspector()
    page.tabs.choose("spend")
    page.tabs.choose("ladder")
    assert not page.is_inspector_shown  # as the person left it
