"""How conversations lie on disk: each text once, every message linked to the one before, older journals taken over."""

import os
import random
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from legion_core.gateway.conversation_schema import MIGRATIONS as FIRST_CONVERSATIONS
from legion_core.gateway.conversation_search import folded, passage, tokens
from legion_core.gateway.conversation_types import AnswerRecord, CurationChanged
from legion_core.gateway.curation.schema import MIGRATIONS as FIRST_CURATION
from legion_core.gateway.import_chats import ImportedChat, Node
from legion_core.gateway.ledger import MIGRATIONS as LEDGER
from legion_core.gateway.packing import is_packed, names, pack, pack_record, unpack, unpack_record
from legion_core.gateway.privacy import MIGRATIONS as PRIVACY
from legion_core.gateway.texts import expanded
from legion_core.gateway.types import (
    Block,
    DocumentBlock,
    ImageBlock,
    Message,
    ModelOffer,
    TextBlock,
    ThinkingBlock,
    ToolDefinition,
    ToolResultBlock,
    ToolUseBlock,
)
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import Conflict, Corrupt
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.storage.sqlite import Connection, Database, execute, row, rows
from legion_core.testing.gateway import GatewayUnderTest, ask, open_gateway
from legion_core.testing.scripted import ScriptedProvider, say
from tests.support.aio import run
from tests.unit.gateway.curation.sessions import history

LONG = "A sentence that is long enough to be worth a place of its own, said about one thing and another. " * 4
OFFER = ModelOffer(id="m1", context=1_000_000, capabilities=frozenset({"streaming", "tools"}))
words = st.text(max_size=400)
blocks = st.one_of(
    st.builds(TextBlock, text=words),
    st.builds(ThinkingBlock, text=words, signature=words, origin=st.just("anthropic")),
    st.builds(ImageBlock, media_type=st.just("image/png"), data=words),
    st.builds(DocumentBlock, data=words, name=words, pages=st.integers(1, 99)),
    st.builds(ToolUseBlock, id=words, name=words, arguments=words),
    st.builds(ToolResultBlock, call_id=words, text=words, is_error=st.booleans()),
)


@given(st.lists(blocks, max_size=6))
def test_what_is_packed_comes_back_to_the_letter(content: list[Block]) -> None:
    packed = pack(content)
    texts = {text.hash: expanded(text.data) for text in packed.texts}

    assert unpack(packed.skeleton, texts) == tuple(content)
    assert names(packed.skeleton) == [text.hash for text in packed.texts]


def test_a_lone_surrogate_is_kept_as_it_is() -> None:
    packed = pack([TextBlock(text="a\ud800b"), TextBlock(text="\udfff" * 300)])
    texts = {text.hash: expanded(text.data) for text in packed.texts}
    assert unpack(packed.skeleton, texts) == (TextBlock(text="a\ud800b"), TextBlock(text="\udfff" * 300))


def test_how_an_answer_came_about_is_kept_in_fewer_bytes() -> None:
    record = msgspec.json.encode(
        AnswerRecord(request_id="req_01", tier="cloud", instance="anthropic", model="claude", duration_s=1.5)
    )
    packed = pack_record(record)
    assert len(packed) < 0.75 * len(record)
    assert unpack_record(packed) == record
    with pytest.raises(ValueError, match=r"."):
        unpack_record(packed[:1] + b"\xff" + packed[2:])


async def _told(under_test: GatewayUnderTest, sql: str, *args: int | str | bytes) -> list[tuple[object, ...]]:
    return await under_test.database.read(lambda connection: rows(connection, sql, args))


async def _chat(under_test: GatewayUnderTest, *questions: str) -> str:
    chat, name = under_test.gateway.chat, None
    for question in questions:
        turn = await chat.send(name, question)
        await chat.finished(turn)
        name = turn.conversation_id
    assert name is not None
    return name


def test_the_same_text_is_stored_once_and_goes_with_the_last_that_held_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            under_test.put(ScriptedProvider("box", say("short"), say("short"), say("short")))
            one = await _chat(under_test, LONG, LONG)
            two = await _chat(under_test, LONG)
            assert await _told(under_test, "SELECT uses, size_bytes FROM texts") == [(3, len(LONG))]

            store, chat = under_test.gateway.conversations, under_test.gateway.chat
            await chat.trash(one)
            await under_test.database.write(
                lambda connection: execute(
                    connection, "UPDATE conversations SET trashed_at = '2001-01-01' WHERE id = ?", [one]
                )
            )
            assert await store.purge_trash() == 1
            assert await _told(under_test, "SELECT uses FROM texts") == [(1,)]
            assert await _told(under_test, "SELECT count(*) FROM messages_words") == [(2,)]
            await chat.trash(two)
            await under_test.database.write(
                lambda connection: execute(connection, "UPDATE conversations SET trashed_at = '2001-01-01'")
            )
            assert await store.purge_trash() == 1
            assert await _told(under_test, "SELECT count(*) FROM texts") == [(0,)]

    run(scenario())


def test_each_message_is_linked_to_the_one_before_and_a_branch_has_a_link_of_its_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            chat = under_test.gateway.chat
            under_test.put(ScriptedProvider("box", say("a1"), say("a2"), say("b2")))
            name = await _chat(under_test, "q1", "q2")
            second = (await chat.open(name)).messages[2]
            before = await chat.verify(name)
            await chat.finished(await chat.edit(second.id, "q2 in other words"))
            after = await chat.verify(name)

            assert (before.damaged, after.damaged) == ((), ())
            assert (before.messages, after.messages) == (4, 6)
            assert len(bytes.fromhex(before.head)) == 20
            assert before.head != after.head
            await chat.choose(second.id)
            assert (await chat.verify(name)).head == before.head
            found = await _told(under_test, "SELECT count(*), count(DISTINCT hash) FROM messages")
            assert found == [(6, 6)]

    run(scenario())


@pytest.mark.requirement("conversations.verified")
@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (
            "UPDATE texts SET data = CAST(substr(data, 1, 9) || x'ff' || substr(data, 11) AS BLOB)",
            "A text of it is damaged",
        ),
        ("DELETE FROM texts", "A text of it is missing"),
        ("UPDATE messages SET role = 'assistant' WHERE n = 1", "is not what was written"),
        (
            "UPDATE messages SET created_at = '2020-01-01T00:00:00.000Z' WHERE n = 1",
            "is not what was written",
        ),
        ("UPDATE messages SET hash = x'00' WHERE n = 1", "is not what was written"),
        ("UPDATE messages SET content = x'01ff' WHERE n = 1", "What it says cannot be read"),
        ("UPDATE messages SET record = x'02ff' WHERE n = 2", "How it came about cannot be read"),
    ],
)
def test_a_damaged_message_is_found_and_named_and_the_rest_stays_readable(
    tmp_path: Path, harm: str, what: str
) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            chat = under_test.gateway.chat
            under_test.put(ScriptedProvider("box", say("first"), say("second")))
            name = await _chat(under_test, LONG, "more")
            await under_test.database.write(lambda connection: execute(connection, harm))
            found = await chat.verify()

            first = (await _told(under_test, "SELECT id FROM messages ORDER BY n LIMIT 1"))[0][0]
            assert any(what in damage.what for damage in found.damaged)
            if "n = 2" not in harm:
                assert found.damaged[0].message == first
            assert found.damaged[0].conversation == name
            view = await chat.open(name)
            assert [message.text for message in view.messages[1:]] == ["first", "more", "second"]

    run(scenario())


def test_a_model_is_never_told_a_history_with_a_hole(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            chat = under_test.gateway.chat
            box = under_test.put(ScriptedProvider("box", say("first"), say("second")))
            name = await _chat(under_test, LONG)
            await under_test.database.write(lambda connection: execute(connection, "DELETE FROM texts"))

            answer = await chat.finished(await chat.send(name, "and now?"))
            assert answer.status == "failed"
            assert "damaged on the disk" in answer.error
            assert len(box.calls) == 1
            with pytest.raises(Corrupt):
                await under_test.gateway.conversations.named_history(name)

    run(scenario())


def test_a_journal_of_the_first_form_is_taken_over_without_loss(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    chance = random.Random(7)
    told: dict[str, list[Message]] = {}

    def write_first_form(connection: Connection) -> None:
        at = "2026-01-02T03:04:05.678Z"
        for chat in range(12):
            name, above = f"cnv_{chat}", None
            execute(
                connection,
                "INSERT INTO conversations(id, title, is_title_auto, created_at, updated_at) VALUES(?,?,0,?,?)",
                [name, f"chat {chat}", at, at],
            )
            for place in range(15):
                content: tuple[Block, ...] = (
                    TextBlock(text=f"word{chat}x{place} " + LONG * chance.randrange(9)),
                )
                role = "assistant" if place % 2 else "user"
                if place == 4:
                    content = (*content, ImageBlock(media_type="image/png", data="QUJD" * 900))
                if place == 5:
                    content = (
                        ThinkingBlock(text=LONG, signature="s", origin="anthropic"),
                        ToolUseBlock(id="call_1", name="read", arguments='{"a": 1}'),
                    )
                if place == 6:
                    role, content = "tool", (ToolResultBlock(call_id="call_1", text="r\u0000😀" + LONG),)
                message = Message(role=role, content=content)  # type: ignore[arg-type]
                told.setdefault(name, []).append(message)
                record = AnswerRecord(request_id=f"req_{chat}_{place}", tier="local", cost_usd=0.25)
                execute(
                    connection,
                    "INSERT INTO messages(id, conversation_id, parent_id, role, status, created_at, text, content, record) "
                    "VALUES(?,?,?,?,?,?,?,?,?)",
                    [
                        f"msg_{chat}_{place}", name, above, role, "complete", at, message.text,
                        msgspec.json.encode(content), msgspec.json.encode(record),
                    ],
                )  # fmt: skip
                above = f"msg_{chat}_{place}"
            execute(
                connection,
                "UPDATE conversations SET head_id = ?, message_count = 15 WHERE id = ?",
                [above, name],
            )
        execute(
            connection,
            "INSERT INTO messages(id, conversation_id, parent_id, role, status, created_at, text, content, record) "
            "VALUES('msg_open','cnv_3',?,'assistant','streaming',?,'','[]','{}')",
            ["msg_3_14", at],
        )
        execute(connection, "UPDATE conversations SET head_id = 'msg_open' WHERE id = 'cnv_3'")
        execute(connection, "INSERT INTO message_parts VALUES('msg_open', 0, 'half a sen', '')")

    async def scenario() -> None:
        first = (*LEDGER, *FIRST_CONVERSATIONS, *PRIVACY, *FIRST_CURATION)
        before = await Database.open(path, migrations=first, durability="process", clock=SystemClock())
        await before.write(write_first_form)
        await before.close()

        async with open_gateway(path) as under_test:
            store, chat = under_test.gateway.conversations, under_test.gateway.chat
            for anew in (False, True):  # as it was found, and in its new form
                if anew:
                    await store.store_older_anew()
                    for content, hashed in await _told(under_test, "SELECT content, hash FROM messages"):
                        assert isinstance(content, bytes)
                        assert is_packed(content)
                        assert hashed is not None
                for name, messages in told.items():
                    view = await chat.open(name)
                    shown = [message for message in view.messages if message.id != "msg_open"]
                    assert [message.text for message in shown] == [message.text for message in messages]
                    assert (shown[4].pictures, shown[5].thinking) == (1, LONG)
                    assert shown[6].results == messages[6].content
                    assert (shown[0].request_id, shown[0].cost_usd) == (f"req_{name[4:]}_0", 0.25)
                    history = await store.history(name, view.messages[-1].id)
                    assert history[:15] == tuple(messages)
                    assert [hit.id for hit in await chat.list(f"word{name[4:]}x9")] == [name]
                last = (await chat.open("cnv_3")).messages[-1]
                assert (last.text, last.status) == ("half a sen", "interrupted")
                assert (await chat.verify()).damaged == ()
            said = await chat.verify()
            assert said.messages == 12 * 15 + 1
            assert said.stored_bytes < 0.3 * said.said_bytes  # one text over and over

    run(scenario())


def test_taking_over_a_journal_may_be_cut_short_at_any_place_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "j.db"

    def write_first_form(connection: Connection) -> None:
        execute(
            connection,
            "INSERT INTO conversations(id, title, is_title_auto, created_at, updated_at) VALUES('c','t',0,'2026-01-01','2026-01-01')",
        )
        for place in range(130):
            execute(
                connection,
                "INSERT INTO messages(id, conversation_id, parent_id, role, status, created_at, text, content, record) "
                "VALUES(?,'c',?,'user','complete','2026-01-01T00:00:00Z',?,?,'{}')",
                [
                    f"m{place}", f"m{place - 1}" if place else None, f"{place} {LONG}",
                    msgspec.json.encode((TextBlock(text=f"{place} {LONG}"),)),
                ],
            )  # fmt: skip
        execute(connection, "UPDATE conversations SET head_id = 'm129'")

    async def scenario() -> None:
        from legion_core.gateway.conversation_links import store_older_anew

        first = (*LEDGER, *FIRST_CONVERSATIONS, *PRIVACY, *FIRST_CURATION)
        before = await Database.open(path, migrations=first, durability="process", clock=SystemClock())
        await before.write(write_first_form)
        await before.close()
        from legion_core.gateway.texts import MIGRATIONS as TEXTS

        half = await Database.open(
            path, migrations=(*first, *TEXTS), durability="process", clock=SystemClock()
        )
        assert await half.write(lambda connection: store_older_anew(connection, 0)) == 50
        await half.close()
        async with open_gateway(path) as under_test:
            view = await under_test.gateway.chat.open("c")
            assert [message.text for message in view.messages] == [f"{place} {LONG}" for place in range(130)]
            await under_test.gateway.conversations.store_older_anew()
            left = await _told(under_test, "SELECT count(*) FROM messages WHERE hash IS NULL OR text <> ''")
            assert left == [(0,)]
            assert (await under_test.gateway.chat.verify()).damaged == ()

    run(scenario())


def test_the_log_tells_what_happened_and_the_last_change_is_taken_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            chat = under_test.gateway.chat
            under_test.put(ScriptedProvider("box", say("a")))
            name = await _chat(under_test, "q")
            with pytest.raises(Conflict):
                await chat.undo(name)
            await chat.rename(name, "Mine")
            await chat.pin(name, True)
            await chat.trash(name)

            assert [entry.what for entry in await chat.log(name)] == [
                "said", "answered", "titled", "pinned", "trashed",
            ]  # fmt: skip
            assert (await chat.undo(name)).what == "trashed"
            assert [one.id for one in await chat.list()] == [name]
            assert (await chat.undo(name)).what == "pinned"
            assert (await chat.undo(name)).was == "q"
            opened = (await chat.open(name)).conversation
            assert (opened.title, opened.is_pinned, opened.is_trashed) == ("q", False, False)
            assert sum(entry.is_undone for entry in await chat.log(name)) == 3
            with pytest.raises(Conflict):
                await chat.undo(name)

    run(scenario())


@settings(max_examples=60)
@given(st.text(max_size=60), st.text(max_size=20))
def test_any_words_can_be_looked_for(said: str, asked: str) -> None:
    assert len(folded(said)) == len(said)
    found = passage(said, tokens(asked)) if tokens(asked) else ""
    assert (
        found.replace("«", "").replace("»", "").strip("…") in said.replace("«", "").replace("»", "")
        or "…" in said
    )


def test_a_passage_is_found_whatever_the_case_and_the_marks() -> None:
    said = "one two three four five Überraschung six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    assert passage(said, tokens("uberr")) == (
        "…three four five «Überraschung» six seven eight nine ten eleven twelve thirteen…"
    )


def test_every_letter_there_is_can_be_asked_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            under_test.put(ScriptedProvider("box", say("a")))
            await _chat(under_test, "plain words")
            chat = under_test.gateway.chat
            for low in range(0x80, 0x3000, 8):
                asked = "".join(f"a{chr(code)}b " for code in range(low, low + 8))
                assert isinstance(await chat.list(asked), tuple)
            for odd in ("\u19b0\u19c9", "a\u1cf2b", '"', "* AND (", "NEAR/2", "a_b", "x²"):
                assert isinstance(await chat.list(odd), tuple)

    run(scenario())


@pytest.mark.requirement("conversations.stored-once")
def test_a_long_session_of_an_agent_takes_less_room_than_it_has_bytes(tmp_path: Path) -> None:
    """Everything that is on disk for it: messages, texts, words to search by, what curation moved, and the view."""
    chat = ImportedChat(title="session")
    for place, message in enumerate(history(120)):
        chat.nodes.append(Node(message, place - 1 if place else None))
    chat.head = len(chat.nodes) - 1
    said = [block for node in chat.nodes for block in node.message.content]
    raw = sum(len(getattr(block, "arguments", getattr(block, "text", "")).encode()) for block in said)

    async def scenario(path: Path, is_filled: bool) -> int:
        async with open_gateway(path) as under_test:
            under_test.put(ScriptedProvider("box", *[say("done")] * 4), offer=OFFER)
            if is_filled:
                (name,) = (await under_test.gateway.conversations.take_in([chat])).made
                for turn in range(4):
                    more = msgspec.structs.replace(
                        ask("Go on.", request_id=f"req_{turn}"),
                        conversation_id=name,
                        tools=(ToolDefinition(name="bash"),),
                    )
                    with under_test.bus.subscribe(CurationChanged) as curated:
                        await under_test.gateway.answer(more, LOCAL_OWNER)
                        await curated.take()
                assert await _told(under_test, "SELECT count(*) > 50 FROM curation_archive") == [(1,)]
                assert (await under_test.gateway.chat.verify()).damaged == ()
        return os.path.getsize(path)

    empty = run(scenario(tmp_path / "empty.db", False))
    stored = run(scenario(tmp_path / "j.db", True)) - empty
    assert stored <= 0.9 * raw  # the floor is 1.2


def test_curation_and_conversation_hold_one_text_together(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            from legion_core.gateway.conversation_writing import insert_message
            from legion_core.gateway.texts import compressed

            stored = compressed(LONG)

            def work(connection: Connection) -> None:
                execute(
                    connection,
                    "INSERT INTO conversations(id, title, is_title_auto, created_at, updated_at) VALUES('c','t',0,'a','a')",
                )
                insert_message(
                    connection, "m", "c", None, role="tool", at="2026-01-01T00:00:00Z",
                    content=(ToolResultBlock(call_id="1", text=LONG),),
                )  # fmt: skip
                execute(
                    connection,
                    "INSERT OR IGNORE INTO texts(hash, size_bytes, data) VALUES(?,?,?)",
                    [stored.hash, stored.size_bytes, stored.data],
                )
                execute(
                    connection,
                    "INSERT INTO curation_archive VALUES('cur', '#1', ?, 'm1', 'x')",
                    [stored.hash],
                )
                execute(
                    connection,
                    "INSERT INTO curations VALUES('cur','elsewhere','a',x'00',1,1,1,1,1,x'90',x'00')",
                )

            await under_test.database.write(work)
            assert await _told(under_test, "SELECT uses FROM texts") == [(1,)]
            await under_test.database.write(
                lambda connection: execute(
                    connection, "UPDATE conversations SET trashed_at = '2001-01-01' WHERE id = 'c'"
                )
            )
            await under_test.gateway.conversations.purge_trash()
            assert await _told(under_test, "SELECT uses FROM texts") == [(0,)]  # the archive holds it still
            await under_test.database.write(lambda connection: execute(connection, "DELETE FROM curations"))
            assert (
                await under_test.database.read(lambda connection: row(connection, "SELECT 1 FROM texts"))
                is None
            )

    run(scenario())
