"""The fakes keep their own word: what a test measures against must be measured itself."""

import json
import urllib.request

from legion_core.testing.upstreams import Answer, Served, Upstream, events_of, in_thread


def ask(url: str, body: dict[str, object] | None = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=100) as answer:
        return answer.read()


def test_an_upstream_serves_from_a_thread_and_keeps_its_bill() -> None:
    upstream = Upstream("openai", models=(Served("m1"), Served("m2")))
    upstream.will(Answer(("a", "b", "c"), split=2))
    with in_thread(upstream):
        listed = json.loads(ask(upstream.base_url + "/models"))
        assert [row["id"] for row in listed["data"]] == ["m1", "m2"]
        said = ask(upstream.base_url + "/chat/completions", {"model": "m1", "messages": [], "stream": True})
        whole = json.loads(
            ask(upstream.base_url + "/chat/completions", {"model": "m1", "messages": [], "stream": False})
        )
    assert said == b"".join(
        event.data for event in events_of("openai", Answer(("a", "b", "c"))) if b'"usage"' not in event.data
    )
    assert whole["choices"][0]["message"]["content"] == "abc"
    assert whole["usage"]["completion_tokens"] == 3
    assert [request.tokens_written for request in upstream.questions] == [3, 3]
    assert upstream.billed_tokens == 6
    assert upstream.open_answers == 0
    assert upstream.requests[0].method == "GET"
