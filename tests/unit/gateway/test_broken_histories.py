"""Histories as clients really send them: what leaves is legal on every wire, and what was said stays as it was said."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from legion_core.gateway.conversation_types import CurationChanged
from legion_core.gateway.curation.service import Curation
from legion_core.gateway.import_chats import ImportedChat, Node
from legion_core.gateway.providers import (
    anthropic_wire,
    bedrock_request,
    gemini_wire,
    ollama_wire,
    openai_wire,
)
from legion_core.gateway.providers.toolnames import ToolNames
from legion_core.gateway.types import (
    ImageBlock,
    Message,
    ModelOffer,
    Request,
    TextBlock,
    ThinkingBlock,
    ToolDefinition,
    ToolResultBlock,
    ToolUseBlock,
)
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.storage.sqlite import rows
from legion_core.testing.faults import armed, failing
from legion_core.testing.gateway import GatewayUnderTest, open_gateway
from legion_core.testing.scripted import ScriptedProvider, say
from tests.support.aio import run
from tests.unit.gateway.curation.sessions import called, gave, history, said, user

CAN = frozenset({"streaming", "tools", "vision", "thinking"})
OFFER = ModelOffer(id="m1", context=4_000_000, capabilities=CAN)
TOOLS = tuple(ToolDefinition(name=name) for name in ("bash", "read_file", "edit_file", "grep", "look"))
CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"


def openai(request: Request) -> list[dict[str, Any]]:
    return json.loads(openai_wire.body_of(request, "m1", openai_wire.COMPATIBLE, ToolNames(())))["messages"]


def ollama(request: Request) -> list[dict[str, Any]]:
    return json.loads(ollama_wire.body_of(request, "m1", context=4096))["messages"]


def anthropic(request: Request) -> list[dict[str, Any]]:
    return json.loads(anthropic_wire.body_of(request, "m1", "box", ToolNames((), length_max=128)))["messages"]


def bedrock(request: Request) -> list[dict[str, Any]]:
    return json.loads(bedrock_request.body_of(request, CLAUDE, "box", ToolNames((), length_max=64)))[
        "messages"
    ]


def gemini(request: Request) -> list[dict[str, Any]]:
    return json.loads(
        gemini_wire.body_of(request, "gemini-2.5-flash", "box", ToolNames((), starts_as_word=True))
    )["contents"]


def check_openai(messages: list[dict[str, Any]], *, may_be_empty: bool = False) -> None:
    """Each call is answered right behind it, once, and nobody answers what was not called."""
    waiting: list[str] = []
    seen: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            assert message.get("tool_call_id", waiting[0] if waiting else None) in waiting
            waiting.remove(message.get("tool_call_id", waiting[0]))
            continue
        assert waiting == []
        calls = [call.get("id", str(len(seen))) for call in message.get("tool_calls") or ()]
        assert message.get("content") or calls or may_be_empty
        assert not seen & set(calls)
        seen |= set(calls)
        waiting = calls
    assert waiting == []


def check_turns(
    messages: list[dict[str, Any]], use: Callable[[Any], str], result: Callable[[Any], str]
) -> None:
    """Roles take turns, each call is answered at the beginning of the next message, nothing is empty."""
    waiting: list[str] = []
    before = ""
    seen: set[str] = set()
    for message in messages:
        parts = message.get("content", message.get("parts"))
        assert parts
        assert message["role"] != before
        before = message["role"]
        given = [name for part in parts if (name := result(part))]
        assert sorted(given) == sorted(waiting)
        waiting = [name for part in parts if (name := use(part))]
        assert len(waiting) == len(set(waiting))
        assert not seen & set(waiting)
        seen |= set(waiting)
    assert waiting == []


def check_all(request: Request) -> None:
    check_openai(openai(request))
    check_openai(ollama(request), may_be_empty=True)  # that server takes them
    check_turns(
        anthropic(request),
        lambda part: part["id"] if part["type"] == "tool_use" else "",
        lambda part: part["tool_use_id"] if part["type"] == "tool_result" else "",
    )
    check_turns(
        bedrock(request),
        lambda part: part.get("toolUse", {}).get("toolUseId", ""),
        lambda part: part.get("toolResult", {}).get("toolUseId", ""),
    )
    for one, other in zip(gemini(request), [*gemini(request)[1:], {"parts": []}], strict=True):
        calls = sum("functionCall" in part for part in one["parts"])
        assert one["parts"]
        assert calls == sum("functionResponse" in part for part in other["parts"])


PICTURE = ImageBlock(media_type="image/png", data="iVBORw0KGgo=")
THREE_MB = "\n".join(f"{row:06} a line of a very long build log, exit code: 0" for row in range(60_000))
BROKEN: dict[str, list[Message]] = {
    "a result without a call": [gave(900, "who asked?")],
    "a call without a result": [called(901, "bash", {"command": "sleep 1"})],
    "one id for two calls": [called(902, "bash", {"command": "a"}), gave(902, "one"), called(902, "bash", {"command": "b"}), gave(902, "two")],
    "two results for a call": [called(903, "bash", {"command": "a"}), gave(903, "one"), gave(903, "again")],
    "pictures": [Message(role="user", content=(TextBlock(text="See"), PICTURE)), called(904, "look", {}), Message(role="tool", content=(ToolResultBlock(call_id="call_904", text="seen"), PICTURE))],
    "3 MB at once": [called(905, "bash", {"command": "make"}), gave(905, THREE_MB)],
    "thoughts alone": [Message(role="assistant", content=(ThinkingBlock(text="Hm. " * 400, signature="s", origin="anthropic"),))] * 3,
    "nothing at all": [Message(role="assistant", content=()), Message(role="user", content=())],
    "two questions in a row": [user("One?"), user("Two?"), user("Three?")],
    "bytes that are no UTF-8": [called(906, "bash", {"command": "cat x"}), gave(906, "caf\ufffd \x00 \ufffd\ufffd" * 300)],
    "calls in parallel, answered otherwise": [
        Message(role="assistant", content=(ToolUseBlock(id="p1", name="bash", arguments="{}"), ToolUseBlock(id="p2", name="bash", arguments="{}"))),
        Message(role="tool", content=(ToolResultBlock(call_id="p2", text="2"),)),
        Message(role="tool", content=(ToolResultBlock(call_id="p1", text="1"),)),
    ],
}  # fmt: skip


def put(under_test: GatewayUnderTest) -> ScriptedProvider:
    return under_test.put(ScriptedProvider("box", *[say("ok")] * 40, models=(OFFER,)), offer=OFFER)


async def ask(under_test: GatewayUnderTest, number: int, messages: list[Message], **more: Any) -> None:
    request = Request(
        id=f"req_{number}",
        messages=tuple(messages),
        tools=TOOLS,
        system=("One rule.", "Another rule."),
        **more,
    )
    with under_test.bus.subscribe(CurationChanged) as curated:
        await under_test.gateway.answer(request, LOCAL_OWNER)
        await curated.take()


@pytest.mark.requirement("curation.broken-histories")
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_history_leaves_legal_on_every_wire(tmp_path: Path, name: str) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = put(under_test)
            told = [*history(14)[:-1], *BROKEN[name], said("On with it."), user("Next."), *history(14)[1:]]
            for number in range(3):  # the curated view is sent from the second on
                told += [said(f"Done {number}."), user(f"Go on {number}.")]
                await ask(under_test, number, told)
            for call in box.calls:
                check_all(call.request)
                assert call.request.system == ("One rule.", "Another rule.")
            sent = box.calls[-1].request.messages
            words = [message.text for message in sent if message.role == "user"]
            for message in told:
                if message.role == "user" and message.text:
                    assert any(
                        message.text in each for each in words
                    )  # what the user said is there word for word
            removed = {text for _, text in await _archive(under_test)}
            shown = "\n".join(str(msgspec.to_builtins(message.content)) for message in sent)
            for message in told:
                for block in message.content:
                    if isinstance(block, ToolResultBlock) and len(block.text) > 1_000:
                        assert block.text in removed or repr(block.text)[1:-1] in shown

    run(scenario(), bound_s=60)


async def _archive(under_test: GatewayUnderTest) -> list[tuple[str, str]]:
    from legion_core.gateway.texts import expanded

    found = await under_test.database.read(
        lambda connection: rows(
            connection, "SELECT a.key, t.data FROM curation_archive a JOIN texts t ON t.hash = a.hash"
        )
    )
    return [(str(key), expanded(bytes(data))) for key, data in found]


async def _kept(under_test: GatewayUnderTest, turns: int = 40) -> str:
    chat = ImportedChat(title="session", source="s")
    for place, message in enumerate(history(turns)):
        chat.nodes.append(Node(message, place - 1 if place else None, key=str(place)))
    chat.head = len(chat.nodes) - 1
    (name,) = (await under_test.gateway.conversations.take_in([chat])).made
    return name


@pytest.mark.requirement("curation.broken-histories")
def test_an_edit_while_the_curator_runs_makes_another_history_and_harms_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The curator is held in the middle of its turn; meanwhile the question it works on is edited and answered."""

    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = put(under_test)
            name = await _kept(under_test)
            store, chat = under_test.gateway.conversations, under_test.gateway.chat
            await ask(under_test, 1, [user("Go on.")], conversation_id=name)
            reached, go_on = asyncio.Event(), asyncio.Event()
            save = Curation._save

            async def held(self: Curation, live: Any) -> Any:
                reached.set()
                await go_on.wait()
                return await save(self, live)

            monkeypatch.setattr(Curation, "_save", held)
            more = Request(id="req_2", messages=(user("And more."),), tools=TOOLS, conversation_id=name)
            await under_test.gateway.answer(more, LOCAL_OWNER)
            await reached.wait()  # the curator works on "And more."
            asked = (await chat.open(name)).messages[-2]
            assert asked.text == "And more."
            before = await store.history(name, asked.id)
            turn = await chat.edit(asked.id, "Something else altogether.")
            await chat.finished(turn)
            go_on.set()
            monkeypatch.setattr(Curation, "_save", save)
            for number in range(3, 6):
                await ask(under_test, number, [user(f"Step {number}.")], conversation_id=name)
                check_all(box.calls[-1].request)
                sent = [message.text for message in box.calls[-1].request.messages if message.role == "user"]
                assert "Something else altogether." in sent
                assert "And more." not in sent  # the other branch is not told
            assert await store.history(name, asked.id) == before  # and it is as it was
            assert (await chat.verify()).damaged == ()
            whole = await store.named_history(name)
            assert [m.text for m in whole[1] if m.role == "user"][-4:] == [
                "Something else altogether.", "Step 3.", "Step 4.", "Step 5.",
            ]  # fmt: skip
            for _, text in await _archive(under_test):
                assert (
                    any(
                        text in str(getattr(block, "text", "")) + getattr(block, "arguments", "")
                        for m in whole[1]
                        for block in m.content
                    )
                    or text
                )

    run(scenario(), bound_s=60)


@pytest.mark.requirement("curation.broken-histories")
@pytest.mark.parametrize("point", ["curation.archive", "curation.view"])
def test_a_curator_killed_midway_or_run_twice_changes_nothing_that_was_said(
    tmp_path: Path, point: str
) -> None:
    path = tmp_path / "j.db"

    async def first() -> tuple[str, tuple[Message, ...]]:
        async with open_gateway(path) as under_test:
            put(under_test)
            name = await _kept(under_test)
            before = (await under_test.gateway.conversations.named_history(name))[1]
            with armed(failing(point)):
                await under_test.gateway.answer(
                    Request(id="req_1", messages=(user("Go on."),), tools=TOOLS, conversation_id=name),
                    LOCAL_OWNER,
                )
                while any(each.startswith("curate") for each in under_test.supervisor.census):
                    await asyncio.sleep(0)
            return name, before

    async def second(name: str, before: tuple[Message, ...]) -> None:
        async with open_gateway(path) as under_test, open_gateway(path) as other:
            box, far = put(under_test), put(other)
            for number, (node, at) in enumerate(((under_test, box), (other, far), (under_test, box)), 2):
                await ask(
                    node, number, [user(f"Again {number}.")], conversation_id=name
                )  # two curators, one journal
                check_all(at.calls[-1].request)
            after = (await under_test.gateway.conversations.named_history(name))[1]
            assert after[: len(before)] == before
            assert (await under_test.gateway.chat.verify()).damaged == ()
            texts = {text for _, text in await _archive(under_test)}
            said_texts = {getattr(b, "text", "") for m in after for b in m.content} | {
                getattr(b, "arguments", "") for m in after for b in m.content
            }
            assert texts <= said_texts | {""}  # what was moved is there to the letter

    name, before = run(first(), bound_s=60)
    run(second(name, before), bound_s=60)
