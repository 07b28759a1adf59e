"""Text that goes on and breaks off at one server goes on at another, over both wires that have it, to the letter."""

from pathlib import Path

import httpx
import openai
import pytest

from legion_core.testing.upstreams import Answer, Die, Recorded, Tear, Upstream, in_thread
from tests.contract.surfaces.nodes import running_node

PROMPT = "def add(a, b):\n"
PIECES = ("    ret", "urn a", " + b", "\n\n", "# größer 🌊", "\n")
CONFIG = """
[[gateway.instances]]
name = "first"
kind = "openai"
base_url = "{first}"
tier = "direct"
api_key = "env://ANY_KEY"

[[gateway.instances.models]]
id = "m1"
capabilities = ["streaming", "completions"]

[[gateway.instances]]
name = "second"
kind = "ollama"
base_url = "{second}"
tier = "fleet"

[[gateway.instances.models]]
id = "m1"
context = 4096
capabilities = ["streaming", "completions"]
"""


def rest(question: Recorded) -> Answer:
    """What a model gives that is told the text so far."""
    given = question.json["prompt"].removeprefix(PROMPT)
    whole = "".join(PIECES)
    assert whole.startswith(given)
    assert question.json["raw"] is True
    return Answer((whole[len(given) :],))


def reset(url: str, token: str) -> None:
    """Faults on purpose open the circuit; the next one is to find it closed."""
    answer = httpx.post(f"{url}/api/v1/providers/first/reset", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code < 300, answer.text


@pytest.mark.slow
def test_a_text_that_breaks_off_anywhere_goes_on_at_another_server_to_the_letter(legion_home: Path) -> None:
    with in_thread(Upstream("openai")) as first, in_thread(Upstream("ollama")) as second:
        legion_home.mkdir(parents=True, exist_ok=True, mode=0o700)
        config = CONFIG.format(first=first.base_url, second=second.base_url)
        (legion_home / "config.toml").write_text(config, encoding="utf-8")
        second.will(rest)
        with running_node(legion_home, {"ANY_KEY": "any"}) as url:
            token = (legion_home / "token").read_text(encoding="utf-8").strip()
            with openai.OpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0) as client:
                for cut in range(len(PIECES) + 1):
                    for fault in (Die(cut, by="rst"), Tear(cut, by="chunk")):
                        first.will(Answer(PIECES, fault=fault))
                        asked = client.completions.create(
                            model="m1", prompt=PROMPT, max_tokens=99, stream=True
                        )
                        chunks = [chunk.choices[0] for chunk in asked if chunk.choices]
                        assert "".join(choice.text for choice in chunks) == "".join(PIECES), (cut, fault)
                        assert [choice.finish_reason for choice in chunks if choice.finish_reason] == ["stop"]
                        reset(url, token)
                first.will(Answer(PIECES, fault=Die(2)))
                whole = client.completions.create(model="m1", prompt=PROMPT, max_tokens=99)
                assert whole.choices[0].text == "".join(PIECES)
