"""The forms of the Providers tab: one that adds a provider, one that says what a model can."""

from typing import Any

import msgspec
from PySide6.QtWidgets import QComboBox, QLabel, QPushButton

from app.views.models.page import ModelsPage
from app.views.models.providers import ProviderForm
from app.widgets.switch import Switch
from legion_core.api.types import ModelFacts, ModelOffer, ProviderRow
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
