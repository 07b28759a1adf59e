"""Who watches an answer of a kept conversation comes back behind the last event it saw; a killed node's answer goes on."""

import json
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from legion_core.testing.upstreams import Answer, Stall, Upstream, in_thread
from tests.contract.surfaces.nodes import running_node
from tests.e2e.cli.command import Started

CONFIG = """
[[gateway.instances]]
name = "box-a"
kind = "openai"
base_url = "{base_url}"
tier = "direct"

[[gateway.instances.models]]
id = "m1"
context = 32768
continuation = "{continuation}"
capabilities = ["streaming"]
price = {{ input = 3.0, output = 15.0 }}
"""
PIECES = ("Once ", "upon ", "a ", "time ", "ünder ", "🌊 ", "there ", "was ", "a ", "gate", ".")
TOLD = 7  # pieces that come before the upstream falls silent
STALLS = Answer(PIECES, fault=Stall(at_event=TOLD + 1))
REST = Answer(PIECES[TOLD:])
WATCHED = {"Accept": "text/event-stream"}


@dataclass(frozen=True)
class Frame:
    id: str
    name: str
    data: Any

    @property
    def text(self) -> str:
        return self.data["text"] if self.name == "AnswerGrew" else ""


def frames(answer: httpx.Response) -> Iterator[Frame]:
    assert answer.status_code == 200, answer.read()
    found = dict[str, str]()
    for line in answer.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            found[name] = value
        elif "data" in found:
            yield Frame(found.get("id", ""), found["event"], json.loads(found["data"]))
            found = {}


@contextmanager
def upstream_for(home: Path, *plans: Answer, continuation: str = "prefill") -> Generator[Upstream]:
    with in_thread(Upstream("openai")) as serving:
        serving.will(*plans)
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        told = CONFIG.format(base_url=serving.base_url, continuation=continuation)
        (home / "config.toml").write_text(told, encoding="utf-8")
        yield serving


def client_of(url: str, home: Path, token: str = "") -> httpx.Client:
    told = token or (home / "token").read_text(encoding="utf-8").strip()
    return httpx.Client(base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {told}"}, timeout=60)


def made(api: httpx.Client) -> str:
    return api.post("/conversations", json={}).json()["data"]["id"]


def ask(
    api: httpx.Client, conversation: str, pieces: int, pins: dict[str, str] | None = None
) -> tuple[str, list[Frame]]:
    """Watch an answer until so many pieces were heard, then lose the connection: its id, and what was heard."""
    body = {"text": "Tell", "pins": pins or {"instance": "box-a"}}
    url, heard, answer_id = f"/conversations/{conversation}/messages", list[Frame](), ""
    with api.stream("POST", url, json=body, headers=WATCHED) as answer:
        for frame in frames(answer):
            if frame.name == "Turn":
                answer_id = frame.data["answer_id"]
            heard += [frame] if frame.text else []
            if len(heard) == pieces:
                break
    return answer_id, heard


def events_of(conversation: str, answer_id: str) -> str:
    return f"/conversations/{conversation}/messages/{answer_id}/events"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.requirement("gateway.come-back")
@pytest.mark.parametrize("seen", [1, 4, TOLD])
def test_a_client_of_a_killed_node_hears_the_rest_after_its_restart(legion_home: Path, seen: int) -> None:
    with upstream_for(legion_home, STALLS, REST) as upstream:
        with Started(legion_home) as node, client_of(node.url, legion_home) as api:
            conversation = made(api)
            answer_id, heard = ask(api, conversation, TOLD)
            assert "".join(frame.text for frame in heard) == "".join(PIECES[:TOLD])
            node.process.send_signal(signal.SIGKILL)
            node.process.wait(60)

        with Started(legion_home) as node, client_of(node.url, legion_home) as api:
            headers = {**WATCHED, "Last-Event-ID": heard[seen - 1].id}
            with api.stream("GET", events_of(conversation, answer_id), headers=headers) as answer:
                after = list(frames(answer))
            shown = api.get(f"/conversations/{conversation}").json()["data"]["messages"][-1]

    before = "".join(frame.text for frame in heard[:seen])
    assert before + "".join(frame.text for frame in after) == "".join(PIECES)
    assert after[-1].name == "AnswerEnded"
    assert (shown["id"], shown["status"], shown["content"]) == (answer_id, "complete", "".join(PIECES))
    sent = [json.loads(each.body)["messages"] for each in upstream.requests if each.body]
    assert [messages[-1]["content"] for messages in sent if messages[-1]["role"] == "assistant"] == [
        "".join(PIECES[:TOLD])
    ]


def test_a_lost_connection_is_taken_up_behind_the_last_event_while_the_answer_is_told(
    legion_home: Path,
) -> None:
    with (
        upstream_for(legion_home, STALLS),
        running_node(legion_home, {}) as url,
        client_of(url, legion_home) as api,
        client_of(url, legion_home) as other,
    ):
        conversation = made(api)
        answer_id, heard = ask(api, conversation, 2)
        headers = {**WATCHED, "Last-Event-ID": heard[0].id}
        text, after = heard[0].text, list[Frame]()
        with api.stream("GET", events_of(conversation, answer_id), headers=headers) as answer:
            for frame in frames(answer):
                after.append(frame)
                text += frame.text
                if text == "".join(PIECES[:TOLD]):
                    other.post(f"/conversations/{conversation}/stop")
        assert text == "".join(PIECES[:TOLD])
        assert (after[-1].name, after[-1].data["message"]["status"]) == ("AnswerEnded", "stopped")


def test_one_that_is_over_is_told_from_any_place_and_nothing_is_asked_again(legion_home: Path) -> None:
    with (
        upstream_for(legion_home, Answer(PIECES)) as upstream,
        running_node(legion_home, {}) as url,
        client_of(url, legion_home) as api,
    ):
        conversation = made(api)
        answer_id, heard = ask(api, conversation, len(PIECES) + 1)
        asked = len(upstream.requests)
        for at in (0, 3, len(heard)):
            last = {"Last-Event-ID": heard[at - 1].id} if at else {}
            headers = {**WATCHED, **last}
            with api.stream("GET", events_of(conversation, answer_id), headers=headers) as answer:
                after = list(frames(answer))
            assert "".join(frame.text for frame in after) == "".join(PIECES[at:])
            assert [frame.name for frame in after][-1] == "AnswerEnded"
        assert len(upstream.requests) == asked


def test_nobody_else_may_come_back_and_no_place_is_made_up(legion_home: Path) -> None:
    with (
        upstream_for(legion_home, Answer(PIECES)),
        running_node(legion_home, {}) as url,
        client_of(url, legion_home) as api,
    ):
        conversation = made(api)
        answer_id, heard = ask(api, conversation, len(PIECES) + 1)
        place, over = events_of(conversation, answer_id), f"{answer_id}.0.999"
        scopes = ["conversations/*:*", "conversations:*", "gateway/*:use"]
        token = api.post("/rbac/tokens", json={"name": "guest", "scopes": scopes}).json()["data"]["secret"]
        with client_of(url, legion_home, token) as guest:
            refused = guest.get(place, headers=WATCHED)
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "denied")
        for told, status in (
            (over, 409),
            ("msg_other.0.1", 400),
            (f"{answer_id}.0.x", 400),
            (f"{answer_id}.-1.2", 400),
        ):
            assert api.get(place, headers={**WATCHED, "Last-Event-ID": told}).status_code == status, told
        assert api.get(events_of("cnv_other", answer_id), headers=WATCHED).status_code == 404
        assert api.get(events_of(conversation, heard[0].data["answer_id"] + "x")).status_code == 404


def test_a_client_that_may_write_in_conversations_may_not_ask_models_by_that(legion_home: Path) -> None:
    with (
        upstream_for(legion_home, Answer(PIECES)) as upstream,
        running_node(legion_home, {}) as url,
        client_of(url, legion_home) as api,
    ):
        conversation = made(api)
        asked = len(upstream.requests)
        scopes = ["conversations/*:*", "conversations:*"]
        token = api.post("/rbac/tokens", json={"name": "guest", "scopes": scopes}).json()["data"]["secret"]
        with client_of(url, legion_home, token) as guest:
            body = {"text": "Hi", "pins": {"instance": "box-a"}}
            assert guest.get(f"/conversations/{conversation}").status_code == 200
            for headers in (WATCHED, {}):
                refused = guest.post(f"/conversations/{conversation}/messages", json=body, headers=headers)
                assert refused.status_code == 403, refused.text
        assert len(upstream.requests) == asked
        assert api.get(f"/conversations/{conversation}").json()["data"]["messages"] == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_second_kill_loses_no_more_than_the_first(legion_home: Path) -> None:
    again = Answer(PIECES[TOLD:], fault=Stall(at_event=3))
    with upstream_for(legion_home, STALLS, again, Answer(PIECES[TOLD + 2 :])):
        with Started(legion_home) as node, client_of(node.url, legion_home) as api:
            conversation = made(api)
            answer_id, heard = ask(api, conversation, TOLD)
            node.process.send_signal(signal.SIGKILL)
            node.process.wait(60)
        with Started(legion_home) as node, client_of(node.url, legion_home) as api:
            headers = {**WATCHED, "Last-Event-ID": heard[-1].id}
            with api.stream("GET", events_of(conversation, answer_id), headers=headers) as answer:
                for frame in frames(answer):
                    heard += [frame] if frame.text else []
                    if len(heard) == TOLD + 2:
                        break
            node.process.send_signal(signal.SIGKILL)
            node.process.wait(60)
        with Started(legion_home) as node, client_of(node.url, legion_home) as api:
            headers = {**WATCHED, "Last-Event-ID": heard[-1].id}
            with api.stream("GET", events_of(conversation, answer_id), headers=headers) as answer:
                after = list(frames(answer))
    assert "".join(frame.text for frame in (*heard, *after)) == "".join(PIECES)
    assert after[-1].data["message"]["status"] == "complete"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_where_no_model_can_go_on_that_is_said_and_what_was_told_is_kept(legion_home: Path) -> None:
    with upstream_for(legion_home, STALLS, continuation="none") as upstream:
        with Started(legion_home) as node, client_of(node.url, legion_home) as api:
            conversation = made(api)
            answer_id, heard = ask(api, conversation, TOLD)
            node.process.send_signal(signal.SIGKILL)
            node.process.wait(60)
        asked = len(upstream.requests)
        with Started(legion_home) as node, client_of(node.url, legion_home) as api:
            headers = {**WATCHED, "Last-Event-ID": heard[2].id}
            with api.stream("GET", events_of(conversation, answer_id), headers=headers) as answer:
                after = list(frames(answer))
        assert len([each for each in upstream.requests[asked:] if each.body]) == 0
    assert "".join(frame.text for frame in after) == "".join(PIECES[3:TOLD])
    ended = after[-1].data["message"]
    assert (ended["status"], ended["content"]) == ("failed", "".join(PIECES[:TOLD]))
    assert "can go on with what was said" in ended["error"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.requirement("gateway.come-back")
def test_an_answer_that_nobody_watched_goes_on_when_that_is_asked_for(legion_home: Path) -> None:
    with upstream_for(legion_home, STALLS, REST) as upstream:
        with Started(legion_home) as node, client_of(node.url, legion_home) as api:
            conversation = made(api)
            ask(api, conversation, TOLD)
            node.process.send_signal(signal.SIGKILL)
            node.process.wait(60)
        asked = len([each for each in upstream.requests if each.body])
        with Started(legion_home) as node, client_of(node.url, legion_home) as api:
            scopes = ["conversations/*:*", "conversations:*"]
            token = api.post("/rbac/tokens", json={"name": "guest", "scopes": scopes}).json()["data"][
                "secret"
            ]
            place = f"/conversations/{conversation}/resume"
            with client_of(node.url, legion_home, token) as guest:
                assert guest.post(place).status_code == 403
            assert len([each for each in upstream.requests if each.body]) == asked
            assert api.post(place).json()["data"] == {"is_resumed": True}
            with api.stream("GET", "/events", params={"type": "AnswerEnded"}) as events:
                shown = api.get(f"/conversations/{conversation}").json()["data"]["messages"][-1]
                lines = events.iter_lines()
                while shown["status"] == "streaming":
                    next(lines)
                    shown = api.get(f"/conversations/{conversation}").json()["data"]["messages"][-1]
            assert (shown["status"], shown["content"]) == ("complete", "".join(PIECES))
            assert api.post(place).json()["data"] == {"is_resumed": False}
            assert api.post("/conversations/cnv_other/resume").status_code == 404
