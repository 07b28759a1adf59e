"""The form that adds a provider: the kinds there are, each once, however often they are told."""

from PySide6.QtWidgets import QComboBox

from app.views.models.providers import ProviderForm
from tests.gui.conftest import Person


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
