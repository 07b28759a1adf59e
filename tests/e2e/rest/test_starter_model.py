"""With the real starter model, from the command line and through the official SDKs."""

import signal
from pathlib import Path

import anthropic
import ollama
import openai
import pytest
from google import genai
from google.genai import types

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
            text = oai.completions.create(
                model="auto", prompt="Once upon a time, in a land far", temperature=0
            )
            assert text.choices[0].text
            assert text.usage is not None
            assert (text.usage.prompt_tokens < 12, 0 < text.usage.completion_tokens <= 16) == (True, True)
            with pytest.raises(openai.BadRequestError, match="fim"):
                oai.completions.create(model="auto", prompt="def f(", suffix="return x")
        with anthropic.Anthropic(base_url=node.url, api_key=token, max_retries=0) as claude:
            answer = claude.messages.create(model="auto", messages=HELLO, max_tokens=16)
            assert answer.content[0].type == "text"
            assert answer.content[0].text
            with claude.messages.stream(model="auto", messages=HELLO, max_tokens=16) as stream:
                assert "".join(stream.text_stream)
                assert stream.get_final_message().usage.output_tokens <= 16
        status, _, err = node.end(signal.SIGTERM)

    assert (status, err) == (0, "")


def test_the_other_dialects_are_answered_whole_and_streamed(legion_home: Path) -> None:
    with Started(legion_home) as node:
        token = (legion_home / "token").read_text(encoding="utf-8").strip()
        with openai.OpenAI(base_url=f"{node.url}/v1", api_key=token, max_retries=0) as oai:
            whole = oai.responses.create(model="auto", input="Say hello.", max_output_tokens=16)
            assert whole.output_text
            with oai.responses.stream(model="auto", input="Say hello.", max_output_tokens=16) as stream:
                final = stream.get_final_response()
            assert final.output_text
            assert final.usage is not None
            assert 0 < final.usage.output_tokens <= 16
            again = oai.responses.create(
                model="auto", input="And again.", previous_response_id=final.id, max_output_tokens=8
            )
            assert again.usage is not None
            assert again.usage.input_tokens > final.usage.input_tokens
        with ollama.Client(host=node.url, headers={"Authorization": f"Bearer {token}"}) as client:
            options = {"num_predict": 16}
            chat = client.chat(model="auto", messages=HELLO, options=options)
            assert chat.message.content
            assert 0 < (chat.eval_count or 0) <= 16
            parts = list(client.generate(model="auto", prompt="Say hello.", options=options, stream=True))
            assert "".join(part.response for part in parts)
            assert parts[-1].done
        with genai.Client(api_key=token, http_options=types.HttpOptions(base_url=node.url)) as gemini:
            config = types.GenerateContentConfig(max_output_tokens=16)
            assert gemini.models.generate_content(model="auto", contents="Say hello.", config=config).text
            chunks = list(
                gemini.models.generate_content_stream(model="auto", contents="Say hello.", config=config)
            )
            assert "".join(chunk.text or "" for chunk in chunks)
            assert chunks[-1].usage_metadata is not None
        status, _, err = node.end(signal.SIGTERM)

    assert (status, err) == (0, "")
