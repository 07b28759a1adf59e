"""The OpenAI Responses dialect on our port: one answer, and the latest ones again."""

from typing import Any, Final

import msgspec

from legion_core.gateway.dialects.fields import FieldFault
from legion_core.gateway.dialects.openai_responses import NAME, OpenAIResponses
from legion_core.gateway.providers.estimate import estimated_usage
from legion_core.kernel.errors import LegionError
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Raw, Streamed
from legion_core.surfaces.rest.operations.dialects import PINS, answered, check_headers, failed

_USE = ("gateway/chat", "use")
_EXAMPLE: Final[dict[str, Any]] = {
    "id": "resp_req_01kkr",
    "object": "response",
    "created_at": 1773480413,
    "status": "completed",
    "model": "smollm2-135m",
    "output": [
        {
            "id": "msg_req_01kkr",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hello there.", "annotations": []}],
        }
    ],
    "usage": {"input_tokens": 42, "output_tokens": 118, "total_tokens": 160},
}


def _dialect(desk: Desk) -> OpenAIResponses:
    dialect = desk.legion.llm.dialects[NAME]
    assert isinstance(dialect, OpenAIResponses)
    return dialect


async def respond(desk: Desk, call: Call) -> Raw | Streamed:
    """One answer; it may continue an earlier one of the same caller."""
    return answered(desk, call, _dialect(desk).exchange(call.who.name))


async def count_input_tokens(desk: Desk, call: Call) -> Raw:
    """An estimate, at four characters a token, with what an earlier response brings along: no model is asked."""
    dialect = _dialect(desk).exchange(call.who.name)
    request_id = desk.ids.new("req")
    try:
        check_headers(call.headers)
        request = dialect.parse(call.body, call.headers, request_id=request_id)
    except LegionError as error:
        return failed(dialect, error, request_id)
    tokens = estimated_usage(request, prefix="", output_chars=0).input_tokens
    return Raw(msgspec.json.encode({"object": "response.input_tokens", "input_tokens": tokens}))


async def show_response(desk: Desk, call: Call) -> Raw:
    """A response as it was given, as long as it is kept."""
    if call.flag("stream"):
        fault = FieldFault("stream", "a response that is kept is given whole.", hint="Leave it out.")
        return failed(_dialect(desk), fault, desk.ids.new("req"))
    return Raw(_dialect(desk).kept.get(call.who.name, call.path["name"]).body)


async def forget_response(desk: Desk, call: Call) -> Raw:
    """Keep it no longer."""
    name = call.path["name"]
    _dialect(desk).kept.remove(call.who.name, name)
    return Raw(msgspec.json.encode({"id": name, "object": "response", "deleted": True}))


OPERATIONS = (
    Operation(
        method="POST",
        path="/v1/responses",
        name="openai_responses",
        summary="OpenAI responses",
        handler=respond,
        right=_USE,
        example=_EXAMPLE,
        body=dict,
        body_example={"model": "auto", "input": "Hello"},
        query=PINS,
        is_enveloped=False,
    ),
    Operation(
        method="POST",
        path="/v1/responses/input_tokens",
        name="openai_count_input_tokens",
        summary="Estimate a response's input tokens",
        handler=count_input_tokens,
        right=_USE,
        example={"object": "response.input_tokens", "input_tokens": 12},
        body=dict,
        body_example={"model": "auto", "input": "Hello"},
        is_enveloped=False,
    ),
    Operation(
        method="GET",
        path="/v1/responses/{name}",
        name="show_openai_response",
        summary="One of the latest responses again",
        handler=show_response,
        right=_USE,
        example=_EXAMPLE,
        is_enveloped=False,
    ),
    Operation(
        method="DELETE",
        path="/v1/responses/{name}",
        name="forget_openai_response",
        summary="Keep a response no longer",
        handler=forget_response,
        right=_USE,
        example={"id": "resp_req_01kkr", "object": "response", "deleted": True},
        is_enveloped=False,
    ),
)
