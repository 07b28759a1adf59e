"""Bodies that are wrong, and bodies that want more than a question: over a real node, in every dialect."""

import copy
import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from legion_core.testing.grid_clients import DIALECTS, Asked, DialectName, question
from legion_core.testing.upstreams import Answer, Upstream

EVERYTHING = Asked(thinks=True, has_tools=True, has_picture=True, is_structured=True)
ODD: list[Any] = [
    None, True, -1, 0, 1e308, "", " ", "\x00", "x" * 300, "\ud800", [], {}, [[]], [None], {"type": "alien"},
    {"role": "alien"}, {"$ref": "http://127.0.0.1:1/x"}, "data:image/png;base64,@@", "file:///etc/passwd",
]  # fmt: skip
ANSWERS = {
    "chat": lambda body: body["error"]["message"] and body["error"]["type"],
    "responses": lambda body: body["error"]["message"] and body["error"]["type"],
    "messages": lambda body: body["type"] == "error" and body["error"]["type"] and body["error"]["message"],
    "ollama": lambda body: body["error"],
    "gemini": lambda body: body["error"]["code"] and body["error"]["status"] and body["error"]["message"],
}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a document."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [each for key, inner in below for each in places(inner, (*path, key))]


def changed(body: bytes, at: int, value: Any, *, is_removed: bool) -> bytes:
    """The body with one of its values replaced, or taken away."""
    told = copy.deepcopy(json.loads(body))
    path = places(told)[at % len(places(told))]
    parent = told
    for key in path[:-1]:
        parent = parent[key]
    if is_removed:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return json.dumps(told).encode()


class Door:
    """Asks a running node, one connection for all."""

    def __init__(self, url: str, token: str) -> None:
        self._host, self._token = urlsplit(url).netloc, token
        self._connection = http.client.HTTPConnection(self._host, timeout=300)

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        self._connection.request("POST", path, body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def close(self) -> None:
        self._connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_body_that_is_wrong_is_the_callers_fault_in_the_dialects_own_words(
    dialect: DialectName, url: str, token: str
) -> None:
    path, good = question(dialect, "m2", EVERYTHING)
    door = Door(url, token)

    @settings(max_examples=60)
    @given(at=st.integers(0, 400), value=st.sampled_from(ODD), is_removed=st.booleans())
    def other_values(at: int, value: Any, is_removed: bool) -> None:
        check(*door.post(path, changed(good, at, value, is_removed=is_removed)))

    @settings(max_examples=60)
    @given(cut=st.integers(0, len(good)), more=st.binary(max_size=6))
    def other_bytes(cut: int, more: bytes) -> None:
        check(*door.post(path, good[:cut] + more + good[cut + len(more) :]))

    def check(status: int, answer: bytes) -> None:
        assert status == 200 or 400 <= status < 500, (status, answer)
        if status != 200:
            assert ANSWERS[dialect](json.loads(answer))

    other_values()
    other_bytes()
    check(*door.post(path, good.decode().encode("utf-16")))
    check(*door.post(path, good + b" trailing"))
    check(*door.post(path, b"[" * 5000))
    door.close()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_body_cannot_choose_an_address_a_header_or_a_key(
    dialect: DialectName, url: str, token: str, upstream: Upstream
) -> None:
    path, good = question(dialect, "m2", Asked())
    evil = "http://127.0.0.1:9/evil"
    wishes = {
        "api_base": evil, "base_url": evil, "baseUrl": evil, "endpoint": evil, "url": evil, "host": evil,
        "api_key": "sk-evil", "apiKey": "sk-evil", "key": "sk-evil", "organization": "evil", "project": "evil",
        "headers": {"x-evil": "1"}, "extra_headers": {"x-evil": "1"}, "default_headers": {"x-evil": "1"},
        "extra_body": {"x_evil": 1}, "extra_query": {"evil": "1"}, "proxy": evil, "http_proxy": evil,
        "litellm_params": {"api_base": evil}, "provider": {"base_url": evil}, "metadata": {"api_base": evil},
        "user_config": {"model_list": []}, "mock_response": "evil", "azure_endpoint": evil, "timeout": 0.0001,
    }  # fmt: skip
    told = json.loads(good)
    upstream.will(Answer(("fine",)))
    door = Door(url, token)

    status, _ = door.post(path, json.dumps({**told, **wishes}).encode())
    door.close()

    assert status == 200 or 400 <= status < 500
    for asked in upstream.questions:
        assert asked.path == "/v1/chat/completions"
        assert b"evil" not in asked.body
        assert not any("evil" in name + value for name, value in asked.headers.items())
    assert len(upstream.questions) == (1 if status == 200 else 0)
