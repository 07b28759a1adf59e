"""Google's own Python library against the port, and what only other clients send, as they would send it."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pydantic
import pytest
from google import genai
from google.genai import errors, types

from legion_core.gateway.providers.sse import SseParser
from legion_core.testing.upstreams import Answer, Call, Die, Upstream

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
HELLO = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
CLOCK = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="clock",
            description="The time",
            parameters=types.Schema(
                type=types.Type.OBJECT,
                properties={"zone": types.Schema(type=types.Type.STRING, nullable=True)},
                required=["zone"],
            ),
        )
    ]
)


class City(pydantic.BaseModel):
    city: str


PDF = b"%PDF-1.4\n<</Type/Page>>"


@pytest.fixture
def client(url: str, token: str) -> Iterator[genai.Client]:
    with genai.Client(api_key=token, http_options=types.HttpOptions(base_url=url)) as client:
        yield client


@pytest.fixture
def plain(url: str, token: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers={"x-goog-api-key": token}) as client:
        yield client


def test_a_whole_answer(client: genai.Client, upstream: Upstream) -> None:
    answer = client.models.generate_content(
        model="m1",
        contents="Hi",
        config=types.GenerateContentConfig(
            system_instruction="Be brief.",
            max_output_tokens=9,
            temperature=0.5,
            top_k=40,
            seed=3,
            stop_sequences=["END"],
            safety_settings=[
                types.SafetySetting(
                    category=types.HarmCategory.HARM_CATEGORY_HARASSMENT,
                    threshold=types.HarmBlockThreshold.BLOCK_NONE,
                )
            ],
        ),
    )

    assert answer.text == "Hello wörld"
    assert answer.model_version == "m1"
    assert answer.candidates is not None
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    usage = answer.usage_metadata
    assert usage is not None
    assert (usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count) == (7, 3, 10)
    asked = upstream.questions[-1].json
    assert (asked["temperature"], asked["seed"], asked["stop"]) == (0.5, 3, ["END"])
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]


def test_a_streamed_answer_ends_once_with_its_usage(client: genai.Client) -> None:
    chunks = list(client.models.generate_content_stream(model="m1", contents="Hi"))

    assert "".join(chunk.text or "" for chunk in chunks) == "Hello wörld"
    ends = [chunk for chunk in chunks if chunk.candidates and chunk.candidates[0].finish_reason]
    assert ends == chunks[-1:]
    assert [chunk for chunk in chunks if chunk.usage_metadata] == ends


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_chat_makes_parallel_calls_and_answers_them(
    client: genai.Client, upstream: Upstream, is_streamed: bool
) -> None:
    calls = (Call("c1", "clock", '{"zone": "UTC"}'), Call("c2", "clock", '{"zone": "CET"}'))
    upstream.will(Answer(("I look.",), calls=calls, split=3), Answer(("Noon.",)))
    off = types.AutomaticFunctionCallingConfig(disable=True)
    chat = client.chats.create(
        model="m1", config=types.GenerateContentConfig(tools=[CLOCK], automatic_function_calling=off)
    )

    def say(words: Any) -> list[types.Part]:
        chunks = chat.send_message_stream(words) if is_streamed else [chat.send_message(words)]
        found: list[types.Part] = []
        for chunk in chunks:
            assert chunk.candidates is not None
            assert chunk.candidates[0].content is not None
            found += chunk.candidates[0].content.parts or []
        return found

    made = [part.function_call for part in say("What time is it?") if part.function_call]
    assert [(call.id, call.name, call.args) for call in made] == [
        ("c1", "clock", {"zone": "UTC"}),
        ("c2", "clock", {"zone": "CET"}),
    ]
    results = [
        types.Part(
            function_response=types.FunctionResponse(id=call.id, name="clock", response={"output": at})
        )
        for call, at in zip(made, ("12:00", "13:00"), strict=True)
    ]
    assert "".join(part.text or "" for part in say(results)) == "Noon."

    first, second = upstream.questions
    sent = first.json["tools"][0]["function"]["parameters"]
    assert sent == {
        "type": "object",
        "properties": {"zone": {"type": ["string", "null"]}},
        "required": ["zone"],
    }
    told = second.json["messages"]
    assert [message["role"] for message in told] == ["user", "assistant", "tool", "tool"]
    assert [(message["tool_call_id"], message["content"]) for message in told[2:]] == [
        ("c1", "12:00"),
        ("c2", "13:00"),
    ]


def test_pictures_schemas_and_thoughts(client: genai.Client, upstream: Upstream) -> None:
    upstream.will(Answer(('{"city": "Köln"}',), thinking=("hm ", "hm")))
    picture = types.Part.from_bytes(data=base64.b64decode(PIXEL), mime_type="image/png")

    answer = client.models.generate_content(
        model="m2",
        contents=[picture, "Where?"],
        config=types.GenerateContentConfig(
            response_mime_type="application/json",
            response_schema=City,
            thinking_config=types.ThinkingConfig(thinking_budget=2048, include_thoughts=True),
        ),
    )

    assert answer.parsed == City(city="Köln")
    assert answer.candidates is not None
    assert answer.candidates[0].content is not None
    thoughts = [part.text for part in answer.candidates[0].content.parts or [] if part.thought]
    assert thoughts == ["hm hm"]
    asked = upstream.questions[-1].json
    assert asked["response_format"]["json_schema"]["schema"]["properties"]["city"]["type"] == "string"
    shown = next(part for part in asked["messages"][0]["content"] if part["type"] == "image_url")
    assert shown["image_url"]["url"] == f"data:image/png;base64,{PIXEL}"


def test_thoughts_nobody_asked_for_are_kept_back(client: genai.Client, upstream: Upstream) -> None:
    upstream.will(Answer(("Four.",), thinking=("2+2",)))

    whole = client.models.generate_content(model="m2", contents="Hi")
    chunks = list(client.models.generate_content_stream(model="m2", contents="Hi"))

    assert "2+2" not in whole.model_dump_json()
    assert "2+2" not in "".join(chunk.model_dump_json() for chunk in chunks)


def test_tokens_are_counted_and_models_listed(client: genai.Client, upstream: Upstream) -> None:
    few = client.models.count_tokens(model="m1", contents="Hi").total_tokens
    many = client.models.count_tokens(model="m1", contents="word " * 500).total_tokens
    assert few is not None
    assert many is not None
    assert 0 < few < 50 < many
    listed = [model.name for model in client.models.list()]
    assert listed[0] == "models/auto"
    assert {"models/m1", "models/m2"} <= set(listed)
    assert "models/e1" not in listed
    assert client.models.get(model="m2").input_token_limit == 32768
    assert upstream.questions == []


def test_errors_are_the_librarys_own(client: genai.Client, url: str, upstream: Upstream) -> None:
    for status, word, ask in (
        (404, "NOT_FOUND", lambda: client.models.generate_content(model="nothing", contents="Hi")),
        (404, "NOT_FOUND", lambda: client.models.get(model="nothing")),
        (
            400,
            "INVALID_ARGUMENT",
            lambda: client.models.generate_content(
                model="m1", contents="Hi", config=types.GenerateContentConfig(candidate_count=3)
            ),
        ),
    ):
        with pytest.raises(errors.ClientError) as caught:
            ask()
        assert (caught.value.code, caught.value.status) == (status, word)
        assert caught.value.message
    with (
        genai.Client(api_key="wrong", http_options=types.HttpOptions(base_url=url)) as stranger,
        pytest.raises(errors.ClientError) as caught,
    ):
        stranger.models.generate_content(model="m1", contents="Hi")
    assert "401" in str(caught.value)

    upstream.will(Answer(("Hel", "lo"), fault=Die(at_event=2)))
    said: list[str] = []

    def listen() -> None:
        for chunk in client.models.generate_content_stream(model="m1", contents="Hi"):
            said.append(chunk.text or "")

    with pytest.raises(errors.ServerError):
        listen()
    assert "".join(said).startswith("Hel")


def test_without_alt_a_stream_is_one_json_array(plain: httpx.Client, upstream: Upstream) -> None:
    answer = plain.post("/v1beta/models/m1:streamGenerateContent", json=HELLO)

    assert answer.headers["content-type"] == "application/json"
    parts = [chunk["candidates"][0] for chunk in answer.json()]
    assert "".join(part["content"]["parts"][0]["text"] for part in parts) == "Hello wörld"
    assert [part.get("finishReason") for part in parts][-1] == "STOP"
    upstream.will(Answer(("Hel", "lo"), fault=Die(at_event=2)))
    broken = plain.post("/v1beta/models/m1:streamGenerateContent", json=HELLO).json()
    assert broken[-1]["error"]["status"] == "UNAVAILABLE"


def test_the_key_may_stand_in_the_address_and_is_never_logged(
    url: str, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG", logger="legion"):
        answer = httpx.post(
            f"{url}/v1beta/models/auto:streamGenerateContent?alt=sse&key={token}",
            json=HELLO,
            headers={"x-legion-instance": "box-a"},
        )

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream"
    events = [json.loads(event.data) for event in SseParser().feed(answer.content)]
    assert events[-1]["candidates"][0]["finishReason"] == "STOP"
    assert not [
        record
        for record in caplog.records
        if record.name.startswith("legion") and token in record.getMessage()
    ]


def test_vectors_of_one_text_and_of_many(client: genai.Client, plain: httpx.Client) -> None:
    found = client.models.embed_content(model="e1", contents=["a", "b"])
    assert found.embeddings is not None
    assert [len(each.values or []) for each in found.embeddings] == [3, 3]
    shorter = client.models.embed_content(
        model="e1", contents=["a", "b"], config=types.EmbedContentConfig(output_dimensionality=2)
    )
    assert [len(each.values or []) for each in shorter.embeddings or []] == [2, 2]
    assert found.embeddings[0].values == pytest.approx([1.0, 0.5, 1 / 3], abs=1e-6)

    one = plain.post("/v1beta/models/e1:embedContent", json={"content": {"parts": [{"text": "a"}]}})
    assert one.json()["embedding"]["values"] == pytest.approx([1.0, 0.5, 1 / 3], abs=1e-6)
    for wrong in (
        {"content": {"parts": []}},
        {"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": PIXEL}}]}},
        {"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 8},
        {"content": {"parts": [{"text": ""}]}},
    ):
        refused = plain.post("/v1beta/models/e1:embedContent", json=wrong)
        assert refused.status_code == 400, wrong
        assert refused.json()["error"]["status"] == "INVALID_ARGUMENT"


def test_what_is_not_offered_is_said_in_its_own_shape(client: genai.Client) -> None:
    for refused, name in (
        (lambda: list(client.caches.list()), "/cachedContents"),
        (lambda: list(client.files.list()), "/files"),
        (lambda: client.models.delete(model="m1"), "/models/m1"),
    ):
        with pytest.raises(errors.ClientError, match=name) as told:
            refused()
        assert (told.value.code in (404, 405), told.value.status) == (True, "NOT_FOUND")


def test_a_pdf_and_a_text_are_given_as_files(client: genai.Client, upstream: Upstream) -> None:
    paper = types.Part.from_bytes(data=PDF, mime_type="application/pdf")
    table = types.Part.from_bytes(data=b"a,b", mime_type="text/csv")

    answer = client.models.generate_content(model="m2", contents=[paper, table, "Compare."])

    assert answer.text == "Hello wörld"
    told = upstream.questions[-1].json["messages"][-1]["content"]
    packed = base64.b64encode(PDF).decode()
    file = {"file_data": f"data:application/pdf;base64,{packed}", "filename": "document.pdf"}
    assert told[0] == {"type": "file", "file": file}
    assert [part["text"] for part in told[1:]] == ["a,b", "Compare."]
    with pytest.raises(errors.ClientError, match="documents"):
        client.models.generate_content(model="m1", contents=[paper, "Compare."])
