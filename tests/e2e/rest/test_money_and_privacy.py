"""Money, privacy, drains and what Prometheus sees, through the door of a real node."""

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from legion_core.testing.upstreams import Upstream

HELLO: list[Any] = [{"role": "user", "content": "Hi"}]
QUESTION = {"model": "m1", "messages": HELLO, "max_tokens": 50}


@pytest.fixture
def api(url: str, token: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as client:
        yield client


def data(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def samples(api: httpx.Client) -> dict[str, float]:
    """What `/metrics` says, by the name with its labels."""
    lines = [line for line in api.get("/metrics").text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_a_budget_stops_paid_answers_in_the_clients_own_words_and_is_told_of(
    api: httpx.Client, url: str, token: str, upstream: Upstream
) -> None:
    assert data(api.get("/api/v1/ledger/budgets")) == []
    assert api.post("/v1/chat/completions", json=QUESTION).status_code == 200
    data(api.put("/api/v1/settings/budget.day_usd", json={"value": 0.0001}))

    client = openai.OpenAI(base_url=f"{url}/v1", api_key=token, max_retries=5)
    with client, pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="m1", messages=HELLO, max_tokens=50)
    assert "today's budget of $0.0001" in str(caught.value)
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert len(upstream.questions) == 1

    (budget,) = data(api.get("/api/v1/ledger/budgets"))
    assert (budget["scope"], budget["limit_usd"], budget["held_usd"]) == ("day", 0.0001, 0.0)
    assert budget["spent_usd"] > 0
    seen = samples(api)
    assert seen['legion_budget_limit_usd{scope="day"}'] == 0.0001
    assert seen['legion_attempt_outcomes_total{outcome="succeeded"}'] == 1
    assert seen['legion_circuit_state{instance="box-a",state="closed"}'] == 1
    (row,) = data(api.get("/api/v1/ledger/summary", params={"by": "instance", "since": "2026-01-01"}))
    assert (row["key"], row["attempts"]) == ("box-a", 1)
    assert api.get("/api/v1/ledger/summary", params={"by": "model", "since": "soon"}).status_code == 400


def test_a_private_request_is_refused_rather_than_sent_away(api: httpx.Client, upstream: Upstream) -> None:
    for headers in ({"x-legion-private": "on"}, {"x-legion-private": "on", "x-legion-instance": "box-a"}):
        refused = api.post("/v1/chat/completions", json=QUESTION, headers=headers)
        assert refused.status_code == 503
        assert "marked private" in refused.json()["error"]["message"]
    assert (
        api.post("/v1/chat/completions", json=QUESTION, headers={"x-legion-private": "maybe"}).status_code
        == 400
    )
    assert upstream.questions == []


def test_a_private_conversation_stays_whatever_its_requests_pin(
    api: httpx.Client, upstream: Upstream
) -> None:
    named = api.post("/api/v1/conversations", json={}).json()["data"]["id"]
    path = f"/api/v1/conversations/{named}/private"
    assert data(api.get(path)) == {"id": named, "private": False}
    assert data(api.put(path, json={"private": True})) == {"id": named, "private": True}
    headers = {"x-legion-conversation": named, "x-legion-instance": "box-a"}

    assert api.post("/v1/chat/completions", json=QUESTION, headers=headers).status_code == 503
    assert upstream.questions == []

    data(api.put(path, json={"private": False}))
    assert api.post("/v1/chat/completions", json=QUESTION, headers=headers).status_code == 200
    assert api.put("/api/v1/conversations/nobody/private", json={"private": True}).status_code == 404


def test_a_drained_instance_takes_nothing_new_and_the_explanation_says_so(api: httpx.Client) -> None:
    row = data(api.post("/api/v1/providers/box-a/drain"))
    assert (row["is_draining"], row["circuit"]) == (True, "closed")

    told = data(api.post("/api/v1/routes/explain", json={"text": "Hi", "pins": {"instance": "box-a"}}))
    assert told["candidates"] == []
    reasons = {left["why"] for left in told["left_out"] if left["lane"]["instance"] == "box-a"}
    assert "Draining: it finishes what runs and takes nothing new" in reasons
    assert api.post("/v1/chat/completions", json=QUESTION).status_code == 503

    assert data(api.post("/api/v1/providers/box-a/reset"))["is_draining"] is False
    assert api.post("/v1/chat/completions", json=QUESTION).status_code == 200


def test_an_explanation_for_a_vector_and_for_a_private_request(api: httpx.Client) -> None:
    vector = data(api.post("/api/v1/routes/explain", json={"text": "Hi", "operation": "embed"}))
    assert "e1" in {lane["model"] for lane in vector["candidates"]}
    assert all("embeddings" in lane["capabilities"] for lane in vector["candidates"])

    private = data(api.post("/api/v1/routes/explain", json={"text": "Hi", "private": True}))
    assert all(lane["tier"] == "local" for lane in private["candidates"])
    assert {left["reason"] for left in private["left_out"]} >= {"policy"}


def test_a_test_of_a_provider_refuses_what_saving_would_refuse(api: httpx.Client, upstream: Upstream) -> None:
    spec = {"name": "not a name", "kind": "openai", "base_url": upstream.base_url}
    asked = len(upstream.requests)

    refused = api.post("/api/v1/providers", json=spec)

    assert refused.status_code == 400
    assert len(upstream.requests) == asked
    assert "not a name" in refused.json()["error"]["message"]


def test_what_runs_on_this_computer_is_found_only_when_asked(api: httpx.Client) -> None:
    found = data(api.get("/api/v1/providers/discovered"))

    assert all(each["base_url"].startswith("http://127.0.0.1:") for each in found)
