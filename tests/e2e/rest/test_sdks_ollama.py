"""Ollama's own Python library against the port, as other programs would use it."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import ollama
import pytest

from legion_core.testing.upstreams import Answer, Call, Die, Upstream

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
HELLO: Any = [{"role": "user", "content": "Hi"}]
CLOCK: Any = {
    "type": "function",
    "function": {
        "name": "clock",
        "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}},
    },
}


@pytest.fixture
def client(url: str, token: str) -> Iterator[ollama.Client]:
    with ollama.Client(host=url, headers={"Authorization": f"Bearer {token}"}) as client:
        yield client


@pytest.fixture
def plain(url: str, token: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as client:
        yield client


def test_a_whole_chat(client: ollama.Client, upstream: Upstream) -> None:
    answer = client.chat(
        model="m1", messages=HELLO, options={"num_predict": 9, "temperature": 0.5, "seed": 3, "stop": ["END"], "num_ctx": 9}
    )  # fmt: skip

    assert answer.message.content == "Hello wörld"
    assert answer.done
    assert answer.done_reason == "stop"
    assert (answer.model, answer.prompt_eval_count, answer.eval_count) == ("m1", 7, 3)
    assert answer.total_duration is not None
    assert answer.prompt_eval_duration is not None
    assert answer.eval_duration == answer.total_duration - answer.prompt_eval_duration
    asked = upstream.questions[-1].json
    assert (asked["temperature"], asked["seed"], asked["stop"]) == (0.5, 3, ["END"])
    assert "num_ctx" not in json.dumps(asked)


def test_a_streamed_chat_ends_once(client: ollama.Client) -> None:
    parts = list(client.chat(model="m1", messages=HELLO, stream=True))

    assert "".join(part.message.content or "" for part in parts) == "Hello wörld"
    assert [bool(part.done) for part in parts].count(True) == 1
    assert parts[-1].done
    assert parts[-1].eval_count == 3


def test_a_stream_is_what_is_asked_for_by_itself(plain: httpx.Client) -> None:
    answer = plain.post("/api/chat", json={"model": "m1", "messages": HELLO})

    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["x-legion-instance"] == "box-a"
    assert [json.loads(line)["done"] for line in answer.text.splitlines()] == [False, False, False, True]


@pytest.mark.parametrize("is_streamed", [True, False])
def test_calls_come_whole_and_their_results_go_back(
    client: ollama.Client, upstream: Upstream, is_streamed: bool
) -> None:
    calls = (Call("c1", "clock", '{"zone": "UTC"}'), Call("c2", "clock", '{"zone": "CET"}'))
    upstream.will(Answer(("I look.",), calls=calls, split=3), Answer(("Noon.",)))

    if is_streamed:
        parts = list(client.chat(model="m1", messages=HELLO, tools=[CLOCK], stream=True))
        made = [call for part in parts for call in part.message.tool_calls or ()]
    else:
        made = list(client.chat(model="m1", messages=HELLO, tools=[CLOCK]).message.tool_calls or ())

    assert [(call.function.name, call.function.arguments) for call in made] == [
        ("clock", {"zone": "UTC"}),
        ("clock", {"zone": "CET"}),
    ]
    asked = [
        *HELLO,
        {"role": "assistant", "content": "I look.", "tool_calls": made},
        {"role": "tool", "tool_name": "clock", "content": "12:00"},
        {"role": "tool", "tool_name": "clock", "content": "13:00"},
    ]
    assert client.chat(model="m1", messages=asked, tools=[CLOCK]).message.content == "Noon."
    told = upstream.questions[-1].json["messages"]
    made_ids = [call["id"] for call in told[1]["tool_calls"]]
    assert [(message["tool_call_id"], message["content"]) for message in told[2:]] == [
        (made_ids[0], "12:00"),
        (made_ids[1], "13:00"),
    ]


def test_pictures_schemas_and_thinking(client: ollama.Client, upstream: Upstream) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    upstream.will(Answer(('{"city": "Köln"}',), thinking=("hm ", "hm")))

    answer = client.chat(
        model="m2",
        messages=[{"role": "user", "content": "Where?", "images": [PIXEL]}],
        format=schema,
        think=True,
        keep_alive="5m",
    )

    assert answer.message.content == '{"city": "Köln"}'
    assert answer.message.thinking == "hm hm"
    asked = upstream.questions[-1].json
    assert asked["response_format"]["json_schema"]["schema"] == schema
    picture = next(part for part in asked["messages"][0]["content"] if part["type"] == "image_url")
    assert picture["image_url"]["url"] == f"data:image/png;base64,{PIXEL}"


def test_a_prompt_is_completed(client: ollama.Client, upstream: Upstream) -> None:
    whole = client.generate(model="m1", prompt="Hi", system="Be brief.")
    parts = list(client.generate(model="m1", prompt="Hi", stream=True))

    assert whole.response == "Hello wörld"
    assert "".join(part.response for part in parts) == "Hello wörld"
    assert parts[-1].done_reason == "stop"
    assert [message["role"] for message in upstream.questions[0].json["messages"]] == ["system", "user"]


def test_waking_a_model_asks_nobody(client: ollama.Client, upstream: Upstream) -> None:
    assert client.generate(model="m1").done_reason == "load"
    assert client.generate(model="m1", keep_alive=0).done_reason == "unload"
    assert client.chat(model="m1", messages=[]).done_reason == "load"
    assert upstream.questions == []


def test_what_clients_ask_before_they_ask(client: ollama.Client, plain: httpx.Client) -> None:
    listed = [model.model for model in client.list().models]
    assert listed[0] == "auto"
    assert {"m1", "m2", "e1"} <= set(listed)
    shown = client.show("m2")
    assert shown.capabilities == ["completion", "tools", "vision", "thinking", "insert"]
    assert shown.modelinfo is not None
    assert shown.modelinfo["openai.context_length"] == 32768
    assert client.show("e1").capabilities == ["embedding"]
    assert "completion" in (client.show("auto:latest").capabilities or [])
    assert client.show("m1:latest").capabilities == ["completion", "tools"]
    assert plain.get("/api/version").json()["version"]
    assert plain.head("/").status_code == 200
    assert plain.get("/").text == "Ollama is running"


def test_a_raw_prompt_goes_on_as_it_is_and_a_gap_is_filled(client: ollama.Client, upstream: Upstream) -> None:
    upstream.will(Answer(("  return", " a + b")))
    raw = client.generate(model="m2", prompt="def add(a, b):", raw=True, options={"num_predict": 8})
    assert (raw.response, raw.done_reason) == ("  return a + b", "stop")
    asked = upstream.questions[-1].json
    assert (asked["prompt"], asked["max_tokens"]) == ("def add(a, b):", 8)

    parts = list(client.generate(model="m2", prompt="def add(a, b):", suffix="# end", stream=True))
    assert "".join(part.response for part in parts) == "  return a + b"
    assert upstream.questions[-1].json["suffix"] == "# end"
    with pytest.raises(ollama.ResponseError, match="completions"):
        client.generate(model="m1", prompt="def add(a, b):", raw=True)


def test_vectors_in_the_new_way_and_the_old(client: ollama.Client) -> None:
    given = client.embed(model="e1", input=["a", "b"])
    assert len(given.embeddings) == 2
    assert [len(each) for each in client.embed(model="e1", input="a", dimensions=2).embeddings] == [2]
    with pytest.raises(ollama.ResponseError, match="and 7 were asked for"):
        client.embed(model="e1", input="a", dimensions=7)
    assert list(given.embeddings[0]) == pytest.approx([1.0, 0.5, 1 / 3], abs=1e-6)
    assert list(client.embeddings(model="e1", prompt="a").embedding) == pytest.approx(
        [1.0, 0.5, 1 / 3], abs=1e-6
    )


def test_what_is_in_memory_and_what_is_there_already(client: ollama.Client, plain: httpx.Client) -> None:
    assert list(client.ps().models) == []
    assert [part.status for part in client.pull("m1", stream=True)] == ["success"]
    assert client.pull("m1:latest").status == "success"
    with pytest.raises(ollama.ResponseError) as caught:
        client.pull("nobody/knows-this")
    assert caught.value.status_code in (400, 404)


def test_errors_are_the_librarys_own(client: ollama.Client, url: str, upstream: Upstream) -> None:
    stranger = ollama.Client(host=url)
    for status, ask in (
        (404, lambda: client.chat(model="nothing", messages=HELLO)),
        (404, lambda: client.show("nothing")),
        (400, lambda: client.generate(model="m1", prompt="x", suffix="y")),
        (401, stranger.list),
    ):
        with pytest.raises(ollama.ResponseError) as caught:
            ask()
        assert caught.value.status_code == status
        assert caught.value.error
    stranger.close()
    upstream.will(Answer(("Hel", "lo"), fault=Die(at_event=2)))
    said: list[str] = []

    def listen() -> None:
        for part in client.chat(model="m1", messages=HELLO, stream=True):
            said.append(part.message.content or "")

    with pytest.raises(ollama.ResponseError):
        listen()
    assert "".join(said).startswith("Hel")


def test_what_is_not_offered_is_said_in_its_own_shape(client: ollama.Client) -> None:
    for refused, name in (
        (lambda: client.push("m1"), "/api/push"),
        (lambda: client.copy("m1", "m2"), "/api/copy"),
        (lambda: client.delete("m1"), "/api/delete"),
    ):
        with pytest.raises(ollama.ResponseError) as told:
            refused()
        assert told.value.status_code in (404, 405)
        assert told.value.error.startswith((f"{name} is not offered", f"DELETE {name} is not offered"))
