import msgspec
import pytest

from app.viewmodels.settings import SettingsViewModel, is_changed
from tests.gui.conftest import Stage


@pytest.fixture
def settings(stage: Stage) -> SettingsViewModel:
    made = SettingsViewModel(stage.bridge)
    stage.connect()
    return made


def test_simple_shows_the_common_ones_and_full_all(settings: SettingsViewModel) -> None:
    assert "Network" not in settings.groups
    settings.show_full(True)
    assert "Network" in settings.groups
    assert settings.groups[-2:] == ("Secrets", "Access")


def test_a_search_looks_through_every_level(settings: SettingsViewModel) -> None:
    settings.search("port")
    assert [row.key for row in settings.shown()] == ["server.port"]
    assert settings.hits("Network") == 1
    settings.search("thin line")
    assert [row.key for row in settings.shown()] == ["gateway.continue_broken"]


def test_a_change_is_in_force_at_once_and_can_be_undone(stage: Stage, settings: SettingsViewModel) -> None:
    assert settings.changed_count() == 1
    settings.set("gateway.continue_broken", False)
    assert stage.legion.settings.get("gateway.continue_broken") is False
    assert settings.changed_count() == 2
    settings.undo()
    assert stage.legion.settings.get("gateway.continue_broken") is True
    assert not settings.can_undo


def test_a_refused_value_is_told_at_its_field_and_the_old_one_stays(
    stage: Stage, settings: SettingsViewModel
) -> None:
    settings.set("gateway.failures", 5000)
    assert settings.errors == {"gateway.failures": "5000 is above 100. Enter 100 or less."}
    assert stage.legion.settings.get("gateway.failures") == 5
    assert not settings.can_undo
    settings.set("gateway.failures", 7)
    assert settings.errors == {}


def test_a_reset_puts_the_default_back(stage: Stage, settings: SettingsViewModel) -> None:
    settings.reset("gateway.failures")
    assert stage.legion.settings.get("gateway.failures") == 3
    settings.undo()
    assert stage.legion.settings.get("gateway.failures") == 5


def test_setting_the_same_value_writes_nothing(stage: Stage, settings: SettingsViewModel) -> None:
    settings.set("gateway.failures", 5)
    assert not settings.can_undo


def test_only_what_changed_is_told(settings: SettingsViewModel) -> None:
    told: list[str] = []
    settings.value_changed.connect(told.append)
    settings.set("appearance.theme", "dark")
    assert set(told) == {"appearance.theme"}


def test_a_change_from_elsewhere_is_shown(stage: Stage, settings: SettingsViewModel) -> None:
    from tests.support.aio import run

    run(stage.legion.settings.set("appearance.theme", "light"))
    stage.deliver()
    assert settings.value("appearance.theme") == "light"


def test_secrets_go_in_and_only_names_come_out(stage: Stage, settings: SettingsViewModel) -> None:
    settings.refresh_secrets()
    settings.set_secret(" mine ", "value")
    assert settings.secret_names == ("mine", "provider-openai-main")
    assert settings.secret_backend == "keyring"
    settings.remove_secret("mine")
    assert settings.secret_names == ("provider-openai-main",)


def test_what_the_environment_says_was_not_changed_here(settings: SettingsViewModel) -> None:
    row = settings.rows[0]
    other = msgspec.structs.replace(row, value="elsewhere", default="here")
    assert is_changed(other)
    assert not is_changed(msgspec.structs.replace(other, from_environment="LEGION_PORT"))
