"""With the real starter model, from the command line and through the official SDKs."""

import signal
from pathlib import Path

import anthropic
import openai
import pytest

from legion_core.testing.engines import starter_model
from tests.e2e.cli.command import Started, legion

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(starter_model() is None, reason="the starter model is not installed"),
]
HELLO = [{"role": "user", "content": "Say hello."}]


def test_a_first_prompt_needs_nothing_but_the_program(legion_home: Path) -> None:
    ran = legion(legion_home, "chat", "prompt", "Say hello.", "--json")

    assert ran.status == 0, ran.err
    assert ran.data["text"].strip()
    assert ran.data["tier"] == "local"
    assert ran.data["cost_usd"] == 0.0


def test_both_sdks_are_answered_whole_and_streamed(legion_home: Path) -> None:
    with Started(legion_home) as node:
        token = (legion_home / "token").read_text(encoding="utf-8").strip()
        with openai.OpenAI(base_url=f"{node.url}/v1", api_key=token, max_retries=0) as oai:
            whole = oai.chat.completions.create(model="auto", messages=HELLO, max_tokens=16)
            assert whole.choices[0].message.content
            assert whole.usage is not None
            assert 0 < whole.usage.completion_tokens <= 16
            chunks = list(
                oai.chat.completions.create(model="auto", messages=HELLO, max_tokens=16, stream=True)
            )
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        with anthropic.Anthropic(base_url=node.url, api_key=token, max_retries=0) as claude:
            answer = claude.messages.create(model="auto", messages=HELLO, max_tokens=16)
            assert answer.content[0].type == "text"
            assert answer.content[0].text
            with claude.messages.stream(model="auto", messages=HELLO, max_tokens=16) as stream:
                assert "".join(stream.text_stream)
                assert stream.get_final_message().usage.output_tokens <= 16
        status, _, err = node.end(signal.SIGTERM)

    assert (status, err) == (0, "")
