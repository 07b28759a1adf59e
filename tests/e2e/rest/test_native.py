"""The native API of a real node: shapes, statuses, paging, streams."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from legion_core.kernel.settings_schema import Config
from legion_core.testing.gguf_files import write_toy
from legion_core.testing.upstreams import Answer, Raw, Upstream, in_thread
from tests.contract.surfaces.nodes import running_node, write_config

PINS = {"instance": "box-a"}


@pytest.fixture
def upstream(legion_home: Path) -> Iterator[Upstream]:
    with in_thread(Upstream("openai")) as serving:
        serving.will(Answer(("Hel", "lo")))
        write_config(legion_home, serving)
        yield serving


@pytest.fixture
def api(legion_home: Path, upstream: Upstream) -> Iterator[httpx.Client]:
    with running_node(legion_home, {"LEGION_PASSPHRASE": "open sesame"}) as url:
        token = (legion_home / "token").read_text(encoding="utf-8").strip()
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=f"{url}/api/v1", headers=headers) as client:
            yield client


def data(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert set(document) == {"data", "meta"}
    assert document["meta"]["at"].endswith("Z")
    return document["data"]


def fault(answer: httpx.Response, status: int) -> Any:
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert {"error", "meta"} <= set(document)
    assert document["error"]["code"]
    assert document["error"]["message"]
    return document["error"]


def say(api: httpx.Client, conversation: str, text: str) -> list[tuple[str, Any]]:
    body = {"text": text, "pins": PINS}
    frames: list[tuple[str, Any]] = []
    url = f"/conversations/{conversation}/messages"
    with api.stream("POST", url, json=body, headers={"Accept": "text/event-stream"}) as answer:
        assert answer.status_code == 200
        name = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                frames.append((name, json.loads(line[6:])))
    return frames


@pytest.mark.requirement("rest.port")
def test_the_port_is_4567_unless_it_is_set_and_the_paths_begin_with_api_v1(api: httpx.Client) -> None:
    assert Config().server.port == 4567
    assert data(api.get("/nodes/self"))["url"] == str(api.base_url).removesuffix("/api/v1/")


@pytest.mark.requirement("rest.openapi")
def test_the_description_of_all_of_it_is_openapi_3_1(api: httpx.Client) -> None:
    document = api.get(str(api.base_url).replace("/api/v1/", "/openapi.json")).json()

    assert document["openapi"].startswith("3.1")
    assert "/api/v1/conversations/{id}/messages" in document["paths"]
    assert "/v1/chat/completions" in document["paths"]


def test_a_node_tells_itself(api: httpx.Client, legion_home: Path) -> None:
    (node,) = data(api.get("/nodes"))

    assert node["home"] == str(legion_home)
    assert node == {**data(api.get("/nodes/self")), "uptime_s": node["uptime_s"]}
    assert {check["state"] for check in data(api.get("/nodes/self/doctor"))} <= {"ok", "warning", "failed"}


def test_a_conversation_from_its_beginning_to_the_trash_and_back(api: httpx.Client) -> None:
    made = data(api.post("/conversations", json={"title": "First"}), 201)["id"]
    frames = say(api, made, "zebra")

    names = [name for name, _ in frames]
    assert names[0] == "Turn"
    assert names[-1] == "AnswerEnded"
    grown = [frame for name, frame in frames if name == "AnswerGrew"]
    assert "".join(frame["text"] for frame in grown) == "Hello"
    assert frames[-1][1]["message"]["content"] == "Hello"
    assert [frame["at_char"] for frame in grown] == sorted(frame["at_char"] for frame in grown)

    changed = data(api.patch(f"/conversations/{made}", json={"title": "Second", "is_pinned": True}))
    assert (changed["title"], changed["is_pinned"]) == ("Second", True)
    assert [message["content"] for message in changed["messages"]] == ["zebra", "Hello"]
    assert [row["id"] for row in data(api.get("/conversations", params={"q": "zebra"}))] == [made]

    page = api.get(f"/conversations/{made}/export", params={"format": "html"})
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")

    data(api.delete(f"/conversations/{made}"))
    assert data(api.get("/conversations")) == []
    assert [row["id"] for row in data(api.get("/conversations", params={"trashed": "true"}))] == [made]
    data(api.post(f"/conversations/{made}/restore"))
    assert len(data(api.get("/conversations"))) == 1


def test_an_answer_goes_on_when_nobody_watches(api: httpx.Client) -> None:
    made = data(api.post("/conversations", json={}), 201)["id"]

    turn = data(api.post(f"/conversations/{made}/messages", json={"text": "Hi", "pins": PINS}), 201)

    assert turn["question"]["content"] == "Hi"
    with api.stream("GET", "/events", params={"type": "AnswerEnded"}) as events:
        shown = data(api.get(f"/conversations/{made}"))["messages"][-1]
        if shown["status"] == "streaming":
            next(line for line in events.iter_lines() if line.startswith("data: "))
    answer = data(api.get(f"/conversations/{made}"))["messages"][-1]
    assert (answer["id"], answer["status"], answer["content"]) == (turn["answer_id"], "complete", "Hello")


def test_a_running_answer_is_stopped_and_what_was_said_is_kept(api: httpx.Client, upstream: Upstream) -> None:
    upstream.will(Answer(("word ",) * 400, delay_s=0.01))
    made = data(api.post("/conversations", json={}), 201)["id"]
    url = f"/conversations/{made}/messages"
    body = {"text": "Hi", "pins": PINS}
    with api.stream("POST", url, json=body, headers={"Accept": "text/event-stream"}) as answer:
        lines = answer.iter_lines()
        next(line for line in lines if line == "event: AnswerGrew")
        assert data(api.post(f"/conversations/{made}/stop"))["was_running"] is True
        rest = [line for line in lines if line.startswith("event: ")]

    assert rest[-1] == "event: AnswerEnded"
    shown = data(api.get(f"/conversations/{made}"))["messages"][-1]
    assert shown["status"] == "stopped"
    assert shown["content"].startswith("word ")
    assert data(api.post(f"/conversations/{made}/stop"))["was_running"] is False


def test_two_questions_at_once_in_one_chat_are_a_conflict(api: httpx.Client, upstream: Upstream) -> None:
    upstream.will(Answer(("word ",) * 400, delay_s=0.01))
    made = data(api.post("/conversations", json={}), 201)["id"]
    body = {"text": "Hi", "pins": PINS}
    data(api.post(f"/conversations/{made}/messages", json=body), 201)

    assert fault(api.post(f"/conversations/{made}/messages", json=body), 409)["code"] == "conflict"
    data(api.post(f"/conversations/{made}/stop"))


def test_pages_follow_each_other_without_a_gap(api: httpx.Client) -> None:
    made = {data(api.post("/conversations", json={"title": str(n)}), 201)["id"] for n in range(7)}
    seen: list[str] = []
    query: dict[str, str] = {"limit": "3"}
    while True:
        answer = api.get("/conversations", params=query).json()
        seen += [row["id"] for row in answer["data"]]
        if answer["meta"]["next"] is None:
            break
        query["cursor"] = answer["meta"]["next"]

    assert len(seen) == 7
    assert set(seen) == made


def test_the_ledger_is_paged_filtered_and_added_up(api: httpx.Client) -> None:
    made = data(api.post("/conversations", json={}), 201)["id"]
    for _ in range(3):
        say(api, made, "Hi")

    rows = data(api.get("/ledger", params={"conversation": made, "limit": 2}))
    assert len(rows) == 2
    assert {row["conversation"] for row in rows} == {made}
    assert data(api.get("/ledger", params={"request": rows[0]["request"]})) == [rows[0]]
    (summary,) = data(api.get("/ledger/summary", params={"by": "day"}))
    assert (summary["attempts"], summary["output_tokens"]) == (3, 6)


def test_instances_and_routes(api: httpx.Client, upstream: Upstream) -> None:
    body = {"name": "box-b", "kind": "openai", "base_url": upstream.base_url, "key": "sk-12345678"}
    assert data(api.post("/providers", json=body), 201)["has_key"] is True
    assert upstream.requests[-1].headers["authorization"] == "Bearer sk-12345678"
    assert "sk-12345678" not in api.get("/providers").text
    assert fault(api.post("/providers", json=body), 409)
    assert data(api.post("/providers/box-b/test"))["is_ok"] is True
    assert data(api.post("/providers/box-b/trip"))["circuit"] == "open"
    explained = data(api.post("/routes/explain", json={"text": "Hi", "pins": {"instance": "box-b"}}))
    assert [left["reason"] for left in explained["left_out"] if left["lane"]["instance"] == "box-b"] == [
        "circuit"
    ]
    assert data(api.post("/providers/box-b/reset"))["circuit"] == "closed"
    assert "box-b" in {lane["instance"] for lane in data(api.get("/routes"))}
    assert "openai" in {kind["kind"] for kind in data(api.get("/providers/kinds"))}
    data(api.delete("/providers/box-b"))
    assert fault(api.delete("/providers/box-b"), 404)


def test_the_ladder_has_five_rungs_and_what_was_measured_on_them(
    api: httpx.Client, upstream: Upstream
) -> None:
    body = {"name": "box-l", "kind": "openai", "base_url": upstream.base_url, "key": "sk-12345678"}
    data(api.post("/providers", json=body), 201)
    made = data(api.post("/conversations", json={}), 201)["id"]
    say(api, made, "Hi")
    ladder = data(api.get("/routes/ladder"))
    assert [rung["tier"] for rung in ladder["rungs"]] == ["local", "direct", "fleet", "cloud", "frontier"]
    places = {place["row"]["name"]: place for rung in ladder["rungs"] for place in rung["places"]}
    assert places["box-l"]["running"] == 0
    assert sum(place["measured"]["requests"] for place in places.values()) >= 1
    assert ladder["figures"]["requests"] >= 1
    needs = {"text": "Hi", "context_tokens": 3_000_000}
    assert not data(api.post("/routes/explain", json=needs))["candidates"]
    data(api.delete("/providers/box-l"))


def test_settings_and_secrets(api: httpx.Client, legion_home: Path) -> None:
    keys = {row["key"] for row in data(api.get("/settings"))}
    assert {"mode", "server.port", "privacy.local_only"} <= keys
    assert data(api.put("/settings/privacy.local_only", json={"value": True}))["value"] is True
    assert "local_only = true" in (legion_home / "config.toml").read_text(encoding="utf-8")
    assert data(api.delete("/settings/privacy.local_only"))["value"] is False
    assert fault(api.put("/settings/server.port", json={"value": -1}), 400)["code"] == "config_invalid"
    assert fault(api.get("/settings/nothing"), 404)
    assert data(api.get("/settings/check"))["faults"] == []

    # Each in the type it has, lists as well: what a setting reads as can be written.
    for row in data(api.get("/settings")):
        if row["type"] != "secret":
            assert (
                data(api.put(f"/settings/{row['key']}", json={"value": row["value"]}))["value"]
                == row["value"]
            )
    listed = {"value": ["127.0.0.1:9000"]}
    assert data(api.put("/settings/engine.http.allow", json=listed))["value"] == listed["value"]
    assert fault(api.put("/settings/engine.http.allow", json={"value": None}), 400)

    data(api.put("/secrets/alpha", json={"value": "s3cret-value"}))
    listed = api.get("/secrets")
    assert data(listed) == {"backend": "file", "names": ["alpha"]}
    assert "s3cret-value" not in listed.text
    data(api.delete("/secrets/alpha"))
    assert fault(api.delete("/secrets/alpha"), 404)


def test_models_are_taken_in_fitted_and_removed(api: httpx.Client, tmp_path: Path) -> None:
    path = write_toy(tmp_path / "toy.gguf")

    name = data(api.post("/models/import", json={"path": str(path)}), 201)["name"]

    assert name in {row["name"] for row in data(api.get("/models", params={"context": 64}))}
    assert data(api.get(f"/models/{name}/fit", params={"context": 64}))["total_bytes"] > 0
    data(api.post(f"/models/{name}/unload"))
    assert isinstance(data(api.get("/models/catalogue")), list)
    data(api.delete(f"/models/{name}"))
    assert fault(api.delete(f"/models/{name}"), 404)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/conversations", {"titel": "typo"}, 400),
        ("POST", "/conversations", {"title": 7}, 400),
        ("POST", "/conversations", [], 400),
        ("POST", "/conversations/cnv_x/messages", {"text": "Hi"}, 404),
        ("POST", "/conversations/cnv_x/messages", {"text": "  "}, 400),
        ("POST", "/routes/explain", {"text": "Hi", "requires": ["telepathy"]}, 400),
        ("POST", "/routes/explain", {"text": "Hi", "pins": {"tier": "nowhere"}}, 400),
        ("POST", "/models/import", {"path": "/nowhere.gguf"}, 404),
        ("GET", "/ledger/summary?by=colour", None, 400),
        ("GET", "/conversations?limit=0", None, 400),
        ("GET", "/conversations?cursor=nonsense", None, 400),
        ("GET", "/conversations?trashed=perhaps", None, 400),
        ("GET", "/conversations/cnv_x/export?format=docx", None, 400),
        ("GET", "/models/nothing/fit", None, 404),
        ("GET", "/nothing", None, 404),
        ("PUT", "/nodes", {}, 405),
        ("DELETE", "/conversations/cnv_x", None, 404),
    ],
)
def test_what_cannot_be_done_is_said_with_its_status(
    api: httpx.Client, method: str, path: str, body: object, status: int
) -> None:
    answer = api.request(method, path, json=body) if body is not None else api.request(method, path)

    fault(answer, status)


def test_hostile_json_is_never_our_fault(api: httpx.Client) -> None:
    for content in (
        b"",
        b"{",
        b"\xff\xfe",
        b'{"title": "\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"nul",
        b"1e999",
    ):
        answer = api.post("/conversations", content=content, headers={"content-type": "application/json"})
        assert answer.status_code in (201, 400), (content[:20], answer.text)


def test_names_in_paths_cannot_walk(api: httpx.Client) -> None:
    for name in ("..%2F..%2Fetc%2Fpasswd", "%2e%2e", "a%00b", "%ff", "x" * 2000, "%0d%0aset-cookie:x"):
        for method, path in (
            ("DELETE", f"/models/{name}"),
            ("GET", f"/conversations/{name}"),
            ("DELETE", f"/secrets/{name}"),
        ):
            answer = api.request(method, path)
            assert answer.status_code in (400, 404, 405), (method, path, answer.text)
            assert "set-cookie" not in answer.headers


def test_an_upstreams_words_do_not_become_headers(api: httpx.Client, upstream: Upstream) -> None:
    upstream.will(Raw(200, b'{"choices": "what?"}'))
    url = str(api.base_url).replace("/api/v1/", "/v1/chat/completions")

    answer = api.post(
        url,
        json={"model": "auto", "messages": [{"role": "user", "content": "Hi"}]},
        headers={"x-legion-instance": "box-a"},
    )

    assert answer.status_code in (502, 503)
    assert answer.json()["error"]["message"]
