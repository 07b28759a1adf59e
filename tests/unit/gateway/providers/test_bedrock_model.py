"""The official description of the Converse wire agrees with what is sent, and with what the fake says."""

import json
from functools import cache
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from msgspec.structs import replace

from legion_core.gateway.types import Params, Request
from legion_core.testing import upstream_bedrock
from legion_core.testing.upstreams import Answer, Call, events_of
from tests.unit.gateway.providers.test_bodies import CLAUDE, CONVERSATION, bedrock_body

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


@cache
def service() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"))


@pytest.mark.parametrize("model", [CLAUDE, "us.amazon.nova-pro-v1:0", "meta.llama3-3-70b-instruct-v1:0"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tool_choice": "auto"},
        {"tool_choice": "any"},
        {"tools": (), "tool_choice": "auto", "system": ()},
        {"params": Params(max_tokens=9000, temperature=1.9, top_p=0.5, top_k=5, seed=3, stop=("a", "b"))},
        {"params": Params(json_schema=SCHEMA)},
        {"params": Params(json_mode=True)},
    ],
)
def test_a_body_is_what_the_service_says_it_takes(model: str, changes: dict[str, Any]) -> None:
    request: Request = replace(CONVERSATION, **changes)
    shape = service().operation_model("ConverseStream").input_shape
    body = bedrock_body(request, model, prefix="So far " if not changes else "")
    report = ParamValidator().validate({"modelId": model, **body}, shape)
    assert not report.has_errors(), report.generate_report()


def test_the_fake_says_what_the_service_says_it_answers() -> None:
    shape = service().operation_model("ConverseStream").output_shape.members["stream"]
    answer = Answer(("a",), thinking=("b",), calls=(Call("c", "now", '{"x": 1}'),), cached_tokens=2)
    told = b"".join(event.data for event in events_of("bedrock", answer))
    for name in ("throttlingException", "modelStreamErrorException", "validationException"):
        told += upstream_bedrock.exception(name, "no")
    buffer = EventStreamBuffer()
    buffer.add_data(told)
    seen = set[str]()
    for message in buffer:
        name = message.headers.get(":event-type") or message.headers[":exception-type"]
        payload = json.loads(message.payload)
        payload.pop("p", None)
        seen.add(name)
        report = ParamValidator().validate(payload, shape.members[name])
        assert not report.has_errors(), report.generate_report()
    assert seen >= {"messageStart", "contentBlockStart", "contentBlockDelta", "messageStop", "metadata"}
