"""Clients that resend their whole history are known by what it says, by their session's name, or by a conversation's."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest

from legion_core.gateway.types import Message, TextBlock, ThinkingBlock, ToolResultBlock, ToolUseBlock
from legion_core.testing.upstreams import Upstream
from tests.unit.gateway.curation.sessions import steps

PIN = {"x-legion-instance": "box-a", "x-legion-model": "m2"}
TURNS = 24
MORE_MAX = 40  # turns a busy machine may need before a curated view is there
NAMES = ("read_file", "bash", "edit_file", "grep")

pytestmark = [pytest.mark.slow, pytest.mark.requirement("curation.matched")]


def of_openai(message: Message) -> dict[str, Any]:
    """As the chat completions API has it."""
    block = message.content[-1]
    if isinstance(block, ToolResultBlock):
        return {"role": "tool", "tool_call_id": block.call_id, "content": block.text}
    if isinstance(block, ToolUseBlock):
        function = {"name": block.name, "arguments": block.arguments}
        call = {"id": block.id, "type": "function", "function": function}
        return {"role": "assistant", "content": message.text or None, "tool_calls": [call]}
    return {"role": message.role, "content": message.text}


def of_anthropic(message: Message) -> dict[str, Any]:
    """As the Messages API has it; thinking without a signature is not resent."""
    parts: list[dict[str, Any]] = []
    for block in message.content:
        match block:
            case TextBlock():
                parts.append({"type": "text", "text": block.text})
            case ToolUseBlock():
                parts.append(
                    {
                        "type": "tool_use",
                        "id": block.id,
                        "name": block.name,
                        "input": json.loads(block.arguments),
                    }
                )
            case ToolResultBlock():
                parts.append({"type": "tool_result", "tool_use_id": block.call_id, "content": block.text})
            case ThinkingBlock():
                pass
            case _:
                raise AssertionError(block)
    return {"role": "assistant" if message.role == "assistant" else "user", "content": parts}


def play(upstream: Upstream, ask: Callable[[list[Message]], object]) -> tuple[int, int]:
    """A session, then small turns until its history is sent shortened: characters told and characters sent on."""
    told: list[Message] = []
    for new in steps(TURNS):
        told += new
        ask(told)
    for turn in range(MORE_MAX):
        before, sent = _length(told), len(upstream.questions[-1].body)
        if sent < 0.7 * before:
            return before, sent
        told.append(Message(role="assistant", content=(TextBlock(text=f"Done {turn}."),)))
        told.append(Message(role="user", content=(TextBlock(text=f"Go on {turn}."),)))
        ask(told)
    raise AssertionError("it was never sent shortened")


def _length(messages: list[Message]) -> int:
    return sum(len(getattr(b, "arguments", getattr(b, "text", ""))) for m in messages for b in m.content)


@pytest.fixture
def native(url: str, token: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{url}/api/v1", headers={"authorization": f"Bearer {token}"}) as client:
        yield client


@pytest.fixture
def oai(url: str, token: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key=token, default_headers=PIN, max_retries=0) as client:
        yield client


@pytest.fixture
def claude(url: str, token: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=url, api_key=token, default_headers=PIN, max_retries=0) as client:
        yield client


def _by_openai(
    client: openai.OpenAI, headers: dict[str, str] | None = None
) -> Callable[[list[Message]], object]:
    tools: Any = [
        {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in NAMES
    ]
    return lambda told: client.chat.completions.create(
        model="auto", messages=[of_openai(each) for each in told], tools=tools, extra_headers=headers or {}
    )  # type: ignore[misc]


def _by_anthropic(client: anthropic.Anthropic, **more: Any) -> Callable[[list[Message]], object]:
    tools: Any = [{"name": name, "input_schema": {"type": "object"}} for name in NAMES]
    return lambda told: client.messages.create(
        model="auto", max_tokens=64, messages=[of_anthropic(each) for each in told], tools=tools, **more
    )  # type: ignore[misc]


@pytest.mark.parametrize("who", ["openai", "anthropic"])
def test_a_history_is_known_by_what_it_says(
    upstream: Upstream, oai: openai.OpenAI, claude: anthropic.Anthropic, native: httpx.Client, who: str
) -> None:
    play(upstream, _by_openai(oai) if who == "openai" else _by_anthropic(claude))

    rows = native.get("/ledger", params={"limit": 5}).json()["data"]
    assert rows[0]["saved_tokens"] > 0
    assert rows[0]["saved_usd"] != 0


@pytest.mark.parametrize(
    ("who", "name", "sent"),
    [
        ("openai", "sess-7", {"x-session-id": "sess-7"}),
        ("openai", "0199-codex", {"session_id": "0199-codex"}),
        ("anthropic", "5f1c0000-aaaa-bbbb", {"user_id": "user_12_account__session_5f1c0000-aaaa-bbbb"}),
        ("anthropic", "5f1c0000-cccc", {"user_id": '{"device_id":"d","session_id":"5f1c0000-cccc"}'}),
    ],
)
def test_a_history_is_known_by_the_name_of_its_session(
    upstream: Upstream, oai: openai.OpenAI, claude: anthropic.Anthropic, native: httpx.Client,
    who: str, name: str, sent: dict[str, str],
) -> None:  # fmt: skip
    play(upstream, _by_openai(oai, sent) if who == "openai" else _by_anthropic(claude, metadata=sent))

    told = native.get(f"/conversations/{name}/curation").json()["data"]
    assert told["curated_tokens"] < 0.7 * told["naive_tokens"]
    edits = native.get(f"/conversations/{name}/curation/edits").json()["data"]
    found = native.get(
        f"/conversations/{name}/curation/recall", params={"query": edits[0]["archive_key"]}
    ).json()["data"]
    assert found[0]["text"]
    assert {row["conversation"] for row in native.get("/ledger").json()["data"]} == {name}


def test_two_sessions_that_begin_alike_are_kept_apart(
    upstream: Upstream, oai: openai.OpenAI, native: httpx.Client
) -> None:
    one, two = _by_openai(oai, {"x-session-id": "one"}), _by_openai(oai, {"x-session-id": "two"})
    play(upstream, one)
    play(upstream, two)

    told = [native.get(f"/conversations/{name}/curation").json() for name in ("one", "two")]
    assert all("data" in each or each["error"]["code"] == "not_found" for each in told)
    assert any(each.get("data", {}).get("epoch") for each in told)


def test_a_conversation_that_is_named_is_kept_here_and_only_what_is_new_is_sent(
    upstream: Upstream, oai: openai.OpenAI, native: httpx.Client
) -> None:
    headers = {"x-legion-conversation": "mine"}
    for turn in range(3):
        oai.chat.completions.create(
            model="auto", messages=[{"role": "user", "content": f"Question {turn}"}], extra_headers=headers
        )

    last = json.loads(upstream.questions[-1].body)["messages"]
    assert [each["content"] for each in last] == [
        "Question 0", "Hello wörld", "Question 1", "Hello wörld", "Question 2",
    ]  # fmt: skip
    kept = native.get("/conversations/mine").json()["data"]
    assert len(kept["messages"]) == 6
    resent = [
        *last,
        {"role": "assistant", "content": "Hello wörld"},
        {"role": "user", "content": "Question 3"},
    ]
    oai.chat.completions.create(
        model="auto", messages=resent, extra_headers=headers
    )  # a client that resends it all
    assert len(native.get("/conversations/mine").json()["data"]["messages"]) == 8
