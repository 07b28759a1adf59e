from app.viewmodels.palette import Item, PaletteIndex, from_conversations, from_models, from_settings
from tests.gui.conftest import Stage
from tests.support.aio import run


def index(stage: Stage) -> PaletteIndex:
    stage.legion.chat.add("Packing list for the survey boat trip", "q", "a")
    return PaletteIndex(
        [
            Item("Commands", "command:trip", "Trip circuit", words="open break"),
            Item("Commands", "command:new", "New chat"),
            Item("Help", "command:help.about", "About Legion Workbench", words="version licences"),
            *from_conversations(run(stage.legion.chat.list())),
            *from_settings(stage.legion.settings.rows()),
            *from_models(run(stage.legion.models.list())),
        ]
    )


def keys(stage: Stage, query: str) -> list[str]:
    return [hit.item.key for hit in index(stage).search(query)]


def test_everything_is_found_in_groups(stage: Stage) -> None:
    groups = [hit.item.group for hit in index(stage).search("t")]
    assert groups == [
        group for at, group in enumerate(groups) if group not in groups[:at] or groups[at - 1] == group
    ]
    assert keys(stage, "trip")[0] == "command:trip"
    assert any(key.startswith("chat:") for key in keys(stage, "trip"))


def test_a_prefix_narrows_to_one_group(stage: Stage) -> None:
    assert all(key.startswith("model:") for key in keys(stage, "@"))
    assert all(key.startswith("setting:") for key in keys(stage, ":thin"))
    assert keys(stage, ">new") == ["command:new"]
    assert keys(stage, "?about") == ["command:help.about"]


def test_further_words_find_a_command_without_being_marked(stage: Stage) -> None:
    hit = index(stage).search("licences")[0]
    assert hit.item.key == "command:help.about"
    assert hit.spans == ()


def test_settings_show_their_value_but_never_a_secret(stage: Stage) -> None:
    hit = next(hit for hit in index(stage).search(":failures") if hit.item.key == "setting:gateway.failures")
    assert hit.item.detail == "5 failures"
