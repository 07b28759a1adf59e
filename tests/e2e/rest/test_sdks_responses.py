"""The official OpenAI SDK's Responses API against the port, as other programs would use it."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pydantic
import pytest

from legion_core.testing.upstreams import Answer, Call, Die, Upstream

PIN = {"x-legion-instance": "box-a"}
CLOCK: Any = {
    "type": "function",
    "name": "clock",
    "description": "The time",
    "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}},
    "strict": False,
}


class City(pydantic.BaseModel):
    city: str


@pytest.fixture
def oai(url: str, token: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key=token, default_headers=PIN, max_retries=0) as client:
        yield client


def test_a_whole_response(oai: openai.OpenAI) -> None:
    raw = oai.responses.with_raw_response.create(
        model="auto", instructions="Be brief.", input="Hi", metadata={"a": "b"}, temperature=0.5
    )

    assert raw.headers["x-legion-instance"] == "box-a"
    whole = raw.parse()
    assert whole.output_text == "Hello wörld"
    assert whole.status == "completed"
    assert whole.model == "m1"
    assert (whole.instructions, whole.metadata, whole.temperature) == ("Be brief.", {"a": "b"}, 0.5)
    assert whole.usage is not None
    assert (whole.usage.input_tokens, whole.usage.output_tokens, whole.usage.total_tokens) == (7, 3, 10)


def test_a_streamed_response_begins_and_ends_once(oai: openai.OpenAI) -> None:
    events = list(oai.responses.create(model="auto", input="Hi", stream=True))
    names = [event.type for event in events]

    assert names[:2] == ["response.created", "response.in_progress"]
    assert names[-1] == "response.completed"
    assert len(set(names) & {"response.created", "response.completed"}) == 2
    assert names.count("response.created") == names.count("response.completed") == 1
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == "Hello wörld"
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_the_stream_helper_puts_a_response_with_parallel_calls_together(
    oai: openai.OpenAI, upstream: Upstream
) -> None:
    calls = (Call("call_1", "clock", '{"zone": "UTC"}'), Call("call_2", "clock", '{"zone": "CET"}'))
    upstream.will(Answer(("I look.",), calls=calls, split=3))

    with oai.responses.stream(model="auto", input="What time is it?", tools=[CLOCK]) as stream:
        final = stream.get_final_response()

    assert final.output_text == "I look."
    made: list[Any] = [item for item in final.output if item.type == "function_call"]
    assert [(call.call_id, call.name, json.loads(call.arguments)) for call in made] == [
        ("call_1", "clock", {"zone": "UTC"}),
        ("call_2", "clock", {"zone": "CET"}),
    ]
    assert final.status == "completed"


def test_results_of_calls_go_back_with_the_items_they_belong_to(
    oai: openai.OpenAI, upstream: Upstream
) -> None:
    upstream.will(Answer((), calls=(Call("call_1", "clock", "{}"),)), Answer(("Noon.",)))
    asked: list[Any] = [{"role": "user", "content": "What time is it?"}]

    first = oai.responses.create(model="auto", input=asked, tools=[CLOCK], store=False)
    asked += [item.to_dict() for item in first.output]
    asked.append({"type": "function_call_output", "call_id": "call_1", "output": "12:00"})
    second = oai.responses.create(model="auto", input=asked, tools=[CLOCK], store=False)

    assert second.output_text == "Noon."
    told = upstream.questions[-1].json["messages"]
    assert [message["role"] for message in told] == ["user", "assistant", "tool"]
    assert told[1]["tool_calls"][0]["id"] == told[2]["tool_call_id"] == "call_1"


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_response_is_continued_by_its_id(oai: openai.OpenAI, upstream: Upstream, is_streamed: bool) -> None:
    upstream.will(Answer((), calls=(Call("call_1", "clock", "{}"),)), Answer(("Noon.",)), Answer(("Bye.",)))

    def ask(words: Any, before: str | None) -> Any:
        if not is_streamed:
            return oai.responses.create(model="auto", input=words, previous_response_id=before, tools=[CLOCK])
        with oai.responses.stream(
            model="auto", input=words, previous_response_id=before or openai.omit, tools=[CLOCK]
        ) as stream:
            return stream.get_final_response()

    first = ask("What time is it?", None)
    second = ask([{"type": "function_call_output", "call_id": "call_1", "output": "12:00"}], first.id)
    third = ask("Thank you", second.id)

    assert third.output_text == "Bye."
    assert third.previous_response_id == second.id
    told = upstream.questions[-1].json["messages"]
    assert [message["role"] for message in told] == ["user", "assistant", "tool", "assistant", "user"]
    assert oai.responses.retrieve(second.id).output_text == "Noon."
    oai.responses.delete(second.id)
    with pytest.raises(openai.NotFoundError):
        oai.responses.retrieve(second.id)


def test_a_response_that_was_not_kept_cannot_be_continued(oai: openai.OpenAI) -> None:
    first = oai.responses.create(model="auto", input="Hi", store=False)

    with pytest.raises(openai.BadRequestError) as caught:
        oai.responses.create(model="auto", input="And?", previous_response_id=first.id)

    assert caught.value.param == "previous_response_id"


def test_a_named_conversation_keeps_its_history(oai: openai.OpenAI, upstream: Upstream) -> None:
    for words in ("One", "Two"):
        oai.responses.create(model="auto", input=words, conversation="conv_kept")

    told = upstream.questions[-1].json["messages"]
    assert [message["content"] for message in told] == ["One", "Hello wörld", "Two"]


def test_input_tokens_are_counted_without_asking_a_model(oai: openai.OpenAI, upstream: Upstream) -> None:
    few = oai.responses.input_tokens.count(model="auto", input="Hi")
    many = oai.responses.input_tokens.count(model="auto", input="word " * 500, instructions="Be brief.")

    assert few.object == "response.input_tokens"
    assert oai.responses.input_tokens.count(model="auto", input="").input_tokens == 0
    assert 0 < few.input_tokens < 50 < many.input_tokens
    assert upstream.questions == []

    first = oai.responses.create(model="auto", input="word " * 500)
    asked = len(upstream.questions)
    behind = oai.responses.input_tokens.count(model="auto", input="Hi", previous_response_id=first.id)
    assert behind.input_tokens > few.input_tokens + 500
    assert len(upstream.questions) == asked
    with pytest.raises(openai.BadRequestError):
        oai.responses.input_tokens.count(model="auto", input=[])


def test_structured_output_is_asked_for_and_parsed(oai: openai.OpenAI, upstream: Upstream) -> None:
    upstream.will(Answer(('{"city": ', '"Köln"}')))

    answer = oai.responses.parse(model="m2", input="Where?", text_format=City)

    assert answer.output_parsed == City(city="Köln")
    asked = upstream.questions[-1].json["response_format"]
    assert asked["json_schema"]["schema"]["properties"] == {"city": {"title": "City", "type": "string"}}


def test_tools_of_other_types_are_no_error(oai: openai.OpenAI, upstream: Upstream) -> None:
    upstream.will(
        Answer(
            (), calls=(Call("c1", "apply_patch", '{"input": "*** Begin"}'), Call("c2", "agents__spawn", "{}"))
        )
    )
    tools: Any = [
        CLOCK,
        {"type": "web_search"},
        {"type": "mcp", "server_label": "x", "server_url": "http://evil.example"},
        {"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}},
        {"type": "namespace", "name": "agents", "description": "", "tools": [{**CLOCK, "name": "spawn"}]},
        {"type": "local_shell"},
    ]  # fmt: skip

    with oai.responses.stream(model="auto", input="Do it", tools=tools) as stream:
        final = stream.get_final_response()

    custom, spaced = (item.to_dict() for item in final.output)
    assert (custom["type"], custom["name"], custom["input"]) == (
        "custom_tool_call",
        "apply_patch",
        "*** Begin",
    )
    assert (spaced["type"], spaced["namespace"], spaced["name"]) == ("function_call", "agents", "spawn")
    sent = upstream.questions[-1].json["tools"]
    assert [tool["function"]["name"] for tool in sent] == ["clock", "apply_patch", "agents__spawn"]
    assert "evil" not in json.dumps(sent)


def test_an_answer_that_reached_its_bound_says_so(oai: openai.OpenAI, upstream: Upstream) -> None:
    upstream.will(Answer(("half",), stop="length"))

    with oai.responses.stream(model="auto", input="Hi", max_output_tokens=16) as stream:
        final = stream.get_final_response()

    assert final.status == "incomplete"
    assert final.incomplete_details is not None
    assert final.incomplete_details.reason == "max_output_tokens"


def test_a_stream_that_dies_with_nowhere_to_go_ends_as_failed(oai: openai.OpenAI, upstream: Upstream) -> None:
    upstream.will(Answer(("Hel", "lo"), fault=Die(at_event=2)))

    events = list(oai.responses.create(model="auto", input="Hi", stream=True))

    assert events[-1].type == "response.failed"
    assert events[-1].response.error is not None
    assert events[-1].response.error.message
    assert "response.completed" not in [event.type for event in events]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"input": []}, "input"),
        ({"background": True}, "background"),
        ({"previous_response_id": "resp_nobody"}, "previous_response_id"),
        ({"input": [{"type": "function_call_output", "call_id": "x", "output": "?"}]}, "input[0].call_id"),
    ],
)
def test_a_bad_request_is_the_sdks_typed_error(oai: openai.OpenAI, changes: Any, field: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        oai.responses.create(**{"model": "auto", "input": "Hi", **changes})

    assert caught.value.param == field
