"""The forms of the Providers tab: one that adds a provider, one that says what a model can."""

from typing import Any

import msgspec
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QLabel, QPushButton

from app.views.models.page import ModelsPage
from app.views.models.providers import ProviderForm
from app.widgets.switch import Switch
from legion_core.api.types import ModelFacts, ModelOffer, ModelPrice, ProviderRow
from tests.gui.conftest import Person

BOX = ProviderRow(
    name="box-a",
    kind="vllm",
    tier="direct",
    base_url="http://box-a:8000/v1",
    models=(ModelOffer(id="qwen3-32b", context=8192), ModelOffer(id="gemma-3", context=8192)),
)


def offered(kind: QComboBox) -> list[str]:
    return [str(kind.itemData(at)) for at in range(kind.count())]


def test_kinds_that_change_while_the_form_is_open_stand_in_it_once_each(person: Person) -> None:
    person.window.go("models")
    person.settle()
    providers = person.services.providers
    form = ProviderForm(providers, lambda: None)
    person.qtbot.addWidget(form)
    known = providers.kinds
    assert len(known) > 1
    for kinds in (known, known[:1], known):
        providers.kinds = kinds
        form._fill_kinds()
        assert offered(form.kind) == [each.kind for each in kinds]


def on_the_box(person: Person) -> ModelsPage:
    person.legion.providers.rows[BOX.name] = BOX
    page = person.window.go("models")
    assert isinstance(page, ModelsPage)
    person.services.providers.refresh()
    person.settle()
    page.choose_provider("box-a")
    person.settle()
    return page


def found(page: ModelsPage, kind: type, name: str) -> Any:
    made = page.provider_panel.findChild(kind, name)
    assert made is not None, name
    return made


def test_the_provider_just_added_is_the_chosen_one_of_the_list(person: Person) -> None:
    page = person.window.go("models")
    assert isinstance(page, ModelsPage)
    page.tabs.choose("providers")
    person.settle()
    assert page.providers.current_key == "built-in"
    page.add_provider()
    providers = person.services.providers
    providers.begin_form("ollama")
    providers.edit_form(name="box-b", key=person.legion.providers.good_key)
    providers.test_form()
    person.settle()
    providers.save_form()
    person.settle()
    assert page.provider_panel.name == "box-b"
    assert page.providers.current_key == "box-b"


def test_what_a_model_can_is_set_from_its_line_by_keyboard(person: Person) -> None:
    page = on_the_box(person)
    models = page.provider_panel.details.models
    models.setFocus()
    models.select("qwen3-32b")
    person.press("Return")
    person.settle()
    form = page.provider_panel.facts
    assert form is not None
    assert page.provider_panel.stack.currentWidget() is form
    assert form.context.text() == "8192"
    assert not form.save.isEnabled()
    person.type("32,768")
    tools: Switch = found(page, Switch, "model.can.tools")
    tools.click()
    assert form.save.isEnabled()
    form.save.click()
    person.settle()
    told = [call for call in person.legion.providers.calls if call[0] == "describe_model"]
    # Only what was changed is said: the rest stays as the server tells.
    assert told == [("describe_model", "box-a", ModelFacts(model="qwen3-32b", context=32_768, tools=True))]
    assert not page.provider_panel.is_form
    line = models.lines.rows[0]
    assert line.spoken == "qwen3-32b, Set by you, 32k, tools"


def test_asking_the_model_fills_the_form_and_saves_nothing(person: Person) -> None:
    page = on_the_box(person)
    page.provider_panel.show_model("qwen3-32b")
    found(page, QPushButton, "model.ask").click()
    person.settle()
    assert found(page, Switch, "model.can.tools").isChecked()
    assert found(page, QLabel, "model.found.tools").text() == "It called the tool."
    assert found(page, QLabel, "model.found.vision").property("tone") == "secondary"
    assert not found(page, QLabel, "model.found.structured_output").isVisibleTo(page.provider_panel)
    assert not [call for call in person.legion.providers.calls if call[0] == "describe_model"]
    person.press("Escape")
    assert not page.provider_panel.is_form


def test_what_was_set_is_given_back_to_the_server(person: Person) -> None:
    page = on_the_box(person)
    rows = person.legion.providers.rows
    rows["box-a"] = msgspec.structs.replace(BOX, described=("gemma-3",))
    person.services.providers.refresh()
    person.settle()
    page.provider_panel.show_model("qwen3-32b")
    assert not found(page, QPushButton, "model.forgetFacts").isVisibleTo(page.provider_panel)
    page.provider_panel.show_model("gemma-3")
    found(page, QPushButton, "model.forgetFacts").click()
    person.settle()
    assert ("forget_model", "box-a", "gemma-3") in person.legion.providers.calls
    assert rows["box-a"].described == ()


def test_a_context_that_is_no_number_is_said_at_its_field(person: Person) -> None:
    page = on_the_box(person)
    page.provider_panel.show_model("gemma-3")
    form = page.provider_panel.facts
    assert form is not None
    form.context.setFocus()
    person.type("many")
    assert form.error.text().startswith("Enter how many tokens")
    assert not form.save.isEnabled()
    assert form.context.property("error") is True


def begun(person: Person, *, key: str = "") -> ProviderForm:
    page = person.window.go("models")
    assert isinstance(page, ModelsPage)
    page.tabs.choose("providers")
    page.add_provider()
    person.settle()
    providers = person.services.providers
    providers.begin_form("openai")
    providers.edit_form(name="alpha", key=key or person.legion.providers.good_key)
    return page.provider_panel.form


def test_the_focus_stays_on_the_test_and_goes_on_to_save_once_it_is_good(person: Person) -> None:
    form = begun(person, key="wrong")
    form.test.setFocus(Qt.FocusReason.TabFocusReason)
    person.press("Space")
    assert form.test.hasFocus(), "while it asks"
    person.settle()
    assert form.test.hasFocus()
    person.services.providers.edit_form(key=person.legion.providers.good_key)
    person.press("Space")
    person.settle()
    assert form.save.hasFocus()
    person.press("Return")
    person.settle()
    assert "alpha" in person.legion.providers.rows


def test_without_a_keyring_the_form_asks_for_a_passphrase_and_keeps_the_key_under_it(person: Person) -> None:
    person.legion.secrets.store = "none"
    form = begun(person)
    assert form.passphrase.isVisible()
    assert "passphrase" in form.key_note.text()
    form.test.click()
    person.settle()
    assert not form.save.isEnabled()
    assert "passphrase" in form.save.toolTip()

    form.passphrase.setFocus()
    person.type("wrong words")
    form.save.click()
    person.settle()
    assert "passphrase is wrong" in form.result.text()
    assert form.save.isEnabled(), "the provider itself was tested"
    form.passphrase.selectAll()
    person.type(person.legion.secrets.passphrase)
    person.press("Return")
    person.settle()
    assert "alpha" in person.legion.providers.rows


def test_no_passphrase_is_asked_for_where_there_is_no_key_to_keep(person: Person) -> None:
    person.legion.secrets.store = "none"
    form = begun(person)
    person.services.providers.edit_form(key="")
    assert not form.passphrase.isVisible()


def test_an_instance_that_waits_for_its_key_is_unlocked_where_it_says_so(person: Person) -> None:
    person.legion.secrets.store = "locked"
    person.legion.providers.rows[BOX.name] = msgspec.structs.replace(
        BOX, has_key=True, models=(), problem="The secrets are locked."
    )
    page = person.window.go("models")
    assert isinstance(page, ModelsPage)
    person.services.providers.refresh()
    person.settle()
    page.choose_provider("box-a")
    person.settle()
    details = page.provider_panel.details
    details.passphrase.setFocus()
    person.type(person.legion.secrets.passphrase)
    person.press("Return")
    person.settle()
    assert person.legion.secrets.store == "file"
    assert not details.passphrase.isVisible()
    assert details.passphrase.text() == ""


def test_the_tier_that_was_chosen_is_saved_and_else_left_to_the_address(person: Person) -> None:
    form = begun(person)
    assert person.services.providers.spec.tier == ""
    form.tier.setCurrentIndex(form.tier.findData("frontier"))
    form.test.click()
    person.settle()
    form.save.click()
    person.settle()
    assert person.legion.providers.rows["alpha"].tier == "frontier"
    person.services.providers.begin_form("ollama")
    assert person.services.providers.spec.tier == ""


def test_looking_at_the_providers_takes_on_what_was_written_by_hand(person: Person) -> None:
    before = person.legion.settings.looks
    begun(person)
    person.services.providers.refresh()
    person.settle()
    assert person.legion.settings.looks > before


def test_whose_key_cannot_be_had_is_said_at_the_start_until_it_can(person: Person) -> None:
    held, locked = person.legion.providers.rows, "The secrets are locked. Unlock them in the window."
    for name in ("a", "b", "c", "d"):
        held[name] = msgspec.structs.replace(BOX, name=name, has_key=True, problem=locked)
    person.window.notices.engine_started(None)
    person.settle()
    banner = person.window.banner
    assert banner.words.text() == "a, b and 2 more cannot be asked: the secrets are locked."
    person.find("banner.keys").click()  # type: ignore[attr-defined]
    person.settle()
    page = person.window.current
    assert isinstance(page, ModelsPage)
    assert page.provider_panel.name == "a"
    assert banner.isVisible()
    for name in ("a", "b", "c", "d"):
        held[name] = msgspec.structs.replace(held[name], problem="")
    person.services.providers.refresh()
    person.settle()
    assert not banner.isVisible()


def test_a_price_that_is_unknown_is_said_in_the_form_of_the_model(person: Person) -> None:
    page = on_the_box(person)
    page.provider_panel.show_model("qwen3-32b")
    person.settle()
    form = page.provider_panel.facts
    assert form is not None
    assert (form.price_in.text(), form.price_out.text()) == ("", "")
    form.price_in.setFocus()
    person.type("$0.15")
    assert not form.price_error.isHidden()
    assert not form.save.isEnabled()
    form.price_out.setFocus()
    person.type("0.6")
    assert form.price_error.isHidden()
    person.press("Return")
    person.settle()
    told = [call for call in person.legion.providers.calls if call[0] == "describe_model"]
    assert told[0][2] == ModelFacts(model="qwen3-32b", price=ModelPrice(input=0.15, output=0.6))
