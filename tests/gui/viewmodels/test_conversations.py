from datetime import timedelta

import pytest

from app.viewmodels.conversations import ConversationsViewModel, match_in
from tests.gui.conftest import Stage


@pytest.fixture
def chats(stage: Stage) -> ConversationsViewModel:
    chat = stage.legion.chat
    chat.add("Rota", "when", "Two shifts", pinned=True, age=timedelta(days=20))
    chat.add("Importer", "why", "Because")
    chat.add("Backup", "slow?", "Small files", age=timedelta(days=1))
    made = ConversationsViewModel(stage.bridge, stage.now)
    stage.connect()
    return made


def shown(chats: ConversationsViewModel) -> list[str]:
    return [row.caption or (row.conversation.title if row.conversation else "") for row in chats.rows]


def test_chats_stand_under_pinned_and_days(chats: ConversationsViewModel) -> None:
    assert shown(chats) == ["Pinned", "Rota", "Today", "Importer", "Yesterday", "Backup"]


def test_a_search_shows_matches_only_and_an_empty_one_all(
    stage: Stage, chats: ConversationsViewModel
) -> None:
    chats.search("small")
    chats.refresh()
    assert shown(chats) == ["1 match", "Backup"]
    chats.search("")
    chats.refresh()
    assert len(shown(chats)) == 6


def test_facts_of_one_frame_make_one_load(stage: Stage, chats: ConversationsViewModel) -> None:
    ids = list(stage.legion.chat.conversations)
    before = len(stage.legion.chat.calls)
    chats.toggle_pin(ids[1])
    chats.rename(ids[2], "Backups")
    stage.deliver()
    loads = [call for call in stage.legion.chat.calls[before:] if call[0] == "list"]
    assert len(loads) == 1
    assert shown(chats) == ["Pinned", "Importer", "Rota", "Yesterday", "Backups"]


def test_loads_that_overlap_become_one_more(stage: Stage, chats: ConversationsViewModel) -> None:
    before = len(stage.legion.chat.calls)
    stage.spawner.hold()
    for _ in range(5):
        chats.refresh()
    stage.spawner.release()
    assert len(stage.legion.chat.calls) - before == 2


def test_the_trash_takes_a_chat_and_gives_it_back(stage: Stage, chats: ConversationsViewModel) -> None:
    told: list[tuple[str, str]] = []
    gone: list[str] = []
    chats.trashed.connect(lambda *words: told.append(words))
    chats.gone.connect(gone.append)
    wanted = next(row.id for row in chats.rows if row.conversation and row.conversation.title == "Importer")
    chats.trash(wanted)
    stage.deliver()
    assert told == [(wanted, "Importer")]
    assert wanted in gone
    assert "Importer" not in shown(chats)
    chats.show_trash(True)
    assert "Importer" in shown(chats)
    chats.restore(wanted)
    chats.show_trash(False)
    assert "Importer" in shown(chats)


def test_an_empty_name_is_not_given(stage: Stage, chats: ConversationsViewModel) -> None:
    chats.rename(chats.rows[1].id, "   ")
    assert not [call for call in stage.legion.chat.calls if call[0] == "rename"]


def test_more_is_loaded_only_when_a_page_was_full(stage: Stage, chats: ConversationsViewModel) -> None:
    before = len(stage.legion.chat.calls)
    chats.load_more()
    assert len(stage.legion.chat.calls) == before
    for at in range(200):
        stage.legion.chat.add(f"more {at}")
    chats.refresh()
    assert len(chats.found) == 200
    chats.load_more()
    assert len(chats.found) == 203


@pytest.mark.parametrize(
    ("snippet", "words"),
    [
        ("a «tide» «table» here, a «tide»", "tide table"),
        ("…of «Ebbe» and «Flut»", "Ebbe"),
        ("only the title matched", ""),
        ("a «cut", ""),
    ],
)
def test_what_a_search_marked_is_looked_for_in_the_chat(snippet: str, words: str) -> None:
    assert match_in(snippet) == words
