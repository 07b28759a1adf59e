"""A cheap model that breaks the form asked for is no longer asked first; a reset, and only that, brings it back."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from legion_core.testing.upstream_wires import Call
from legion_core.testing.upstreams import Answer, Upstream, in_thread
from tests.contract.surfaces.nodes import running_node
from tests.e2e.cli.command import inside

CONFIG = """
[routing]
bad_answer_usd = {usd}

[[gateway.instances]]
name = "box"
kind = "openai"
base_url = "{box}"
tier = "direct"

[[gateway.instances.models]]
id = "small"
context = 32768
capabilities = ["streaming", "tools", "structured_output"]

[[gateway.instances]]
name = "cloud"
kind = "openai"
base_url = "{cloud}"
tier = "cloud"

[[gateway.instances.models]]
id = "large"
context = 32768
capabilities = ["streaming", "tools", "structured_output"]
price = {{ input = 1.0, output = 5.0 }}
"""
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
FORMED: dict[str, Any] = {
    "response_format": {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA}}
}
TOOLED: dict[str, Any] = {"tools": [{"type": "function", "function": {"name": "look", "parameters": SCHEMA}}]}
WHY = "Of its latest 4 answers to requests with a form to keep to 4 were no good (it did not fit its schema)"


@pytest.fixture
def upstreams(legion_home: Path) -> Iterator[tuple[Upstream, Upstream]]:
    with in_thread(Upstream("openai")) as box, in_thread(Upstream("openai")) as cloud:
        legion_home.mkdir(parents=True, exist_ok=True, mode=0o700)
        configure(legion_home, box, cloud, usd=0.05)
        box.will(Answer(('{"town": ', '"Rome"}')))
        cloud.will(Answer(('{"city": ', '"Rome"}')))
        yield box, cloud


def configure(home: Path, box: Upstream, cloud: Upstream, *, usd: float) -> None:
    text = CONFIG.format(usd=usd, box=box.base_url, cloud=cloud.base_url)
    (home / "config.toml").write_text(text, encoding="utf-8")


@contextmanager
def api(home: Path) -> Iterator[httpx.Client]:
    with running_node(home, {}) as url:
        token = (home / "token").read_text(encoding="utf-8").strip()
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as client:
            assert (
                client.post("/api/v1/providers/local/trip").status_code == 200
            )  # what is built in answers too
            yield client


def asked(client: httpx.Client, *, stream: bool = False, **more: Any) -> str:
    """Where an answer came from."""
    body = {"model": "auto", "messages": [{"role": "user", "content": "Where?"}], "stream": stream, **more}
    answer = client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-legion-instance"]


def explained(client: httpx.Client, *requires: str) -> tuple[list[str], dict[str, str]]:
    """The order, and who stepped back with the reason."""
    answer = client.post("/api/v1/routes/explain", json={"text": "Where?", "requires": list(requires)})
    told = answer.json()["data"]
    order = [each["instance"] for each in told["candidates"]]
    return order, {each["lane"]: each["why"] for each in told.get("stepped_back", [])}


@pytest.mark.slow
@pytest.mark.requirement("gateway.learned-order")
def test_answers_out_of_form_send_the_next_elsewhere_until_it_is_reset(
    legion_home: Path, upstreams: tuple[Upstream, Upstream]
) -> None:
    with api(legion_home) as client:
        assert explained(client, "structured_output") == (["box", "cloud"], {})
        assert [asked(client, stream=number == 1, **FORMED) for number in range(5)] == ["box"] * 4 + ["cloud"]

        assert explained(client, "structured_output") == (["cloud", "box"], {"box/small": WHY})
        told = inside(legion_home, "route", "explain", "Where?", "--requires", "structured_output")
        assert f"{WHY}: it comes after the others" in told.out
        assert asked(client) == "box"  # of other kinds nothing is known
        assert explained(client) == (["box", "cloud"], {})

    with api(legion_home) as client:
        for _ in range(1_000):  # it remembers beside its start
            if explained(client, "structured_output")[1]:
                break
        assert asked(client, **FORMED) == "cloud"
        assert inside(legion_home, "provider", "reset", "box").status == 0
        assert explained(client, "structured_output") == (["box", "cloud"], {})

    with api(legion_home) as client:
        assert asked(client, **FORMED) == "box"


@pytest.mark.slow
def test_calls_of_tools_that_were_not_offered_count_streamed_or_whole(
    legion_home: Path, upstreams: tuple[Upstream, Upstream]
) -> None:
    box, cloud = upstreams
    box.will(Answer((), calls=(Call("c1", "jump", '{"city": "Rome"}'),)))
    cloud.will(Answer((), calls=(Call("c1", "look", '{"city": "Rome"}'),)))

    with api(legion_home) as client:
        found = [asked(client, stream=number % 2 == 0, **TOOLED) for number in range(6)]

        assert found == ["box"] * 4 + ["cloud"] * 2
        (why,) = explained(client, "tools")[1].values()
        assert "it called a tool that was not offered" in why


@pytest.mark.slow
def test_where_a_bad_answer_costs_nothing_the_order_stays_and_nothing_is_kept(
    legion_home: Path, upstreams: tuple[Upstream, Upstream]
) -> None:
    configure(legion_home, *upstreams, usd=0.0)
    with api(legion_home) as client:
        assert {asked(client, **FORMED) for _ in range(6)} == {"box"}
        answer = client.put("/api/v1/settings/routing.bad_answer_usd", json={"value": 0.05})
        assert answer.status_code == 200, answer.text

        assert explained(client, "structured_output") == (["box", "cloud"], {})
        assert [asked(client, **FORMED) for _ in range(5)] == ["box"] * 4 + ["cloud"]
