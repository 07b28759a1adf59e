"""Exports as they really are: many kinds of content, branches, files of any size, taken in once and only what is new."""

import asyncio
import base64
import io
import json
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.gateway.conversation_types import ImportProgress
from legion_core.gateway.import_chats import Notes, open_chats, read_chats
from legion_core.gateway.import_stream import CutShort, objects_in
from legion_core.gateway.import_types import ImportedChat, Node
from legion_core.gateway.types import (
    ImageBlock,
    Message,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from legion_core.kernel.errors import InvalidInput
from legion_core.testing.gateway import open_gateway
from legion_core.testing.scripted import ScriptedProvider, say
from tests.support.aio import run

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def node(name: str, parent: str | None, role: str, content: dict[str, Any], **more: Any) -> dict[str, Any]:
    author = {"role": role, **({"name": more.pop("tool")} if "tool" in more else {})}
    message = {
        "id": name,
        "author": author,
        "content": content,
        "create_time": 1.7e9,
        "recipient": "all",
        **more,
    }
    return {"id": name, "parent": parent, "message": message, "children": []}


def text(*parts: object) -> dict[str, Any]:
    return {
        "content_type": "multimodal_text" if any(isinstance(p, dict) for p in parts) else "text",
        "parts": list(parts),
    }


def chatgpt() -> dict[str, Any]:
    picture = {
        "content_type": "image_asset_pointer", "asset_pointer": "file-service://file-AbC123", "width": 1, "height": 1,
    }  # fmt: skip
    nodes = [
        {"id": "root", "parent": None, "message": None, "children": []},
        node("rule", "root", "system", text("Answer briefly.")),
        node(
            "me", "rule", "user",
            {"content_type": "user_editable_context", "user_profile": "I am Ida.", "user_instructions": "Be kind."},
            metadata={"is_visually_hidden_from_conversation": True},
        ),
        node(
            "q", "me", "user", text(picture, "What is this?"),
            metadata={"attachments": [{"id": "file-AbC123", "name": "a.png"}, {"id": "file-Doc9", "name": "plan.pdf"}]},
        ),
        node("th", "q", "assistant", {"content_type": "thoughts", "thoughts": [{"summary": "Look", "content": "at it"}]}),
        node("call", "th", "assistant", {"content_type": "code", "text": "print(1)"}, recipient="python"),
        node("gave", "call", "tool", {"content_type": "execution_output", "text": "1"}, tool="python"),
        node("a", "gave", "assistant", text("A dot.\ue200cite\ue202turn0search1\ue201")),
        node("a2", "gave", "assistant", text("A point.")),
        node("web", "a", "tool", {"content_type": "tether_quote", "title": "Dots", "url": "https://x", "text": "Dots are."}, tool="browser"),
        node("odd", "web", "assistant", {"content_type": "super_widget", "payload": {"x": 1}}),
        node("voice", "odd", "user", text({"content_type": "audio_transcription", "text": "And now?"}, {"content_type": "audio_asset_pointer", "asset_pointer": "sediment://file_77"})),
    ]  # fmt: skip
    return {
        "title": "Dots", "create_time": 1.7e9, "conversation_id": "c-1", "current_node": "voice",
        "mapping": {each["id"]: each for each in nodes},
    }  # fmt: skip


def claude() -> dict[str, Any]:
    root = "00000000-0000-4000-8000-000000000000"

    def said(name: str, parent: str, sender: str, *content: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {
            "uuid": name, "text": "", "content": list(content), "sender": sender, "parent_message_uuid": parent,
            "created_at": "2026-01-01T10:00:00.123456Z", "attachments": [], "files": [], **more,
        }  # fmt: skip

    words = {"type": "text", "text": "Plan my week.", "citations": []}
    return {
        "uuid": "k-1",
        "name": "Weeks",
        "created_at": "2026-01-01T10:00:00Z",
        "chat_messages": [
            said("u1", root, "human", words, files=[{"file_name": "week.png"}],
                 attachments=[{"file_name": "", "extracted_content": "Mon"}]),
            said(
                "a1", "u1", "assistant",
                {"type": "thinking", "thinking": "First the calendar."},
                {"type": "tool_use", "id": "toolu_1", "name": "calendar", "input": {"days": 7}},
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "Mon: dentist"}]},
                {"type": "token_budget"},
                {"type": "text", "text": "Monday is full."},
                {"type": "hologram", "data": [1]},
            ),
            said("u2", "a1", "human", {"type": "text", "text": "And Tuesday?"}),
            said("a2", "u2", "assistant", {"type": "text", "text": "Free."}),
            said("u2b", "a1", "human", {"type": "text", "text": "And Friday?"}),
        ],
    }  # fmt: skip


@pytest.mark.requirement("conversations.import")
def test_everything_chatgpt_writes_comes_and_what_is_unknown_is_said() -> None:
    notes = Notes()
    (chat,) = read_chats(json.dumps([chatgpt()]).encode(), "c.json", notes)
    by_key = {each.key: each for each in chat.nodes}

    assert [each.key for each in chat.nodes if each.is_system] == ["rule", "me"]
    assert by_key["me"].message.text == "I am Ida.\n\nBe kind."
    assert "[picture: file-AbC123, 1 × 1]" in by_key["q"].message.text
    assert "[attached: plan.pdf]" in by_key["q"].message.text
    assert "a.png" not in by_key["q"].message.text
    assert by_key["th"].message.content == (ThinkingBlock(text="Look\nat it", origin="openai"),)
    call = by_key["call"].message.content[0]
    assert isinstance(call, ToolUseBlock)
    assert (call.name, json.loads(call.arguments)) == ("python", {"input": "print(1)"})
    assert by_key["gave"].message.content == (ToolResultBlock(call_id=call.id, text="1"),)
    assert (by_key["gave"].message.role, by_key["a"].message.text) == ("tool", "A dot.")
    assert by_key["a"].parent == by_key["a2"].parent == chat.nodes.index(by_key["gave"])
    assert by_key["web"].message.text == "[browser]\n\nDots\n\nhttps://x\n\nDots are."
    assert '"x": 1' in by_key["odd"].message.text
    assert by_key["voice"].message.text == "And now?\n[audio: file_77]"
    assert chat.head == chat.nodes.index(by_key["voice"])
    told = " ".join(notes.sentences())
    assert "super_widget (1)" in told
    assert "3 pictures and files" in told


@pytest.mark.requirement("conversations.import")
def test_everything_claude_writes_comes_with_its_branches() -> None:
    notes = Notes()
    (chat,) = read_chats(json.dumps([claude()]).encode(), "c.json", notes)
    by_key = {each.key: each for each in chat.nodes}

    assert by_key["u1"].message.text == "Plan my week.\n\n[attachment]\nMon\n\n[attached: week.png]"
    assert by_key["a1"].message.content == (
        ThinkingBlock(text="First the calendar.", origin="anthropic"),
        ToolUseBlock(id="toolu_1", name="calendar", arguments='{"days": 7}'),
    )
    assert by_key["a1#1"].message.content == (ToolResultBlock(call_id="toolu_1", text="Mon: dentist"),)
    assert by_key["a1#2"].message.text.startswith("Monday is full.[hologram]")
    assert by_key["u2"].parent == by_key["u2b"].parent == chat.nodes.index(by_key["a1#2"])
    assert chat.head == chat.nodes.index(by_key["u2b"])
    assert notes.as_text == {"hologram": 1}


def test_a_zip_brings_its_pictures_and_projects(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", json.dumps([chatgpt(), claude()]))
        archive.writestr("chat.html", "<html>")
        archive.writestr("file-AbC123-a.png", PNG)
        project = {
            "uuid": "p",
            "name": "Tides",
            "prompt_template": "Use metres.",
            "docs": [{"filename": "t.md", "content": "low"}],
        }
        archive.writestr("projects.json", json.dumps([project, {"uuid": "q", "name": "None", "docs": []}]))
    chats = list(open_chats(path, Notes()))

    assert [chat.title for chat in chats] == ["Dots", "Weeks", "Project: Tides"]
    question = next(each for each in chats[0].nodes if each.key == "q")
    assert question.message.content[0] == ImageBlock(
        media_type="image/png", data=base64.b64encode(PNG).decode()
    )
    assert [each.is_system for each in chats[2].nodes] == [True, False]


@pytest.mark.requirement("conversations.import")
def test_a_longer_export_adds_only_what_is_new_and_leaves_what_was_said_here(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            chat = under_test.gateway.chat
            box = under_test.put(ScriptedProvider("box", say("here")))
            first = claude()
            first["chat_messages"] = first["chat_messages"][:3]
            (name,) = (await chat.import_chats(json.dumps([first]).encode())).conversations
            again = await chat.import_chats(json.dumps([first]).encode())
            assert (again.conversations, again.grown, again.known) == ((), (), 1)

            longer = await chat.import_chats(json.dumps([claude()]).encode())
            assert (longer.conversations, longer.grown, longer.known) == ((), (name,), 0)
            view = await chat.open(name)
            assert view.messages[-1].text == "And Friday?"
            assert view.messages[-1].variants == 2
            assert [len(each.calls) for each in view.messages] == [0, 1, 0, 0, 0]
            assert (await chat.verify(name)).damaged == ()

            await chat.finished(await chat.send(name, "And here?"))
            more = claude()
            more["chat_messages"].append(
                {**more["chat_messages"][3], "uuid": "a3", "parent_message_uuid": "u2b"}
            )
            await chat.import_chats(json.dumps([more]).encode())
            assert (await chat.open(name)).messages[-1].text == "here"  # what was said here stays in sight
            assert len(box.calls) == 1

    run(scenario())


@pytest.mark.requirement("conversations.import")
def test_system_lines_come_and_rule_what_is_said_next(tmp_path: Path) -> None:
    lines = (
        b'{"role": "system", "content": "Speak Norwegian."}\n{"role": "developer", "content": "No emoji."}\n'
        b'{"role": "user", "content": "Hi"}\n{"role": "assistant", "content": "Hei"}\n'
    )

    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            chat = under_test.gateway.chat
            box = under_test.put(ScriptedProvider("box", say("Bra")))
            (name,) = (await chat.import_chats(lines)).conversations
            view = await chat.open(name)
            assert [message.role for message in view.messages] == ["system", "system", "user", "assistant"]
            assert view.conversation.title == "Hi"
            await chat.finished(await chat.send(name, "Again"))

            sent = box.calls[0].request
            assert sent.system == ("Speak Norwegian.", "No emoji.")
            assert [message.text for message in sent.messages] == ["Hi", "Hei", "Again"]
            assert "Speak Norwegian." in await chat.export(name, "md")

    run(scenario())


@pytest.mark.requirement("conversations.export")
def test_a_document_of_ours_taken_in_elsewhere_is_the_same_document(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "one.db") as one, open_gateway(tmp_path / "two.db") as two:
            one.put(ScriptedProvider("box", say("first"), say("second"), say("third")))
            chat = one.gateway.chat
            picture = ImageBlock(media_type="image/png", data=base64.b64encode(PNG).decode())
            turn = await chat.send(None, "q & <b>", images=(picture,))
            await chat.finished(turn)
            await chat.finished(await chat.regenerate(turn.answer_id))
            await chat.finished(await chat.send(turn.conversation_id, "more"))
            await chat.rename(turn.conversation_id, "Mine")
            await chat.pin(turn.conversation_id, True)
            (tools,) = (await chat.import_chats(json.dumps([claude()]).encode())).conversations
            for name in (turn.conversation_id, tools):
                told = await chat.export(name, "json")
                took = await two.gateway.chat.import_chats(told.encode(), "mine.json")
                assert took.conversations == (name,)
                assert await two.gateway.chat.export(name, "json") == told
                assert (await two.gateway.chat.import_chats(told.encode())).known == 1
                here, there = await chat.open(name), await two.gateway.chat.open(name)
                assert here.messages == there.messages
                assert (await chat.verify(name)).head == (await two.gateway.chat.verify(name)).head

    run(scenario())


@pytest.mark.requirement("conversations.export")
def test_a_page_holds_its_pictures_and_runs_nothing(tmp_path: Path) -> None:
    bad = (
        "<script>alert(1)</script> [x](javascript:alert(1)) ![y](https://evil.example/p.png) <img src=x onerror=alert(1)>\n\n"
        "```html\n</pre><script>alert(2)</script>\n```"
    )
    image = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-Z9"}
    told = chatgpt()
    told["title"] = "</title><script>alert(3)</script>"
    told["mapping"] = {
        "q": node("q", None, "user", text(bad, image)),
        "a": node("a", "q", "assistant", text(bad)),
    }
    told["current_node"] = "a"

    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            path = tmp_path / "x.zip"
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("conversations.json", json.dumps([told]))
                archive.writestr("images/file-Z9-x.png", PNG)
            (name,) = (await under_test.gateway.chat.import_file(path)).conversations
            page = await under_test.gateway.chat.export(name, "html")

            assert "<script" not in page
            assert 'href="javascript' not in page
            assert "<img src=x" not in page
            assert page.count("<img") == 1
            assert f'src="data:image/png;base64,{base64.b64encode(PNG).decode()}"' in page
            assert "default-src 'none'" in page
            words = await under_test.gateway.chat.export(name, "md")
            assert "![picture](data:image/png;base64," in words

    run(scenario())


class Counted(io.RawIOBase):
    """A list of many conversations that is nowhere whole."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._rows = self._made(count)
        self._left = b""

    def _made(self, count: int) -> Iterator[bytes]:
        row = json.dumps(
            {"title": "x", "mapping": {"a": node("a", None, "user", text('say "{[" \\ ' * 8_000))}}
        ).encode()
        yield b"["
        for place in range(count):
            yield (b"," if place else b"") + row
        yield b"]"

    def read(self, size: int = -1) -> bytes:
        while len(self._left) < size:
            try:
                self._left += next(self._rows)
            except StopIteration:
                break
        piece, self._left = self._left[:size], self._left[size:]
        return piece


def test_a_file_of_any_size_takes_the_memory_of_one_conversation() -> None:
    seen = read = 0

    def count(more: int) -> None:
        nonlocal read
        read += more

    tracemalloc.start()
    for row in objects_in(Counted(200), count):  # type: ignore[arg-type]
        seen += "mapping" in row
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seen == 200
    assert read > 20_000_000
    assert peak < 8_000_000


@given(
    st.lists(
        st.dictionaries(st.text(max_size=9), st.text(max_size=40) | st.lists(st.integers(), max_size=3)),
        max_size=6,
    ),
    st.integers(1, 50),
)
def test_however_a_list_is_cut_its_objects_come_whole(rows: list[dict[str, Any]], piece: int) -> None:
    data = json.dumps(rows).encode()

    class Cut(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(piece)

    if rows:
        assert list(objects_in(Cut(data))) == rows
        wrapped = json.dumps({"more": [1, {"a": 2}], "conversations": rows}).encode()
        assert list(objects_in(Cut(wrapped)))[-len(rows) :] == rows


def test_a_file_that_is_cut_short_keeps_what_came_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "conversations.json"
    path.write_bytes(json.dumps([claude(), chatgpt()]).encode()[:-40])

    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            with pytest.raises(InvalidInput) as refused:
                await under_test.gateway.chat.import_file(path)
            assert "ends too soon, after 1 conversations" in refused.value.sentence()

    run(scenario())
    with pytest.raises(CutShort):
        list(objects_in(io.BytesIO(b'[{"a": 1}, {"b')))


def test_one_broken_conversation_does_not_keep_the_others_out() -> None:
    notes = Notes()
    chats = read_chats(json.dumps([{"mapping": [1]}, claude()]).encode(), "c.json", notes)
    assert [chat.title for chat in chats] == ["Weeks"]
    assert notes.broken == [
        "Conversation 1 of c.json is not what an export writes: its `mapping` is no table of messages."
    ]


def test_an_import_tells_how_far_it_is_and_goes_on_after_being_cancelled(tmp_path: Path) -> None:
    path = tmp_path / "conversations.json"
    rows = []
    for place in range(12):
        row = claude()
        row["uuid"] = f"k-{place}"
        row["chat_messages"][0]["content"][0]["text"] = f"{place} " + "long " * 100_000
        rows.append(row)
    path.write_text(json.dumps(rows), encoding="utf-8")

    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            chat = under_test.gateway.chat
            told = list[ImportProgress]()
            task: asyncio.Task[object]

            def stop_soon(progress: ImportProgress) -> None:
                told.append(progress)
                task.cancel()

            task = asyncio.ensure_future(chat.import_file(path, stop_soon))
            with pytest.raises(asyncio.CancelledError):
                await task
            assert 0 < told[-1].conversations < 12
            assert told[-1].total_bytes == path.stat().st_size
            here = len(await chat.list())
            assert here >= told[-1].conversations

            rest = await chat.import_file(path, told.append)
            assert len(rest.conversations) == 12 - here
            assert rest.known == here
            assert told[-1].conversations == 12
            assert told[-1].read_bytes == path.stat().st_size

    run(scenario())


def test_a_long_session_is_read_once_for_the_names_of_its_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Message(role="user", content=(TextBlock(text="words"),))
    chat = ImportedChat(
        nodes=[Node(message=told, parent=place - 1 if place else None) for place in range(50)]
    )
    asked: list[str] = []
    whole = ImportedChat.id.fget
    assert whole is not None

    def counted(self: ImportedChat) -> str:
        asked.append(whole(self))
        return asked[-1]

    monkeypatch.setattr(ImportedChat, "id", property(counted))
    assert len(set(chat.message_ids())) == 50
    assert len(asked) == 1


def test_a_session_that_ends_in_a_call_is_listed_with_its_last_words(tmp_path: Path) -> None:
    said = [
        Message(role="user", content=(TextBlock(text="Look at it."),)),
        Message(role="assistant", content=(TextBlock(text="I read the file."),)),
        Message(role="assistant", content=(ToolUseBlock(id="c", name="Read", arguments="{}"),)),
    ]
    nodes = [Node(message=each, parent=place - 1 if place else None) for place, each in enumerate(said)]

    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            conversations = under_test.gateway.conversations
            await conversations.take_in([ImportedChat(nodes=nodes, head=2)])
            (listed,) = await conversations.list("", limit=5, offset=0, trashed=False)
            assert listed.snippet == "I read the file."

    run(scenario())
