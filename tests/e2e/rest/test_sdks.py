"""The official SDKs against the port, as other programs would use it."""

import base64
import struct
from collections.abc import Iterator
from typing import Literal

import anthropic
import httpx
import openai
import pytest

from legion_core.testing.upstreams import Answer, Call, Die, Raw, Upstream

PIN = {"x-legion-instance": "box-a"}
HELLO = [{"role": "user", "content": "Hi"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "clock",
        "description": "The time",
        "parameters": {"type": "object", "properties": {}},
    },
}


@pytest.fixture
def oai(url: str, token: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key=token, default_headers=PIN, max_retries=0) as client:
        yield client


@pytest.fixture
def claude(url: str, token: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=url, api_key=token, default_headers=PIN, max_retries=0) as client:
        yield client


def test_openai_whole(oai: openai.OpenAI) -> None:
    answer = oai.chat.completions.with_raw_response.create(model="auto", messages=HELLO)

    assert answer.headers["x-legion-tier"] == "direct"
    assert answer.headers["x-legion-instance"] == "box-a"
    assert answer.headers["x-legion-attempts"] == "1"
    whole = answer.parse()
    assert whole.choices[0].message.content == "Hello wörld"
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (7, 3)


def test_openai_streamed(oai: openai.OpenAI) -> None:
    chunks = list(
        oai.chat.completions.create(
            model="auto", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello wörld"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 3


def test_openai_tools_streamed(oai: openai.OpenAI, upstream: Upstream) -> None:
    upstream.will(Answer((), calls=(Call("call_1", "clock", '{"zone": "UTC"}'),)))

    with oai.chat.completions.stream(model="auto", messages=HELLO, tools=[TOOL]) as stream:
        call = stream.get_final_completion().choices[0].message.tool_calls

    assert call is not None
    assert (call[0].function.name, call[0].function.arguments) == ("clock", '{"zone": "UTC"}')


def test_openai_typed_errors(oai: openai.OpenAI, url: str, upstream: Upstream) -> None:
    with pytest.raises(openai.BadRequestError):
        oai.chat.completions.create(model="auto", messages=[])
    with pytest.raises(openai.NotFoundError):
        oai.chat.completions.create(model="auto", messages=HELLO, extra_headers={"x-legion-model": "nothing"})
    with pytest.raises(openai.BadRequestError):
        oai.chat.completions.create(model="auto", messages=HELLO, extra_headers={"x-legion-tier": "nothing"})
    with (
        openai.OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.models.list()
    upstream.will(Raw(503, b'{"error": {"message": "too busy"}}'))
    with pytest.raises(openai.InternalServerError):
        oai.chat.completions.create(model="auto", messages=HELLO)


def test_openai_stream_that_dies_with_nowhere_to_go_raises(oai: openai.OpenAI, upstream: Upstream) -> None:
    upstream.will(Answer(("Hel", "lo"), fault=Die(at_event=2)))
    said: list[str] = []

    def listen() -> None:
        for chunk in oai.chat.completions.create(model="auto", messages=HELLO, stream=True):
            said.extend(choice.delta.content or "" for choice in chunk.choices)

    with pytest.raises(openai.APIError):
        listen()

    assert "".join(said).startswith("Hel")


def test_openai_models(oai: openai.OpenAI) -> None:
    listed = [model.id for model in oai.models.list()]

    assert listed[0] == "auto"
    assert "m1" in listed
    assert oai.models.retrieve("m1").id == "m1"
    with pytest.raises(openai.NotFoundError):
        oai.models.retrieve("nothing")


def test_openai_embeddings_where_no_model_makes_vectors(oai: openai.OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as raised:
        oai.embeddings.create(model="m1", input="a")

    assert raised.value.status_code < 500 or raised.value.status_code == 503
    assert "message" in str(raised.value.body)


@pytest.mark.parametrize("form", ["float", "base64"])
def test_openai_embeddings(oai: openai.OpenAI, form: Literal["float", "base64"]) -> None:
    given = oai.embeddings.create(model="e1", input=["a", "b"], encoding_format=form)

    assert [row.index for row in given.data] == [0, 1]
    if form == "float":
        assert given.data[0].embedding == pytest.approx([1.0, 0.5, 1 / 3], abs=1e-6)
    else:
        packed = base64.b64decode(str(given.data[0].embedding))
        assert struct.unpack("<3f", packed) == pytest.approx([1.0, 0.5, 1 / 3], abs=1e-6)


def test_openai_embeddings_are_as_long_as_asked_or_refused(oai: openai.OpenAI, upstream: Upstream) -> None:
    given = oai.embeddings.create(model="e1", input=["a", "b"], dimensions=2)

    assert [len(row.embedding) for row in given.data] == [2, 2]
    # This server passes over what it cannot do; its longer vectors are told, and not cut.
    with pytest.raises(openai.BadRequestError, match="and 7 were asked for"):
        oai.embeddings.create(model="e1", input="a", dimensions=7)


def test_openai_embeddings_as_the_sdk_asks_for_them_by_itself(oai: openai.OpenAI) -> None:
    given = oai.embeddings.create(model="e1", input="a")

    assert given.data[0].embedding == pytest.approx([1.0, 0.5, 1 / 3], abs=1e-6)


def test_anthropic_whole(claude: anthropic.Anthropic) -> None:
    answer = claude.messages.with_raw_response.create(model="auto", max_tokens=64, messages=HELLO)

    assert answer.headers["x-legion-model"] == "m1"
    whole = answer.parse()
    assert whole.content[0].type == "text"
    assert whole.content[0].text == "Hello wörld"
    assert whole.stop_reason == "end_turn"
    assert whole.usage.output_tokens == 3


def test_anthropic_streamed(claude: anthropic.Anthropic) -> None:
    with claude.messages.stream(model="auto", max_tokens=64, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        whole = stream.get_final_message()

    assert text == "Hello wörld"
    assert whole.stop_reason == "end_turn"
    assert whole.usage.output_tokens == 3


def test_anthropic_counts_tokens_without_asking_a_model(
    claude: anthropic.Anthropic, upstream: Upstream
) -> None:
    few = claude.messages.count_tokens(model="auto", messages=HELLO).input_tokens
    many = claude.messages.count_tokens(
        model="auto", messages=[{"role": "user", "content": "word " * 500}], system="Be brief."
    ).input_tokens

    assert 0 < few < 50 < many
    assert upstream.questions == []


def test_anthropic_models_and_typed_errors(claude: anthropic.Anthropic, url: str) -> None:
    assert "m1" in [model.id for model in claude.models.list()]
    with pytest.raises(anthropic.BadRequestError):
        claude.messages.create(model="auto", max_tokens=0, messages=HELLO)
    with (
        anthropic.Anthropic(base_url=url, api_key="wrong", max_retries=0) as stranger,
        pytest.raises(anthropic.AuthenticationError),
    ):
        stranger.messages.create(model="auto", max_tokens=5, messages=HELLO)


def test_localhost_reaches_it_whichever_address_it_means(url: str, token: str) -> None:
    port = url.rpartition(":")[2]
    for host in ("127.0.0.1", "[::1]", "localhost"):
        answer = httpx.get(f"http://{host}:{port}/v1/models", headers={"x-goog-api-key": token})
        assert answer.status_code == 200, host


def test_the_native_api_shows_what_the_dialects_did(oai: openai.OpenAI, url: str, token: str) -> None:
    answer = oai.chat.completions.with_raw_response.create(model="auto", messages=HELLO)
    request = answer.headers["x-legion-request"]
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as client:
        rows = client.get("/api/v1/ledger", params={"request": request}).json()["data"]
        assert [(row["request"], row["attempt"], row["instance"]) for row in rows] == [(request, 1, "box-a")]
        assert rows[0]["usage"]["output_tokens"] == 3
        assert rows[0]["cost_usd"] == pytest.approx((7 * 3.0 + 3 * 15.0) / 1e6)
        text = client.get("/metrics").text
        assert 'legion_tokens_total{tier="direct",direction="output"} 3' in text
        assert 'operation="openai_chat_completions",status="200"' in text


def test_a_conversation_named_in_a_header_is_kept(
    oai: openai.OpenAI, url: str, token: str, upstream: Upstream
) -> None:
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as client:
        made = client.post("/api/v1/conversations", json={"title": "Kept"}).json()["data"]["id"]
        for words in ("One", "Two"):
            oai.chat.completions.create(
                model="auto",
                messages=[{"role": "user", "content": words}],
                extra_headers={"x-legion-conversation": made},
            )
        kept = client.get(f"/api/v1/conversations/{made}").json()["data"]

    assert [message["content"] for message in kept["messages"]] == [
        "One",
        "Hello wörld",
        "Two",
        "Hello wörld",
    ]
    asked = upstream.questions[-1].json["messages"]
    assert [message["content"] for message in asked if message["role"] == "user"] == ["One", "Two"]


def test_the_same_key_makes_one_conversation(url: str, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k1"}
    with httpx.Client(base_url=url, headers=headers) as client:
        ids = {client.post("/api/v1/conversations", json={}).json()["data"]["id"] for _ in range(3)}
        rows = client.get("/api/v1/conversations", params={"limit": 1}).json()

    assert len(ids) == 1
    assert [row["id"] for row in rows["data"]] == list(ids)
    assert rows["meta"]["next"] is None


def test_a_history_that_was_cut_between_a_call_and_its_result_goes_on(
    oai: openai.OpenAI, claude: anthropic.Anthropic, upstream: Upstream
) -> None:
    left = {"role": "tool", "tool_call_id": "call_gone", "content": "12:00"}
    answer = oai.chat.completions.create(
        model="auto", messages=[*HELLO, left, {"role": "assistant", "content": "Noon."}, *HELLO], tools=[TOOL]
    )

    assert answer.choices[0].message.content == "Hello wörld"
    told = upstream.questions[-1].json["messages"]
    assert [message["role"] for message in told] == ["user", "user", "assistant", "user"]
    assert "12:00" in told[1]["content"]

    result = {"type": "tool_result", "tool_use_id": "toolu_gone", "content": "12:00"}
    whole = claude.messages.create(
        model="auto",
        max_tokens=99,
        messages=[
            {"role": "user", "content": [result]},
            {"role": "assistant", "content": "Noon."},
            {"role": "user", "content": "And now?"},
        ],
    )
    assert whole.content[0].text == "Hello wörld"

    with pytest.raises(openai.BadRequestError) as refused:
        oai.chat.completions.create(model="auto", messages=[*HELLO, left])
    assert refused.value.param == "messages[1].tool_call_id"
    with pytest.raises(anthropic.BadRequestError, match="toolu_gone"):
        claude.messages.create(model="auto", max_tokens=99, messages=[{"role": "user", "content": [result]}])


def test_a_result_alone_answers_a_call_that_only_the_kept_conversation_knows(
    oai: openai.OpenAI, upstream: Upstream
) -> None:
    kept = {"x-legion-conversation": "conv_calls", **PIN}
    upstream.will(Answer((), calls=(Call("call_1", "clock", "{}"),)), Answer(("Noon.",)))
    oai.chat.completions.create(model="auto", messages=HELLO, tools=[TOOL], extra_headers=kept)

    answer = oai.chat.completions.create(
        model="auto",
        messages=[{"role": "tool", "tool_call_id": "call_1", "content": "12:00"}],
        tools=[TOOL],
        extra_headers=kept,
    )

    assert answer.choices[0].message.content == "Noon."
    told = upstream.questions[-1].json["messages"]
    assert [message["role"] for message in told] == ["user", "assistant", "tool"]
    assert told[1]["tool_calls"][0]["id"] == told[2]["tool_call_id"]


def test_the_librarys_own_loop_of_tools_and_its_threads_run_to_their_end(
    claude: anthropic.Anthropic, upstream: Upstream
) -> None:
    @anthropic.beta_tool
    def add(a: int, b: int) -> str:
        """Adds two numbers.

        Args:
            a: one
            b: the other
        """
        return str(a + b)

    upstream.will(
        Answer((), calls=(Call("call_1", "add", '{"a": 1, "b": 2}'),)),
        Answer((), calls=(Call("call_2", "add", '{"a": 3, "b": 4}'),)),
        Answer(("Seven.",)),
    )
    runner = claude.beta.messages.tool_runner(model="m1", max_tokens=99, messages=HELLO, tools=[add])

    assert runner.until_done().content[0].text == "Seven."
    told = upstream.questions[-1].json["messages"]
    assert [message["role"] for message in told] == ["user", "assistant", "tool", "assistant", "tool"]
    assert [told[2]["content"], told[4]["content"]] == ["3", "7"]
    assert len(upstream.questions) == 3  # what was refused for a moment reached nobody

    upstream.will(Answer(("One.",)), Answer(("Two.",)))
    thread = claude.beta.messages.thread(model="m1", max_tokens=99)
    thread.send({"role": "user", "content": "Hi"})
    assert thread.send({"role": "user", "content": "And now?"}).content[0].text == "Two."
    assert len(upstream.questions[-1].json["messages"]) == 3


def test_what_is_not_offered_is_named_as_such(oai: openai.OpenAI, claude: anthropic.Anthropic) -> None:
    for refused, name in (
        (lambda: oai.images.generate(prompt="x"), "/v1/images/generations"),
        (lambda: oai.moderations.create(input="x"), "/v1/moderations"),
        (lambda: list(oai.batches.list()), "/v1/batches"),
        (lambda: oai.chat.completions.list(), "/v1/chat/completions"),
        (lambda: list(claude.messages.batches.list()), "/v1/messages/batches"),
    ):
        with pytest.raises((openai.APIStatusError, anthropic.APIStatusError), match=name) as told:
            refused()
        assert told.value.status_code in (404, 405)
    with pytest.raises(openai.APIStatusError, match="uploaded files are not taken") as upload:
        oai.files.create(file=("a.jsonl", b"{}"), purpose="batch")
    assert upload.value.status_code == 415
    part = {"type": "file", "file": {"file_id": "file-1"}}
    with pytest.raises(openai.BadRequestError, match="files of one provider are not seen by others"):
        oai.chat.completions.create(model="m1", messages=[{"role": "user", "content": [part]}])


PDF = base64.b64encode(b"%PDF-1.4\n<</Type/Page>>").decode()


def test_a_pdf_reaches_a_model_that_reads_documents_and_no_other(
    oai: openai.OpenAI, claude: anthropic.Anthropic, upstream: Upstream
) -> None:
    file = {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "lease.pdf"}
    shown = [{"type": "text", "text": "Read."}, {"type": "file", "file": file}]
    said = [{"role": "user", "content": shown}]
    source = {"type": "base64", "media_type": "application/pdf", "data": PDF}
    document = {"type": "document", "source": source, "title": "lease.pdf"}

    assert oai.chat.completions.create(model="m2", messages=said).choices[0].message.content == "Hello wörld"
    claude.messages.create(model="m2", max_tokens=9, messages=[{"role": "user", "content": [document]}])
    entry = {
        "role": "user",
        "content": [{"type": "input_file", "filename": "lease.pdf", "file_data": file["file_data"]}],
    }
    assert oai.responses.create(model="m2", input=[entry]).output_text == "Hello wörld"

    asked = [question.json["messages"][-1]["content"] for question in upstream.questions]
    assert [content[-1] for content in asked] == [{"type": "file", "file": file}] * 3
    with pytest.raises(openai.BadRequestError, match="no documents"):
        oai.chat.completions.create(model="m1", messages=said)
    with pytest.raises(anthropic.BadRequestError, match="--documents yes"):
        claude.messages.create(model="m1", max_tokens=9, messages=[{"role": "user", "content": [document]}])
    assert len(upstream.questions) == 3


def test_a_text_given_as_a_document_reaches_every_model(
    oai: openai.OpenAI, claude: anthropic.Anthropic, upstream: Upstream
) -> None:
    packed = base64.b64encode("größe\n1".encode()).decode()
    file = {"file_data": f"data:text/csv;base64,{packed}", "filename": "a.csv"}
    oai.chat.completions.create(
        model="m1", messages=[{"role": "user", "content": [{"type": "file", "file": file}]}]
    )
    source = {"type": "text", "media_type": "text/plain", "data": "größe\n1"}
    document = {"type": "document", "source": source, "title": "a.csv"}
    claude.messages.create(model="m1", max_tokens=9, messages=[{"role": "user", "content": [document]}])

    asked = [question.json["messages"][-1]["content"] for question in upstream.questions]
    assert asked == ["a.csv\ngröße\n1"] * 2


def test_a_pdf_in_a_kept_conversation_is_sent_again_with_each_question(
    oai: openai.OpenAI, url: str, token: str, upstream: Upstream
) -> None:
    kept = {"x-legion-conversation": "conv_papers", **PIN}
    file = {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "lease.pdf"}
    said = [{"role": "user", "content": [{"type": "file", "file": file}]}]
    oai.chat.completions.create(model="m2", messages=said, extra_headers=kept)
    oai.chat.completions.create(model="m2", messages=HELLO, extra_headers=kept)

    told = upstream.questions[-1].json["messages"]
    assert told[0]["content"] == [{"type": "file", "file": file}]
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as client:
        shown = client.get("/api/v1/conversations/conv_papers").json()["data"]["messages"]
    assert shown[0]["documents"] == ["lease.pdf"]


@pytest.mark.parametrize(
    ("asked", "field", "words"),
    [
        ({"input": [1, 2, 3]}, "input", "check_embedding_ctx_length"),
        ({"input": [[1, 2], [3]]}, "input", "token numbers"),
        ({"input": []}, "input", "length"),
        ({"input": ["a", ""], "dimensions": 0}, "dimensions", "from 1 to"),
        ({"input": [{"a": 1}]}, "input", "expected"),
    ],
)
def test_what_cannot_be_embedded_is_told_at_its_field(
    oai: openai.OpenAI, asked: dict[str, object], field: str, words: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=words) as refused:
        oai.embeddings.create(model="e1", **asked)  # type: ignore[arg-type]
    assert refused.value.param.partition("[")[0] == field


def test_a_model_that_makes_vectors_is_listed_where_it_can_be_used(
    oai: openai.OpenAI, claude: anthropic.Anthropic
) -> None:
    assert [model.id for model in oai.models.list()][-1] == "e1"
    assert oai.models.retrieve("e1").id == "e1"
    assert "e1" not in [model.id for model in claude.models.list()]


def test_openai_completions_go_on_with_the_text_as_it_is(oai: openai.OpenAI, upstream: Upstream) -> None:
    upstream.will(Answer(("  return", " a + b")))
    prompt = "<|fim_prefix|>def add(a, b):\n<|fim_suffix|>\n<|fim_middle|>"

    answer = oai.completions.with_raw_response.create(model="m2", prompt=prompt, max_tokens=8, stop="\n\n")

    assert answer.headers["x-legion-model"] == "m2"
    whole = answer.parse()
    assert whole.object == "text_completion"
    assert whole.choices[0].text == "  return a + b"
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (7, 2)
    asked = upstream.questions[-1]
    assert asked.path == "/v1/completions"
    assert (asked.json["prompt"], asked.json["max_tokens"], asked.json["stop"]) == (prompt, 8, ["\n\n"])
    assert asked.json.keys().isdisjoint({"messages", "suffix"})

    chunks = list(
        oai.completions.create(
            model="m2", prompt=[prompt], suffix="}", stream=True, stream_options={"include_usage": True}
        )
    )
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == "  return a + b"
    assert chunks[-1].usage is not None
    assert (upstream.questions[-1].json["suffix"], upstream.questions[-1].json["max_tokens"]) == ("}", 16)


def test_a_model_that_only_talks_is_not_asked_to_go_on_with_a_text(
    oai: openai.OpenAI, upstream: Upstream
) -> None:
    with pytest.raises(openai.BadRequestError, match="--completions yes"):
        oai.completions.create(model="m1", prompt="Once upon")
    with pytest.raises(openai.BadRequestError) as refused:
        oai.completions.create(model="m2", prompt="Once upon", echo=True)
    assert refused.value.param == "echo"
    assert upstream.questions == []
