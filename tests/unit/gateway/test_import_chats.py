"""Exports of other programs come in whole or not at all, once."""

import json
from pathlib import Path

import pytest

from legion_core.gateway.import_chats import read_chats
from legion_core.kernel.errors import InvalidInput
from legion_core.testing.gateway import open_gateway
from tests.support.aio import run


def chatgpt() -> list[dict[str, object]]:
    def node(name: str, parent: str | None, role: str, *parts: object) -> dict[str, object]:
        message = {
            "author": {"role": role},
            "content": {"content_type": "text", "parts": list(parts)},
            "create_time": 1.7e9,
        }
        return {"id": name, "parent": parent, "message": message, "children": []}

    mapping = {
        "root": {"id": "root", "parent": None, "message": None, "children": ["sys"]},
        "sys": node("sys", "root", "system", ""),
        "q": node("q", "sys", "user", "Where is Ålesund?"),
        "a1": node("a1", "q", "assistant", "In Sweden."),
        "a2": node("a2", "q", "assistant", "In Norway.", {"content_type": "image_asset_pointer"}),
        "q2": node("q2", "a2", "user", "Thanks."),
    }
    return [{"title": "Towns", "create_time": 1.7e9, "mapping": mapping, "current_node": "q2"}]


CLAUDE = [
    {
        "uuid": "1",
        "name": "Pasta",
        "created_at": "2025-03-01T10:00:00Z",
        "chat_messages": [
            {
                "sender": "human",
                "text": "Carbonara?",
                "attachments": [{"file_name": "a.txt", "extracted_content": "egg"}],
            },
            {"sender": "assistant", "text": "", "content": [{"type": "text", "text": "Guanciale."}]},
        ],
    },
    {"uuid": "2", "name": "Empty", "created_at": "2025-03-01T10:00:00Z", "chat_messages": []},
]


def test_a_chatgpt_export_comes_with_its_branches_and_the_one_that_was_shown(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            chat = under_test.gateway.chat
            data = json.dumps(chatgpt()).encode()

            took = await chat.import_chats(data)
            view = await chat.open(took.conversations[0])

            assert view.conversation.title == "Towns"
            assert [message.text for message in view.messages] == [
                "Where is Ålesund?",
                "In Norway.\n[image_asset_pointer]",
                "Thanks.",
            ]
            assert view.messages[1].variants == 2
            assert [row.id for row in await chat.list("alesund")] == [took.conversations[0]]
            again = await chat.import_chats(data)
            assert (again.conversations, again.known) == ((), 1)

    run(scenario())


def test_a_claude_export_comes_with_its_attachments() -> None:
    chats = read_chats(json.dumps(CLAUDE).encode())

    assert [chat.title for chat in chats] == ["Pasta"]
    assert [node.message.text for node in chats[0].nodes] == ["Carbonara?\n\n[a.txt]\negg", "Guanciale."]


def test_json_lines_come_with_calls_and_results_and_broken_bytes_are_marked() -> None:
    lines = b'{"role": "user", "content": "caf\xe9"}\n{"role": "assistant", "content": "yes"}\n'
    (chat,) = read_chats(lines)

    assert [node.message.text for node in chat.nodes] == ["caf\ufffd", "yes"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{nonsense",
        b'[{"mapping": [1, 2]}]',
        b'[{"mapping": {"a": {"message": 3, "parent": null}}, "create_time": "soon"}]',
        b'[{"chat_messages": [3], "name": "x"}]',
        b'{"role": "wizard", "content": "x"}',
    ],
)
def test_what_is_no_export_is_refused_with_a_sentence(data: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_chats(data, "chats.json")
    assert "chats.json" in refused.value.sentence()


def test_a_ring_of_parents_does_not_hang() -> None:
    told = chatgpt()
    mapping = told[0]["mapping"]
    mapping["q"]["parent"] = "q2"  # type: ignore[index]

    (chat,) = read_chats(json.dumps(told).encode())

    assert len(chat.nodes) == 4
    assert all(node.parent is None or node.parent < place for place, node in enumerate(chat.nodes))
